"""STAC of other programs is imported: what pystac and rio-stac write, and real documents."""

import json
import os
import subprocess
from datetime import UTC, datetime

import pystac
import pytest
import rio_stac

from demo import OWNER, PUBLIC, RESTRICTED, file_of
from server import BINARY, DEADLINE

COLLECTION = "relief"


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
    answer = server.post_mint(dataset)
    while answer.status_code == 404:  # in force within a second
        answer = server.post_mint(dataset)
    token = answer.json()["token"]
    got = server.get(f"{server.download_path(dataset)}?token={token}")
    assert got.content == file_of(PUBLIC).read_bytes()
    record = next(r for r in server.audit() if "item.json" in (r["reason"] or ""))
    assert (record["event"], record["outcome"]) == ("administer", "granted")
