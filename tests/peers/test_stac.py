"""STAC of other programs is imported: what pystac and rio-stac write, and real documents."""

import contextlib
import json
import os
import subprocess
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pystac
import pytest
import rio_stac

from demo import OWNER, PUBLIC, RESTRICTED, file_of
from server import BINARY, DEADLINE, until

COLLECTION = "relief"
REAL = Path(__file__).parent / "stac"


class Importer:
    """A data directory without a server, and imports into it."""

    def __init__(self, folder):
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CEDARGATE_")}
        self.environment = {**kept, "CEDARGATE_DATA_DIR": str(folder / "data")}

    def run(self, *arguments):
        return subprocess.run(
            [BINARY, *arguments], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=DEADLINE,
        )  # fmt: skip

    def imported(self, source, *arguments):
        """The report of an import that works."""
        done = self.run("catalog", "import-stac", str(source), "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, source, *arguments):
        done = self.run("catalog", "import-stac", str(source), *arguments)
        assert done.returncode == 1, done.stdout
        assert done.stdout == ""
        return done.stderr

    def datasets(self):
        listed = self.run("dataset", "list", "--json")
        assert listed.returncode == 0, listed.stderr
        return {dataset["title"]: dataset for dataset in json.loads(listed.stdout)}


def outcomes(report):
    return sorted(line["outcome"] for line in report["lines"])


@pytest.fixture
def importer(tmp_path):
    return Importer(tmp_path)


def item_of(dataset, **more):
    """An Item that rio-stac makes of a demo file."""
    path = str(file_of(dataset))
    now = datetime(2024, 5, 1, tzinfo=UTC)
    item = rio_stac.create_stac_item(
        path, input_datetime=now, collection=COLLECTION, asset_name="cog", asset_roles=["data"],
        asset_media_type=pystac.MediaType.COG, with_proj=False, **more,
    )  # fmt: skip
    item.properties["title"] = f"Relief {item.id}"
    return item


def write_catalog(folder, catalog_type):
    """A catalog with a collection of two Items, their files beside them."""
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]),
        pystac.TemporalExtent([[datetime(2024, 1, 1, tzinfo=UTC), None]]),
    )
    collection = pystac.Collection(COLLECTION, "Relief", extent)
    collection.add_items([item_of(PUBLIC), item_of(RESTRICTED)])
    catalog = pystac.Catalog("all", "All")
    catalog.add_child(collection)
    catalog.normalize_hrefs(str(folder))
    for item in catalog.get_items(recursive=True):
        for asset in item.assets.values():
            copy = os.path.join(os.path.dirname(item.self_href), os.path.basename(asset.href))
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            with open(asset.href, "rb") as read, open(copy, "wb") as written:
                written.write(read.read())
            asset.href = copy
    if catalog_type != pystac.CatalogType.ABSOLUTE_PUBLISHED:
        catalog.make_all_asset_hrefs_relative()
    catalog.save(catalog_type)
    return catalog


@pytest.mark.parametrize(
    "catalog_type", [pystac.CatalogType.SELF_CONTAINED, pystac.CatalogType.ABSOLUTE_PUBLISHED]
)
def test_a_catalog_that_pystac_writes_is_imported_with_its_files(importer, catalog_type):
    folder = importer.folder / "stac"
    catalog = write_catalog(folder, catalog_type)
    report = importer.imported(folder / "catalog.json", "--visibility", "public")
    assert (report["items"], report["datasets"], report["skipped"]) == (2, 2, [])
    assert outcomes(report) == ["created", "created"]
    found = importer.datasets()
    for item in catalog.get_items(recursive=True):
        dataset = found[item.properties["title"]]
        assert dataset["tags"] == {"collection": [COLLECTION]}
        assert dataset["visibility"] == "public"
        size = os.path.getsize(file_of(PUBLIC if "jacksboro" in item.id else RESTRICTED))
        assert dataset["file"]["size"] == size
    # One Item of it, and an ItemCollection of its Items, are the same datasets.
    one = next(catalog.get_items(recursive=True)).self_href
    assert outcomes(importer.imported(one, "--files", folder)) == ["left"]
    items = pystac.ItemCollection(list(catalog.get_items(recursive=True)))
    items.save_object(str(importer.folder / "items.json"))
    document = json.loads((importer.folder / "items.json").read_text())
    for feature in document["features"]:
        for asset in feature["assets"].values():
            name = os.path.basename(asset["href"])
            asset["href"] = f"stac/{COLLECTION}/{feature['id']}/{name}"
    (importer.folder / "items.json").write_text(json.dumps(document))
    assert outcomes(importer.imported("items.json")) == ["left", "left"]


