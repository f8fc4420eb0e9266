"""The access matrix in Chromium: what a draft gives and takes, why, and in which situations."""

import re

import pytest
from playwright.sync_api import expect

from demo import ADMIN, CATALOG, MEMBER, OUTSIDER, RESTRICTED
from pages import (
    HOSTILE,
    INVALID,
    assert_accessible,
    assert_quiet,
    hold,
    narrow,
    open_draft,
    release,
    session_token,
    sign_in_with_token,
)
from server import DEADLINE, ROOT
from workbench import Drafts

SHARED = (ROOT / "policies" / "shared.cedar").read_text()
TITLE = next(e["title"] for e in CATALOG["datasets"] if e["id"] == RESTRICTED)

# Takes from a role what is shared with it, and gives it to whoever is in the office by day.
DRAFT = {
    "shared.cedar": SHARED[: SHARED.index('@id("shared-with-role")')],
    "office.cedar": """@id("office-hours")
@reason("In the office and by day, restricted data is for everybody who is signed in.")
permit (
  principal is User,
  action == Action::"read",
  resource
)
when
{
  resource.visibility == Visibility::"restricted" &&
  context.address.isInRange(ip("198.51.100.0/24")) &&
  context.time.toTime() >= duration("8h")
};
""",
}


@pytest.fixture
def matrix(web_page, server):
    """The matrix of a draft that gives and takes."""
    open_draft(web_page, server, ADMIN, DRAFT, "matrix")
    expect(cell(web_page, "hydrology", "restricted")).to_be_visible()
    return web_page


def cell(page, people, datasets):
    return page.get_by_role("gridcell", name=re.compile(f"(?:{people}).*, .*(?:{datasets}).*: "))


def header(page, role, name):
    return page.get_by_role(role, name=re.compile(name))


def pairs_shown(page):
    """The number of pairs that the draft permits, as the slider of the network says it."""
    text = page.get_by_role("slider", name="Network address").get_attribute("aria-valuetext")
    return int(re.search(r": ([\d,]+) pairs", text)[1].replace(",", ""))


def test_what_a_draft_gives_and_takes_stands_out_by_shape(matrix):
    lost = cell(matrix, "hydrology", "restricted")
    expect(lost).to_have_accessible_name(re.compile("lost"))
    expect(lost.locator(".sign-lost")).to_have_text("▼")
    gained = cell(matrix, "no role", "restricted")
    expect(gained).to_have_accessible_name(re.compile("gained"))
    expect(gained.locator(".sign-gained")).to_have_text("▲")
    kept = cell(matrix, "admin", "restricted")
    expect(kept.locator(".sign")).to_have_count(0)
    expect(matrix.locator(".matrix-summary")).to_contain_text(re.compile("gained.*lost"))
    matrix.get_by_text("The same as a list").click()
    line = matrix.get_by_role("row").filter(has=matrix.get_by_role("rowheader", name="hydrology"))
    expect(line.first).to_contain_text("lost")
    assert_accessible(matrix)
    assert_quiet(matrix)


def test_a_click_on_headings_looks_closer_and_the_way_back_is_shown(matrix):
    header(matrix, "columnheader", "hydrology").click()
    expect(header(matrix, "columnheader", f"^{MEMBER}")).to_be_visible()
    header(matrix, "rowheader", "^restricted").click()
    expect(header(matrix, "rowheader", re.escape(TITLE))).to_be_visible()
    expect(matrix.get_by_role("gridcell")).to_have_count(1)
    people = matrix.get_by_role("navigation", name="People shown")
    people.get_by_role("button", name="Everyone").click()
    expect(header(matrix, "columnheader", "admin")).to_be_visible()
    expect(header(matrix, "rowheader", re.escape(TITLE))).to_be_visible()
    matrix.get_by_label("Datasets", exact=True).select_option("tag")
    expect(header(matrix, "rowheader", "bathymetry")).to_be_visible()
    matrix.get_by_label("People", exact=True).select_option("class")
    expect(header(matrix, "columnheader", "not signed in")).to_be_visible()
    assert_quiet(matrix)


def test_a_click_on_a_cell_explains_it_and_makes_a_case_of_it(matrix):
    cell(matrix, "hydrology", "restricted").click()
    why = matrix.get_by_role("region", name="Explanation")
    expect(why.get_by_role("heading", level=2)).to_have_text(f"May {MEMBER} read “{TITLE}”?")
    in_force = why.get_by_role("region", name="In force")
    expect(in_force).to_contain_text("Allowed")
    expect(in_force).to_contain_text("shared-with-role")
    draft = why.get_by_role("region", name="Under the draft")
    expect(draft).to_contain_text("Denied")
    expect(draft).to_contain_text("office-hours")
    expect(draft.locator(".part-failed").first).to_contain_text("not met")
    expect(draft.locator(".seen").first).to_contain_text(" is ")
    assert_accessible(matrix)
    with matrix.expect_request("**/cases") as kept:
        why.get_by_role("button", name="Make a case of it").click()
    # The case is about the situation that was explained, not about the moment of the click.
    told = kept.value.post_data_json
    at = told["time"].replace("T", " ").replace("Z", " UTC")
    expect(draft).to_contain_text(f"Asked from {told['address']}, at {at}, signed in with")
    assert told["authentication"] == "password"
    messages = matrix.get_by_role("region", name="Messages")
    expect(messages).to_contain_text(re.compile(r"Added the case .+ to \S+\.cases\.json"))
    why.get_by_role("button", name="office-hours").click()
    matrix.wait_for_url("**#/edit?file=office.cedar**")
    assert_quiet(matrix)


