"""An author signs in to the workbench and sees what is in force, and what is refused and why."""

import json

import pytest
from playwright.sync_api import expect

from demo import ADMIN, OUTSIDER
from pages import (
    INVALID,
    assert_accessible,
    assert_quiet,
    hold,
    narrow,
    release,
    submit_sign_in,
)
from server import until
from workbench import POLICIES, Drafts, Workbench, check_shipped, start_with_policies


@pytest.fixture
def workbench(web_page, server):
    Drafts(server).discard_all()
    return Workbench(web_page, server)


def test_an_author_sees_what_is_in_force(workbench, web_page):
    view = workbench.view
    expect(view.get_by_role("heading", name="In force now")).to_be_visible()
    counts = check_shipped()["counts"]
    told = "{policies} policies, {cases} cases, {invariants} invariants".format(**counts)
    expect(view).to_contain_text(told)
    expect(view).to_contain_text("In force since")
    row = view.get_by_role("row", name="shared-with-role")
    expect(row).to_contain_text("permits")
    expect(row).to_contain_text("shared with a role of this user.")
    expect(view).to_contain_text(
        "A restricted dataset is read only by its owner, its readers and admins."
    )
    view.get_by_text("owner.cases.json").first.click()
    expect(view.get_by_role("button", name="an owner reads").first).to_be_visible()
    assert_accessible(web_page)
    with narrow(web_page):
        expect(view.get_by_role("heading", name="In force now")).to_be_visible()
    assert_quiet(web_page)


def test_cases_and_invariants_in_force_are_shown_while_a_draft_is_edited(web_page, server):
    Drafts(server).discard_all()
    workbench = Workbench(web_page, server, view="edit")
    workbench.open("internal.cedar")
    workbench.expect_valid()
    workbench.paste("permit (")
    workbench.expect_errors()
    workbench.go("In force")
    expect(workbench.view.get_by_role("heading", name="Invariants")).to_be_visible()
    expect(workbench.view.get_by_text("owner.cases.json").first).to_be_visible()


def test_all_files_of_the_policy_folder_are_listed(workbench, web_page):
    files = [path for path in POLICIES.rglob("*") if path.is_file()]
    listed = workbench.view.get_by_role("list", name="Files: ").get_by_role("button")
    expect(listed).to_have_count(len(files))
    assert sorted(listed.all_inner_texts()) == sorted(
        path.relative_to(POLICIES).as_posix() for path in files
    )
    cases = workbench.view.get_by_role("list", name="Files: Cases").get_by_role("listitem")
    told = len(json.loads((POLICIES / "owner.cases.json").read_text()))
    expect(cases.filter(has_text="owner.cases.json")).to_contain_text(f"{told} cases")
    cases.get_by_role("button", name="owner.cases.json").click()
    expect(workbench.view.get_by_role("heading", name="owner.cases.json")).to_be_visible()
    assert_quiet(web_page)


def test_the_page_keeps_focus_and_what_is_unfolded_when_it_is_read_again(workbench, web_page):
    workbench.view.locator("summary").filter(has_text="owner.cases.json").click()
    case = workbench.view.get_by_role("button", name="an owner reads").first
    expect(case).to_be_visible()
    with web_page.expect_response("**/admin/policies"):
        workbench.button("Read again").click()
    web_page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(workbench.button("Read again")).to_be_focused()
    expect(case).to_be_visible()


def test_warnings_and_drafts_with_long_names_fit_a_narrow_window(web_page, server):
    long = f"{'policies_of_the_harbour' * 3}.cedar"
    drafts = Drafts(server)
    drafts.discard_all()
    drafts.create({long: "// Long.\n", f"other-{long}": "// Long.\n"})

    def warn(route):
        response = route.fetch()
        answer = response.json()
        place = {"file": "owner.cedar", "line": 2, "column": 1}
        answer["in_force"]["warnings"] = [
            {**place, "message": "the policy never applies", "help": f"see {long * 2}"}
        ]
        route.fulfill(response=response, json=answer)

    web_page.route("**/admin/policies", warn)
    workbench = Workbench(web_page, server)
    with narrow(web_page):
        expect(workbench.view.get_by_role("region", name="Your drafts")).to_be_visible()
        expect(workbench.view.get_by_text("the policy never applies")).to_be_visible()
    workbench.view.get_by_role("listitem").filter(has_text="never applies").get_by_role(
        "button", name="owner.cedar, line 2"
    ).click()
    expect(workbench.view.get_by_role("heading", name="owner.cedar")).to_be_visible()
    drafts.discard_all()


