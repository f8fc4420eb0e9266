"""nginx with gzip on breaks `If-Match`, which is told; the documented block breaks nothing."""

import pytest
import rasterio

from demo import ADMIN, PUBLIC, file_of
from nginx import Nginx
from server import assert_problem
from test_docs import ADDRESS, blocks

COMPRESSING = "access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"
PLAIN = "location / {{ proxy_pass {base}; proxy_http_version 1.1; }}"
PATHS = (
    "/.well-known/jwks.json",
    "/auth/me",
    "/admin/users",
    "/admin/roles",
    f"/admin/datasets/{PUBLIC}",
    f"/admin/datasets/{PUBLIC}/shares",
    "/admin/audit/export",
    f"/datasets/{PUBLIC}/download/cog",
)


def documented_block(server):
    """What docs/operators.md says to write into `server { }` where gzip is on elsewhere."""
    found = [
        block.text
        for block in blocks("docs/operators.md")
        if block.language == "nginx" and "gzip off" in block.text
    ]
    assert len(found) == 1
    return found[0].replace(ADDRESS, server.base)


@pytest.fixture
def make_nginx(tmp_path):
    made = []

    def make(block):
        made.append(Nginx(tmp_path / f"nginx-{len(made)}", block, COMPRESSING))
        return made[-1].start()

    yield make
    for nginx in made:
        nginx.stop()


def through(nginx, server, method, path, **more):
    headers = {
        "Authorization": f"Bearer {server.login(ADMIN)}",
        "Accept-Encoding": "gzip",
        **more.pop("headers", {}),
    }
    return server.request(method, f"{nginx.base}{path}", headers=headers, **more)


def change(nginx, server, etag):
    """Saves the public dataset as it is, on the condition that it has this entity tag."""
    path = f"/admin/datasets/{PUBLIC}"
    body = through(nginx, server, "GET", path).json()
    return through(nginx, server, "PUT", path, json=body, headers={"If-Match": etag})


def test_a_tag_that_gzip_made_weak_is_told_as_such(make_server, make_nginx):
    server = make_server().start()
    nginx = make_nginx(PLAIN.format(base=server.base))
    read = through(nginx, server, "GET", f"/admin/datasets/{PUBLIC}")
    assert read.headers["content-encoding"] == "gzip"
    assert read.headers["etag"].startswith("W/")
    problem = assert_problem(change(nginx, server, read.headers["etag"]), 412)
    assert "compressed" in problem["detail"]
    identity = {"Accept-Encoding": "identity"}
    read = through(nginx, server, "GET", f"/admin/datasets/{PUBLIC}", headers=identity)
    assert change(nginx, server, read.headers["etag"]).status_code == 200


def test_the_documented_block_changes_no_answer_that_must_stay(make_server, make_nginx):
    server = make_server().start()
    nginx = make_nginx(documented_block(server))
    for path in PATHS:
        read = through(nginx, server, "GET", path)
        assert read.status_code == 200, f"{path}: {read.text[:200]}"
        assert "content-encoding" not in read.headers, path
        assert not read.headers.get("etag", "").startswith("W/"), path
    read = through(nginx, server, "GET", f"/admin/datasets/{PUBLIC}")
    assert change(nginx, server, read.headers["etag"]).status_code == 200
    part = through(
        nginx, server, "GET", f"/datasets/{PUBLIC}/download/cog", headers={"Range": "bytes=0-99"}
    )
    assert (part.status_code, len(part.content)) == (206, 100)
    document = through(nginx, server, "GET", "/openapi.json")
    assert document.headers["content-encoding"] == "gzip"


def test_gdal_reads_ranges_through_the_documented_block(make_server, make_nginx):
    server = make_server().start()
    nginx = make_nginx(documented_block(server))
    url = f"{nginx.base}/datasets/{PUBLIC}/download/cog?token={server.mint(PUBLIC)}"
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_HTTP_HEADERS="X-Test: 1"):
        with rasterio.open(f"/vsicurl/{url}") as remote, rasterio.open(file_of(PUBLIC)) as local:
            assert remote.profile == local.profile
            assert (remote.read(1) == local.read(1)).all()
