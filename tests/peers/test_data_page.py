"""The data page in Chromium: find datasets, download and share them, read them elsewhere."""

import datetime
import re
import subprocess
import sys

import httpx
import pytest
from playwright.sync_api import expect

from demo import ADMIN, CATALOG, MEMBER, OUTSIDER, OWNER, PUBLIC, RESTRICTED, file_of
from pages import (
    HOSTILE,
    assert_accessible,
    assert_quiet,
    hold,
    narrow,
    release,
    session_token,
    submit_sign_in,
)
from server import DEADLINE, WITHOUT_LIMITS, Server
from test_base_path import Gate

TITLES = {entry["id"]: entry["title"] for entry in CATALOG["datasets"]}
ROLE = next(e for e in CATALOG["datasets"] if e["id"] == RESTRICTED)["reader_roles"][0]


@pytest.fixture
def data_page(web_page, server):
    web_page.goto(f"{server.base}/")
    expect(card(web_page, PUBLIC)).to_be_visible()
    return web_page


def card(page, dataset):
    return page.locator(f"[data-dataset='{dataset}']")


def sign_in(page, server, username):
    page.get_by_role("button", name="Sign in").click()
    submit_sign_in(page, username, server.passwords[username])
    expect(page.get_by_text(f"Signed in as {username}")).to_be_visible()


def lines_for(page, dataset, program):
    """The lines for a program, with a token."""
    toggle = card(page, dataset).get_by_role("button", name=re.compile("^Use in a program"))
    if toggle.get_attribute("aria-expanded") == "false":
        toggle.click()
    card(page, dataset).get_by_role("tab", name=program).click()
    code = card(page, dataset).get_by_role("group", name=f"Lines for {program}")
    expect(code).to_contain_text("token=ey")
    return code.inner_text()


def test_a_visitor_finds_public_data_and_downloads_it(data_page):
    expect(card(data_page, RESTRICTED)).to_have_count(0)
    search = data_page.get_by_role("searchbox")
    search.fill("no such title")
    expect(data_page.get_by_text("No dataset that you may see has")).to_be_visible()
    search.fill(TITLES[PUBLIC][:9].upper())
    expect(card(data_page, PUBLIC)).to_be_visible()
    with data_page.expect_download() as begun:
        card(data_page, PUBLIC).get_by_role("button", name="Download").click()
    assert begun.value.suggested_filename == file_of(PUBLIC).name
    with open(begun.value.path(), "rb") as file:
        assert file.read() == file_of(PUBLIC).read_bytes()
    assert_quiet(data_page)


def test_the_lines_for_other_programs_read_the_dataset(data_page, tmp_path):
    curl = lines_for(data_page, PUBLIC, "curl")
    subprocess.run(["bash", "-ec", curl], cwd=tmp_path, check=True, timeout=60)
    (downloaded,) = tmp_path.iterdir()
    assert downloaded.read_bytes() == file_of(PUBLIC).read_bytes()
    gdal = lines_for(data_page, PUBLIC, "GDAL")
    told = subprocess.run(["bash", "-ec", gdal], capture_output=True, text=True, timeout=60)
    assert (told.returncode, "Size is" in told.stdout) == (0, True), told.stderr
    python = [sys.executable, "-c", lines_for(data_page, PUBLIC, "Python")]
    told = subprocess.run(python, capture_output=True, text=True, timeout=60)
    assert (told.returncode, "'driver': 'GTiff'" in told.stdout) == (0, True), told.stderr
    url = lines_for(data_page, PUBLIC, "QGIS").strip()
    assert httpx.get(url, trust_env=False).content == file_of(PUBLIC).read_bytes()


def test_the_seconds_of_a_token_are_shown_and_a_new_one_is_minted_when_it_is_copied(
    web_page, server
):
    web_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    web_page.clock.install()
    web_page.goto(f"{server.base}/")
    expect(card(web_page, PUBLIC)).to_be_visible()
    first = lines_for(web_page, PUBLIC, "curl")
    seconds = card(web_page, PUBLIC).locator(".countdown")
    expect(seconds).to_have_text(re.compile(r"The token lasts 1[01]\d s"))
    web_page.clock.fast_forward(90_000)
    expect(seconds).to_have_text(re.compile(r"The token lasts [123]\d s"))
    web_page.clock.fast_forward(40_000)
    expect(seconds).to_have_text("The token has ended: take a new one")
    card(web_page, PUBLIC).get_by_role("button", name="Copy the lines for curl").click()
    expect(seconds).to_have_text(re.compile(r"The token lasts 1[01]\d s"))
    expect(card(web_page, PUBLIC).get_by_text("Copied", exact=True)).to_be_visible()
    copied = web_page.evaluate("navigator.clipboard.readText()")
    assert copied != first and copied == lines_for(web_page, PUBLIC, "curl")
    assert_quiet(web_page)


