"""Libraries configure themselves from the issuer alone, wherever they look for its metadata."""

import json
import re
import subprocess

import httpx
import jwt
import pytest

from demo import PUBLIC
from gate import AUDIENCE
from server import DEADLINE, ROOT
from test_base_path import documented_block

OPERATORS = ROOT / "docs" / "operators.md"


@pytest.fixture
def gate(make_server):
    """A server whose issuer has no path."""
    return make_server().start()


@pytest.fixture
def gate_under_a_path(make_server, make_nginx):
    """A server whose issuer has a path, behind nginx as documented."""
    server = make_server()
    block = documented_block("/gate", server.port)
    (well_known,) = re.findall(r"`(location ~ \^/\\\.well-known[^`]*)`", OPERATORS.read_text())
    well_known = well_known.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    nginx = make_nginx(f"{block}\n{well_known}")
    server.settings["CEDARGATE_ISSUER"] = f"{nginx.base}/gate"
    return server.start()


def issuer_of(server):
    return server.settings.get("CEDARGATE_ISSUER", server.base)


def discovered_with_oauth4webapi(server, algorithm, peers_folder):
    done = subprocess.run(
        ["node", "discover.mjs", issuer_of(server), algorithm, AUDIENCE, server.mint(PUBLIC)],
        cwd=peers_folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("algorithm", ["oidc", "oauth2"])
def test_oauth4webapi_and_jose_need_only_the_issuer(gate, algorithm, peers_folder):
    found = discovered_with_oauth4webapi(gate, algorithm, peers_folder)
    assert found["payload"]["iss"] == gate.base
    assert found["payload"]["scope"] == f"dataset:{PUBLIC}"


def test_an_issuer_with_a_path_is_found_in_both_ways(gate_under_a_path, peers_folder):
    issuer = issuer_of(gate_under_a_path)
    root = issuer.removesuffix("/gate")
    for algorithm, url in (
        # OpenID Connect Discovery appends, RFC 8414 puts the path of the issuer last.
        ("oidc", f"{issuer}/.well-known/openid-configuration"),
        ("oauth2", f"{root}/.well-known/oauth-authorization-server/gate"),
    ):
        found = discovered_with_oauth4webapi(gate_under_a_path, algorithm, peers_folder)
        assert (found["url"], found["payload"]["iss"]) == (url, issuer)


def test_pyjwt_needs_only_the_issuer(gate_under_a_path):
    issuer = issuer_of(gate_under_a_path)
    token = gate_under_a_path.mint(PUBLIC)
    for name in ("oauth-authorization-server", "openid-configuration"):
        metadata = httpx.get(f"{issuer}/.well-known/{name}", trust_env=False).json()
        assert metadata["issuer"] == issuer
        key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=metadata["id_token_signing_alg_values_supported"],
            issuer=metadata["issuer"],
            audience=AUDIENCE,
        )
        assert claims["scope"] == f"dataset:{PUBLIC}"
