"""Tokens of a real OpenID provider (npm `oidc-provider`) are credentials, and forged ones are not.

The tokens are JWT access tokens (RFC 9068) that a client got for itself (client_credentials) and
for Cedargate (RFC 8707): what a script beside an identity provider would use, without a browser.
"""

import base64
import hashlib
import hmac
import json
import subprocess
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from demo import INTERNAL, PUBLIC, RESTRICTED
from gateway import DEADLINE, assert_problem, claims_unverified, free_port, until

AUDIENCE = "https://gate.example"


class Provider:
    """One running `oidc-provider`."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["node", "provider.mjs", str(self.port), AUDIENCE],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=DEADLINE)

    def tell(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def token(self, scope="hydrology"):
        """A token that a script of the provider's gets for itself."""
        answer = httpx.post(
            f"{self.issuer}/token",
            auth=("nightly", "a+secret+of+the+test"),
            data={"grant_type": "client_credentials", "scope": scope},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def key_set(self):
        return httpx.get(f"{self.issuer}/jwks", trust_env=False)

    def private_key(self):
        return jwt.PyJWK(json.loads(self.tell("key")))


@pytest.fixture
def provider(peers_folder):
    provider = Provider(peers_folder).start()
    yield provider
    provider.stop()


@pytest.fixture
def trusting(provider, make_gateway):
    """A demo server that trusts the provider; scopes of its tokens are roles."""
    issuer = {"issuer": provider.issuer, "audience": AUDIENCE, "roles_claim": "scope"}
    gateway = make_gateway(CEDARGATE_ISSUERS=json.dumps([issuer]))
    yield gateway.start()
    gateway.stop()


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def test_a_token_of_the_provider_mints_and_what_it_minted_downloads(provider, trusting):
    token = provider.token()
    session = {"Authorization": f"Bearer {token}"}
    minted = trusting.mint(RESTRICTED, token)
    answer = trusting.get(trusting.download_path(RESTRICTED), params={"token": minted})
    assert answer.status_code == 200
    me = trusting.get("/auth/me", headers=session).json()
    assert (me["username"], me["roles"], me["issuer"]) == (
        "nightly",
        ["hydrology"],
        provider.issuer,
    )
    records = [record for record in trusting.audit() if record["dataset_id"] == RESTRICTED]
    assert [record["authentication"] for record in records] == ["issuer", "issuer"]
    assert claims_unverified(minted)["sub"] == me["user_id"]


def test_after_a_rotation_a_new_token_mints_without_a_restart(provider, trusting):
    before = provider.token()
    assert trusting.mint(INTERNAL, before)
    assert provider.tell("rotate second") == "rotated"
    after = provider.token()
    assert (kid_of(before), kid_of(after)) == ("first", "second")
    # At once, and by another algorithm: the first unknown key is looked for without waiting.
    assert trusting.mint(INTERNAL, after)
    assert trusting.mint(INTERNAL, before)


def test_while_the_provider_is_away_its_keys_go_on_working(provider, trusting):
    first, second = provider.token(), provider.token()
    assert trusting.mint(INTERNAL, first)
    provider.stop()
    assert trusting.mint(INTERNAL, first)
    assert trusting.mint(INTERNAL, second), "a token that was never seen before"
    assert trusting.mint(PUBLIC)


def test_without_keys_a_token_is_503_until_the_provider_is_there(provider, make_gateway):
    token = provider.token()
    issuer = {"issuer": provider.issuer, "audience": AUDIENCE}
    provider.stop()
    gateway = make_gateway(CEDARGATE_ISSUERS=json.dumps([issuer])).start()
    answer = gateway.ask_mint(INTERNAL, token)
    assert_problem(answer, 503)
    assert answer.headers["retry-after"]
    ready = gateway.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    provider.start()
    until(
        lambda: gateway.ask_mint(INTERNAL, provider.token()).status_code == 200,
        "the keys are fetched",
    )
    gateway.stop()


def encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forgeries(provider):
    """Name -> token; each would be good but for one thing."""
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


def test_forged_tokens_are_refused(provider, trusting):
    good, forged = forgeries(provider)
    assert trusting.mint(INTERNAL, good), "without this each refusal could be the forger's mistake"
    for what, token in forged.items():
        for dataset in (INTERNAL, PUBLIC):
            answer = trusting.ask_mint(dataset, token)
            assert answer.status_code == 401, f"{what}: {answer.status_code} {answer.text}"
            assert 'error="invalid_token"' in answer.headers["www-authenticate"], what