def test_an_imported_dataset_is_minted_for_and_downloaded_at_once(make_server, tmp_path):
    server = make_server().start()
    item = item_of(PUBLIC)
    document = tmp_path / "item.json"
    document.write_text(json.dumps(item.to_dict(include_self_link=False)))
    given = ["--files", file_of(PUBLIC).parent, "--visibility", "public", "--owner", OWNER]
    imported = server.run("catalog", "import-stac", document, "--adopt", "--json", *given)
    [line] = json.loads(imported.stdout)["lines"]
    dataset = line["name"].split()[0]
    token = until(lambda: server.mint_or_none(dataset), "the dataset is in force")
    got = server.get(f"{server.download_path(dataset)}?token={token}")
    assert got.content == file_of(PUBLIC).read_bytes()
    record = next(r for r in server.audit() if "item.json" in (r["reason"] or ""))
    assert (record["event"], record["outcome"]) == ("administer", "granted")


def test_items_of_public_catalogs_are_imported_and_their_files_stay_where_they_are(importer):
    for name, items, datasets in [
        ("cop-dem-glo-30", 3, 3),
        ("naip", 2, 2),
        ("sentinel-1-rtc-item", 1, 2),
    ]:
        document = REAL / f"{name}.json"
        options = ["--visibility", "public", "--tag", "platform=platform"]
        report = importer.imported(document, *options)
        assert (report["items"], report["datasets"], report["skipped"]) == (items, datasets, [])
        assert outcomes(report) == ["created"] * datasets
        assert outcomes(importer.imported(document, *options)) == ["left"] * datasets
        found = importer.datasets()
        parsed = json.loads(document.read_text())
        for item in map(pystac.Item.from_dict, parsed.get("features", [parsed])):
            cogs = {k: a for k, a in item.assets.items() if a.media_type == pystac.MediaType.COG}
            for key, asset in cogs.items():
                title = item.id if len(cogs) == 1 else f"{item.id}: {asset.title or key}"
                dataset = found[title]
                assert dataset["remote_file"]["url"] == asset.href
                assert dataset["tags"]["collection"] == [item.collection_id]
                platform = item.properties.get("platform")
                assert dataset["tags"].get("platform") == (platform and [platform])
    refused = importer.refused(REAL / "3dep-lidar-copc-item.json")
    assert "nothing to import in 1 item: none of its assets is a COG" in refused


