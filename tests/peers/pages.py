"""The pages in Chromium: signing in, accessibility, and what the browser reports."""

import contextlib
import json
import time
from urllib.parse import urlsplit

from playwright.sync_api import expect

from server import PEERS, until

AXE = PEERS / "node_modules" / "axe-core" / "axe.min.js"

# What is left out: nothing. Rules are those of WCAG 2.2 A and AA, and axe's best practices.
AXE_OPTIONS = {"resultTypes": ["violations"]}

# What a draft with errors answers to whatever asks for its reach. While something is typed, a text
# between may be one.
INVALID = ("status of 409",)

# Session tokens by server and user, with the times of the sign-ins. Who ends sessions clears it.
SESSIONS = {}

# Seconds for which tests share a session: the rest of its 15 minutes is enough for the last one.
MAX_SESSION_AGE = 300

# Names that people may choose; none may become markup or run.
HOSTILE = """x'"><img src=x onerror="window.wasRun=1"><script>window.wasRun=1</script>"""

REPORTS = """
window.reports = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


def sign_in(page, server, username, view):
    """Opens a view of the workbench as a user."""
    page.goto(f"{server.base}/workbench#/{view}")
    submit_sign_in(page, username, server.passwords[username])
    expect(page.get_by_text(f"Signed in as {username}")).to_be_visible()


def submit_sign_in(page, username, password):
    page.get_by_role("textbox", name="User name").fill(username)
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("tabpanel").get_by_role("button", name="Sign in").click()


def sign_in_with_token(page, server, username, token, view):
    """Opens a view of the workbench with a token from elsewhere."""
    page.goto(f"{server.base}/workbench#/{view}")
    page.get_by_role("tab", name="With a token").click()
    page.get_by_role("textbox", name="Token").fill(token)
    page.get_by_role("tabpanel").get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(f"Signed in as {username}")).to_be_visible()


def session_token(server, username):
    """A session token of a user, for several tests: checking passwords takes long."""
    key = (server, username)
    if key not in SESSIONS or time.monotonic() - SESSIONS[key][1] > MAX_SESSION_AGE:
        SESSIONS[key] = (server.login(username), time.monotonic())
    return SESSIONS[key][0]


def assert_accessible(page):
    """axe-core finds no violation, in light and in dark, which differ in colours only."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    for scheme, more in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("(options) => axe.run(document, options)", {**AXE_OPTIONS, **more})
        told = [
            {"rule": violation["id"], "where": [node["html"][:200] for node in violation["nodes"]]}
            for violation in found["violations"]
        ]
        assert told == [], f"{scheme}: {json.dumps(told, indent=1)}"


def assert_quiet(page, expected_errors=()):
    """Nothing was refused by the policy of the page, failed, or was asked of others."""
    assert page.evaluate("window.reports") == []
    assert page.evaluate("window.wasRun") is None
    unexpected = [e for e in page.errors if not any(part in e for part in expected_errors)]
    assert unexpected == []
    elsewhere = [
        url
        for url in page.requested
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"
    ]
    assert elsewhere == []


@contextlib.contextmanager
def narrow(page, width=320, height=640):
    """The page in a narrow window, where nothing may stick out at the side."""
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": height})
    yield
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size(before)


@contextlib.contextmanager
def hold(page, url):
    """Holds the requests for a URL, of which one is made meanwhile; they are in the list."""
    held = []
    page.route(url, lambda route: held.append(route))
    yield held
    until(lambda: page.wait_for_timeout(20) or held, f"a request for {url}")


TWO_FRAMES = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"""


def release(page, held, **answer):
    """Lets the page have the answer to a held request, and waits until it has dealt with it."""
    (held.fulfill if answer else held.continue_)(**answer)
    held.request.response()  # none if the page gave the request up; the body may stay unread
    page.evaluate(TWO_FRAMES)


def open_draft(page, server, username, files, view):
    """Opens a draft with these files, begun elsewhere, in a view; returns its id."""
    token = session_token(server, username)
    session = {"Authorization": f"Bearer {token}"}
    for old in server.get("/admin/policies/drafts", headers=session).json()["items"]:
        server.request("DELETE", f"/admin/policies/drafts/{old['id']}", headers=session)
    made = server.post("/admin/policies/drafts", json={"files": files}, headers=session)
    assert made.status_code == 201, made.text
    sign_in_with_token(page, server, username, token, "policies")
    page.get_by_role("button", name="Go on with it").click()
    page.wait_for_url("**/workbench#/edit**")
    page.goto(f"{server.base}/workbench#/{view}")
    return made.json()["id"]
