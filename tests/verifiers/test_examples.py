"""The published verifiers take and refuse the tokens of the set, and go on while the gate is away.

The programs are those of docs/verifiers, with the address of the gate and other times filled in.
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from demo import PUBLIC, RESTRICTED
from gate import DATASET, Gate
from server import BINARY, PEERS, ROOT, free_port, until
from test_docs import ADDRESS, blocks, text_of
from token_set import still_hold, write_set

PAGE = "docs/verifiers.md"
FOLDER = ROOT / "docs" / "verifiers"
HERE = Path(__file__).resolve().parent
LOOPS = {
    ".py": [sys.executable, HERE / "verifier_loop.py"],
    ".mjs": ["node", HERE / "verifier_loop.mjs"],
    ".rb": ["ruby", HERE / "verifier_loop.rb"],
    ".rs": [BINARY.parent / "examples" / "verifier_loop"],
}
PROGRAMS = ["verify.py", "verify_joserfc.py", "verify.mjs", "verify.rb", "verify.rs"]
SHOWN = ["verify.py", "verify.mjs", "verify.rb"]  # the page has them whole
FOREVER, NEVER = 1_000_000, 0


class Verifier:
    """A verifier in a process of its own: a published one, or the program of a path."""

    def __init__(self, folder, program, gate, max_age=FOREVER, pause=FOREVER):
        source = FOLDER / program
        text = source.read_text().replace(ADDRESS, gate)
        if source.parent == FOLDER:
            for constant, value in (("MAX_AGE", max_age), ("PAUSE", pause)):
                text, found = re.subn(rf"\b({constant}(: u64)?) = \d+", rf"\1 = {value}", text)
                assert found == 1, f"{source} has no {constant}"
        (folder / source.name).write_text(text)
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
        self.process = subprocess.Popen(
            [*LOOPS[source.suffix], folder / source.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "errors").open("w"),
            text=True,
        )

    def verdict(self, token, dataset=DATASET):
        self.process.stdin.write(json.dumps([token, dataset]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def accepts(self, token, dataset=DATASET):
        verdict = self.verdict(token, dataset)
        assert set(verdict) <= {"accepted", "refused"}, verdict
        return "accepted" in verdict

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


@pytest.fixture
def gate():
    gate = Gate().start()
    yield gate
    gate.stop()


@pytest.fixture(params=PROGRAMS)
def make_verifier(request, tmp_path):
    made = []

    def make(gate, **times):
        folder = tmp_path / f"verifier-{len(made)}"
        folder.mkdir()
        made.append(Verifier(folder, request.param, gate, **times))
        return made[-1]

    yield make
    for verifier in made:
        verifier.stop()


def test_a_verifier_accepts_and_refuses_every_token_of_the_set_as_it_should(gate, make_verifier):
    verifier = make_verifier(gate.issuer)
    assert not verifier.accepts("it has started")
    written = write_set(gate.issuer)
    gate.written = written["key_set"]
    tokens = still_hold(written["tokens"])
    assert len(tokens) >= 280
    wrong = []
    for token in tokens:
        verdict = verifier.verdict(token["token"], token["dataset_id"])
        expected = {"accept": {"accepted"}, "refuse": {"refused"}, "either": set(verdict)}
        if set(verdict) != expected[token["expected"]]:
            wrong.append((token["name"], str(verdict)[:100]))
    assert not wrong
    assert gate.requests == 1


def test_a_token_with_any_one_character_changed_added_or_removed_is_refused(gate, make_verifier):
    verifier = make_verifier(gate.issuer)
    token = gate.token()
    assert verifier.accepts(token)
    for at, letter in enumerate(token):
        for new in ("", letter * 2, "B" if letter == "A" else "A", letter.swapcase(), "="):
            changed = token[:at] + new + token[at + 1 :]
            assert changed == token or not verifier.accepts(changed), (at, letter, new)


def test_a_verifier_goes_on_with_the_keys_it_has_while_the_gate_is_away(gate, make_verifier):
    verifier = make_verifier(gate.issuer, max_age=NEVER, pause=NEVER)
    assert verifier.accepts(gate.token())
    before = gate.requests
    gate.broken = (503, b"unavailable")
    assert verifier.accepts(gate.token())
    for broken in ((200, b"<html>"), (200, b'{"keys":[]}'), (200, b"[]"), (404, b"{}")):
        gate.broken = broken
        assert verifier.accepts(gate.token()), broken
    assert gate.requests > before, "it did not ask again"
    gate.stop()
    assert verifier.accepts(gate.token())
    assert not verifier.accepts(gate.token(), RESTRICTED)
    assert not verifier.accepts(gate.expired())
    assert not verifier.accepts(gate.token(gate.foreign))
    assert verifier.accepts(gate.token())
    # When it is back, a key that it no longer publishes is gone.
    gate.broken = None
    gate.keys = [gate.other]
    gate.start()
    assert not verifier.accepts(gate.token())
    assert verifier.accepts(gate.token(gate.other))


def test_a_verifier_that_never_saw_a_key_set_says_so_and_recovers(gate, make_verifier):
    gate.stop()
    verifier = make_verifier(gate.issuer, pause=NEVER)
    assert verifier.verdict(gate.token()) == {"no key set": True}
    # A token that no key could make valid is refused all the same.
    assert not verifier.accepts(gate.token(), RESTRICTED)
    gate.start()
    assert verifier.accepts(gate.token())


def test_a_new_key_is_fetched_once_and_invented_ones_make_no_more_requests(gate, make_verifier):
    gate.keys = [gate.key]
    patient, eager = (make_verifier(gate.issuer, pause=pause) for pause in (FOREVER, NEVER))
    assert patient.accepts(gate.token()) and eager.accepts(gate.token())
    assert gate.requests == 2
    gate.keys.append(gate.other)
    for _ in range(20):
        assert not patient.accepts(gate.token(gate.foreign))
    assert gate.requests == 2
    assert eager.accepts(gate.token(gate.other))
    assert gate.requests == 3
    assert eager.accepts(gate.token(gate.other))
    assert gate.requests == 3


def test_a_verifier_takes_the_tokens_of_a_real_gate(server, make_verifier):
    verifier = make_verifier(server.base)
    assert verifier.accepts(server.mint(PUBLIC), PUBLIC)
    assert not verifier.accepts(server.mint(PUBLIC), RESTRICTED)
    session = server.login("mo")
    personal = verifier.verdict(server.mint(RESTRICTED, session), RESTRICTED)
    assert personal["accepted"]["sub"]
    assert not verifier.accepts(session, RESTRICTED)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_has_the_program_as_it_is_run_here(name):
    texts = [block.text for block in blocks(PAGE)]
    is_there = (FOLDER / name).read_text() in texts
    assert is_there == (name in SHOWN), f"{PAGE} has another docs/verifiers/{name}"
    assert f"(verifiers/{name})" in text_of(PAGE)


SERVERS = {"serve.py": sys.executable, "serve.mjs": "node"}


class FileServer:
    """A published file server in a process of its own, with its log."""

    def __init__(self, folder, name, gate):
        self.folder = folder
        for file in FOLDER.iterdir():
            text = file.read_text().replace(ADDRESS, gate)
            (folder / file.name).write_text(text)
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
        (folder / "data").mkdir()
        (folder / "data" / f"{DATASET}.tif").write_bytes(b"II*\0")
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [SERVERS[name], folder / name, folder / "data", str(self.port)],
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        until(self.is_listening, f"{name} listens")

    def is_listening(self):
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, text):
        """Sends bytes as they are, and reads until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as opened:
            opened.sendall(text.encode())
            opened.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: opened.recv(65536), b""))

    def status(self, query, dataset=DATASET, method="GET"):
        url = f"{self.base}/data/{dataset}.tif{query}"
        return httpx.request(method, url, trust_env=False, headers={"Authorization": "Basic eDp5"})

    def stop(self):
        self.process.kill()
        self.process.wait(timeout=60)