class Pages(BaseHTTPRequestHandler):
    """Serves the pages of `server.pages`: a status, headers and a body by path and query."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = self.server.pages.get(self.path, (404, {}, b"{}"))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def pages():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.pages, server.asked = {}, []
    server.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def feature(name, href, **more):
    asset = {"href": href, "type": pystac.MediaType.COG, "roles": ["data"]}
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "c", "links": [],
        "properties": {}, "assets": {"data": asset}, **more,
    }  # fmt: skip


def page(features, *links):
    document = {"type": "FeatureCollection", "features": features, "links": list(links)}
    return (200, {"Content-Type": "application/geo+json"}, json.dumps(document).encode())


def test_the_pages_of_a_search_are_followed_and_references_are_resolved(importer, pages):
    own = [{"rel": "self", "href": "https://files.example/c/b/item.json"}]
    pages.pages = {
        "/start?secret=1": (302, {"Location": "/stac/search?limit=2"}, b""),
        "/stac/search?limit=2": page(
            [feature("a", "../a.tif"), feature("b", "./b.tif?v=1", links=own)],
            {"rel": "next", "href": "search?limit=2&page=2"},
        ),
        "/stac/search?limit=2&page=2": page(
            [feature("c", "https://other.example/c.tif")],
            {"rel": "next", "href": f"{pages.base}/stac/search?limit=2", "method": "get"},
        ),
    }
    importer.environment["CEDARGATE_REMOTE_NETWORKS"] = "127.0.0.1/32"
    source = f"{pages.base}/start?secret=1"
    report = importer.imported(source)
    # The last page leads back to the first, whose Items were read before.
    assert report["datasets"] == 3 and {s["item"] for s in report["skipped"]} <= {"a", "b"}
    found = importer.datasets()
    assert {name: dataset["remote_file"]["url"] for name, dataset in found.items()} == {
        "a": f"{pages.base}/a.tif",
        "b": "https://files.example/c/b/b.tif?v=1",
        "c": "https://other.example/c.tif",
    }
    assert len(pages.asked) <= 5
    assert "secret" not in importer.run("audit", "export").stdout
    assert "more than 2 items" in importer.refused(source, "--max-items", "2")


def test_documents_of_the_network_that_cannot_be_imported_change_nothing(importer, pages):
    post = {"rel": "next", "href": "/x", "method": "POST", "body": {"page": 2}}
    local = f"file://{file_of(PUBLIC)}"
    plain = feature("a", "http://files.example/a.tif")
    pages.pages = {
        "/post": page([feature("a", "a.tif")], post),
        "/file": page([feature("a", local)]),
        "/next-file": page([], {"rel": "next", "href": "file:///etc/hostname"}),
        "/html": (200, {}, b"<html>"),
        "/error": (503, {}, b"{}"),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/bucket": page([feature("a", "s3://bucket/a.tif")]),
        "/plain": page([plain]),
    }
    for path, expected in [
        ("/post", "its next page is a POST request"),
        ("/file", "item a: `assets.data.href`: "),
        ("/file", "is a file of this machine, which a document of the network may not name"),
        ("/next-file", "is a file of this machine, which a document of the network may not name"),
        ("/html", "is not JSON: expected value at line 1 column 1"),
        ("/error", "it answered 503 Service Unavailable"),
        ("/loop", "too many redirects"),
        ("/missing?key=secret", "/missing: it answered 404 Not Found"),
        ("/bucket", "item a: `assets.data.href`: no store of the settings has s3://bucket/a.tif"),
        ("/plain", "c/a data http://files.example/a.tif"),
    ]:
        refused = importer.refused(pages.base + path)
        assert expected in refused and "secret" not in refused, refused
    assert importer.run("dataset", "list").returncode == 1 or importer.datasets() == {}


def test_an_asset_at_a_url_is_downloaded_through_the_server(make_server, pages):
    server = make_server(CEDARGATE_REMOTE_NETWORKS="127.0.0.1/32").start()
    content = file_of(PUBLIC).read_bytes()
    pages.pages = {
        "/item.json": (200, {}, json.dumps(feature("a", "a.tif")).encode()),
        "/a.tif": (200, {"Content-Type": "image/tiff", "ETag": '"1"'}, content),
    }
    source = f"{pages.base}/item.json"
    imported = server.run("catalog", "import-stac", source, "--visibility", "public", "--json")
    dataset = json.loads(imported.stdout)["lines"][0]["name"].split()[0]
    token = until(lambda: server.mint_or_none(dataset), "the dataset is in force")
    got = server.get(f"{server.download_path(dataset)}?token={token}")
    assert (got.status_code, got.content) == (200, content)
