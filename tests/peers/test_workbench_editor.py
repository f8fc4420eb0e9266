"""An author edits a draft: diagnostics, completion, names beside ids, files as they are."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from demo import ADMIN, OUTSIDER
from pages import (
    HOSTILE,
    INVALID,
    SESSIONS,
    assert_accessible,
    assert_quiet,
    hold,
    narrow,
    release,
    submit_sign_in,
)
from workbench import POLICIES, Drafts, Workbench, check_shipped, policy_file

USER = re.compile(r'User::"[0-9a-f-]{36}"')


@pytest.fixture
def drafts(server):
    drafts = Drafts(server)
    drafts.discard_all()
    return drafts


@pytest.fixture
def workbench(web_page, server, drafts):
    return Workbench(web_page, server, view="edit")


def test_diagnostics_appear_where_they_are_in_the_words_of_policy_check(
    workbench, web_page, tmp_path
):
    workbench.open("internal.cedar")
    workbench.paste(
        policy_file("internal.cedar", 'Visibility::"internal"', 'Visibility::"intrnal"')
    )
    underlined = workbench.text.locator(".cm-lintRange-error")
    expect(underlined.first).to_be_visible()
    assert "".join(underlined.all_inner_texts()) == 'Visibility::"intrnal"'

    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    broken = policy_file("internal.cedar", 'Visibility::"internal"', 'Visibility::"intrnal"')
    (folder / "internal.cedar").write_text(broken)
    (told,) = check_shipped(folder)["problems"]
    problem = workbench.problems.get_by_role("listitem")
    message, help_text = problem.locator("div").all_inner_texts()
    assert message == told["message"]
    assert help_text == f"Help: {told['help']}" == 'Help: write `Visibility::"internal"`'
    expect(problem.get_by_role("button")).to_have_text(f"internal.cedar, line {told['line']}")

    underlined.first.hover()
    expect(workbench.view.locator(".cm-tooltip")).to_contain_text(message)
    assert_accessible(web_page)
    web_page.mouse.move(0, 0)
    expect(workbench.view.locator(".cm-tooltip")).to_have_count(0)
    workbench.paste(policy_file("internal.cedar"))
    workbench.expect_valid()
    expect(underlined).to_have_count(0)
    assert_quiet(web_page, expected_errors=INVALID)


def test_diagnostics_are_at_the_right_place_after_characters_beyond_the_basic_plane(workbench):
    workbench.open("public.cedar")
    condition = 'resource.title == "🦀🦀🦀" && resource.nonsense == "x" &&\n  resource.visibility'
    workbench.paste(policy_file("public.cedar", "resource.visibility", condition))
    workbench.expect_errors()
    marks = workbench.text.locator(".cm-lintRange-error")
    expect(marks.first).to_be_visible()
    assert "".join(marks.all_inner_texts()) == "resource.nonsense"
    workbench.problems.get_by_role("button", name="public.cedar, line").first.click()
    expect(workbench.view.get_by_text("Line 11, column 30")).to_be_attached()


def test_completion_knows_people_and_the_schema(workbench, web_page):
    workbench.open("owner.cedar")
    offers = workbench.view.get_by_role("listbox")
    workbench.text.click()
    web_page.keyboard.press("Control+End")
    web_page.keyboard.type('@id("otto-reads")\n@reason("Otto reads.")\npermit (principal == otto')
    offer = offers.get_by_role("option").filter(has_text=USER).filter(has_text=OUTSIDER).first
    expect(offer).to_be_visible()
    offer.click()
    expect(workbench.text).to_contain_text(USER)
    expect(workbench.text.locator(".cm-name-hint")).to_have_text(OUTSIDER)

    web_page.keyboard.type(', action == Action::"rea')
    offers.get_by_role("option", name="read").first.click()
    web_page.keyboard.type(", resource")
    web_page.keyboard.press("End")
    web_page.keyboard.type(" when { resource.vis")
    offers.get_by_role("option", name="visibility").first.click()
    web_page.keyboard.type(' == Visibility::"pri')
    offers.get_by_role("option", name="private").first.click()
    web_page.keyboard.press("End")
    web_page.keyboard.type(";")
    workbench.expect_valid()
    assert_quiet(web_page, expected_errors=INVALID)


def test_ids_in_cases_have_their_names_beside_them_and_are_completed(
    workbench, web_page, drafts, server
):
    workbench.open("situation.json")
    people = server.get("/admin/users", headers=drafts.headers).json()["items"]
    otto = next(user for user in people if user["username"] == OUTSIDER)
    workbench.paste("")
    web_page.keyboard.type('{"id": "ott')
    offer = workbench.view.get_by_role("option", name=otto["id"])
    expect(offer).to_be_visible()
    offer.click()
    expect(workbench.text).to_contain_text(otto["id"])
    expect(workbench.text.locator(".cm-name-hint")).to_have_text(OUTSIDER)


def test_files_are_formatted_created_renamed_deleted_and_brought_back(workbench, web_page, drafts):
    workbench.open("owner.cedar")
    workbench.paste('@id("owner")permit(principal,action,resource);')
    workbench.button("Format").click()
    expect(workbench.text.locator(".cm-line").first).to_have_text('@id("owner")')
    workbench.button("Undo all changes").click()
    expect(workbench.text).to_contain_text("An owner reads what is theirs")

    workbench.button("New file").click()
    dialog = workbench.dialog("New file")
    dialog.get_by_label("Name").fill("nonsense.txt")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text(".cedar")
    dialog.get_by_label("Name").fill("partners.cedar")
    assert_accessible(web_page)
    dialog.get_by_role("button", name="Create").click()
    expect(workbench.view.get_by_role("heading", name="partners.cedar")).to_be_visible()
    workbench.expect_valid()

    workbench.button("Rename").click()
    workbench.dialog("Rename the file").get_by_label("New name").fill("friends.cedar")
    workbench.dialog("Rename the file").get_by_role("button", name="Rename").click()
    expect(workbench.view.get_by_role("heading", name="friends.cedar")).to_be_visible()
    expect(workbench.view.get_by_role("button", name="partners.cedar")).to_have_count(0)
    assert "new-policy" in drafts.text("friends.cedar")

    workbench.open("discovery.cedar")
    workbench.button("Delete").click()
    workbench.dialog("Delete discovery.cedar?").get_by_role("button", name="Delete").click()
    expect(workbench.view).to_contain_text("The draft deletes this file.")
    workbench.button("Bring it back").click()
    expect(workbench.view.get_by_text("The draft deletes this file.")).to_have_count(0)
    expect(workbench.draft_bar).to_contain_text("1 file changed")
    assert_quiet(web_page)


def test_what_is_typed_changes_nothing_else_of_a_file(workbench, web_page, drafts):
    before = {
        "crlf.cedar": "// a\r\n// b\r\n",
        "mixed.cedar": "// a\r\n// b\n// c\r\n",
        "without-newline-at-the-end.cedar": "// a\n// b",
    }
    created = drafts.create(before)
    workbench.go("In force")
    workbench.view.get_by_role("region", name="Your drafts").get_by_role(
        "button", name="Go on"
    ).click()
    for name in before:
        workbench.open(name)
        expect(workbench.text.locator(".cm-line").first).to_have_text(re.compile("^// a"))
        workbench.text.click()
        web_page.keyboard.press("Control+Home")
        web_page.keyboard.press("End")
        if name == "mixed.cedar":
            web_page.keyboard.press("ArrowLeft")  # the carriage return is a character of its own
        web_page.keyboard.type("!")
        workbench.expect_saved()
    workbench.expect_valid()
    after = {name: drafts.call("GET", f"/{created['id']}/files/{name}")["text"] for name in before}
    assert after == {name: text.replace("// a", "// a!") for name, text in before.items()}
    assert_quiet(web_page)


def test_a_file_that_is_asked_for_stays_when_an_earlier_one_is_read_later(web_page, server, drafts):
    drafts.create({"odd.cedar": "// Odd.\n"})
    workbench = Workbench(web_page, server)
    with hold(web_page, "**/files/admin.cedar") as held:
        workbench.button("Go on with it").click()
    workbench.open("odd.cedar")
    release(web_page, held.pop())
    expect(workbench.view.get_by_role("heading", name="odd.cedar")).to_be_visible()
    expect(workbench.text).to_have_text("// Odd.")
    assert_quiet(web_page)


def test_a_draft_that_the_server_forgot_is_created_anew(workbench, web_page, drafts):
    workbench.open("internal.cedar")
    workbench.paste(policy_file("internal.cedar", "// Internal", "// First. Internal"))
    workbench.expect_valid()
    drafts.discard_all()
    workbench.open("owner.cedar")
    workbench.paste(policy_file("owner.cedar", "// An owner", "// Second. An owner"))
    workbench.expect_valid()
    expect(workbench.draft_bar).to_contain_text("2 files changed")
    assert "First." in drafts.text("internal.cedar")
    assert "Second." in drafts.text("owner.cedar")
    assert_quiet(web_page, expected_errors=("status of 404",))


def test_a_draft_that_another_tab_changed_goes_on_as_one_of_its_own(workbench, web_page, drafts):
    workbench.open("internal.cedar")
    workbench.paste(policy_file("internal.cedar", "// Internal", "// Mine. Internal"))
    workbench.expect_valid()
    (draft,) = drafts.items()
    drafts.call("PATCH", f"/{draft['id']}", json={"files": {"internal.cedar": "// theirs\n"}})
    workbench.paste(policy_file("internal.cedar", "// Internal", "// Mine still. Internal"))
    workbench.expect_valid()
    texts = {drafts.call("GET", f"/{d['id']}/files/internal.cedar")["text"] for d in drafts.items()}
    assert "// theirs\n" in texts
    assert policy_file("internal.cedar", "// Internal", "// Mine still. Internal") in texts


def test_names_that_people_choose_are_text_and_never_markup(web_page, server, drafts):
    name = "x<img src=x onerror=window.wasRun=1>.cedar"
    quoted = HOSTILE.replace('"', '\\"')
    rule = "forbid (principal, action, resource) when { false };"
    text = f'@id("{quoted}")\n@reason("{quoted}")\n{rule}\n'
    drafts.create({name: text, "y<b>.cedar": f"// {HOSTILE}\nnonsense"})
    workbench = Workbench(web_page, server)
    workbench.view.get_by_role("region", name="Your drafts").get_by_role(
        "button", name="Go on"
    ).click()
    workbench.open(name)
    expect(workbench.text).to_contain_text("<script>")
    workbench.expect_errors()
    workbench.open("y<b>.cedar")
    workbench.paste("")
    workbench.expect_valid()
    for view in ("Effect", "Cases", "Proofs", "Publish", "In force"):
        workbench.go(view)
        expect(workbench.view.get_by_text("Asking the server…")).to_have_count(0)
    assert web_page.locator("img, .page script").count() == 0
    assert_quiet(web_page, expected_errors=INVALID)


def test_the_editor_works_with_the_keyboard_alone_in_a_narrow_window(workbench, web_page):
    with narrow(web_page):
        workbench.open("public.cedar")
        workbench.text.focus()
        web_page.keyboard.type("// by hand\n")
        workbench.expect_saved()
        web_page.keyboard.press("Escape")
        web_page.keyboard.press("Tab")
        expect(workbench.text).not_to_be_focused()
        assert_accessible(web_page)
    assert_quiet(web_page, expected_errors=INVALID)


def test_a_session_that_ended_is_renewed_by_signing_in_and_the_edit_is_kept(web_page, server):
    web_page.goto(f"{server.base}/workbench#/edit")
    submit_sign_in(web_page, ADMIN, server.passwords[ADMIN])
    workbench = Workbench.signed_in(web_page, server)
    workbench.open("internal.cedar")
    SESSIONS.clear()
    drafts = Drafts(server)
    me = server.get("/auth/me", headers=drafts.headers).json()["user_id"]
    ended = server.request("DELETE", f"/admin/users/{me}/sessions", headers=drafts.headers)
    assert ended.is_success, ended.text
    SESSIONS.clear()

    workbench.paste(policy_file("internal.cedar", "// Internal", "// Kept. Internal"))
    expect(web_page.get_by_text("Your session ended.")).to_be_visible()
    submit_sign_in(web_page, ADMIN, server.passwords[ADMIN])
    expect(workbench.text).to_contain_text("// Kept. Internal")
    workbench.expect_saved()
    assert "// Kept." in Drafts(server).text("internal.cedar")
    assert_quiet(web_page, expected_errors=("status of 401",))


def test_typing_over_a_coloured_selection_leaves_no_inline_style(workbench, web_page):
    workbench.open("internal.cedar")
    workbench.text.click()
    web_page.keyboard.press("Control+a")
    web_page.keyboard.type("x")
    expect(workbench.text).to_have_text("x")
    web_page.keyboard.press("Control+a")
    web_page.keyboard.type('"')
    expect(workbench.text).to_have_text('"x"')
    web_page.keyboard.press("Control+z")
    assert_quiet(web_page, expected_errors=INVALID)


@pytest.mark.parametrize("committed", ["日本", ""], ids=["committed", "cancelled"])
def test_an_input_method_composes_over_a_coloured_selection(workbench, web_page, committed):
    workbench.open("internal.cedar")
    workbench.paste('@id("internal")\npermit (principal, action, resource);')
    workbench.text.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.press("Shift+End")
    browser = web_page.context.new_cdp_session(web_page)
    for text in ("に", "にほ", "にほん"):
        composed = {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        browser.send("Input.imeSetComposition", composed)
        expect(workbench.text.locator(".cm-line").first).to_have_text(text)
    if committed:
        browser.send("Input.insertText", {"text": committed})
    else:
        cancelled = {"text": "", "selectionStart": 0, "selectionEnd": 0}
        browser.send("Input.imeSetComposition", cancelled)
    expect(workbench.text.locator(".cm-line").first).to_have_text(committed)
    expect(workbench.text.locator(".cm-line").nth(1)).to_contain_text("permit")
    assert_quiet(web_page, expected_errors=INVALID)


def test_a_new_file_may_be_called_as_the_server_names_its_files(workbench, web_page):
    workbench.button("New file").click()
    dialog = workbench.dialog("New file")
    dialog.get_by_role("textbox").fill("networks.json")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_contain_text("networks.toml")
    dialog.get_by_role("textbox").fill("networks.toml")
    dialog.get_by_role("button", name="Create").click()
    expect(workbench.view.get_by_role("heading", name="networks.toml")).to_be_visible()
    workbench.expect_valid()
