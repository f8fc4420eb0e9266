"""Bad input gets a clear problem, and the server keeps working."""

import socket

import httpx
import pytest

from demo import PUBLIC
from server import assert_problem, claims_unverified

MINT = f"/auth/download-token/{PUBLIC}"


@pytest.fixture(autouse=True)
def server_keeps_running(server):
    """After each test the same process still mints."""
    process = server.process.pid
    yield
    assert server.is_alive() and server.process.pid == process
    assert server.mint(PUBLIC)


def send_raw(server, head, body=b""):
    """Sends bytes unchanged, which HTTP libraries would not do, and returns the response."""
    request = head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may respond before it has read everything
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    assert received, "the connection was closed without a response"
    top, _, content = received.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    headers = [tuple(part.strip() for part in field.split(":", 1)) for field in fields]
    # The content is not decoded: `Connection: close` ends it, and no response here is chunked.
    return httpx.Response(int(status.split()[1]), headers=headers, content=content)


def send(server, method, target, *fields, body=b""):
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close"]
    return send_raw(server, "\n".join([*lines, *fields]), body)


@pytest.mark.parametrize(
    "dataset",
    [
        "not-a-uuid",
        "1",
        PUBLIC[:-1],
        PUBLIC + "0",
        PUBLIC.replace("2", "g", 1),
        "%00",
        "%FF%FE",
        "..%2e",
        "a" * 5000,
    ],
)
def test_an_id_that_is_not_a_uuid_is_422(server, dataset):
    problem = assert_problem(send(server, "POST", f"/auth/download-token/{dataset}"), 422)
    assert "param0" not in problem["detail"]


def test_an_id_in_braces_is_422(server):
    for braces in (f"{{{PUBLIC}}}", f"%7B{PUBLIC}%7D"):
        assert_problem(send(server, "POST", f"/auth/download-token/{braces}"), 422)


@pytest.mark.parametrize(
    "spelling",
    [PUBLIC.upper(), PUBLIC.replace("-", ""), f"urn:uuid:{PUBLIC}", f"URN:UUID:{PUBLIC.upper()}"],
)
def test_any_text_form_of_an_id_is_the_same_dataset(server, spelling):
    response = server.post_mint(spelling)
    assert response.status_code == 200
    token = response.json()["token"]
    assert claims_unverified(token)["scope"] == f"dataset:{PUBLIC}"
    head = server.request("HEAD", f"{server.download_path(spelling)}?token={token}")
    assert head.status_code == 200


def test_a_body_of_a_mebibyte_does_not_change_the_mint(server):
    for kind in ("application/json", "application/octet-stream", "multipart/form-data"):
        response = server.post(MINT, content=b"x" * (1 << 20), headers={"Content-Type": kind})
        assert response.status_code in (200, 413)
        if response.status_code == 413:
            assert_problem(response, 413)


def test_unknown_query_parameters_and_headers_do_not_change_the_mint(server):
    response = server.post(
        f"{MINT}?token=x&dataset_id=1&ttl=9999",
        headers={
            "X-Forwarded-User": "admin",
            "Cookie": "session=1",
            "X-HTTP-Method-Override": "GET",
        },
    )
    assert response.status_code == 200
    assert response.json()["expires_in"] <= 120


def test_64_kib_of_authorization_header_is_refused(server):
    response = send(
        server, "POST", MINT, f"Authorization: Bearer {'a' * 65536}", "Content-Length: 0"
    )
    assert_problem(response, response.status_code)
    assert response.status_code in (400, 431)


def test_many_headers_are_refused_or_ignored(server):
    fields = [f"X-Field-{number}: {number}" for number in range(1000)]
    response = send(server, "POST", MINT, *fields, "Content-Length: 0")
    assert response.status_code in (200, 400, 431)


@pytest.mark.parametrize(
    "credential",
    [
        "Authorization: Basic YWRtaW46YWRtaW4=",
        "Authorization: Bearer",
        "Authorization: Bearer a b",
        "Authorization: Bearer \xff\xfe",
        "Authorization:",
        "Authorization: Negotiate x\nAuthorization: Bearer y",
    ],
)
def test_a_malformed_credential_is_never_treated_as_anonymous(server, credential):
    response = send(server, "POST", MINT, credential, "Content-Length: 0")
    assert response.status_code in (400, 401)
    assert_problem(response, response.status_code)