def test_a_member_sees_what_is_for_them_until_they_sign_out(data_page, server):
    sign_in(data_page, server, MEMBER)
    expect(card(data_page, RESTRICTED).get_by_role("button", name="Download")).to_be_visible()
    expect(card(data_page, RESTRICTED).get_by_text("Who can read it")).to_have_count(0)
    assert data_page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    data_page.get_by_role("button", name="Sign out").click()
    expect(card(data_page, RESTRICTED)).to_have_count(0)
    assert_quiet(data_page)


def test_a_wrong_password_is_told_and_another_try_works(data_page, server):
    data_page.get_by_role("button", name="Sign in").click()
    submit_sign_in(data_page, MEMBER, "wrong")
    expect(data_page.get_by_role("alert").get_by_text("password")).to_be_visible()
    submit_sign_in(data_page, MEMBER, server.passwords[MEMBER])
    expect(data_page.get_by_text(f"Signed in as {MEMBER}")).to_be_visible()
    assert_quiet(data_page, expected_errors=["401"])


def test_an_outsider_is_told_that_there_is_something_to_ask_for(data_page, server):
    sign_in(data_page, server, OUTSIDER)
    known = card(data_page, RESTRICTED)
    expect(known.get_by_text("Ask its owner to share it with you")).to_be_visible()
    expect(known.get_by_role("button")).to_have_count(0)


def test_an_owner_sees_who_can_read_shares_and_revokes(web_page, make_server):
    server = make_server().start()
    web_page.goto(f"{server.base}/")
    sign_in(web_page, server, OWNER)
    mine = card(web_page, RESTRICTED)
    mine.get_by_role("button", name=re.compile("^Who can read it")).click()
    readers = mine.locator(".readers")
    owner = readers.get_by_role("listitem").filter(has_text=OWNER)
    expect(owner).to_contain_text("as the owner, by policy `owner`: The user owns the dataset")
    expect(mine).to_contain_text("Others may be able to read it too")
    expect(mine.get_by_role("row").filter(has_text=ROLE)).to_contain_text("no end")
    assert server.post_mint(RESTRICTED, server.login(OUTSIDER)).status_code == 403

    end = datetime.datetime.now() + datetime.timedelta(days=3)
    mine.get_by_label("Name").fill(OUTSIDER)
    mine.get_by_label("Until").fill(end.strftime("%Y-%m-%dT%H:%M"))
    mine.get_by_role("button", name="Share", exact=True).click()
    shared = mine.get_by_role("row").filter(has_text=OUTSIDER)
    expect(shared).to_contain_text(re.compile(r"until \w+ \d+"))
    reader = readers.get_by_role("listitem").filter(has_text=OUTSIDER)
    expect(reader).to_contain_text("shared with them by name, by policy `shared-with-user`: The")
    expect(reader).to_contain_text(re.compile(r"until \w+ \d+"))
    assert server.post_mint(RESTRICTED, server.login(OUTSIDER)).status_code == 200
    assert_accessible(web_page)

    shared.get_by_role("button", name="Revoke").click()
    web_page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(shared).to_have_count(0)
    expect(mine.get_by_role("heading", name="Shared with")).to_be_focused()
    assert server.post_mint(RESTRICTED, server.login(OUTSIDER)).status_code == 403
    mine.get_by_label("Name").fill("nobody-of-this-name")
    mine.get_by_role("button", name="Share", exact=True).click()
    expect(mine.get_by_role("alert")).to_have_text("There is no such user.")
    assert_quiet(web_page, expected_errors=["404", "422"])


def test_the_fields_of_a_share_stand_in_a_line(web_page, server):
    web_page.goto(f"{server.base}/")
    sign_in(web_page, server, OWNER)
    mine = card(web_page, RESTRICTED)
    mine.get_by_role("button", name=re.compile("^Who can read it")).click()
    expect(mine.get_by_role("row").filter(has_text=ROLE)).to_be_visible()
    form = mine.locator(".share-form")
    for kind in ("label", "input, select, button"):
        tops = form.locator(kind).evaluate_all(
            "all => all.map((one) => Math.round(one.getBoundingClientRect().y))"
        )
        assert len(set(tops)) == 1, (kind, tops)
    with narrow(web_page):
        expect(form).to_be_visible()


@pytest.fixture
def short_session(web_page, make_server):
    """The page of a member whose session lasts a minute."""
    server = make_server(CEDARGATE_SESSION_LIFETIME="60").start()
    web_page.clock.install()
    web_page.goto(f"{server.base}/")
    sign_in(web_page, server, MEMBER)
    expect(card(web_page, RESTRICTED)).to_be_visible()
    return web_page


