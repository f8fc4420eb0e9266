"""The history in Chromium: what each revision changed, the way back, and what was decided."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from demo import ADMIN, CATALOG, MEMBER, OUTSIDER, PUBLIC, RESTRICTED
from pages import (
    HOSTILE,
    assert_accessible,
    assert_quiet,
    narrow,
    session_token,
    sign_in_with_token,
)
from server import ROOT, WITHOUT_LIMITS, Server

TITLE = next(e["title"] for e in CATALOG["datasets"] if e["id"] == RESTRICTED)
QUOTED = HOSTILE.replace('"', '\\"')
HOSTILE_POLICY = f"""@id("{QUOTED}")
@reason("{QUOTED}")
forbid (principal == User::"00000000-0000-4000-8000-000000000000", action, resource);
"""


@pytest.fixture(scope="module")
def used_server(tmp_path_factory):
    """A server whose policies were edited twice, and that was asked for data."""
    server = Server(
        tmp_path_factory.mktemp("history"),
        **WITHOUT_LIMITS,
        CEDARGATE_POLICY_DIR="policies",
        CEDARGATE_GATE_PROOFS="off",
        CEDARGATE_GATE_CASES="off",
    )
    policies = server.folder / "policies"
    shutil.copytree(ROOT / "policies", policies)
    try:
        server.start()
        session = {"Authorization": f"Bearer {session_token(server, ADMIN)}"}

        def reload():
            server.post("/admin/policies/reload", headers=session).raise_for_status()

        shared = policies / "shared.cedar"
        before = shared.read_text()
        shared.write_text(before.replace('@id("shared', '@max_ttl("60")\n@id("shared', 1))
        reload()
        (policies / "hostile.cedar").write_text(HOSTILE_POLICY)
        reload()
        server.mint(PUBLIC)
        server.mint(RESTRICTED, server.login(MEMBER))
        outsider = server.login(OUTSIDER)
        for _ in range(3):
            assert server.post_mint(RESTRICTED, outsider).status_code == 403
        assert server.post_mint(RESTRICTED).status_code == 404
        yield server
    finally:
        server.stop()


@pytest.fixture
def history(web_page, used_server):
    token = session_token(used_server, ADMIN)
    sign_in_with_token(web_page, used_server, ADMIN, token, "history")
    expect(revisions(web_page)).to_have_count(3)
    return web_page


def revisions(page):
    return page.get_by_role("region", name="Revisions").locator(".revision")


def test_each_revision_says_what_it_changed_and_when_it_came_into_force(history):
    newest, middle, oldest = revisions(history).all()
    expect(newest).to_contain_text("in force")
    expect(newest.get_by_role("list", name="Policies changed")).to_contain_text(HOSTILE)
    expect(oldest).to_contain_text("at a start of the server")
    middle.get_by_role("button", name="What changed").click()
    patch = middle.get_by_role("group", name="What changed, line by line")
    expect(patch.locator(".patch-added")).to_contain_text('+@max_ttl("60")')
    newest.get_by_role("button", name="What changed").click()
    expect(newest.locator(".patch-added").first).to_contain_text("added: +")
    assert_accessible(history)
    with narrow(history):
        expect(newest).to_be_visible()
    assert_quiet(history)


def test_an_earlier_revision_is_opened_as_a_draft(history):
    revisions(history).nth(1).get_by_role("button", name=re.compile("Go back to this")).click()
    expect(history.get_by_text("Draft: 1 file changed")).to_be_visible()
    history.wait_for_url("**#/effect")
    messages = history.get_by_role("region", name="Messages")
    expect(messages).to_contain_text("The draft has the texts of that revision.")
    history.go_back()
    expect(revisions(history).first).to_be_visible()
    assert_quiet(history)


def test_decisions_are_shown_over_time_with_what_they_needed(history):
    picture = history.get_by_role("img", name=re.compile("^Decisions over time"))
    told = re.search(r"([\d,]+) allowed, ([\d,]+) denied", picture.get_attribute("aria-label"))
    assert (int(told[1]), int(told[2])) == (2, 4)
    decisions = history.get_by_role("region", name="Decisions", exact=True)
    table = decisions.get_by_role("table", name="Decisions by policy")
    expect(table.get_by_role("row").filter(has_text="public")).to_contain_text("1")
    expect(decisions.get_by_role("listitem").filter(has_text="internal")).to_be_visible()
    # Policies decide about administration too, which is not in the picture.
    expect(table.get_by_role("row").filter(has_text="admin")).to_be_visible()
    expect(decisions).to_contain_text("Administration is counted here too")
    decisions.get_by_text("The same as a table").click()
    expect(decisions.get_by_role("table", name="Decisions over time by outcome")).to_be_visible()
    assert_accessible(history)
    assert_quiet(history)


def test_the_denials_that_people_hit_most_are_explained(history):
    denials = history.get_by_role("table", name="Denials by caller and dataset")
    first = denials.get_by_role("row").nth(1)
    expect(first).to_contain_text(OUTSIDER)
    expect(first).to_contain_text("3")
    expect(denials.get_by_role("row").filter(has_text="not signed in")).to_contain_text("1")
    first.get_by_role("button").click()
    dialog = history.get_by_role("dialog", name=f"May {OUTSIDER} read “{TITLE}”?")
    expect(dialog).to_contain_text("No policy allows it.")
    expect(dialog.locator(".part-failed").first).to_contain_text("reader")
    assert_accessible(history)
    history.keyboard.press("Escape")
    expect(first.get_by_role("button")).to_be_focused()
    assert_quiet(history)


def test_a_span_without_decisions_says_so(history):
    history.clock.install(time="2031-01-01T00:00:00Z")
    history.get_by_label("Time span").select_option("the last hour")
    expect(history.get_by_text("Nobody asked for data in this time.")).to_be_visible()
