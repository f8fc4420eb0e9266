"""Verifiers that have only the published key set accept valid tokens and no others."""

import base64
import hashlib
import json
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from demo import MEMBER, PUBLIC, RESTRICTED
from server import DEADLINE, PEERS, claims_unverified, decoded


class Refused(Exception):
    """The token was refused, whatever error the verifier has for it."""


def verify_with_pyjwt(jwks_url, token, issuer, audience, now):
    try:
        key = jwt.PyJWKClient(jwks_url).get_signing_key_from_jwt(token)
        # PyJWT reads the clock itself: a negative leeway simulates a later time.
        found = jwt.decode_complete(
            token,
            key,
            algorithms=["ES256"],
            issuer=issuer,
            audience=audience,
            leeway=int(time.time()) - now,
            options={"require": ["iss", "aud", "iat", "exp", "jti"], "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise Refused(repr(error)) from error
    if found["header"].get("typ") != "download+jwt":
        raise Refused("typ")
    return found["payload"]


def verify_with_jose(jwks_url, token, issuer, audience, now, node_folder):
    done = subprocess.run(
        ["node", "verify.mjs", jwks_url, token, issuer, audience, str(now)],
        cwd=node_folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    if done.returncode != 0:
        # A refused token has one of jose's codes; any other failure is an error of the script.
        assert done.stderr.startswith("ERR_J"), done.stderr
        raise Refused(done.stderr)
    return json.loads(done.stdout)


def verify_by_hand(jwks_url, token, issuer, audience, now):
    """RFC 7515 and 7518 in a few lines, with nothing but the curve arithmetic of `cryptography`."""
    protected, payload, signature = token.split(".")
    header, raw = json.loads(decoded(protected)), decoded(signature)
    keys = httpx.get(jwks_url, trust_env=False).json()["keys"]
    jwk = next((key for key in keys if key["kid"] == header["kid"]), None)
    if jwk is None or header["alg"] != "ES256" or header["typ"] != "download+jwt":
        raise Refused("header")
    x, y = (int.from_bytes(decoded(jwk[part])) for part in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    if len(raw) != 64:
        raise Refused("length")
    der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    try:
        public.verify(der, f"{protected}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise Refused("signature") from error
    claims = json.loads(decoded(payload))
    if claims["iss"] != issuer or claims["aud"] != audience or claims["exp"] <= now:
        raise Refused("claims")
    return claims


@pytest.fixture
def node_folder(tmp_path):
    """A folder in which Node finds the program and its packages."""
    shutil.copy(Path(__file__).with_name("verify.mjs"), tmp_path)
    (tmp_path / "node_modules").symlink_to(PEERS / "node_modules")
    return tmp_path


@pytest.fixture(params=["PyJWT", "jose", "by hand"])
def verify(request, node_folder, server):
    """Each verifier in turn: (token, audience, now) -> claims, or Refused."""
    issuer = claims_unverified(server.mint(PUBLIC))["iss"]

    def verify(token, audience, now=None):
        arguments = (server.jwks_url, token, issuer, audience, int(now or time.time()))
        if request.param == "PyJWT":
            return verify_with_pyjwt(*arguments)
        if request.param == "jose":
            return verify_with_jose(*arguments, node_folder)
        return verify_by_hand(*arguments)

    return verify


def test_a_verifier_with_only_the_key_set_accepts_a_minted_token(server, verify):
    token = server.mint(PUBLIC)
    audience = claims_unverified(token)["aud"]
    claims = verify(token, audience)
    assert claims["scope"] == f"dataset:{PUBLIC}"
    assert claims["typ"] == "download"
    assert uuid.UUID(claims["jti"]).version == 7
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert "sub" not in claims


def test_a_token_for_another_audience_is_refused(server, verify):
    token = server.mint(PUBLIC)
    with pytest.raises(Refused):
        verify(token, "https://elsewhere.example")


def test_a_token_is_refused_from_the_second_it_expires(server, verify):
    token = server.mint(PUBLIC)
    claims = claims_unverified(token)
    assert verify(token, claims["aud"], now=claims["exp"] - 1)
    with pytest.raises(Refused):
        verify(token, claims["aud"], now=claims["exp"] + 1)


@pytest.mark.parametrize("part", ["header", "payload", "signature"])
def test_a_token_with_one_bit_flipped_is_refused(server, verify, part):
    token = server.mint(PUBLIC)
    audience = claims_unverified(token)["aud"]
    parts = token.split(".")
    index = ["header", "payload", "signature"].index(part)
    changed = bytearray(decoded(parts[index]))
    # The lowest bit of a letter in the middle, so that JSON and signature stay well-formed.
    changed[len(changed) // 2] ^= 1
    parts[index] = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
    with pytest.raises((Refused, ValueError, KeyError)):
        verify(".".join(parts), audience)


def test_the_key_set_publishes_public_members_only(server):
    response = server.get("/.well-known/jwks.json", headers={"Origin": "https://maps.example"})
    assert response.headers["etag"] and "max-age" in response.headers["cache-control"]
    assert response.headers["access-control-allow-origin"] == "*"
    for key in response.json()["keys"]:
        assert set(key) <= {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


def test_a_key_is_named_by_its_own_thumbprint(server):
    for key in server.get("/.well-known/jwks.json").json()["keys"]:
        members = {name: key[name] for name in ("crv", "kty", "x", "y")}  # RFC 7638 section 3
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_an_unchanged_key_set_is_304(server):
    first = server.get("/.well-known/jwks.json")
    again = server.get("/.well-known/jwks.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]


def test_a_signed_in_token_names_its_subject_by_id_only(server):
    claims = claims_unverified(server.mint(RESTRICTED, server.login(MEMBER)))
    assert uuid.UUID(claims["sub"])
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "typ", "scope", "sub"}
