"""An author publishes a draft: as a patch, or through the gate; nothing typed is lost."""

import subprocess

import pytest
from playwright.sync_api import expect

from demo import ADMIN
from pages import INVALID, assert_accessible, assert_quiet, hold, narrow
from server import DEADLINE, until
from workbench import (
    POLICIES,
    Drafts,
    Workbench,
    edit,
    policy_file,
    start_with_policies,
    writable_server,
)

__all__ = ["writable_server"]

COMMENT = "// Internal data that is out is for everyone who signed in."


@pytest.fixture
def workbench(web_page, writable_server):
    Drafts(writable_server).discard_all()
    return Workbench(web_page, writable_server, view="edit")


def changed_files(drafts):
    """The names of the files that each draft changes."""
    return sorted(
        [file["name"] for file in draft["files"] if file["change"] != "unchanged"]
        for draft in drafts.items()
    )


def download_patch(workbench, folder):
    with workbench.page.expect_download() as download:
        workbench.button("Download the patch").click()
    patch = folder / download.value.suggested_filename
    download.value.save_as(patch)
    return patch


def test_the_draft_is_downloaded_as_a_patch_that_git_applies(web_page, server, tmp_path):
    Drafts(server).discard_all()
    workbench = Workbench(web_page, server, view="edit")
    workbench.open("internal.cedar")
    workbench.paste(policy_file("internal.cedar", COMMENT, "// Patched."))
    workbench.expect_valid()
    workbench.go("Publish")
    expect(workbench.view).to_contain_text("Not possible now")
    expect(workbench.button("Publish now")).to_be_disabled()
    expect(
        workbench.view.get_by_role("group", name="Changes of policies/internal.cedar")
    ).to_contain_text("+// Patched.")
    assert_accessible(web_page)
    with narrow(web_page):
        expect(workbench.button("Download the patch")).to_be_visible()
    patch = download_patch(workbench, tmp_path)
    repository = tmp_path / "repository"
    (repository / "policies").mkdir(parents=True)
    file = repository / "policies" / "internal.cedar"
    file.write_bytes((POLICIES / "internal.cedar").read_bytes())
    subprocess.run(["git", "apply", patch], cwd=repository, check=True)
    assert file.read_text() == policy_file("internal.cedar", COMMENT, "// Patched.")
    assert_quiet(web_page)


def test_a_byte_order_mark_and_windows_line_ends_are_kept(web_page, make_server, tmp_path):
    before = ("\ufeff" + policy_file("owner.cedar").replace("\n", "\r\n")).encode()
    server = start_with_policies(make_server, {"owner.cedar": before}, CEDARGATE_GATE_PROOFS="off")
    workbench = Workbench(web_page, server, view="edit")
    workbench.open("owner.cedar")
    expect(workbench.view).to_contain_text("Windows line ends")
    workbench.text.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// By hand.\n")
    workbench.expect_valid()
    workbench.go("Publish")
    patch = download_patch(workbench, tmp_path)
    folder = server.folder / "policies"
    subprocess.run(["git", "apply", "-p2", patch], cwd=folder, check=True)
    expected = before.replace(b"\xef\xbb\xbf", b"\xef\xbb\xbf// By hand.\r\n")
    assert (folder / "owner.cedar").read_bytes() == expected
    assert_quiet(web_page, expected_errors=INVALID)


def test_a_draft_that_the_gate_accepts_is_in_force_and_can_be_undone(
    workbench, web_page, writable_server
):
    file = writable_server.folder / "policies" / "public.cedar"
    before = file.read_text()
    edit(workbench, "public.cedar", "// Public data", "// Published: public data")
    workbench.go("Publish")
    workbench.button("Publish now").click()
    expect(workbench.view.get_by_role("heading", name="✓ Published")).to_be_visible()
    assert file.read_text().startswith("// Published: public data")
    assert_accessible(web_page)
    workbench.button("See what is in force").click()
    expect(workbench.view).to_contain_text("published in the workbench")
    expect(workbench.view.locator(".facts")).to_contain_text(ADMIN)

    workbench.go("Publish")
    workbench.button("Undo: open the revision before as a draft").click()
    expect(workbench.view).to_contain_text("-// Published: public data")
    workbench.button("Publish now").click()
    expect(workbench.view.get_by_role("heading", name="✓ Published")).to_be_visible()
    assert file.read_text() == before
    record = [r for r in writable_server.audit() if "publish" in str(r)]
    assert record
    assert_quiet(web_page)


