"""Two authors change one revision: the second is told what changed beneath, and loses nothing."""

import pytest
from playwright.sync_api import expect

from demo import ADMIN
from pages import INVALID, assert_accessible, assert_quiet
from server import until
from workbench import Drafts, Workbench, edit, publish_elsewhere, writable_server

__all__ = ["writable_server"]


@pytest.fixture
def workbench(web_page, writable_server):
    Drafts(writable_server).discard_all()
    return Workbench(web_page, writable_server, view="edit")


def test_the_second_of_two_authors_is_told_what_changed_and_loses_nothing(
    workbench, web_page, writable_server
):
    file = writable_server.folder / "policies" / "internal.cedar"
    edit(workbench, "internal.cedar", "// Internal data", "// Mine: internal data")
    workbench.go("Publish")
    expect(workbench.button("Publish now")).to_be_enabled()
    # The same file at another place, after the page looked for the last time.
    publish_elsewhere(
        writable_server,
        "internal.cedar",
        "any signed-in user may read it.",
        "any user may read it.",
    )
    workbench.button("Publish now").click()

    beneath = workbench.view.get_by_role("region", name="Changed beneath the draft")
    expect(beneath).to_contain_text(ADMIN)
    expect(beneath).to_contain_text("any user may read it.")
    assert file.read_text().startswith("// Internal data")
    assert_accessible(web_page)
    beneath.get_by_role("button", name="Bring my draft up to date").click()

    both = workbench.view.get_by_role("region", name="Both changed internal.cedar")
    mine, theirs = (
        both.get_by_label("internal.cedar in your draft"),
        both.get_by_label("internal.cedar in force now"),
    )
    expect(theirs).to_contain_text("any user may read it.")
    expect(mine).to_contain_text("any user may read it.")
    expect(mine).to_contain_text("// Mine: internal data")
    assert_accessible(web_page)
    both.get_by_role("button", name="Keep what stands at the right").click()
    expect(both).to_have_count(0)
    workbench.button("Publish now").click()
    expect(workbench.view.get_by_role("heading", name="✓ Published")).to_be_visible()
    published = file.read_text()
    assert published.startswith("// Mine: internal data")
    assert "any user may read it." in published
    assert_quiet(web_page, expected_errors=("status of 412",))


def test_the_same_line_changed_by_two_authors_is_decided_by_the_second(
    workbench, web_page, writable_server
):
    file = writable_server.folder / "policies" / "owner.cedar"
    edit(workbench, "owner.cedar", "// An owner reads", "// Mine: an owner reads")
    publish_elsewhere(
        writable_server, "owner.cedar", "// An owner reads", "// Theirs: an owner reads"
    )
    workbench.go("Publish")
    workbench.button("Bring my draft up to date").click()
    both = workbench.view.get_by_role("region", name="Both changed owner.cedar")
    expect(both.get_by_label("owner.cedar in your draft")).to_contain_text(
        "// Mine: an owner reads"
    )
    expect(both.get_by_label("owner.cedar in force now")).to_contain_text(
        "// Theirs: an owner reads"
    )
    expect(workbench.button("Publish now")).to_be_disabled()
    both.get_by_role("button", name="Take what is in force").click()
    expect(both).to_have_count(0)
    expect(workbench.view).to_contain_text("The draft says the same as what is in force.")
    until(lambda: file.read_text().startswith("// Theirs"), "the folder as it is in force")
    assert_quiet(web_page)


