"""A page of another origin mints and downloads a range with fetch in Chromium."""

import http.server
import json
import threading

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED, UNKNOWN, file_of

FETCH = """async ([url, options]) => {
    const response = await fetch(url, options);
    return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: Array.from(new Uint8Array(await response.arrayBuffer())),
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
    """A page of another origin than the server."""
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


def test_a_page_mints_and_downloads_a_range(page, server):
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
    response = page.evaluate(
        """async ([url, form]) => {
            const response = await fetch(url, {method: "POST", body: new URLSearchParams(form)});
            return [response.status, (await response.json()).token_type];
        }""",
        [
            f"{server.base}/auth/login",
            {"grant_type": "password", "username": MEMBER, "password": server.passwords[MEMBER]},
        ],
    )
    assert response[0] == 200 and response[1].lower() == "bearer"


def test_a_page_changes_a_dataset_deletes_an_api_key_and_uploads_a_file(page, make_server):
    server = make_server().start()
    session = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    url = f"{server.base}/admin/datasets/{PUBLIC}"
    read = fetch(page, url, headers=session)
    dataset = json.loads(bytes(read["body"]))
    dataset["title"] = "Changed by a page of another origin"
    # A library of the page may add headers of its own.
    tracing = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    changed = fetch(
        page,
        url,
        method="PUT",
        headers={
            **session,
            **tracing,
            "Content-Type": "application/json",
            "If-Match": read["headers"]["etag"],
        },
        body=json.dumps(dataset),
    )
    assert changed["status"] == 200, bytes(changed["body"])
    assert json.loads(bytes(changed["body"]))["title"] == dataset["title"]
    stale = fetch(
        page,
        url,
        method="PUT",
        headers={**session, "Content-Type": "application/json", "If-Match": '"x"'},
        body=json.dumps(dataset),
    )
    assert stale["status"] == 412

    keys = f"{server.base}/auth/api-keys"
    created = fetch(
        page,
        keys,
        method="POST",
        headers={**session, "Content-Type": "application/json"},
        body='{"name": "page"}',
    )
    assert created["status"] == 201
    key = json.loads(bytes(created["body"]))
    deleted = fetch(page, f"{keys}/{key['id']}", method="DELETE", headers=session)
    assert deleted["status"] == 204
    gone = fetch(page, f"{server.base}/datasets", headers={"X-Api-Key": key["key"]})
    assert gone["status"] == 401 and "invalid_token" in gone["headers"]["www-authenticate"]

    uploaded = page.evaluate(
        """async ([url, headers, bytes]) => {
            const body = new Blob([new Uint8Array(bytes)], {type: "image/tiff"});
            return (await fetch(url, {method: "PUT", headers, body})).status;
        }""",
        [f"{url}/file?name=page.tif", session, list(file_of(RESTRICTED).read_bytes())],
    )
    assert uploaded == 200
    made = fetch(
        page,
        f"{server.base}/admin/roles/",
        method="POST",
        headers={**session, "Content-Type": "application/json"},
        body='{"name": "page"}',
    )
    assert made["status"] == 201 and made["headers"]["location"] == "../roles/page"


def test_a_page_can_read_a_problem(page, server):
    refused = fetch(page, f"{server.base}/auth/download-token/{UNKNOWN}", method="POST")
    assert refused["status"] == 404
    assert refused["headers"]["content-type"] == "application/problem+json"
    assert refused["headers"]["x-request-id"]


def test_a_page_can_read_retry_after(page, make_server):
    server = make_server(CEDARGATE_MINT_LIMIT_PER_MINUTE="1").start()
    url = f"{server.base}/auth/download-token/{PUBLIC}"
    responses = [fetch(page, url, method="POST") for _ in range(3)]
    assert responses[0]["status"] == 200
    assert responses[-1]["status"] == 429
    assert 0 < int(responses[-1]["headers"]["retry-after"]) <= 60


def test_every_page_can_read_the_key_set(page, server):
    response = fetch(page, server.jwks_url)
    assert response["status"] == 200 and bytes(response["body"]).startswith(b'{"keys":[')


def test_origins_that_are_not_allowed_read_nothing_but_the_key_set(page, make_server):
    server = make_server(CEDARGATE_ALLOWED_ORIGINS="https://maps.example").start()
    refused = page.evaluate(
        """url => fetch(url, {method: "POST"}).then(() => false, () => true)""",
        f"{server.base}/auth/download-token/{PUBLIC}",
    )
    assert refused is True
    assert fetch(page, server.jwks_url)["status"] == 200
