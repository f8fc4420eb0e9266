"""GDAL opens a COG through the server with a download token, and reads ranges of it only."""

import numpy
import pytest
import rasterio
from rasterio.windows import Window

from demo import MEMBER, PUBLIC, RESTRICTED, file_of

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
