"""An author sees what a draft does: sentences, cases and proofs; any of it becomes a case."""

import json
import re

import pytest
from playwright.sync_api import expect

from demo import OUTSIDER
from pages import INVALID, assert_accessible, assert_quiet, hold, narrow, release
from server import DEADLINE, WITHOUT_LIMITS, Server
from workbench import (
    POLICIES,
    Drafts,
    Workbench,
    check_shipped,
    policy_file,
    start_with_policies,
)

# Restricted data for everyone who signed in: fails cases and violates an invariant.
OPENED = policy_file("internal.cedar", 'Visibility::"internal"', 'Visibility::"restricted"')

AUTHORS = b"""@id("authors")
@reason("Everybody may look at the policies.")
permit (principal is User, action == Action::"view_policies", resource);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that has time for proofs on a busy machine."""
    folder = tmp_path_factory.mktemp("effect")
    server = start_with_policies(lambda **more: Server(folder, **{**WITHOUT_LIMITS, **more}))
    yield server
    server.stop()


@pytest.fixture
def drafts(server):
    drafts = Drafts(server)
    drafts.discard_all()
    return drafts


@pytest.fixture
def workbench(web_page, server, drafts):
    return Workbench(web_page, server, view="edit")


def edit(workbench, text=OPENED):
    workbench.open("internal.cedar")
    workbench.paste(text)
    workbench.expect_valid()


def test_the_effect_is_told_in_sentences_and_explained(workbench, web_page, drafts):
    workbench.go("Effect")
    expect(workbench.view).to_contain_text("No decision changes")
    edit(workbench)
    workbench.go("Effect")
    gained = workbench.view.get_by_role("listitem").filter(has_text="▲ gained").first
    expect(gained).to_contain_text("otto gains read")
    expect(gained).to_contain_text("Salish Sea: topography and bathymetry")
    expect(workbench.view.get_by_role("listitem").filter(has_text="▼ lost").first).to_contain_text(
        "lose"
    )
    assert_accessible(web_page)
    with narrow(web_page):
        expect(gained).to_be_visible()

    gained.get_by_role("button", name="Why: ").click()
    dialog = workbench.dialog("Why this changes")
    expect(dialog).to_contain_text("Denied")
    expect(dialog).to_contain_text("Allowed")
    assert_accessible(web_page)
    dialog.get_by_role("button", name="Close").click()

    gained.get_by_role("button", name="Keep as a case").click()
    expect(web_page.get_by_role("region", name="Messages")).to_contain_text("Added the case")
    assert_quiet(web_page)


def test_the_effect_in_one_situation_says_which(workbench, drafts):
    workbench.go("Effect")
    workbench.view.get_by_text("Ask about one address or one time only").click()
    workbench.view.get_by_label("Address").fill("192.0.2.7")
    workbench.button("Ask").click()
    expect(workbench.view).to_contain_text("No decision changes, asked from 192.0.2.7:")


def test_what_was_explained_is_kept_as_a_case(workbench, web_page):
    edit(workbench)
    workbench.go("Effect")
    gained = workbench.view.get_by_role("listitem").filter(has_text="▲ gained").first
    gained.get_by_role("button", name="Why: ").click()
    dialog = workbench.dialog("Why this changes")
    asked = re.search(r"at (\S+) (\S+) UTC", dialog.get_by_text("Asked from").first.inner_text())
    dialog.get_by_role("button", name="Close").click()
    with web_page.expect_request("**/cases") as kept:
        gained.get_by_role("button", name="Keep as a case").click()
    assert kept.value.post_data_json["time"] == f"{asked[1]}T{asked[2]}Z"


def test_what_is_typed_while_a_case_is_added_stays_in_the_draft(workbench, web_page, drafts):
    edit(workbench)
    workbench.go("Effect")
    gained = workbench.view.get_by_role("listitem").filter(has_text="▲ gained").first
    with hold(web_page, "**/cases") as held:
        gained.get_by_role("button", name="Keep as a case").click()
    added = held[0].fetch(timeout=DEADLINE * 1000)
    workbench.open("internal.cedar")
    workbench.text.click()
    web_page.keyboard.press("Control+Home")
    web_page.keyboard.type("// Typed meanwhile.\n")
    web_page.keyboard.press("Control+s")
    release(web_page, held.pop(), response=added)
    expect(web_page.get_by_role("region", name="Messages")).to_contain_text("Added the case")
    workbench.expect_saved()
    workbench.expect_valid()
    (draft,) = drafts.items()
    assert sum(file["change"] != "unchanged" for file in draft["files"]) == 2
    assert drafts.text("internal.cedar").startswith("// Typed meanwhile.\n")
    assert_quiet(web_page, expected_errors=INVALID)


def test_a_draft_without_cases_and_invariants_is_not_told_to_pass(web_page, server, drafts):
    names = [p.relative_to(POLICIES).as_posix() for p in POLICIES.rglob("*")]
    checked = [name for name in names if name.endswith(".cases.json")]
    proved = [name for name in names if name.startswith("invariants/")]
    drafts.create(dict.fromkeys([*checked, *proved]))
    workbench = Workbench(web_page, server)
    workbench.button("Go on with it").click()
    web_page.wait_for_url("**#/edit**")
    workbench.go("Cases")
    expect(workbench.view).to_contain_text("The draft has no cases: nothing was checked.")
    expect(workbench.view).not_to_contain_text("pass.")
    workbench.go("Proofs")
    workbench.button("Prove the draft").click()
    expect(workbench.view).to_contain_text("The draft has no invariants")
    expect(workbench.button("Prove the draft")).to_be_focused()


