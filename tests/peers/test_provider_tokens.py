"""Odd tokens of a real OpenID provider (npm `oidc-provider`).

Each is accepted where a standard allows it, or refused with one line in the log that says why. The
provider is configured to send them, and signs them itself. What no JavaScript number is written as
is signed with the provider's key.
"""

import json
import re
import time

import jwt
import pytest

from demo import INTERNAL
from provider import AUDIENCE, Provider
from server import until

REFUSED = "token of an identity provider refused"


@pytest.fixture
def provider(peers_folder):
    provider = Provider(peers_folder).start()
    yield provider
    provider.stop()


@pytest.fixture
def serve(provider, make_server):
    """Starts a server that trusts the provider, with more keys in its `[[issuers]]`."""

    def start(**more):
        issuer = {"issuer": provider.issuer, "audience": AUDIENCE, **more}
        return make_server(CEDARGATE_ISSUERS=json.dumps([issuer])).start()

    return start


def refusals(server):
    """The fields of the log lines about refused tokens."""
    lines = (json.loads(line) for line in server.log_text().splitlines() if REFUSED in line)
    found = []
    for line in lines:
        assert line["level"] == "INFO"
        found.append(line.get("fields", line))
    return found


def wait_for_refusals(server, count):
    """The fields of so many log lines about refused tokens, which may come after the responses."""
    lines = until(
        lambda: len(refusals(server)) >= count and refusals(server), "refusals in the log"
    )
    assert len(lines) == count
    return lines


def refused_count(server, reason):
    metrics = server.get("/metrics").text
    found = re.search(
        rf'^cedargate_external_tokens_refused_total{{reason="{reason}"}} (\d+)$', metrics, re.M
    )
    assert found, metrics
    return int(found[1])


def with_number(provider, claim, number):
    """A token whose claim is this JSON text, signed with the provider's key."""
    token = provider.person_token("ada", {claim: 4242424242})
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    payload = json.dumps(claims).replace("4242424242", number)
    key = provider.private_key().key
    signer = jwt.api_jws.PyJWS()
    return signer.encode(payload.encode(), key, algorithm="RS256", headers=header)


def test_times_may_have_fractions_and_exponents(provider, serve):
    server = serve()
    now = int(time.time())
    for claims in (
        {"iat": now - 0.75, "exp": now + 300.5},
        {"iat": now + 0.25, "nbf": now + 0.5, "auth_time": now - 0.1},
        {"nbf": 0, "auth_time": None},
        {"exp": now - 20.5, "iat": now - 1000},
        {"iat": 0, "exp": 253402300799},
    ):
        assert server.mint(INTERNAL, provider.person_token("ada", claims)), claims
    exponent = f"{(now + 300) / 1e9:.9f}e9"
    assert server.mint(INTERNAL, with_number(provider, "exp", exponent))
    assert refusals(server) == []


def test_each_refusal_is_one_line_with_issuer_check_expected_and_got(provider, serve):
    server = serve(verified_claim="email_verified", roles_claim="groups")
    now = int(time.time())

    def person(**claims):
        return provider.person_token("ada", claims)

    def header(**members):
        return provider.person_token("ada", None, members)

    cases = [
        ("exp", person(exp=now - 600, iat=now - 900), str(now - 600)),
        ("exp", person(exp=None), "no such claim"),
        ("exp", person(exp=str(now + 300)), f'"{now + 300}"'),
        ("exp", person(exp=(now + 300) * 1000), str((now + 300) * 1000)),
        ("exp", with_number(provider, "exp", "18446744073709551616"), "1.844674407370955"),
        ("form", with_number(provider, "exp", "1e400"), "out of range"),
        ("iat", person(iat=now + 600.5, exp=now + 900), f"{now + 600}.500"),
        ("iat", person(iat=True), "true"),
        ("nbf", person(nbf=now + 600), str(now + 600)),
        ("nbf", person(nbf=""), '""'),
        ("aud", person(aud="account", azp="gate"), '"account"'),
        ("aud", person(aud=["account", "broker"]), '["account", "broker"]'),
        ("aud", person(aud=[]), "[]"),
        ("aud", person(aud=7), "7"),
        ("aud", person(aud=None), "no such claim"),
        ("sub", person(sub=None), "no such claim"),
        ("sub", person(sub=7), "a number"),
        ("sub", person(sub="s" * 256), "256 bytes"),
        ("claims", person(groups=[{"id": 1}]), "a list with an object"),
        ("claims", person(groups=7), "a number"),
        ("claims", person(_claim_names={"groups": "src1"}), "a reference"),
        ("typ", header(typ="logout+jwt"), '"logout+jwt"'),
        ("kid", header(kid="third\nINFO forged"), r"third\nINFO forged"),
        ("cnf", person(cnf={"jkt": "x"}), "a cnf"),
    ]
    for number, (check, token, got) in enumerate(cases, start=1):
        response = server.post_mint(INTERNAL, token)
        assert response.status_code == 401, (check, got, response.text)
        line = wait_for_refusals(server, number)[-1]
        assert (line["check"], line["issuer"]) == (check, provider.issuer), line
        assert got in line["got"], line
        assert line["expected"], line
    text = server.log_text()
    # As a word: the ids of requests are hexadecimal.
    assert not re.search(r"\bada\b", "".join(json.dumps(line) for line in refusals(server)))
    for _, token, _ in cases:
        assert token not in text and token.split(".")[1] not in text
    for check in {case[0] for case in cases}:
        expected = sum(1 for case in cases if case[0] == check)
        assert refused_count(server, check) == expected, check
    assert server.mint(INTERNAL, person(groups=["hydrology"]))