@pytest.fixture(params=SERVERS)
def file_server(request, tmp_path, gate):
    server = FileServer(tmp_path, request.param, gate.issuer)
    yield server
    server.stop()


def test_a_published_file_server_takes_one_token_from_the_query_and_logs_none(file_server, gate):
    token = gate.token()
    found = file_server.status(f"?token={token}")
    assert (found.status_code, found.content) == (200, b"II*\0")
    assert found.headers["referrer-policy"] == "no-referrer"
    head = file_server.status(f"?x=1&t%6Fken={token}", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for query in ("", "?", "?token", "?token=", f"?token={token}&token={token}", f"?Token={token}",
                  f"?token={token}x", f"?token={gate.token(gate.foreign)}",
                  f"?token={gate.expired()}"):  # fmt: skip
        assert file_server.status(query).status_code == 401, query
    for dataset in (RESTRICTED, "dem", "..%2Fverify.py", "%00"):
        assert file_server.status(f"?token={token}", dataset).status_code == 401, dataset
    (file_server.folder / "data" / f"{DATASET}.tif").unlink()
    assert file_server.status(f"?token={token}").status_code == 404
    for line in (
        f"GET /data?token={token}",
        f"NONSENSE /?token={token} HTTP/1.1 x",
        f"?token={token}",
    ):
        file_server.send(f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n")
    log = file_server.log.read_text()
    assert f"/data/{DATASET}.tif" in log
    assert "eyJ" not in log, log


def test_the_documented_log_of_nginx_has_no_token(gate, make_nginx, tmp_path):
    token = gate.token()
    block = next(block.text for block in blocks(PAGE) if block.language == "nginx")
    logs = {}
    usual = f"access_log {tmp_path}/usual-data.log; error_log {tmp_path}/usual-data-error.log;"
    documented = block.replace("/var/log/nginx/", f"{tmp_path}/documented-")
    for name, lines in (("documented", documented), ("usual", usual)):
        nginx = make_nginx(f"root {tmp_path}; location = /fine {{ return 200; }}", http=lines)
        for path, is_found in (("fine", True), ("missing.tif", False)):
            found = httpx.get(f"{nginx.base}/{path}?token={token}", trust_env=False)
            assert found.is_success == is_found
        nginx.stop()
        files = tmp_path.glob(f"{name}-data*.log")
        logs[name] = {file.name.removeprefix(f"{name}-"): file.read_text() for file in files}
    assert "/missing.tif" in logs["documented"]["data.log"]
    assert "eyJ" not in "".join(logs["documented"].values())
    # Both rules have a reason.
    assert all("eyJ" in text for text in logs["usual"].values()) and len(logs["usual"]) == 2
