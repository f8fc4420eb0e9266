"""File names beyond ASCII: uploaded, recorded, and saved by programs that download."""

import unicodedata
import urllib.parse

import pytest

from demo import ADMIN, DRAFT, PUBLIC, file_of

NAMES = (
    "Höhenmodell Süd.tif",
    "Ho\u0308henmodell.tif",
    "地形図.tif",
    "карта.cog.tif",
    "خريطة.tif",
    "מפה (2).tif",
    "🗺️.tiff",
    "a'b; c=50%.tif",
)
PERSIAN = "می\u200cخواهم.tif"


@pytest.fixture(scope="module")
def upload(server):
    """Uploads a file to the draft under a name, and returns the URL of its download."""
    session = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    content = file_of(PUBLIC).read_bytes()

    def put(name):
        path = f"/admin/datasets/{DRAFT}/file"
        headers = {**session, "Content-Type": "image/tiff"}
        done = server.request("PUT", path, params={"name": name}, headers=headers, content=content)
        assert done.status_code == 200, done.text
        assert done.json()["file"]["name"] == name
        token = server.mint(DRAFT, session["Authorization"].removeprefix("Bearer "))
        return f"{server.base}{server.download_path(DRAFT)}?token={token}"

    return put


@pytest.mark.parametrize("name", [*NAMES, PERSIAN])
def test_a_name_survives_upload_record_and_download(upload, server, name):
    value = server.get(upload(name)).headers["content-disposition"]
    plain, _, extended = value.partition("; filename*=UTF-8''")
    assert urllib.parse.unquote(extended, errors="strict") == name
    assert plain.isascii() and plain.count('"') == 2


def test_curl_saves_the_ascii_name_and_nowhere_else(upload, run_peer, tmp_path):
    url = upload("Höhe_.._x.tif")
    done = run_peer("curl", "-sSfOJ", url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["H_he_.._x.tif"]


def test_chromium_saves_the_whole_name(upload, server, browser_page):
    browser_page.goto(f"{server.base}/docs")
    for name in NAMES[:5]:
        url = upload(name)
        with browser_page.expect_download() as download:
            browser_page.evaluate("url => { location.href = url }", url)
        # Chromium composes what was sent decomposed.
        assert download.value.suggested_filename == unicodedata.normalize("NFC", name)
