"""The datasets and users of the demo catalog."""

import tomllib

from server import ROOT

CATALOG = tomllib.loads((ROOT / "demo" / "catalog.toml").read_text())


def dataset(visibility, record_status="published"):
    """The id of the demo dataset with this visibility and status."""
    found = [
        entry["id"]
        for entry in CATALOG["datasets"]
        if entry["visibility"] == visibility and entry["record_status"] == record_status
    ]
    assert len(found) >= 1, f"the demo has no {visibility}, {record_status} dataset"
    return found[0]


def file_of(dataset_id):
    """The file that the demo serves for this dataset."""
    entry = next(e for e in CATALOG["datasets"] if e["id"] == dataset_id)
    return ROOT / "demo" / entry["file"]


PUBLIC = dataset("public")
INTERNAL = dataset("internal")
RESTRICTED = dataset("restricted")
PRIVATE = dataset("private")
DRAFT = dataset("public", "draft")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _user(matches, what):
    found = [entry["username"] for entry in CATALOG["users"] if matches(entry)]
    assert len(found) == 1, f"the demo has {len(found)} users that are {what}"
    return found[0]


_restricted = next(e for e in CATALOG["datasets"] if e["id"] == RESTRICTED)
OWNER = _restricted["owner"]
ADMIN = _user(lambda user: "admin" in user["roles"], "admin")
MEMBER = _user(lambda user: set(user["roles"]) & set(_restricted["reader_roles"]), "readers")
OUTSIDER = _user(lambda user: not user["roles"] and user["username"] != OWNER, "outsiders")
