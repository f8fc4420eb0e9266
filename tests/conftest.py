"""Shared fixtures: servers, a PostgreSQL cluster and a browser."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from decision_point import TENANT, DecisionPoint
from nginx import NGINX, NJS, Nginx
from pages import REPORTS
from postgres import Cluster
from server import BINARY, DEADLINE, PEERS, ROOT, WITHOUT_LIMITS, Server

# All requests go to loopback, whatever proxy the machine has.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
    os.environ.pop(name, None)

# A limit on waiting: a login alone may take seconds on a busy machine.
expect.set_options(timeout=DEADLINE * 1000)

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


# Files whose few tests take long: begun last, one of them would go on alone.
LONG_FILES = ("test_schemathesis.py", "test_sdk.py", "test_transcripts.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_sessionstart():
    assert BINARY.exists(), f"{BINARY} is missing: run `make build` in {ROOT}"
    for tool in ("caddy", "chromium", "curl", "gdalinfo", "node", "ruby", "strace", "wrk", NGINX):
        assert shutil.which(tool), f"{tool} is missing: run `make install` in {ROOT}"
    assert NJS.exists(), f"{NJS} is missing: run `make install` in {ROOT}"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A demo server without rate limits, shared by all tests that leave it as it is."""
    server = Server(tmp_path_factory.mktemp("server"), **WITHOUT_LIMITS)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def todo_point(tmp_path_factory):
    """A decision point with the todo example, shared by all tests that leave it as it is."""
    point = DecisionPoint(tmp_path_factory.mktemp("todo"), "authzen-todo", CEDARGATE_ISSUER=TENANT)
    try:
        yield point.start()
    finally:
        point.stop()


@pytest.fixture
def make_server(tmp_path):
    """Creates servers for one test, and kills those that still run after it."""
    made = []

    def make(**settings):
        made.append(Server(tmp_path / f"server-{len(made)}", **{**WITHOUT_LIMITS, **settings}))
        return made[-1]

    yield make
    for server in made:
        if server.is_alive():
            server.kill()


@pytest.fixture
def make_nginx(tmp_path):
    """Starts nginx with a `server` block, and stops it after the test."""
    made = []

    def make(block, **more):
        made.append(Nginx(tmp_path / f"nginx-{len(made)}", block, **more))
        return made[-1].start()

    yield make
    for nginx in made:
        nginx.stop()


@pytest.fixture(scope="session")
def cluster():
    """A temporary PostgreSQL cluster on a socket and a loopback port."""
    folder = Path(tempfile.mkdtemp(prefix="cedargate-postgres-"))
    cluster = Cluster(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_server(cluster, make_server):
    """A demo server with its own database in the cluster."""
    server = make_server(CEDARGATE_DATABASE_URL=cluster.create_database())
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def chromium():
    """Chromium for the tests of a module: while it runs, others can have no event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, args=CHROMIUM
        )
        yield browser
        browser.close()


@pytest.fixture
def browser_page(chromium):
    """A page of Chromium with a new profile; it records its requests and errors."""
    context = chromium.new_context()
    context.set_default_timeout(DEADLINE * 1000)
    page = context.new_page()
    page.requested, page.errors = [], []
    context.on("request", lambda request: page.requested.append(request.url))
    page.on("console", lambda m: m.type == "error" and page.errors.append(m.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def web_page(browser_page):
    """A page that reports what its policy of contents refuses too."""
    browser_page.context.add_init_script(REPORTS)
    return browser_page


@pytest.fixture(scope="session")
def peers_folder():
    return PEERS


@pytest.fixture(scope="session")
def run_peer():
    """Runs another program and returns its result."""

    def run(*command, **more):
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=4 * DEADLINE,
            **more,
        )

    return run
