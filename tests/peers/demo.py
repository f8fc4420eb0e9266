"""What the demo catalog promises: its datasets and its people."""

import tomllib

from gateway import ROOT

CATALOG = tomllib.loads((ROOT / "demo" / "catalog.toml").read_text())


def dataset(visibility, record_status="published"):
    """The id of the demo's one dataset of this kind."""
    found = [
        entry["id"]
        for entry in CATALOG["datasets"]
        if entry["visibility"] == visibility and entry["record_status"] == record_status
    ]
    assert len(found) >= 1, f"the demo has no {visibility}, {record_status} dataset"
    return found[0]


def file_of(dataset_id):
    """The file on disk that the demo serves for this dataset."""
    entry = next(e for e in CATALOG["datasets"] if e["id"] == dataset_id)
    return ROOT / "demo" / entry["file"]


PUBLIC = dataset("public")
INTERNAL = dataset("internal")
RESTRICTED = dataset("restricted")
PRIVATE = dataset("private")
DRAFT = dataset("public", "draft")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _person(matches, what):
    found = [entry["username"] for entry in CATALOG["users"] if matches(entry)]
    assert len(found) == 1, f"the demo has {len(found)} people who are {what}"
    return found[0]


_restricted = next(e for e in CATALOG["datasets"] if e["id"] == RESTRICTED)
OWNER = _restricted["owner"]
ADMIN = _person(lambda user: "admin" in user["roles"], "admin")
MEMBER = _person(lambda user: set(user["roles"]) & set(_restricted["reader_roles"]), "readers")
OUTSIDER = _person(lambda user: not user["roles"] and user["username"] != OWNER, "outsiders")
