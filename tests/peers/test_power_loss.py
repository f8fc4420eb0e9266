"""Power failures: no token has left whose record was not on the disk."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid

import httpx
import pytest

from demo import PUBLIC
from server import PEERS, claims_unverified, until

CLIENTS = 6

CHECKPOINT = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=30).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """The library that makes a disk lose what was not synced."""
    library = tmp_path_factory.mktemp("disk") / "power_loss.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, PEERS / "power_loss.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture
def make_server_on_disk(make_server, disk, tmp_path):
    """Creates servers whose synced files are under `shadow`; while `fails` exists, syncs fail."""
    (tmp_path / "shadow").mkdir()
    return lambda: make_server(
        LD_PRELOAD=str(disk),
        DISK_SHADOW=str(tmp_path / "shadow"),
        DISK_FAILS=str(tmp_path / "fails"),
    )


class Minting:
    """Clients that mint until they are stopped, and the ids of the tokens that they got."""

    def __init__(self, server):
        self.server = server
        self.tokens = []
        self.failures = 0
        self.is_stopped = False
        self.threads = [threading.Thread(target=self.mint) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_stopped = True
        for thread in self.threads:
            thread.join()

    def mint(self):
        url = f"{self.server.base}/auth/download-token/{PUBLIC}"
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self.is_stopped:
                try:
                    response = client.post(url)
                except httpx.TransportError:
                    return
                if response.status_code == 200:
                    self.tokens.append(claims_unverified(response.json()["token"])["jti"])
                else:
                    assert response.status_code == 503, response.text
                    self.failures += 1

    def mint_more(self, count):
        least = len(self.tokens) + count
        until(lambda: len(self.tokens) >= least, f"{count} more tokens")

    def fail_more(self, count):
        least = self.failures + count
        until(lambda: self.failures >= least, f"{count} more mints that fail")


def records_after(folder, database, log):
    """The ids of the mints in a database that a power failure left like this."""
    folder.mkdir()
    path = folder / "cedargate.db"
    path.touch()
    for file, name in [(database, "cedargate.db"), (log, "cedargate.db-wal")]:
        if file.exists():
            shutil.copyfile(file, folder / name)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = connection.execute("SELECT id FROM audit_records WHERE event = 'mint'").fetchall()
    connection.close()
    return {str(uuid.UUID(bytes=row[0])) for row in rows}


def assert_all_on_disk(server, minting, tmp_path):
    """Whether or not the disk has also got what was not synced: no token lacks its record."""
    shadow = tmp_path / "shadow"
    databases = [shadow / "cedargate.db", server.data / "cedargate.db"]
    logs = [shadow / "cedargate.db-wal", server.data / "cedargate.db-wal"]
    for index, (database, log) in enumerate(itertools.product(databases, logs)):
        lost = set(minting.tokens) - records_after(tmp_path / f"disk-{index}", database, log)
        assert not lost, f"{len(lost)} of {len(minting.tokens)} lost with {database} and {log}"


def test_the_record_of_each_token_survives_a_power_failure(make_server_on_disk, tmp_path):
    server = make_server_on_disk().start()
    with Minting(server) as minting:
        # Another program moves the log into the database while the server writes it.
        for _ in range(3):
            minting.mint_more(60)
            program = [sys.executable, "-c", CHECKPOINT, server.data / "cedargate.db"]
            subprocess.run(program, env=server.environment(), check=True)
            minting.mint_more(20)
            server.run("audit", "export")
        server.kill()
    assert_all_on_disk(server, minting, tmp_path)


def test_after_a_sync_that_failed_no_token_leaves_until_the_log_is_on_the_disk_again(
    make_server_on_disk, tmp_path
):
    server = make_server_on_disk().start()
    with Minting(server) as minting:
        for _ in range(3):
            minting.mint_more(40)
            (tmp_path / "fails").touch()
            minting.fail_more(CLIENTS + 1)
            (tmp_path / "fails").unlink()
        minting.mint_more(40)
        server.kill()
    assert_all_on_disk(server, minting, tmp_path)