def test_the_sliders_show_the_reach_in_each_situation(matrix):
    network = matrix.get_by_role("slider", name="Network address")
    anywhere = pairs_shown(matrix)
    stops = int(network.get_attribute("max"))
    reaches = {}
    for stop in range(1, stops + 1):
        network.fill(str(stop))
        reaches[network.get_attribute("aria-valuetext").split(":")[0]] = pairs_shown(matrix)
    office = [reach for stop, reach in reaches.items() if "198.51.100." in stop]
    assert max(reaches.values()) == max(office) == anywhere
    assert min(reaches.values()) < anywhere
    outside = next(at for at, stop in enumerate(reaches, 1) if "198.51.100." not in stop)
    network.fill(str(outside))
    gained = cell(matrix, "no role", "restricted").locator(".sign-gained")
    expect(gained).to_have_count(0)
    expect(cell(matrix, "hydrology", "restricted").locator(".sign-lost")).to_have_count(1)
    matrix.get_by_role("button", name="Every situation").click()
    expect(gained).to_have_count(1)
    pictures = matrix.get_by_role("img", name=re.compile("^Reach by"))
    assert pictures.count() >= 2
    assert_quiet(matrix)


def test_the_matrix_is_used_with_the_keyboard_alone(matrix):
    matrix.get_by_role("gridcell").first.focus()
    matrix.keyboard.press("Control+Home")
    first = matrix.evaluate(
        "document.activeElement.dataset.row + document.activeElement.dataset.column"
    )
    assert first == "00"
    matrix.keyboard.press("ArrowDown")
    matrix.keyboard.press("ArrowRight")
    assert matrix.evaluate("document.activeElement.dataset.column") == "1"
    matrix.keyboard.press("Enter")
    expect(
        matrix.get_by_role("region", name="Explanation").get_by_role("heading").first
    ).to_be_focused()
    matrix.keyboard.press("Escape")
    assert matrix.evaluate("document.activeElement.dataset.column") == "1"
    matrix.keyboard.press("Home")
    matrix.keyboard.press("ArrowLeft")
    expect(matrix.get_by_role("rowheader").nth(1)).to_be_focused()
    matrix.keyboard.press("Enter")
    expect(
        matrix.get_by_role("navigation", name="Datasets shown").get_by_role("button")
    ).to_have_count(1)
    tabbable = matrix.locator(".matrix-plane [tabindex='0']")
    expect(tabbable).to_have_count(1)


def test_a_draft_that_is_discarded_leaves_no_trace_in_the_matrix(matrix):
    expect(cell(matrix, "hydrology", "restricted").locator(".sign-lost")).to_have_count(1)
    matrix.get_by_role("button", name="Discard the draft").click()
    matrix.get_by_role("dialog").get_by_role("button", name="Discard").click()
    matrix.get_by_role("link", name="Access matrix").click()
    expect(cell(matrix, "hydrology", "restricted").locator(".sign")).to_have_count(0)
    expect(matrix.get_by_text("The draft changes nothing here.")).to_be_visible()


def test_the_matrix_of_one_draft_is_not_shown_for_the_draft_that_is_opened_next(web_page, server):
    draft = open_draft(web_page, server, ADMIN, DRAFT, "effect")
    expect(web_page.locator(".headline")).to_contain_text("decisions change")
    Drafts(server).create({"other.cedar": "// Changes nothing.\n"})
    with hold(web_page, f"**/{draft}/matrix") as held:
        web_page.get_by_role("link", name="Access matrix").click()
    answer = held[0].fetch(timeout=DEADLINE * 1000)
    web_page.get_by_role("link", name="In force").click()
    web_page.get_by_role("button", name="Go on with it").click()
    web_page.wait_for_url("**#/edit**")
    release(web_page, held[0], response=answer)
    web_page.get_by_role("link", name="Access matrix").click()
    expect(web_page.get_by_text("The draft changes nothing here.")).to_be_visible()
    expect(cell(web_page, "hydrology", "restricted").locator(".sign")).to_have_count(0)
    assert_quiet(web_page)


