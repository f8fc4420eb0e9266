"""The servers and the browser that the tests share."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from gateway import BINARY, ROOT, Gateway
from postgres import Cluster

# Everything here talks to loopback, whatever proxy the machine has.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
    os.environ.pop(name, None)

WITHOUT_LIMITS = {
    "CEDARGATE_MINT_LIMIT_PER_MINUTE": "0",
    "CEDARGATE_REQUEST_LIMIT_PER_MINUTE": "0",
}
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_sessionstart():
    assert BINARY.exists(), f"{BINARY} is missing: run `make build` in {ROOT}"
    for tool in ("chromium", "curl", "gdalinfo", "node"):
        assert shutil.which(tool), f"{tool} is missing: run `make install` in {ROOT}"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A demo server without limits, for every test that does not harm it."""
    gateway = Gateway(tmp_path_factory.mktemp("server"), **WITHOUT_LIMITS)
    try:
        yield gateway.start()
    finally:
        gateway.stop()


@pytest.fixture
def make_gateway(tmp_path):
    """Makes servers of the test's own, and stops what the test left running."""
    made = []

    def make(**settings):
        made.append(Gateway(tmp_path / f"gateway-{len(made)}", **{**WITHOUT_LIMITS, **settings}))
        return made[-1]

    yield make
    for gateway in made:
        if gateway.is_alive():
            gateway.kill()


@pytest.fixture(scope="session")
def cluster():
    """A throw-away PostgreSQL cluster on a socket and a loopback port."""
    folder = Path(tempfile.mkdtemp(prefix="cedargate-postgres-"))
    cluster = Cluster(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_server(cluster, make_gateway):
    """A demo server on a database of its own in the cluster."""
    gateway = make_gateway(CEDARGATE_DATABASE_URL=cluster.make_database())
    yield gateway.start()
    gateway.stop()


@pytest.fixture
def browser_page(tmp_path):
    """A page of a real Chromium with a fresh profile; it keeps its requests and complaints."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path="/usr/bin/chromium",
            headless=True,
            args=CHROMIUM,
        )
        page = context.new_page()
        page.requested, page.complaints = [], []
        context.on("request", lambda request: page.requested.append(request.url))
        page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        context.close()


@pytest.fixture(scope="session")
def peers_folder():
    return Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def run_peer():
    """Runs another program to its end and answers what it did."""

    def run(*command, **more):
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=240, **more
        )

    return run