def test_a_policy_opens_in_the_editor_at_its_place(workbench):
    workbench.button("shared.cedar, line 1").last.click()
    expect(workbench.view.get_by_role("heading", name="shared.cedar")).to_be_visible()
    expect(workbench.text).to_contain_text("shared-with-role")
    expect(workbench.text).to_be_focused()


def test_a_pasted_token_signs_in_and_nothing_is_kept_beyond_the_tab(web_page, server):
    token = server.login(ADMIN)
    web_page.goto(f"{server.base}/workbench")
    web_page.get_by_role("tab", name="With a token").click()
    web_page.get_by_role("textbox", name="Token").fill(f"Bearer {token}")
    web_page.get_by_role("tabpanel").get_by_role("button", name="Sign in").click()
    expect(web_page.get_by_role("heading", name="In force now")).to_be_visible()

    kept = web_page.evaluate(
        "async () => [{ ...localStorage }, { ...sessionStorage }, document.cookie,"
        " (await indexedDB.databases()).length, (await caches.keys()).length, history.state]"
    )
    assert kept == [{}, {}, "", 0, 0, None]
    assert not any(token in url for url in [*web_page.requested, web_page.url])
    assert_quiet(web_page)
    web_page.reload()
    expect(web_page.get_by_role("textbox", name="User name")).to_be_visible()


def test_signing_out_forgets_everything(workbench, web_page):
    web_page.get_by_role("button", name="Sign out").click()
    expect(web_page.get_by_role("textbox", name="User name")).to_be_visible()
    expect(web_page.get_by_text("Signed in as")).to_have_count(0)
    assert_accessible(web_page)
    assert_quiet(web_page)


def test_whoever_may_not_see_policies_is_told_so(web_page, server):
    web_page.goto(f"{server.base}/workbench")
    submit_sign_in(web_page, OUTSIDER, server.passwords[OUTSIDER])
    expect(
        web_page.get_by_role("status").filter(has_text="You cannot use the workbench")
    ).to_be_visible()
    submit_sign_in(web_page, OUTSIDER, "wrong")
    expect(web_page.get_by_role("alert").filter(has_text="password")).to_be_visible()
    assert_accessible(web_page)
    assert_quiet(web_page, expected_errors=("status of 401", "status of 403"))


def test_a_refused_edit_is_shown_with_why_and_opens_as_a_draft(web_page, make_server):
    server = start_with_policies(make_server)
    file = server.folder / "policies" / "internal.cedar"
    file.write_text(file.read_text().replace('Visibility::"internal"', 'Visibility::"intrnal"'))
    session = server.login(ADMIN)

    def is_refused():
        answer = server.get("/admin/policies", headers={"Authorization": f"Bearer {session}"})
        return "refused" in json.loads(answer.text)

    until(is_refused, "the edit refused")
    workbench = Workbench(web_page, server)
    refused = workbench.view.get_by_role("region", name="Refused edit")
    expect(refused).to_contain_text("intrnal")
    assert_accessible(web_page)
    with narrow(web_page):
        expect(refused).to_be_visible()
    refused.get_by_role("button", name="internal.cedar, line ").click()
    expect(workbench.view.get_by_role("heading", name="internal.cedar")).to_be_visible()
    expect(workbench.text).to_contain_text("intrnal")
    expect(workbench.text).to_be_focused()
    # It is the draft that is open now: no other one is made.
    workbench.go("In force")
    refused.get_by_role("button", name="Open the refused edit as a draft").click()
    workbench.open("internal.cedar")
    changes = [[f["change"] for f in draft["files"]] for draft in Drafts(server).items()]
    assert sum("changed" in of_draft for of_draft in changes) == 1
    workbench.expect_errors()
    expect(workbench.problems).to_contain_text('write `Visibility::"internal"`')
    assert_quiet(web_page, expected_errors=INVALID)


def test_whoever_goes_to_another_view_while_a_draft_opens_stays_there(web_page, server):
    Drafts(server).discard_all()
    draft = Drafts(server).create({"more.cedar": "// Nothing yet.\n"})
    workbench = Workbench(web_page, server)
    with hold(web_page, f"**/drafts/{draft['id']}") as held:
        workbench.button("Go on with it").click()
    workbench.go("Effect")
    release(web_page, held.pop())
    expect(workbench.draft_bar).to_contain_text("1 file changed")
    expect(workbench.view.get_by_role("heading", name="Effect", exact=True)).to_be_attached()
    workbench.go("In force")
    assert_quiet(web_page)