def test_a_draft_with_errors_says_where_instead_of_an_effect(workbench, web_page):
    workbench.open("internal.cedar")
    workbench.paste("permit (")
    workbench.expect_errors()
    for view in ("Effect", "Cases"):
        workbench.go(view)
        expect(workbench.view).to_contain_text("The draft has errors")
    workbench.button("Go to it").click()
    expect(workbench.text).to_be_focused()
    assert_quiet(web_page, expected_errors=INVALID)


def test_cases_fail_with_why_and_show_what_they_cover(workbench, web_page, drafts):
    edit(workbench)
    workbench.go("Cases")
    expect(workbench.view.get_by_role("status")).to_contain_text("6 cases fail")
    failing = workbench.view.get_by_role("listitem").filter(
        has_text="an outsider does not read restricted data"
    )
    expect(failing).to_contain_text(
        "Expected: denied. The draft decides: granted. Decided by internal"
    )
    expect(workbench.view.get_by_role("heading", name="Coverage")).to_be_visible()
    workbench.view.get_by_text("Why, by cause").click()
    expect(workbench.view).to_contain_text("permits 3 cases that expected deny")
    assert_accessible(web_page)
    failing.get_by_role("button", name="shared.cases.json").click()
    expect(workbench.text).to_be_focused()

    workbench.go("Cases")
    workbench.button("New case").click()
    dialog = workbench.dialog("New case")
    dialog.get_by_label("Who").press_sequentially(OUTSIDER)
    dialog.get_by_label("Dataset", exact=True).press_sequentially("whole house")
    option = dialog.locator("datalist option")
    expect(option.filter(has_text="-").first).to_be_attached()
    dialog.get_by_label("Dataset", exact=True).fill("Salish Sea: survey of the whole house")
    dialog.get_by_label("Expected answer").select_option("granted")
    dialog.get_by_label("Name of the case").fill("otto reads the survey")
    assert_accessible(web_page)
    dialog.get_by_role("button", name="Add the case").click()
    expect(dialog).to_have_count(0)
    expect(workbench.view.get_by_role("status")).to_contain_text("7 cases fail")
    expect(workbench.view).to_contain_text("otto reads the survey")
    assert_quiet(web_page)


def test_a_violated_invariant_is_shown_with_a_situation_that_is_kept_as_a_case(
    workbench, web_page, drafts
):
    edit(workbench)
    workbench.go("Proofs")
    workbench.button("Prove the draft").click()
    violated = workbench.view.get_by_role("listitem").filter(has_text="✕ violated")
    expect(violated).to_contain_text("restricted-is-for-readers")
    expect(violated).to_contain_text(
        "A restricted dataset is read only by its owner, its readers and admins."
    )
    expect(violated).to_contain_text("may read a dataset that is restricted and published")
    expect(workbench.view.get_by_role("listitem").filter(has_text="✓ holds")).to_have_count(
        check_shipped()["counts"]["invariants"] - 1
    )
    assert_accessible(web_page)

    violated.get_by_role("button", name="Keep it as a case").click()
    expect(web_page.get_by_role("region", name="Messages")).to_contain_text("Added the case")
    assert json.loads(drafts.text("found.cases.json"))[0]["decision"] == "deny"
    expect(
        workbench.view.get_by_role("status").filter(has_text="has changed since")
    ).to_be_visible()
    assert_quiet(web_page)


def test_a_proof_is_given_up(workbench, web_page):
    # Conditions that take long to prove: the page must not wait for them.
    edit(workbench, OPENED.replace("};", '  && resource.title like "*a*b*c*d*e*f*" };'))
    workbench.go("Proofs")
    workbench.button("Prove the draft").click()
    workbench.button("Give up").click()
    expect(web_page.get_by_role("region", name="Messages")).to_contain_text(
        "The proof is given up."
    )
    expect(workbench.button("Prove the draft")).to_be_enabled()
    assert_quiet(web_page)


@pytest.fixture
def blind_server(tmp_path):
    """A server where every user drafts policies, and only admins see people and datasets."""
    server = start_with_policies(
        lambda **more: Server(tmp_path, **{**WITHOUT_LIMITS, **more}),
        {
            "authors.cedar": AUTHORS,
            # These say that only admins see the policies.
            "invariants/admins.cedar": b"// None.\n",
            "admin.cases.json": b"[]\n",
        },
        CEDARGATE_GATE_PROOFS="off",
    )
    yield server
    server.stop()


def test_an_author_who_sees_nobody_is_not_told_that_nothing_changes(web_page, blind_server):
    opened = "permit (principal, action, resource);\n"
    Drafts(blind_server, OUTSIDER).create({"all.cedar": f'@id("all")\n@reason("x")\n{opened}'})
    workbench = Workbench(web_page, blind_server, username=OUTSIDER)
    workbench.button("Go on with it").click()
    workbench.go("Effect")
    expect(workbench.view).to_contain_text(
        "You may see no users or datasets, so nothing could be compared."
    )
    expect(workbench.view).not_to_contain_text("No decision changes")
    expect(workbench.view).not_to_contain_text("no difference")
    workbench.go("Access matrix")
    expect(workbench.view).to_contain_text("so nothing could be compared")
    expect(workbench.view).not_to_contain_text("changes nothing")
    assert_quiet(web_page)