def test_a_draft_that_the_gate_refuses_changes_nothing_and_says_why(
    workbench, web_page, writable_server
):
    file = writable_server.folder / "policies" / "internal.cedar"
    before = file.read_text()
    edit(workbench, "internal.cedar", 'Visibility::"internal"', 'Visibility::"restricted"')
    workbench.go("Publish")
    workbench.button("Publish now").click()
    refused = workbench.view.get_by_role("alert").filter(has_text="Not published")
    expect(refused).to_contain_text("an outsider does not read restricted data")
    assert file.read_text() == before
    assert_accessible(web_page)
    workbench.open("internal.cedar")
    expect(workbench.text).to_contain_text('Visibility::"restricted"')
    assert_quiet(web_page)


def test_what_is_typed_while_a_publication_runs_is_the_draft_afterwards(
    workbench, web_page, writable_server
):
    file = writable_server.folder / "policies" / "public.cedar"
    edit(workbench, "public.cedar", "// Public data", "// Published: public data")
    workbench.go("Publish")
    with hold(web_page, "**/publish?*") as held:
        workbench.button("Publish now").click()
        expect(workbench.button("Give up")).to_be_visible()
    answer = held[0].fetch(timeout=DEADLINE * 1000)
    assert file.read_text().startswith("// Published: public data")
    workbench.open("public.cedar")
    workbench.text.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// Typed meanwhile.\n")
    workbench.expect_saved()
    held[0].fulfill(response=answer)
    workbench.go("Publish")

    expect(workbench.view.get_by_role("heading", name="✓ Published")).to_be_visible()
    expect(workbench.view).to_contain_text("it is your draft now")
    expect(workbench.view).to_contain_text("+// Typed meanwhile.")
    expect(workbench.view.get_by_role("region", name="Files to decide about")).to_have_count(0)
    expect(workbench.button("Publish now")).to_be_enabled()
    text = Drafts(writable_server).text("public.cedar")
    assert text.startswith("// Typed meanwhile.\n// Published: public data")
    assert len(Drafts(writable_server).items()) == 1
    workbench.open("public.cedar")
    expect(workbench.text).to_contain_text("// Typed meanwhile.")
    assert_quiet(web_page, expected_errors=INVALID)


def test_two_tabs_of_an_author_have_drafts_of_their_own(workbench, web_page, writable_server):
    drafts = Drafts(writable_server)
    other = Workbench(web_page.context.new_page(), writable_server, view="edit")
    other.open("owner.cedar")
    edit(workbench, "owner.cedar", "// ", "// First tab: ")
    expect(other.text).not_to_contain_text("First tab")
    other.button("New file").click()
    dialog = other.dialog("New file")
    dialog.get_by_role("textbox").fill("second.cedar")
    dialog.get_by_role("button", name="Create").click()
    other.expect_saved()
    assert changed_files(drafts) == [["owner.cedar"], ["second.cedar"]]
    assert "// First tab: " in drafts.text("owner.cedar")


def test_a_tab_whose_draft_another_tab_changed_goes_on_with_its_own(
    workbench, web_page, writable_server
):
    drafts = Drafts(writable_server)
    edit(workbench, "owner.cedar", "// ", "// This tab: ")
    (draft,) = drafts.items()
    drafts.call("PATCH", f"/{draft['id']}", json={"files": {"other.cedar": "// Other tab.\n"}})
    workbench.button("New file").click()
    dialog = workbench.dialog("New file")
    dialog.get_by_role("textbox").fill("third.cedar")
    dialog.get_by_role("button", name="Create").click()
    expect(workbench.view.get_by_role("heading", name="third.cedar")).to_be_visible()
    workbench.expect_saved()
    assert changed_files(drafts) == [["other.cedar", "owner.cedar"], ["owner.cedar", "third.cedar"]]

    # Nothing of another tab is published unseen either.
    mine = next(d for d in drafts.items() if "third.cedar" in str(d["files"]))
    drafts.call("PATCH", f"/{mine['id']}", json={"files": {"unseen.cedar": "// Unseen.\n"}})
    workbench.go("Publish")
    expect(workbench.view).to_contain_text("third.cedar")
    expect(workbench.view).not_to_contain_text("unseen.cedar")
    until(lambda: len(drafts.items()) == 3, "a draft of this tab")