def test_a_draft_with_errors_shows_nothing_that_could_be_taken_for_an_answer(web_page, server):
    open_draft(web_page, server, ADMIN, {"broken.cedar": "permit ("}, "matrix")
    problem = web_page.get_by_role("alert").filter(has_text="The draft has an error.")
    expect(problem).to_contain_text("Until it is mended, there is nothing to show here.")
    expect(problem).to_contain_text("broken.cedar:1:8")
    expect(web_page.get_by_role("list", name="Legend")).to_be_hidden()
    assert_accessible(web_page)
    problem.get_by_role("button", name="Go to it").click()
    web_page.wait_for_url("**#/edit?file=broken.cedar**")
    text = web_page.get_by_label("Text of broken.cedar")
    expect(text).to_be_focused()
    web_page.keyboard.press("Control+a")
    web_page.keyboard.press("Delete")
    expect(web_page.get_by_text("✓ No errors.")).to_be_visible()
    web_page.get_by_role("link", name="Access matrix").click()
    expect(cell(web_page, "hydrology", "restricted")).to_be_visible()
    expect(problem).to_have_count(0)

    web_page.get_by_role("link", name="Edit").click()
    text.click()
    web_page.keyboard.type("permit (")
    problems = web_page.get_by_role("region", name="Errors and warnings")
    expect(problems.get_by_role("status")).to_contain_text("✕ 1 error")
    web_page.get_by_role("link", name="Access matrix").click()
    expect(problem).to_contain_text("What is shown here is how it was before.")
    expect(cell(web_page, "hydrology", "restricted")).to_be_visible()
    web_page.get_by_label("May they …").select_option("discover")
    expect(problem).to_contain_text("Until it is mended, there is nothing to show here.")
    expect(cell(web_page, "hydrology", "restricted")).to_be_hidden()
    assert_quiet(web_page, expected_errors=INVALID)


def test_hostile_names_are_text(web_page, make_server):
    server = make_server().start()
    session = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    body = {"title": HOSTILE, "visibility": "restricted", "record_status": "published"}
    server.post("/admin/datasets", json=body, headers=session).raise_for_status()
    quoted = HOSTILE.replace('"', '\\"')
    policy = f'@id("{quoted}") @reason("{quoted}")\npermit (principal is User, action, resource);\n'
    open_draft(web_page, server, ADMIN, {"hostile.cedar": policy}, "matrix")
    web_page.get_by_label("People", exact=True).select_option("person")
    web_page.get_by_label("Datasets", exact=True).select_option("dataset")
    hostile = web_page.get_by_role("rowheader", name=HOSTILE)
    expect(hostile).to_be_visible()
    cell(web_page, OUTSIDER, "onerror").click()
    why = web_page.get_by_role("region", name="Explanation")
    expect(why.get_by_role("heading", level=2)).to_contain_text(HOSTILE)
    expect(why.get_by_role("region", name="Under the draft")).to_contain_text(HOSTILE)
    hostile.click()
    expect(web_page.get_by_role("navigation", name="Datasets shown")).to_contain_text(HOSTILE)
    assert_quiet(web_page)


def test_the_matrix_fits_a_narrow_window(matrix):
    with narrow(matrix):
        expect(cell(matrix, "hydrology", "restricted")).to_be_visible()
        expect(matrix.get_by_role("slider").first).to_be_visible()


def test_forty_thousand_cells_are_scrolled_within_little_memory(web_page, server):
    def answer(route):
        route.fulfill(json=large_answer(route.request.post_data_json))

    token = session_token(server, ADMIN)
    sign_in_with_token(web_page, server, ADMIN, token, "policies")
    web_page.route("**/matrix", answer)
    web_page.get_by_role("link", name="Access matrix").click()
    grid = web_page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", "201")
    assert web_page.get_by_role("gridcell").count() < 3_000
    web_page.get_by_role("gridcell").first.focus()
    web_page.keyboard.press("Control+End")
    last = web_page.get_by_role("gridcell", name=re.compile("user-199, dataset 199: "))
    expect(last).to_be_focused()
    browser = web_page.context.new_cdp_session(web_page)
    browser.send("HeapProfiler.collectGarbage")
    assert browser.send("Runtime.getHeapUsage")["usedSize"] < 150e6
    assert web_page.evaluate("document.querySelectorAll('*').length") < 20_000


def large_answer(request):
    """An answer with as many rows and columns as a page may have, of a large catalog."""
    assert request["limit"] <= 200
    reach = {"in_force": 500, "draft": 499, "gained": 0, "lost": 1}
    one = {**reach, "pairs": 1000, "sometimes": 0}
    return {
        "version": 10**6,
        "from": "a",
        "to": "b",
        "action": request["action"],
        "people": 1000,
        "datasets": 100_000,
        "is_cut": False,
        "errors": [],
        "changes_token_lives": False,
        "columns": [
            {"key": f"user:{i}", "label": f"user-{i}", "people": 1, "is_anonymous": False}
            for i in range(200)
        ],
        "rows": [
            {"key": f"dataset:{i}", "label": f"dataset {i}", "datasets": 500} for i in range(200)
        ],
        "cells": [[one] * 200] * 200,
        "totals": {**reach, "pairs": 10**8},
        "contexts": [{"label": "always", "authentication": "password", **reach}],
        "next_people": "user:199",
        "next_datasets": "dataset:199",
    }
