"""Servers with the demo catalog, and mints of its datasets."""

from pathlib import Path

from processes import Gate
from wrk import Scenario

ROOT = Path(__file__).resolve().parents[2]
# Datasets of the demo catalog.
PUBLIC = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
RESTRICTED = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
READER = "mo"  # has the role that the restricted dataset is shared with
LARGE = "00000000-0000-4000-8000-0000000000ff"
MINT = "/auth/download-token/"
SPAN = {"Range": "bytes=0-16383"}


def session_headers(gate, username):
    with open(gate.data / "demo-passwords.toml") as file:
        text = file.read()
    # `username = "mo"` and `password = "..."` follow each other.
    password = text.split(f'username = "{username}"')[1].split('password = "')[1].split('"')[0]
    return {"Authorization": f"Bearer {gate.login(username, password)}"}


def demo_gate(bench, stack, where, **settings):
    gate = Gate(bench.cedargate, bench.folder(where), f"cedargate {where}", **settings)
    return stack.enter_context(gate.start("--demo"))


def minting(name, gate, session=None, connections=32, dataset=None):
    dataset = dataset or (RESTRICTED if session else PUBLIC)
    return Scenario(
        name, gate, MINT + dataset, "POST", session or {}, connections,
        on_disk=name.endswith("on disk"),
    )  # fmt: skip
