"""TIFFs of every form that GDAL writes are accepted whole, and refused when they are cut."""

import subprocess
import warnings

import numpy
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning

from demo import ADMIN, PUBLIC
from server import BINARY, assert_problem

SIZE = 200
PLAIN = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 3, "dtype": "uint8"}
COG = {**PLAIN, "driver": "COG", "blocksize": 128}
FORMS = {
    "strips": PLAIN,
    "one strip": {**PLAIN, "blockysize": SIZE},
    "big endian": {**PLAIN, "endianness": "BIG"},
    "BigTIFF": {**PLAIN, "bigtiff": "YES", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "big-endian BigTIFF": {**PLAIN, "bigtiff": "YES", "endianness": "BIG"},
    "separate planes": {**PLAIN, "interleave": "band", "compress": "lzw"},
    "packbits": {**PLAIN, "compress": "packbits"},
    "one bit": {**PLAIN, "count": 1, "nbits": 1, "compress": "ccittfax4"},
    "sixteen bits": {**PLAIN, "dtype": "uint16", "compress": "deflate", "predictor": 2},
    "floats": {**PLAIN, "dtype": "float32", "compress": "zstd", "predictor": 3},
    "JPEG": {**PLAIN, "compress": "jpeg", "photometric": "ycbcr", "tiled": True},
    "LERC": {**PLAIN, "dtype": "float32", "compress": "lerc"},
    "sparse": {**PLAIN, "sparse_ok": True, "tiled": True, "blockxsize": 16, "blockysize": 16},
    "COG": {**COG, "compress": "deflate"},
    "COG without compression": {**COG, "compress": "none"},
    "COG of BigTIFF": {**COG, "compress": "zstd", "bigtiff": "YES"},
    "sparse COG": {**COG, "compress": "lzw", "sparse_ok": True},
}


def content(profile):
    """Noise, which no compression makes small; half of it is absent in a sparse file."""
    noise = numpy.random.default_rng(1)
    high = 2 if profile.get("nbits") == 1 else 250
    shape = (profile["count"], SIZE, SIZE)
    pixels = noise.integers(0, high, shape).astype(profile["dtype"])
    if profile.get("sparse_ok"):
        pixels[:, :, SIZE // 2 :] = 0
    return pixels


def written(folder, profile, has_mask=False, overviews=()):
    """The bytes of a file that GDAL wrote."""
    path = folder / "file.tif"
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(content(profile))
            if has_mask:
                file.write_mask(numpy.eye(SIZE, dtype="uint8") * 255)
        if overviews:
            with rasterio.open(path, "r+") as file:
                file.build_overviews(overviews, Resampling.average)
    return path.read_bytes()


@pytest.fixture
def upload(make_server):
    """Uploads a file for a dataset of a new server and returns the response."""
    server = make_server().start()
    session = server.login(ADMIN)

    def upload(body):
        headers = {"Authorization": f"Bearer {session}", "Content-Type": "image/tiff"}
        return server.request(
            "PUT", f"/admin/datasets/{PUBLIC}/file", headers=headers, content=body
        )

    return upload


def assert_whole_only(upload, whole, name):
    response = upload(whole)
    assert response.status_code == 200, f"{name}: {response.text}"
    size = len(whole)
    for length in (size * 3 // 4, size // 2, size // 4, 300, 20):
        problem = assert_problem(upload(whole[:length]), 422)
        assert "is an incomplete TIFF" in problem["detail"], f"{name}: {problem}"


def test_a_tiff_that_gdal_wrote_is_accepted_whole_only(upload, tmp_path):
    for form, profile in FORMS.items():
        whole = written(tmp_path, profile)
        assert_whole_only(upload, whole, form)
        if profile["driver"] == "COG":
            for cut in (1, 4, 5):
                assert_problem(upload(whole[:-cut]), 422)


def test_masks_and_overviews_are_checked_too(upload, tmp_path):
    whole = written(tmp_path, PLAIN, has_mask=True, overviews=[2, 4])
    assert_whole_only(upload, whole, "mask and overviews")
    whole = written(tmp_path, {**COG, "compress": "deflate"}, has_mask=True)
    assert_whole_only(upload, whole, "mask and overviews of a COG")


def test_a_file_with_several_images_is_checked_to_its_last(upload, tmp_path):
    written(tmp_path, PLAIN)
    path = tmp_path / "file.tif"
    first = path.stat().st_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **PLAIN, append_subdataset=True) as file:
            file.write(content(PLAIN))
    whole = path.read_bytes()
    assert len(whole) > first * 1.5
    assert_whole_only(upload, whole, "several images")
    assert_problem(upload(whole[: first + 100]), 422)


def test_a_catalog_apply_that_is_killed_while_it_copies_a_file_changes_nothing(
    make_server, tmp_path
):
    server = make_server().start()
    side = 6000  # pixels: large enough to be found while it is copied
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            tmp_path / "large.tif", "w", **{**PLAIN, "width": side, "height": side, "count": 1}
        ) as file:
            file.write(numpy.ones((1, side, side), dtype="uint8"))
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(
        '[[datasets]]\nid = "7d0cb8d7-31a5-4b7e-9d0a-9b1c1a7c2f10"\ntitle = "Large"\n'
        'visibility = "public"\nrecord_status = "published"\nfile = "large.tif"\n'
    )
    before = server.run("dataset", "list").stdout
    applying = subprocess.Popen(
        [BINARY, "catalog", "apply", catalog],
        cwd=server.folder,
        env=server.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = server.data / "files" / "sha256"
    while not list(parts.glob("*/*#*")):
        assert applying.poll() is None, "it ended before a part was seen"
    applying.kill()
    applying.wait()
    assert server.run("dataset", "list").stdout == before
    server.run("catalog", "apply", catalog)
    token = server.mint("7d0cb8d7-31a5-4b7e-9d0a-9b1c1a7c2f10")
    path = server.download_path("7d0cb8d7-31a5-4b7e-9d0a-9b1c1a7c2f10")
    download = server.get(f"{path}?token={token}")
    assert download.content == (tmp_path / "large.tif").read_bytes()
