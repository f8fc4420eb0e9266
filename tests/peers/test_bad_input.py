"""Bad input gets a clear problem, and the server goes on as if nothing had been."""

import socket

import httpx
import pytest

from demo import PUBLIC
from gateway import assert_problem, claims_unverified

MINT = f"/auth/download-token/{PUBLIC}"


@pytest.fixture(autouse=True)
def server_goes_on(server):
    """After each test the same process still mints."""
    process = server.process.pid
    yield
    assert server.is_alive() and server.process.pid == process
    assert server.mint(PUBLIC)


def raw(server, head, body=b""):
    """Sends bytes as they are, which libraries would tidy up, and answers what came back."""
    request = head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may answer before it has read everything
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    assert received, "the connection was closed without an answer"
    top, _, content = received.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    headers = [tuple(part.strip() for part in field.split(":", 1)) for field in fields]
    # The content is as it came: `Connection: close` ends it, and no answer here is chunked.
    return httpx.Response(int(status.split()[1]), headers=headers, content=content)


def ask(server, method, target, *fields, body=b""):
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close"]
    return raw(server, "\n".join([*lines, *fields]), body)


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
def test_an_id_that_is_no_uuid_is_422(server, dataset):
    problem = assert_problem(ask(server, "POST", f"/auth/download-token/{dataset}"), 422)
    assert "param0" not in problem["detail"]


def test_an_id_in_braces_is_422(server):
    for braces in (f"{{{PUBLIC}}}", f"%7B{PUBLIC}%7D"):
        assert_problem(ask(server, "POST", f"/auth/download-token/{braces}"), 422)


@pytest.mark.parametrize(
    "spelling",
    [PUBLIC.upper(), PUBLIC.replace("-", ""), f"urn:uuid:{PUBLIC}", f"URN:UUID:{PUBLIC.upper()}"],
)
def test_any_text_form_of_an_id_is_the_same_dataset(server, spelling):
    answer = server.ask_mint(spelling)
    assert answer.status_code == 200
    token = answer.json()["token"]
    assert claims_unverified(token)["scope"] == f"dataset:{PUBLIC}"
    head = server.request("HEAD", f"{server.download_path(spelling)}?token={token}")
    assert head.status_code == 200


def test_a_body_of_a_mebibyte_does_not_change_the_mint(server):
    for kind in ("application/json", "application/octet-stream", "multipart/form-data"):
        answer = server.post(MINT, content=b"x" * (1 << 20), headers={"Content-Type": kind})
        assert answer.status_code in (200, 413)
        if answer.status_code == 413:
            assert_problem(answer, 413)


def test_query_parameters_and_headers_nobody_named_do_not_change_the_mint(server):
    answer = server.post(
        f"{MINT}?token=x&dataset_id=1&ttl=9999",
        headers={
            "X-Forwarded-User": "admin",
            "Cookie": "session=1",
            "X-HTTP-Method-Override": "GET",
        },
    )
    assert answer.status_code == 200
    assert answer.json()["expires_in"] <= 120


def test_64_kib_of_authorization_header_is_refused(server):
    answer = ask(server, "POST", MINT, f"Authorization: Bearer {'a' * 65536}", "Content-Length: 0")
    assert_problem(answer, answer.status_code)
    assert answer.status_code in (400, 431)


def test_many_headers_are_refused_or_ignored_but_answered(server):
    fields = [f"X-Field-{number}: {number}" for number in range(1000)]
    answer = ask(server, "POST", MINT, *fields, "Content-Length: 0")
    assert answer.status_code in (200, 400, 431)


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
def test_a_malformed_credential_is_never_quietly_anonymous(server, credential):
    answer = ask(server, "POST", MINT, credential, "Content-Length: 0")
    assert answer.status_code in (400, 401)
    assert_problem(answer, answer.status_code)


def test_two_credentials_on_one_request_are_400(server):
    answer = ask(
        server, "POST", MINT, "Authorization: Bearer a.b.c", "X-Api-Key: k", "Content-Length: 0"
    )
    assert_problem(answer, 400)


def test_a_credential_that_does_not_resolve_is_401_with_a_challenge(server):
    answer = ask(server, "POST", MINT, "Authorization: Bearer a.b.c", "Content-Length: 0")
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_encoded_slash_in_the_path_is_no_separator(server):
    for method, path in (
        ("POST", f"/auth/download-token%2F{PUBLIC}"),
        ("POST", f"/auth/download-token/{PUBLIC}%2F"),
        ("POST", f"/auth/download-token/..%2F{PUBLIC}"),
        ("GET", f"/datasets/{PUBLIC}%2Fdownload%2Fcog"),
    ):
        answer = ask(server, method, path, "Content-Length: 0")
        assert_problem(answer, answer.status_code)
        assert answer.status_code in (404, 422), path


@pytest.mark.parametrize("path", ["/nothing", "/", "//", "/auth", "/../etc/passwd", "/.env"])
def test_an_unknown_route_is_404(server, path):
    answer = ask(server, "GET", path)
    if path == "/" and answer.status_code in (200, 302, 303, 307, 308):
        return  # a front page is allowed to be there
    assert_problem(answer, 404)


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
def test_a_wrong_method_is_405_and_names_the_right_ones(server, method, path, allowed):
    answer = ask(server, method, path, "Content-Length: 0")
    assert_problem(answer, 405)
    assert allowed <= {word.strip() for word in answer.headers["allow"].split(",")}


def test_a_sign_in_with_the_wrong_form_is_told_so(server):
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
        answer = server.post("/auth/login", **form)
        assert 400 <= answer.status_code < 500, form
        assert_problem(answer, answer.status_code)


def test_a_sign_in_of_a_mebibyte_is_refused(server):
    answer = server.post(
        "/auth/login",
        data={"grant_type": "password", "username": "admin", "password": "x" * (1 << 20)},
    )
    assert 400 <= answer.status_code < 500
    assert_problem(answer, answer.status_code)


def test_what_is_no_http_is_turned_away(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n")
        received = connection.recv(65536)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "span", ["bytes=999999999-", "bytes=9-1", "bytes=-0", "lines=1-2", "bytes=a-b", "bytes=0-0,9-9"]
)
def test_an_odd_span_is_answered_as_rfc_9110_has_it(server, span):
    token = server.mint(PUBLIC)
    answer = server.get(f"{server.download_path(PUBLIC)}?token={token}", headers={"Range": span})
    if span in ("bytes=999999999-", "bytes=-0"):
        assert_problem(answer, 416)
        assert answer.headers["content-range"].startswith("bytes */")
    else:
        assert answer.status_code in (200, 206)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "%00", "%FF", "a" * 9000]
)
def test_a_token_that_is_none_is_refused(server, token):
    answer = ask(server, "GET", f"{server.download_path(PUBLIC)}?token={token}")
    assert answer.status_code in (400, 401)
    assert_problem(answer, answer.status_code)