def test_a_merge_that_is_written_by_hand_stays_while_the_page_is_drawn_anew(
    workbench, web_page, writable_server
):
    edit(workbench, "shared.cedar", "// Restricted data", "// Mine: restricted data")
    publish_elsewhere(
        writable_server, "shared.cedar", "// Restricted data", "// Theirs: restricted data"
    )
    workbench.go("Publish")
    workbench.button("Bring my draft up to date").click()
    both = workbench.view.get_by_role("region", name="Both changed shared.cedar")
    mine = both.get_by_label("shared.cedar in your draft")
    mine.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// Merged by hand.\n")
    expect(mine).to_contain_text("// Merged by hand.")
    with web_page.expect_response("**/admin/policies"):
        web_page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    workbench.go("Edit")
    workbench.go("Publish")
    expect(mine).to_contain_text("// Merged by hand.")

    # A third author publishes: what was written stays, beside what is in force now.
    publish_elsewhere(writable_server, "shared.cedar", "// Theirs", "// Again theirs")
    workbench.go("Edit")
    workbench.go("Publish")
    workbench.button("Bring my draft up to date").click()
    expect(both.get_by_label("shared.cedar in force now")).to_contain_text("// Again theirs")
    expect(mine).to_contain_text("// Merged by hand.")
    both.get_by_role("button", name="Keep what stands at the right").click()
    expect(both).to_have_count(0)
    workbench.expect_saved()
    text = Drafts(writable_server).text("shared.cedar")
    assert text.startswith("// Merged by hand.\n// Mine: restricted data")
    assert_quiet(web_page)


@pytest.fixture
def conflict(workbench, writable_server):
    """The first line of a file, changed by two authors, that the second has to decide about."""
    edit(workbench, "internal.cedar", "// ", "// Mine. ")
    publish_elsewhere(writable_server, "internal.cedar", "// ", "// Theirs. ")
    workbench.go("Publish")
    workbench.button("Bring my draft up to date").click()
    both = workbench.view.get_by_role("region", name="Both changed internal.cedar")
    expect(both).to_be_visible()
    return both


def test_a_file_to_decide_about_is_edited_in_one_place_only(
    workbench, web_page, conflict, writable_server
):
    workbench.open("internal.cedar")
    expect(workbench.view).to_contain_text("until you decided what it says")
    expect(workbench.text).to_have_attribute("contenteditable", "false")
    for action in ("Format", "Rename", "Delete", "Undo all changes"):
        expect(workbench.button(action)).to_have_count(0)
    assert_accessible(web_page)
    workbench.button("Decide about it").click()
    conflict.get_by_role("button", name="Keep what stands at the right").click()
    expect(conflict).to_have_count(0)
    workbench.open("internal.cedar")
    expect(workbench.text).to_have_attribute("contenteditable", "true")
    workbench.text.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// After.\n")
    workbench.expect_valid()
    assert Drafts(writable_server).text("internal.cedar").startswith("// After.\n// Mine. ")
    assert_quiet(web_page, expected_errors=INVALID)


def test_what_is_to_be_decided_waits_while_another_draft_is_open(
    workbench, web_page, conflict, writable_server
):
    mine = conflict.get_by_label("internal.cedar in your draft")
    mine.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// By hand.\n")
    workbench.go("History")
    workbench.button("Go back to this: open as a draft").first.click()
    question = workbench.dialog("Leave the draft that is open?")
    question.get_by_role("button", name="Cancel").click()
    workbench.go("Publish")
    expect(mine).to_contain_text("// By hand.")
    workbench.go("History")
    workbench.button("Go back to this: open as a draft").first.click()
    question.get_by_role("button", name="Open the other draft").click()
    workbench.go("Publish")
    expect(conflict).to_have_count(0)

    workbench.go("In force")
    workbench.button("Go on with it").click()
    web_page.wait_for_url("**#/edit**")
    workbench.go("Publish")
    expect(mine).to_contain_text("// By hand.")
    expect(workbench.button("Publish now")).to_be_disabled()
    assert_quiet(web_page)


def test_lines_that_are_folded_say_how_many_in_letters_that_every_font_has(
    workbench, web_page, conflict
):
    folded = conflict.locator(".cm-collapsedLines").first
    expect(folded).to_contain_text("unchanged lines")
    signs = folded.evaluate(
        "(line) => ['::before', '::after'].map((part) => getComputedStyle(line, part).content)"
    )
    assert signs == ['"…"', '"…"']