def test_a_short_session_is_renewed_once_before_it_ends(short_session):
    web_page = short_session

    def search(text):
        with web_page.expect_response(re.compile(rf"/datasets\?.*q={text}\b")):
            web_page.get_by_role("searchbox").fill(text)
            web_page.get_by_role("searchbox").press("Enter")
        return sum(url.endswith("/auth/refresh") for url in web_page.requested)

    assert [search(text) for text in ("a", "b", "c")] == [0, 0, 0]
    web_page.clock.fast_forward(50_000)
    assert [search(text) for text in ("d", "e")] == [1, 1]
    assert_quiet(web_page)


def test_whoever_signs_out_while_the_session_is_renewed_stays_signed_out(short_session):
    web_page = short_session
    web_page.clock.fast_forward(50_000)
    with hold(web_page, "**/auth/refresh") as held:
        web_page.get_by_role("searchbox").press("Enter")
    renewed = held[0].fetch(timeout=DEADLINE * 1000)
    assert renewed.ok
    web_page.get_by_role("button", name="Sign out").click()
    expect(card(web_page, RESTRICTED)).to_have_count(0)
    release(web_page, held.pop(), response=renewed)
    with web_page.expect_request(re.compile(r"/datasets\?.*q=a\b")) as asked:
        web_page.get_by_role("searchbox").fill("a")
    assert "authorization" not in asked.value.headers
    assert_quiet(web_page)


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory):
    """A server with more datasets than a page shows, one of them with a hostile title."""
    server = Server(tmp_path_factory.mktemp("filled"), **WITHOUT_LIMITS)
    try:
        session = {"Authorization": f"Bearer {server.start().login(ADMIN)}"}
        for title in [HOSTILE, *(f"Tile {at}" for at in range(30))]:
            body = {"title": title, "visibility": "public", "record_status": "published"}
            server.post("/admin/datasets", json=body, headers=session).raise_for_status()
        yield server
    finally:
        server.stop()


def test_a_share_with_a_user_of_any_name_is_shown(web_page, filled_server):
    session = {"Authorization": f"Bearer {session_token(filled_server, ADMIN)}"}
    # Every object has a member of this name.
    made = filled_server.post("/admin/users", json={"username": "constructor"}, headers=session)
    assert made.status_code == 201, made.text
    shared = f"/admin/datasets/{RESTRICTED}/shares/users/constructor"
    filled_server.request("PUT", shared, headers=session).raise_for_status()
    web_page.goto(f"{filled_server.base}/")
    sign_in(web_page, filled_server, OWNER)
    mine = card(web_page, RESTRICTED)
    mine.get_by_role("button", name=re.compile("^Who can read it")).click()
    expect(mine.get_by_role("row").filter(has_text="constructor")).to_contain_text("no end")
    reader = mine.get_by_role("listitem").filter(has_text="constructor")
    expect(reader).to_contain_text("shared with them by name, by policy `shared-with-user`: The")
    assert_quiet(web_page)


def test_a_hostile_title_is_text(web_page, filled_server):
    web_page.goto(f"{filled_server.base}/")
    expect(card(web_page, PUBLIC)).to_be_visible()
    web_page.get_by_role("searchbox").fill("<script>")
    expect(card(web_page, PUBLIC)).to_have_count(0)
    expect(web_page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    assert_quiet(web_page)


def test_pages_of_a_long_list_are_shown_one_after_the_other(web_page, filled_server):
    web_page.goto(f"{filled_server.base}/")
    expect(web_page.locator(".dataset")).to_have_count(24)
    web_page.get_by_role("button", name="Show more").click()
    expect(web_page.locator(".dataset")).to_have_count(32)
    expect(web_page.get_by_text("32 datasets shown.", exact=True)).to_be_visible()


def test_the_page_is_accessible_and_fits_a_narrow_window(data_page):
    lines_for(data_page, PUBLIC, "curl")
    assert_accessible(data_page)
    with narrow(data_page):
        expect(card(data_page, PUBLIC)).to_be_visible()
    data_page.get_by_role("button", name="Sign in").click()
    assert_accessible(data_page)
    data_page.keyboard.press("Escape")
    expect(data_page.get_by_role("button", name="Sign in")).to_be_focused()
    links = data_page.get_by_role("navigation").get_by_role("link")
    assert [link.inner_text() for link in links.all()] == ["API reference", "Policy workbench"]
    assert_quiet(data_page)


def test_the_page_works_under_a_path(make_server, make_nginx, web_page):
    gate = Gate(make_server, make_nginx, "/my%20gate")
    web_page.goto(gate.url("/"))
    sign_in(web_page, gate.server, MEMBER)
    with web_page.expect_download() as begun:
        card(web_page, RESTRICTED).get_by_role("button", name="Download").click()
    assert begun.value.url.startswith(gate.base)
    for name, path in (("API reference", "/docs"), ("Policy workbench", "/workbench")):
        found = web_page.get_by_role("link", name=name).get_attribute("href")
        assert httpx.get(found, trust_env=False).status_code == 200 and found == gate.url(path)
    assert all(url.startswith((gate.base, "data:", "blob:")) for url in web_page.requested)
    assert_quiet(web_page)