def test_headers_of_access_and_id_tokens_are_accepted(provider, serve):
    server = serve()
    for members in (
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "application/at+jwt"},
        {"typ": None},
    ):
        assert server.mint(INTERNAL, provider.person_token("ada", None, members)), members
    # The key set has one key, so that a token need not name it.
    assert server.mint(INTERNAL, provider.person_token("ada", None, {"kid": None}))
    assert provider.send("rotate second") == "rotated"
    assert server.mint(INTERNAL, provider.person_token("ada", None, {"kid": None}))


def test_an_issuer_that_is_almost_or_not_at_all_configured_is_named(provider, serve):
    server = serve()
    cases = (
        (f"{provider.issuer}/", True),
        (provider.issuer.replace("http:", "https:"), True),
        ("https://evil.example\n\u202eINFO forged", False),
    )
    for number, (issuer, hint) in enumerate(cases, start=1):
        token = provider.person_token("ada", {"iss": issuer})
        assert server.post_mint(INTERNAL, token).status_code == 401
        line = wait_for_refusals(server, number)[-1]
        assert (line["check"], line["issuer"]) == ("iss", "not configured")
        assert provider.issuer in line["expected"]
        assert line["got"].startswith('"http') and "\n" not in line["got"]
        assert ("byte for byte" in line.get("hint", "")) == hint
        until(lambda: refused_count(server, "iss"), "counted")
    for opaque in ("ya29.opaque", "8d1e0cbb-opaque", "a.b.c.d.e"):
        assert server.post_mint(INTERNAL, opaque).status_code == 401
    assert [line["check"] for line in wait_for_refusals(server, 6)] == ["iss"] * 3 + ["form"] * 3


def test_cognito_and_keycloak_tokens_count_by_the_claim_that_the_operator_names(provider, serve):
    cognito = {"aud": None, "client_id": "app-client", "token_use": "access", "username": "Ada"}
    keycloak = {"aud": "account", "azp": "gate", "typ": "Bearer"}
    strict = serve()
    for number, (claims, name) in enumerate(((cognito, "client_id"), (keycloak, "azp")), start=1):
        claims = {**claims, "client_id": claims.get("client_id")}
        assert strict.post_mint(INTERNAL, provider.person_token("ada", claims)).status_code == 401
        line = wait_for_refusals(strict, number)[-1]
        assert f'audience_claim = "{name}"' in line["hint"] and "mapper" in line["hint"], line
    by_client = serve(audience="app-client", audience_claim="client_id")
    assert by_client.mint(INTERNAL, provider.person_token("ada", cognito))
    for way_around in ({"aud": "app-client"}, {"aud": ["app-client"], "client_id": None}):
        token = provider.person_token("ada", way_around)
        assert by_client.post_mint(INTERNAL, token).status_code == 401
    by_party = serve(audience="gate", audience_claim="azp")
    assert by_party.mint(INTERNAL, provider.person_token("ada", keycloak))
    token = provider.person_token("ada", {"aud": "gate", "azp": "another"})
    assert by_party.post_mint(INTERNAL, token).status_code == 401


def test_a_flood_of_refused_tokens_does_not_flood_the_log(provider, serve):
    server = serve()
    token = provider.person_token("ada", {"aud": "account"})
    for _ in range(60):
        assert server.post_mint(INTERNAL, token).status_code == 401
    assert refused_count(server, "aud") == 60
    assert len(refusals(server)) <= 40, "20 a minute, and a minute may end meanwhile"
