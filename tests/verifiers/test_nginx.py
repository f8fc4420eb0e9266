"""nginx serves a folder and asks a published verifier, as docs/verifiers/nginx.conf says."""

import json
import os
import socket
import subprocess
import sys

import httpx
import pytest

from gate import DATASET, Gate
from nginx import Nginx
from server import BINARY, DEADLINE, ROOT, free_port, until
from test_docs import ADDRESS

FOLDER = ROOT / "docs" / "verifiers"
BYTES = b"II*\0" + bytes(60)


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class GuardedNginx:
    """nginx and the program that it asks, with the texts of the page but for ports and folders."""

    def __init__(self, folder, issuer):
        self.folder, self.authorize_port, self.port = folder, free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        for name in ("verify.py", "authorize.py"):
            text = (FOLDER / name).read_text().replace(ADDRESS, issuer)
            (folder / name).write_text(text.replace("PAUSE = 5", "PAUSE = 0"))
        (folder / "cogs").mkdir()
        (folder / "cogs" / f"{DATASET}.tif").write_bytes(BYTES)
        text = (FOLDER / "nginx.conf").read_text()
        for old, new in (
            ("127.0.0.1:8091", f"127.0.0.1:{self.authorize_port}"),
            ("127.0.0.1:8092", f"127.0.0.1:{self.port}"),
            ("/srv/cogs", f"{folder}/cogs"),
            ("/var/log/nginx/", f"{folder}/"),
        ):
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        self.nginx = Nginx(folder / "nginx", "return 404;", http=text)
        self.authorize = None

    def start(self):
        command = [sys.executable, self.folder / "authorize.py", str(self.authorize_port)]
        log = (self.folder / "authorize.log").open("w")
        self.authorize = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.nginx.start()
        until(lambda: is_listening(self.authorize_port), "authorize.py listens")
        until(lambda: is_listening(self.port), "nginx listens")
        return self

    def get(self, path, **more):
        return httpx.get(f"{self.base}{path}", trust_env=False, timeout=DEADLINE, **more)

    def stop_authorize(self):
        self.authorize.kill()
        self.authorize.wait(timeout=DEADLINE)

    def stop(self):
        self.stop_authorize()
        self.nginx.stop()


@pytest.fixture
def gate():
    gate = Gate().start()
    yield gate
    gate.stop()


@pytest.fixture
def make_guarded(tmp_path):
    made = []

    def make(issuer):
        made.append(GuardedNginx(tmp_path, issuer))
        return made[-1].start()

    yield make
    for guarded in made:
        guarded.stop()


def test_nginx_comes_to_the_verdict_of_every_token_of_the_set(make_guarded):
    port = free_port()
    guarded = make_guarded(f"http://127.0.0.1:{port}")
    done = subprocess.run(
        [
            BINARY, "conformance", "check", "--json", "--dataset-id", DATASET,
            "--url-template", f"{guarded.base}/{{dataset_id}}.tif?token={{token}}",
            "--listen", f"127.0.0.1:{port}",
        ],
        capture_output=True, text=True, timeout=DEADLINE, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["right"] >= 270 and report["wrong"] == report["failed"] == 0, done.stderr
    logs = "".join(file.read_text() for file in guarded.folder.glob("*.log"))
    assert f"/{DATASET}.tif" in logs and "eyJ" not in logs


def test_nginx_serves_the_file_that_was_verified_and_no_other(make_guarded, gate):
    guarded = make_guarded(gate.issuer)
    token = gate.token()
    other = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
    (guarded.folder / "cogs" / f"{other}.tif").write_bytes(BYTES)
    (guarded.folder / "cogs" / "secret.txt").write_text("secret")
    found = guarded.get(f"/{DATASET}.tif?token={token}", headers={"Range": "bytes=0-3"})
    assert (found.status_code, found.content) == (206, b"II*\0")
    assert found.headers["cache-control"] == "private, no-cache"
    # Another spelling of the same path is the same file, and another file needs its own token.
    assert guarded.get(f"/x/..//%32{DATASET[1:]}.tif?token={token}").status_code == 200
    for path in (
        f"/{other}.tif?token={token}",
        f"/{DATASET}.tif/../{other}.tif?token={token}",
        f"/{DATASET}.tif%2F..%2F{other}.tif?token={token}",
        f"/{other}.tif?x=/{DATASET}.tif&token={token}",
        f"/{DATASET}.tif?token={token}&token={token}",
        f"/{DATASET}.tif?Token={token}",
        f"/{DATASET}.tif?token=",
        f"/{DATASET}.tif",
    ):
        assert guarded.get(path).status_code == 401, path
    for path in (
        "/secret.txt",
        f"/{DATASET.upper()}.tif",
        f"/{DATASET}.tif.bak",
        "/authorize",
        "/",
    ):
        assert guarded.get(f"{path}?token={token}").status_code == 404, path
    # What a client sends in place of nginx counts for nothing.
    spoofed = {"X-Dataset-Id": DATASET, "X-Query": f"token={token}"}
    assert guarded.get(f"/{other}.tif", headers=spoofed).status_code == 401


def test_nginx_refuses_nobody_for_good_when_there_is_no_verdict(make_guarded, gate):
    guarded = make_guarded(gate.issuer)
    token = gate.token()
    gate.stop()
    assert guarded.get(f"/{DATASET}.tif?token={token}").status_code == 503
    gate.start()
    assert guarded.get(f"/{DATASET}.tif?token={token}").status_code == 200
    guarded.stop_authorize()
    assert guarded.get(f"/{DATASET}.tif?token={token}").status_code == 503
