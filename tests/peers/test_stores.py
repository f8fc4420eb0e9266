"""GDAL reads a COG that is in an S3 store, through the server and by redirects to the store."""

import json
import os
import shutil
import subprocess

import httpx
import numpy
import pytest
import rasterio
from rasterio.windows import Window

from demo import PUBLIC, file_of
from server import BINARY, DEADLINE, Server, until

S3_SERVER = BINARY.parent / "examples" / "s3_server"
ACCESS_KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
STREAMED = "0b7e2f4c-8d19-4a63-9f05-c2d1e8a7b640"
REDIRECTED = "5e61c7d8-90a2-4bfa-8c3d-17f4b20e9a55"
VSICURL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "VSI_CACHE": "FALSE",
    "GDAL_INGESTED_BYTES_AT_OPEN": "16384",
    "CPL_VSIL_CURL_CHUNK_SIZE": "16384",
}
ENTRY = """
[[datasets]]
id = "{id}"
title = "{store}"
visibility = "public"
record_status = "published"
store = "{store}"
key = "2025/jacksboro map.tif"
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A server with one bucket as two stores: one is streamed, one is redirected to."""
    assert S3_SERVER.exists(), f"{S3_SERVER} is missing: run `cargo build --example s3_server`"
    folder = tmp_path_factory.mktemp("stores")
    (folder / "s3" / "maps" / "cogs" / "2025").mkdir(parents=True)
    shutil.copy(file_of(PUBLIC), folder / "s3" / "maps" / "cogs" / "2025" / "jacksboro map.tif")
    s3 = subprocess.Popen(
        [S3_SERVER, folder / "s3", *ACCESS_KEY], stdout=subprocess.PIPE, text=True
    )
    address = s3.stdout.readline().strip()
    tables = [
        {
            "name": mode,
            "url": "s3://maps/cogs",
            "mode": mode,
            "endpoint": f"http://{address}",
            "access_key_id": ACCESS_KEY[0],
            "secret_access_key": ACCESS_KEY[1],
        }
        for mode in ("stream", "redirect")
    ]
    server = Server(folder / "gate", CEDARGATE_STORES=json.dumps(tables))
    try:
        server.start()
        catalog = server.folder / "stores.toml"
        catalog.write_text(
            ENTRY.format(id=STREAMED, store="stream")
            + ENTRY.format(id=REDIRECTED, store="redirect")
        )
        server.run("catalog", "apply", catalog)
        until(lambda: server.mint_or_none(REDIRECTED), "the datasets of the stores")
        yield server
    finally:
        server.stop()
        s3.kill()
        s3.wait(DEADLINE)


@pytest.mark.parametrize("dataset", [STREAMED, REDIRECTED], ids=["stream", "redirect"])
def test_gdal_reads_windows_and_overviews_of_an_object(stores, dataset):
    url = f"/vsicurl/{stores.base}{stores.download_path(dataset)}?token={stores.mint(dataset)}"
    window = Window(100, 200, 64, 64)
    with rasterio.open(file_of(PUBLIC)) as local:
        profile, expected = local.profile, local.read(1, window=window)
        small = local.read(1, out_shape=(50, 50))
    with rasterio.Env(**VSICURL), rasterio.open(url) as remote:
        assert remote.profile == profile
        assert numpy.array_equal(remote.read(1, window=window), expected)
        assert numpy.array_equal(remote.read(1, out_shape=(50, 50)), small)


@pytest.mark.parametrize("dataset", [STREAMED, REDIRECTED], ids=["stream", "redirect"])
def test_gdalinfo_and_curl_take_an_object(stores, dataset, tmp_path):
    url = f"{stores.base}{stores.download_path(dataset)}?token={stores.mint(dataset)}"
    environment = {**os.environ, **VSICURL}
    found = subprocess.run(
        ["gdalinfo", "-json", f"/vsicurl/{url}"], capture_output=True, env=environment, check=True
    )
    assert json.loads(found.stdout)["driverShortName"] == "GTiff"
    saved = tmp_path / "map.tif"
    subprocess.run(["curl", "-sS", "--fail", "-L", "-o", saved, url], check=True)
    assert saved.read_bytes() == file_of(PUBLIC).read_bytes()


def test_the_bytes_of_a_redirect_do_not_come_through_the_server(stores):
    url = f"{stores.base}{stores.download_path(REDIRECTED)}?token={stores.mint(REDIRECTED)}"
    answer = httpx.get(url, trust_env=False, timeout=DEADLINE, headers={"Range": "bytes=0-99"})
    assert (answer.status_code, answer.content) == (302, b"")
    location = answer.headers["location"]
    assert location.startswith("http://127.0.0.1:") and "X-Amz-Signature=" in location
    part = httpx.get(location, trust_env=False, timeout=DEADLINE, headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, file_of(PUBLIC).read_bytes()[:100])


def test_neither_keys_nor_presigned_urls_are_in_the_log_and_the_settings(stores):
    stores.get(f"{stores.download_path(REDIRECTED)}?token={stores.mint(REDIRECTED)}")
    printed = stores.run("config").stdout + stores.run("dataset", "show", REDIRECTED).stdout
    for text in (printed, stores.log_text(), stores.run("audit", "export").stdout):
        assert ACCESS_KEY[1] not in text
        assert "X-Amz-Signature" not in text
    assert "2025/jacksboro map.tif in the store redirect" in printed
