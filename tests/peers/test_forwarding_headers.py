"""What proxies ask, by their documentation and otherwise, and what docs/proxies.md says of it."""

import os
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo import PUBLIC, RESTRICTED, UNKNOWN
from recipes import PATTERN, RECIPES, SETTINGS
from server import Server
from test_docs import ADDRESS, only_block

# How many abused requests: always the same few, or so many others.
LONG_RUN = os.environ.get("PEERS_FORWARD_AUTH_EXAMPLES")
EXAMPLES = int(LONG_RUN or "150")


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("gate"), **SETTINGS)
    try:
        yield server.start()
    finally:
        server.stop()


NAMES = (
    "X-Original-URI",
    "X-Original-Method",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Forwarded",
    "Authorization",
    "X-Api-Key",
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "Expect",
    "Upgrade",
    "Range",
    "If-Match",
    "Origin",
    "Accept",
    "X-Request-Id",
    "Cookie",
)
VALUES = st.one_of(
    st.binary(max_size=60).map(lambda value: value.replace(b"\n", b"")),
    st.text(max_size=40).map(lambda value: value.replace("\n", "").encode()),
    st.sampled_from(
        [
            b"",
            b"GET",
            b"POST",
            b"OPTIONS",
            b"chunked",
            b"-1",
            b"99999999999999999999",
            b"100-continue",
            b"websocket",
            b"Bearer x",
            b"Basic Og==",
            b"a" * 9000,
            b"bytes=0-",
            b"null",
            b"unknown",
            b"127.0.0.1",
        ]
    ),
    st.tuples(
        st.sampled_from(["/cogs/", "//cogs/", "/cogs/../cogs/", "/cogs%2f", "http://x/cogs/", ""]),
        st.sampled_from([PUBLIC, RESTRICTED, UNKNOWN, PUBLIC.upper(), "x"]),
        st.sampled_from([".tif", ".tif/", ".tif%00", ".tif;x", ""]),
        st.sampled_from(["", "?", "?token", "?token=TOKEN", "?token=TOKEN&token=TOKEN", "?x"]),
    ).map(lambda parts: "".join(parts).encode()),
)
LINES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)


def verify_status(gate, lines, method="GET", target="/auth/verify"):
    head = f"{method} {target} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n".encode()
    head += b"".join(name.encode() + b": " + value + b"\r\n" for name, value in lines)
    has_body = any(name in ("Content-Length", "Transfer-Encoding") for name, _ in lines)
    found = urlsplit(gate.base)
    with socket.create_connection((found.hostname, found.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n" + (b"0\r\n\r\n" if has_body else b""))
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return received


@settings(
    max_examples=EXAMPLES,
    derandomize=LONG_RUN is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lines=LINES,
    method=st.sampled_from(["GET", "HEAD"]),
    target=st.sampled_from(["/auth/verify", "/auth/verify/", "/auth/verify?x=%zz&token=y"]),
)
def test_whatever_is_forwarded_the_status_is_one_that_proxies_know(gate, lines, method, target):
    if not hasattr(gate, "abuse_token"):
        gate.abuse_token = gate.mint(PUBLIC).encode()
    lines = [(name, value.replace(b"TOKEN", gate.abuse_token)) for name, value in lines]
    received = verify_status(gate, lines, method, target)
    if received.startswith(b"HTTP/1.1 100 "):
        received = received.split(b"\r\n\r\n", 1)[1]
    assert received.startswith(b"HTTP/1."), (lines, received)
    status = int(received[9:12])
    assert status in (401, 403) or 200 <= status < 300, (lines, received[:300])


# Traefik is in no registry that the tests can reach.


def test_the_requests_of_traefik_are_understood(gate):
    dynamic = yaml.safe_load((RECIPES / "traefik-dynamic.yml").read_text())["http"]
    static = yaml.safe_load((RECIPES / "traefik.yml").read_text())
    assert static["accessLog"]["fields"]["names"] == {"RequestPath": "drop", "RequestLine": "drop"}
    for router in dynamic["routers"].values():
        assert set(router["entryPoints"]) <= set(static["entryPoints"])
        assert set(router.get("middlewares", [])) <= set(dynamic["middlewares"])
        assert router["service"] in dynamic["services"]
    asking = dynamic["middlewares"]["verify"]["forwardAuth"]
    address = urlsplit(asking["address"])
    token = gate.mint(PUBLIC)
    # As its documentation has it: these headers, and those of the client that are named.
    client = {"Authorization": "Bearer x", "X-Original-URI": f"/cogs/{RESTRICTED}.tif"}
    passed = {name: value for name, value in client.items() if name in asking["authRequestHeaders"]}
    for dataset, status in ((PUBLIC, 204), (RESTRICTED, 403)):
        found = gate.get(
            address.path,
            headers={
                **passed,
                "X-Forwarded-Method": "GET",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "data.example.org",
                "X-Forwarded-Uri": f"/cogs/{dataset}.tif?token={token}",
                "X-Forwarded-For": "203.0.113.8",
            },
        )
        assert found.status_code == status, found.text
    passed_on = asking["authResponseHeaders"]
    assert passed_on == ["X-Auth-Request-User", "X-Auth-Request-Dataset"]


def test_the_settings_of_the_page_are_valid(tmp_path):
    server = Server(tmp_path)
    (tmp_path / "cedargate.toml").write_text(only_block("docs/proxies.md", "toml").text)
    shown = server.run("config").stdout
    assert PATTERN in shown and "127.0.0.1/32" in shown


def test_the_question_of_the_page_is_answered_as_it_says(gate):
    block = only_block("docs/proxies.md", "sh")
    command = block.text.replace(ADDRESS, gate.base)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("HTTP/1.1 401 "), done


def test_the_configurations_are_valid_as_they_are_published(tmp_path):
    done = subprocess.run(
        ["caddy", "adapt", "--config", RECIPES / "Caddyfile", "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    # nginx needs the certificate; test_forward_auth.py starts it with everything else.
    assert "listen 443 ssl;" in (RECIPES / "nginx.conf").read_text()