def test_two_credentials_on_one_request_are_400(server):
    response = send(
        server, "POST", MINT, "Authorization: Bearer a.b.c", "X-Api-Key: k", "Content-Length: 0"
    )
    assert_problem(response, 400)


def test_a_credential_that_does_not_resolve_is_401_with_a_challenge(server):
    response = send(server, "POST", MINT, "Authorization: Bearer a.b.c", "Content-Length: 0")
    assert_problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_an_encoded_slash_in_the_path_is_not_a_separator(server):
    for method, path in (
        ("POST", f"/auth/download-token%2F{PUBLIC}"),
        ("POST", f"/auth/download-token/{PUBLIC}%2F"),
        ("POST", f"/auth/download-token/..%2F{PUBLIC}"),
        ("GET", f"/datasets/{PUBLIC}%2Fdownload%2Fcog"),
    ):
        response = send(server, method, path, "Content-Length: 0")
        assert_problem(response, response.status_code)
        assert response.status_code in (404, 422), path


@pytest.mark.parametrize("path", ["/nothing", "/", "//", "/auth", "/../etc/passwd", "/.env"])
def test_an_unknown_route_is_404(server, path):
    response = send(server, "GET", path)
    if path == "/" and response.status_code in (200, 302, 303, 307, 308):
        return  # a front page is allowed
    assert_problem(response, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", MINT, {"POST"}),
        ("DELETE", MINT, {"POST"}),
        ("POST", f"/datasets/{PUBLIC}/download/cog", {"GET", "HEAD"}),
        ("PUT", "/.well-known/jwks.json", {"GET", "HEAD"}),
        ("GET", "/auth/login", {"POST"}),
    ],
)
def test_a_wrong_method_is_405_with_allow(server, method, path, allowed):
    response = send(server, method, path, "Content-Length: 0")
    assert_problem(response, 405)
    assert allowed <= {word.strip() for word in response.headers["allow"].split(",")}


def test_a_login_with_a_malformed_form_is_a_client_error(server):
    wrong = [
        {"content": b"{}", "headers": {"Content-Type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": {"username": "admin"}},
        {"data": {"grant_type": "client_credentials", "username": "admin", "password": "x"}},
        {"data": {"grant_type": "password", "username": "\0", "password": "\0"}},
        {"data": {"grant_type": "password", "username": "a" * 10000, "password": "b" * 10000}},
        {},
    ]
    for form in wrong:
        response = server.post("/auth/login", **form)
        assert 400 <= response.status_code < 500, form
        assert_problem(response, response.status_code)


def test_a_login_of_a_mebibyte_is_refused(server):
    # On a connection of its own: the server closes it where the body was not read to its end.
    response = httpx.post(
        f"{server.base}/auth/login",
        data={"grant_type": "password", "username": "admin", "password": "x" * (1 << 20)},
        trust_env=False,
    )
    assert 400 <= response.status_code < 500
    assert_problem(response, response.status_code)


def test_bytes_that_are_not_http_are_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n")
        received = connection.recv(65536)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "span", ["bytes=999999999-", "bytes=9-1", "bytes=-0", "lines=1-2", "bytes=a-b", "bytes=0-0,9-9"]
)
def test_an_unusual_range_is_handled_as_in_rfc_9110(server, span):
    token = server.mint(PUBLIC)
    response = server.get(f"{server.download_path(PUBLIC)}?token={token}", headers={"Range": span})
    if span in ("bytes=999999999-", "bytes=-0"):
        assert_problem(response, 416)
        assert response.headers["content-range"].startswith("bytes */")
    else:
        assert response.status_code in (200, 206)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "%00", "%FF", "a" * 9000]
)
def test_an_invalid_token_is_refused(server, token):
    response = send(server, "GET", f"{server.download_path(PUBLIC)}?token={token}")
    assert response.status_code in (400, 401)
    assert_problem(response, response.status_code)
