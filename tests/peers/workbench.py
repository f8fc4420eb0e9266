"""The author's workbench in Chromium: its views, its editor, and the drafts behind it."""

import json
import re
import shutil
import subprocess
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from demo import ADMIN
from pages import session_token, sign_in_with_token
from server import BINARY, ROOT, WITHOUT_LIMITS, Server

POLICIES = ROOT / "policies"

PASTE = """(content, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  const more = { clipboardData, bubbles: true, cancelable: true };
  content.dispatchEvent(new ClipboardEvent("paste", more));
}"""


def start_with_policies(make_server, files=None, **settings):
    """A server whose folder is a copy of the shipped policies, with other files in it."""
    server = make_server(CEDARGATE_POLICY_DIR="policies", **settings)
    shutil.copytree(POLICIES, server.folder / "policies")
    for name, content in (files or {}).items():
        (server.folder / "policies" / name).write_bytes(content)
    return server.start()


class Drafts:
    """The drafts of a user, over the API: what another tab or another program would do."""

    def __init__(self, server, username=ADMIN):
        self.server = server
        self.headers = {"Authorization": f"Bearer {session_token(server, username)}"}

    def call(self, method, path="", **more):
        path = f"/admin/policies/drafts{path}"
        response = self.server.request(method, path, headers=self.headers, **more)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def items(self):
        return self.call("GET")["items"]

    def discard_all(self):
        for draft in self.items():
            self.call("DELETE", f"/{draft['id']}")

    def create(self, files):
        return self.call("POST", json={"files": files})

    def text(self, name):
        """The text of a file in the newest draft that has it changed."""
        found = [
            draft
            for draft in self.items()
            if any(f["name"] == name and f["change"] != "unchanged" for f in draft["files"])
        ]
        assert found, f"no draft changes {name}"
        newest = max(found, key=lambda draft: (draft["created_at"], draft["version"]))
        return self.call("GET", f"/{newest['id']}/files/{quote(name, safe='')}")["text"]


class Workbench:
    """One tab with the workbench, signed in."""

    def __init__(self, page, server, username=ADMIN, view="policies"):
        self.page = page
        self.server = server
        sign_in_with_token(page, server, username, session_token(server, username), view)

    @classmethod
    def signed_in(cls, page, server):
        """The tab, after somebody signed in by other means."""
        workbench = cls.__new__(cls)
        workbench.page, workbench.server = page, server
        return workbench

    def go(self, label):
        self.page.get_by_role("navigation", name="Views").get_by_role("link", name=label).click()
        expect(self.view.get_by_role("heading", name=label, exact=True)).to_be_attached()

    @property
    def view(self):
        return self.page.locator(".view:visible")

    @property
    def text(self):
        """The text that is edited."""
        return self.view.locator(".editor-host .cm-content")

    @property
    def problems(self):
        return self.page.get_by_role("region", name="Errors and warnings")

    @property
    def draft_bar(self):
        return self.page.get_by_role("region", name="Draft", exact=True)

    def open(self, name):
        self.go("Edit")
        files = self.page.get_by_role("navigation", name="Files")
        files.get_by_role("button", name=name).click()
        expect(self.view.get_by_role("heading", name=name)).to_be_visible()

    def paste(self, text):
        """Replaces the whole text as if it came from the clipboard."""
        self.text.click()
        self.page.keyboard.press("Control+a")
        self.text.evaluate(PASTE, text)

    def expect_saved(self):
        expect(self.draft_bar).to_contain_text("Saved as a draft")

    def expect_valid(self):
        self._expect_checked(r"✓ No errors|! \d+ warning")

    def expect_errors(self):
        self._expect_checked(r"✕ \d+ error")

    def _expect_checked(self, result):
        checked = self.page.locator("section.problems[aria-busy=false]")
        expect(checked.get_by_role("status")).to_contain_text(re.compile(result))

    def button(self, name, **more):
        return self.view.get_by_role("button", name=name, **more)

    def dialog(self, name):
        return self.page.get_by_role("dialog", name=name)


def check_shipped(folder=POLICIES):
    """What `policy check` says about a folder: the counts, and what is wrong."""
    command = [BINARY, "policy", "check", "--json", folder]
    return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)


def policy_file(name, old="", new=""):
    """A shipped file, with something else in one place."""
    text = (POLICIES / name).read_text()
    assert old in text
    return text.replace(old, new, 1) if old else text


@pytest.fixture(scope="module")
def writable_server(tmp_path_factory):
    """A server that takes edits over the network, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("writable")
    server = start_with_policies(
        lambda **more: Server(folder, **{**WITHOUT_LIMITS, **more}),
        CEDARGATE_POLICY_WRITES="allow",
    )
    yield server
    server.stop()


def edit(workbench, name, old, new):
    """Changes what is in force in one place."""
    workbench.open(name)
    text = (workbench.server.folder / "policies" / name).read_text()
    assert old in text
    workbench.paste(text.replace(old, new, 1))
    workbench.expect_valid()


def publish_elsewhere(server, name, old, new):
    """What another author publishes meanwhile."""
    text = (server.folder / "policies" / name).read_text()
    assert old in text
    drafts = Drafts(server)
    draft = drafts.create({name: text.replace(old, new, 1)})
    headers = {**drafts.headers, "If-Match": f'"{draft["base_revision"]}"'}
    path = f"/admin/policies/drafts/{draft['id']}/publish?version={draft['version']}"
    response = server.post(path, headers=headers)
    assert "event: published" in response.text, response.text
    drafts.call("DELETE", f"/{draft['id']}")
