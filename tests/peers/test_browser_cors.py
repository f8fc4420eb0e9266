"""A page of another origin mints and downloads a span with fetch in a real Chromium."""

import http.server
import threading

import pytest

from demo import MEMBER, PUBLIC, RESTRICTED, UNKNOWN, file_of

FETCH = """async ([url, options]) => {
    const answer = await fetch(url, options);
    return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: Array.from(new Uint8Array(await answer.arrayBuffer())),
    };
}"""


class EmptyPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another origin</title><link rel=icon href=data:,>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The origin of a page that is not the server's."""
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()


@pytest.fixture
def page(browser_page, elsewhere):
    browser_page.goto(elsewhere)
    return browser_page


def fetch(page, url, **options):
    return page.evaluate(FETCH, [url, options])


def test_a_page_mints_and_downloads_a_span(page, server):
    minted = fetch(page, f"{server.base}/auth/download-token/{PUBLIC}", method="POST")
    assert minted["status"] == 200
    token = server.mint(PUBLIC)
    url = f"{server.base}{server.download_path(PUBLIC)}?token={token}"
    span = fetch(page, url, headers={"Range": "bytes=16-47", "If-Match": "*"})
    size = file_of(PUBLIC).stat().st_size
    assert span["status"] == 206
    assert bytes(span["body"]) == file_of(PUBLIC).read_bytes()[16:48]
    assert span["headers"]["content-range"] == f"bytes 16-47/{size}"
    assert span["headers"]["content-length"] == "32"
    assert span["headers"]["accept-ranges"] == "bytes"
    assert span["headers"]["etag"].startswith('"')
    assert span["headers"]["x-request-id"]


def test_a_page_uses_a_session_token_in_the_header(page, server):
    session = {"Authorization": f"Bearer {server.login(MEMBER)}"}
    minted = fetch(
        page, f"{server.base}/auth/download-token/{RESTRICTED}", method="POST", headers=session
    )
    assert minted["status"] == 200
    span = fetch(
        page,
        f"{server.base}{server.download_path(RESTRICTED)}",
        headers={**session, "Range": "bytes=0-3"},
    )
    assert (span["status"], len(span["body"])) == (206, 4)


def test_a_page_signs_in(page, server):
    answer = page.evaluate(
        """async ([url, form]) => {
            const answer = await fetch(url, {method: "POST", body: new URLSearchParams(form)});
            return [answer.status, (await answer.json()).token_type];
        }""",
        [
            f"{server.base}/auth/login",
            {"grant_type": "password", "username": MEMBER, "password": server.people[MEMBER]},
        ],
    )
    assert answer[0] == 200 and answer[1].lower() == "bearer"


def test_a_page_can_read_a_refusal(page, server):
    refused = fetch(page, f"{server.base}/auth/download-token/{UNKNOWN}", method="POST")
    assert refused["status"] == 404
    assert refused["headers"]["content-type"] == "application/problem+json"
    assert refused["headers"]["x-request-id"]


def test_a_page_learns_when_to_come_back(page, make_gateway):
    server = make_gateway(CEDARGATE_MINT_LIMIT_PER_MINUTE="1").start()
    url = f"{server.base}/auth/download-token/{PUBLIC}"
    answers = [fetch(page, url, method="POST") for _ in range(3)]
    assert answers[0]["status"] == 200
    assert answers[-1]["status"] == 429
    assert 0 < int(answers[-1]["headers"]["retry-after"]) <= 60


def test_the_key_set_is_open_to_every_page(page, server):
    answer = fetch(page, server.jwks_url)
    assert answer["status"] == 200 and bytes(answer["body"]).startswith(b'{"keys":[')


def test_origins_that_are_not_allowed_read_nothing_but_the_key_set(page, make_gateway):
    server = make_gateway(CEDARGATE_ALLOWED_ORIGINS="https://maps.example").start()
    refused = page.evaluate(
        """url => fetch(url, {method: "POST"}).then(() => false, () => true)""",
        f"{server.base}/auth/download-token/{PUBLIC}",
    )
    assert refused is True
    assert fetch(page, server.jwks_url)["status"] == 200
