"""A running `cedargate serve --demo`, and requests to it."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
import tomllib
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).resolve().parent
BINARY = Path(os.environ.get("PEERS_BINARY", ROOT / "target" / "debug" / "cedargate"))
DEADLINE = 240  # seconds; a limit on waiting, no measurement

PROBLEM = "application/problem+json"

WITHOUT_LIMITS = {
    "CEDARGATE_MINT_LIMIT_PER_MINUTE": "0",
    "CEDARGATE_REQUEST_LIMIT_PER_MINUTE": "0",
}


# On a busy machine proofs take longer: they give way to all else.
LONG_LIMITS = {"CEDARGATE_GATE_PROOF_LIMIT": "600"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, what, deadline=DEADLINE):
    """Repeats until `check` returns something true, and returns it."""
    end = time.monotonic() + deadline
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {deadline} s"
        time.sleep(0.02)


def decoded(part):
    """The bytes of one part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims_unverified(token):
    """The claims of a token, without verifying it."""
    return json.loads(decoded(token.split(".")[1]))


class Server:
    """A cedargate process with its own data directory, port and log."""

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.printed = self.folder / "server.out"
        self.settings = {
            "CEDARGATE_LISTEN": f"127.0.0.1:{self.port}",
            "CEDARGATE_DATA_DIR": str(self.data),
            **LONG_LIMITS,
            **settings,
        }
        self.process = None
        self._client = httpx.Client(base_url=self.base, trust_env=False, timeout=DEADLINE)

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CEDARGATE_")}
        return {**kept, **self.settings}

    def start(self):
        with open(self.printed, "ab") as out, open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--demo"],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                # SIGXFSZ stays ignored: a write beyond the limit of a file's size is an error then.
                restore_signals=False,
            )
        until(self.is_ready, "server ready")
        return self

    def is_ready(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"cedargate ended with {code}:\n{self.log_text()[-4000:]}")
        try:
            return self._client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Waits for the process to end by itself and returns its exit code."""
        return self.process.wait(timeout=DEADLINE)

    def stop(self):
        if not self.is_alive():
            return self.process.returncode if self.process else None
        self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self):
        self.process.kill()
        self.process.wait()

    def run(self, *arguments, check=True):
        """Runs another cedargate command with this server's settings."""
        done = subprocess.run(
            [BINARY, *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        if check:
            assert done.returncode == 0, f"cedargate {arguments}: {done.stderr}"
        return done

    def audit(self):
        """The whole audit log, one dict per record."""
        return [json.loads(line) for line in self.run("audit", "export").stdout.splitlines()]

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    def log_lines(self):
        """The log, one dict per line: without a terminal every line is JSON."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def access_lines(self):
        """The access log lines, one per request."""
        return [line for line in self.log_lines() if line["target"] == "cedargate::access"]

    def request(self, method, path, **more):
        return self._client.request(method, path, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def login(self, username):
        """Signs a user of the demo in and returns the session token."""
        response = self.post(
            "/auth/login",
            data={
                "grant_type": "password",
                "username": username,
                "password": self.passwords[username],
            },
        )
        assert response.status_code == 200, response.text
        return response.json()["access_token"]

    def mint(self, dataset, session=None):
        """Mints a download token and returns it."""
        response = self.post_mint(dataset, session)
        assert response.status_code == 200, response.text
        return response.json()["token"]

    def post_mint(self, dataset, session=None, **more):
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        return self.post(f"/auth/download-token/{dataset}", headers=headers, **more)

    def mint_or_none(self, dataset):
        """A token, or None if the server refuses."""
        response = self.post_mint(dataset)
        return response.json()["token"] if response.status_code == 200 else None

    def download_path(self, dataset):
        return f"/datasets/{dataset}/download/cog"

    @property
    def jwks_url(self):
        return f"{self.base}/.well-known/jwks.json"

    @property
    def passwords(self):
        """User name -> password of the demo users."""
        content = tomllib.loads((self.data / "demo-passwords.toml").read_text())
        return {person["username"]: person["password"] for person in content["people"]}


def assert_problem(response, status):
    """Checks that the response is a complete RFC 9457 problem with this status."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert problem["status"] == status
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str) and problem[member], problem
    assert re.fullmatch(r"[\x21-\x7e]+", response.headers["x-request-id"])
    return problem
