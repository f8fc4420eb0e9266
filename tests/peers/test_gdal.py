"""GDAL opens a COG through the server with a download token, and reads ranges of it only."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import httpx
import numpy
import pytest
import rasterio
from rasterio.windows import Window

from demo import ADMIN, INTERNAL, MEMBER, PUBLIC, RESTRICTED, file_of
from server import assert_problem

VSICURL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "VSI_CACHE": "FALSE",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
    # The demo files are small: without this GDAL would fetch most of one in its first request.
    "GDAL_INGESTED_BYTES_AT_OPEN": "16384",
    "CPL_VSIL_CURL_CHUNK_SIZE": "16384",
}


def vsicurl(server, dataset, token):
    return f"/vsicurl/{server.base}{server.download_path(dataset)}?token={token}"


def test_a_window_at_full_resolution_equals_the_file(server):
    window = Window(100, 200, 64, 64)
    with rasterio.Env(**VSICURL):
        with rasterio.open(vsicurl(server, PUBLIC, server.mint(PUBLIC))) as remote:
            read, profile = remote.read(1, window=window), remote.profile
    with rasterio.open(file_of(PUBLIC)) as local:
        assert profile == local.profile
        assert numpy.array_equal(read, local.read(1, window=window))
        assert read.std() > 0


def test_an_overview_equals_the_file(server):
    with rasterio.open(file_of(PUBLIC)) as local:
        factor = local.overviews(1)[-1]
        shape = (local.height // factor, local.width // factor)
        expected = local.read(1, out_shape=shape)
    with rasterio.Env(**VSICURL):
        with rasterio.open(vsicurl(server, PUBLIC, server.mint(PUBLIC))) as remote:
            assert remote.overviews(1)[-1] == factor
            assert numpy.array_equal(remote.read(1, out_shape=shape), expected)


def test_a_restricted_dataset_opens_with_a_members_token(server):
    token = server.mint(RESTRICTED, server.login(MEMBER))
    with rasterio.Env(**VSICURL):
        with rasterio.open(vsicurl(server, RESTRICTED, token)) as remote:
            read = remote.read(1)
    with rasterio.open(file_of(RESTRICTED)) as local:
        assert numpy.array_equal(read, local.read(1), equal_nan=True)


def test_one_token_does_not_open_another_dataset(server):
    token = server.mint(PUBLIC)
    with rasterio.Env(**VSICURL), pytest.raises(rasterio.errors.RasterioIOError):
        rasterio.open(vsicurl(server, RESTRICTED, token))


def test_the_access_log_has_range_requests_and_no_whole_file(make_server):
    server = make_server().start()
    size = file_of(PUBLIC).stat().st_size
    with rasterio.Env(**VSICURL):
        with rasterio.open(vsicurl(server, PUBLIC, server.mint(PUBLIC))) as remote:
            remote.read(1, window=Window(0, 0, 64, 64))
            remote.read(1, out_shape=(50, 50))
    assert server.stop() == 0
    seen = [
        (line["method"], line["status"], line["content_length"])
        for line in server.access_lines()
        if line["path"] == server.download_path(PUBLIC)
    ]
    spans = [length for method, status, length in seen if (method, status) == ("GET", 206)]
    others = [line for line in seen if line[:2] not in (("GET", 206), ("HEAD", 200))]
    assert others == []
    assert spans, seen
    assert max(spans) < size


@pytest.fixture(scope="module")
def api_key(server):
    return server.run("api-key", "create", "--user", MEMBER, "--name", "gdal").stdout.strip()


@pytest.fixture
def netrc(tmp_path, api_key):
    file = tmp_path / ".netrc"
    file.write_text(f"machine 127.0.0.1 login key password {api_key}\n")
    file.chmod(0o600)
    return file


def info_of(run_peer, url, program="rio", **settings):
    command = {
        "rio": [Path(sys.executable).with_name("rio"), "info"],
        "gdalinfo": ["gdalinfo"],
    }[program]
    return run_peer(*command, f"/vsicurl/{url}", env={**os.environ, **settings})


@pytest.mark.parametrize("program", ["rio", "gdalinfo"])
@pytest.mark.parametrize(
    "lane",
    [
        {"GDAL_HTTP_USERPWD": "key:{key}"},
        {"GDAL_HTTP_USERPWD": "key:{key}", "GDAL_HTTP_AUTH": "BASIC"},
        {"GDAL_HTTP_USERPWD": "key:{key}", "GDAL_HTTP_AUTH": "ANY"},
        {"GDAL_HTTP_USERPWD": ":{key}"},
        {"HOME": "{netrc.parent}"},
        {"GDAL_HTTP_HEADERS": "X-Api-Key: {key}"},
    ],
    ids=lambda lane: " ".join(lane),
)
def test_an_internal_dataset_opens_with_an_api_key_alone(
    server, run_peer, api_key, netrc, lane, program
):
    # Also with the search for files beside it, which GDAL and QGIS do by default.
    settings = {name: value.format(key=api_key, netrc=netrc) for name, value in lane.items()}
    done = info_of(run_peer, server.base + server.download_path(INTERNAL), program, **settings)
    assert done.returncode == 0, done.stderr
    with rasterio.open(file_of(INTERNAL)) as local:
        assert str(local.width) in done.stdout and str(local.height) in done.stdout


def test_rio_takes_an_api_key_of_a_named_netrc_file(server, run_peer, netrc):
    url = server.base + server.download_path(INTERNAL)
    assert info_of(run_peer, url, GDAL_HTTP_NETRC_FILE=str(netrc)).returncode == 0
    assert info_of(run_peer, url, GDAL_HTTP_NETRC_FILE="/nowhere").returncode != 0


@pytest.mark.parametrize("program", ["rio", "gdalinfo"])
def test_a_persons_password_does_not_open_it(server, run_peer, program):
    settings = {"GDAL_HTTP_USERPWD": f"{MEMBER}:{server.passwords[MEMBER]}"}
    done = info_of(run_peer, server.base + server.download_path(INTERNAL), program, **settings)
    assert done.returncode != 0


def test_a_token_opens_it_although_gdal_adds_a_password_or_a_header(server, run_peer, netrc):
    token = server.mint(INTERNAL, server.login(MEMBER))
    url = f"{server.base}{server.download_path(INTERNAL)}?token={token}"
    for more in (
        {"GDAL_HTTP_USERPWD": "somebody:something"},
        {"GDAL_HTTP_USERPWD": "key:cg_unknown"},
        {"HOME": str(netrc.parent)},
        {"GDAL_HTTP_HEADERS": "Authorization: Bearer expired"},
    ):
        done = info_of(run_peer, url, **more)
        assert done.returncode == 0, (more, done.stderr)


def test_curl_wget_and_python_use_an_api_key_of_netrc(server, run_peer, netrc, api_key, tmp_path):
    url = server.base + server.download_path(INTERNAL)
    expected = file_of(INTERNAL).read_bytes()
    for options in (
        ["--netrc-file", netrc],
        ["--user", f"key:{api_key}"],
        ["--user", f"key:{api_key}", "--anyauth"],
    ):
        got = tmp_path / "got.tif"
        done = run_peer("curl", "-sS", "--fail", "-o", got, *options, url)
        assert (done.returncode, got.read_bytes()) == (0, expected), (options, done.stderr)
    auth = httpx.NetRCAuth(netrc)
    assert httpx.get(url, auth=auth, trust_env=False).content == expected
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, "key", api_key)
    asked = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(passwords)
    )
    assert asked.open(url, timeout=30).read() == expected


def test_a_password_of_netrc_is_named_as_the_cause(server, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    auth = httpx.NetRCAuth(netrc)
    token = server.mint(PUBLIC)
    url = f"{server.base}{server.download_path(PUBLIC)}?token={token}"
    assert httpx.get(url, auth=auth, trust_env=False).status_code == 200
    mint = httpx.post(f"{server.base}/auth/download-token/{PUBLIC}", auth=auth, trust_env=False)
    detail = assert_problem(mint, 401)["detail"]
    assert "Basic" in detail and ".netrc" in detail


def test_the_tokens_of_one_request_open_the_tiles_of_a_mosaic(make_server, tmp_path):
    server = make_server().start()
    admin = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    with rasterio.open(file_of(PUBLIC)) as whole:
        expected, width, height = whole.read(1), whole.width, whole.height
    tiles = []
    for column in range(2):
        tile, xsize = tmp_path / f"{column}.tif", width // 2
        window = ["-srcwin", column * xsize, 0, xsize + column * (width % 2), height]
        command = ["gdal_translate", "-q", "-of", "COG", *window, file_of(PUBLIC), tile]
        subprocess.run([str(part) for part in command], check=True, timeout=60)
        body = {"title": tile.name, "visibility": "public", "record_status": "published"}
        made = server.post("/admin/datasets", headers=admin, json=body)
        tiles.append(made.json()["id"])
        uploaded = httpx.put(
            f"{server.base}/admin/datasets/{tiles[-1]}/file", content=tile.read_bytes(),
            headers={**admin, "Content-Type": "image/tiff"},
        )  # fmt: skip
        assert uploaded.status_code in (200, 201, 204), uploaded.text
    answer = server.post("/auth/download-tokens", json={"dataset_ids": [*tiles, RESTRICTED]})
    *minted, refused = answer.json()["results"]
    assert refused["problem"]["status"] == 404
    urls = [vsicurl(server, result["dataset_id"], result["token"]) for result in minted]
    mosaic = tmp_path / "mosaic.vrt"
    environment = {**os.environ, **VSICURL}
    command = ["gdalbuildvrt", "-q", "-strict", mosaic, *urls]
    subprocess.run([str(part) for part in command], env=environment, check=True, timeout=60)
    with rasterio.Env(**VSICURL), rasterio.open(mosaic) as opened:
        assert numpy.array_equal(opened.read(1), expected)
