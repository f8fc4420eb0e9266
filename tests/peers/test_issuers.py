"""Tokens of a real OpenID provider (npm `oidc-provider`) are credentials, and forged ones are not.

The tokens are JWT access tokens (RFC 9068) that a client requested for itself (client_credentials)
with Cedargate as the resource (RFC 8707), as a script without a browser would.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from demo import INTERNAL, PUBLIC, RESTRICTED
from provider import AUDIENCE, Provider
from server import assert_problem, claims_unverified, until


@pytest.fixture
def provider(peers_folder):
    provider = Provider(peers_folder).start()
    yield provider
    provider.stop()


@pytest.fixture
def server(provider, make_server):
    """A demo server that trusts the provider; scopes of its tokens are roles."""
    issuer = {"issuer": provider.issuer, "audience": AUDIENCE, "roles_claim": "scope"}
    server = make_server(CEDARGATE_ISSUERS=json.dumps([issuer]))
    yield server.start()
    server.stop()


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def test_a_token_of_the_provider_mints_a_token_that_downloads(provider, server):
    token = provider.token()
    session = {"Authorization": f"Bearer {token}"}
    minted = server.mint(RESTRICTED, token)
    response = server.get(server.download_path(RESTRICTED), params={"token": minted})
    assert response.status_code == 200
    me = server.get("/auth/me", headers=session).json()
    assert (me["username"], me["roles"], me["issuer"]) == (
        "nightly",
        ["hydrology"],
        provider.issuer,
    )
    records = [record for record in server.audit() if record["dataset_id"] == RESTRICTED]
    assert [record["authentication"] for record in records] == ["issuer", "issuer"]
    assert claims_unverified(minted)["sub"] == me["user_id"]


def test_after_a_rotation_a_new_token_mints_without_a_restart(provider, server):
    before = provider.token()
    assert server.mint(INTERNAL, before)
    assert provider.send("rotate second") == "rotated"
    after = provider.token()
    assert (kid_of(before), kid_of(after)) == ("first", "second")
    # Immediately, and with another algorithm: the first unknown key is fetched without waiting.
    assert server.mint(INTERNAL, after)
    assert server.mint(INTERNAL, before)


def test_while_the_provider_is_unavailable_its_keys_keep_working(provider, server):
    first, second = provider.token(), provider.token()
    assert server.mint(INTERNAL, first)
    provider.stop()
    assert server.mint(INTERNAL, first)
    assert server.mint(INTERNAL, second), "a token that is new to the server"
    assert server.mint(PUBLIC)


def test_without_keys_a_token_is_503_until_the_provider_is_available(provider, make_server):
    token = provider.token()
    issuer = {"issuer": provider.issuer, "audience": AUDIENCE}
    provider.stop()
    server = make_server(CEDARGATE_ISSUERS=json.dumps([issuer])).start()
    response = server.post_mint(INTERNAL, token)
    assert_problem(response, 503)
    assert response.headers["retry-after"]
    ready = server.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    provider.start()
    until(
        lambda: server.post_mint(INTERNAL, provider.token()).status_code == 200,
        "the keys are fetched",
    )
    server.stop()


def encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forgeries(provider):
    """A valid token, and name -> token; each of these is invalid for one reason."""
    token = provider.token()
    header, claims = jwt.get_unverified_header(token), claims_unverified(token)
    key = provider.private_key()

    def signed(changed=None, more_header=None, by=key.key, algorithm="RS256"):
        payload = {**claims, **(changed or {})}
        headers = {**header, "alg": algorithm, **(more_header or {})}
        return jwt.encode(payload, by, algorithm=algorithm, headers=headers)

    def unsigned(alg, mac=None):
        start = f"{encoded({**header, 'alg': alg})}.{encoded(claims)}"
        end = hmac.new(mac, start.encode(), hashlib.sha256).digest() if mac else b""
        return f"{start}.{encoded(end)}"

    key_set = provider.key_set()
    public = json.dumps(key_set.json()["keys"][0])
    pem = key.key.public_key().public_bytes(
        encoding=serialization.Encoding.PEM,
        format=serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    own = ec.generate_private_key(ec.SECP256R1())
    embedded = json.loads(ECAlgorithm.to_jwk(own.public_key()))
    other_signature = token.rpartition(".")[2]
    now = int(time.time())
    assert jwt.decode(signed(), options={"verify_signature": False}) == claims
    return signed(), {
        "alg none": unsigned("none"),
        "alg None": unsigned("None"),
        "HS256 over the public key as JWK": unsigned("HS256", public.encode()),
        "HS256 over the public key as PEM": unsigned("HS256", pem),
        "HS256 over the key set": unsigned("HS256", key_set.content),
        "RS256 with an HMAC": unsigned("RS256", pem),
        "wrong aud": signed({"aud": "https://other.example"}),
        "wrong iss": signed({"iss": "https://id.example"}),
        "iss with a slash": signed({"iss": f"{provider.issuer}/"}),
        "expired": signed({"iat": now - 600, "exp": now - 60}),
        "not valid yet": signed({"nbf": now + 600}),
        "embedded jwk": signed(more_header={"jwk": embedded}, by=own, algorithm="ES256"),
        "embedded jwk of its own": signed(more_header={"jwk": json.loads(public)}),
        "jku": signed(more_header={"jku": f"{provider.issuer}/jwks"}),
        "unknown kid": signed(more_header={"kid": "unknown"}),
        "another key under its kid": signed(by=own, algorithm="ES256"),
        "signature of another token": signed({"x": 1}).rpartition(".")[0] + f".{other_signature}",
    }


def test_forged_tokens_are_refused(provider, server):
    good, forged = forgeries(provider)
    assert server.mint(INTERNAL, good), "a valid token must pass, or the refusals prove nothing"
    for what, token in forged.items():
        for dataset in (INTERNAL, PUBLIC):
            response = server.post_mint(dataset, token)
            assert response.status_code == 401, f"{what}: {response.status_code} {response.text}"
            assert 'error="invalid_token"' in response.headers["www-authenticate"], what
