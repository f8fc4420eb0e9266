"""The mint can be tried out on the docs page in Chromium, offline."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from demo import MEMBER, PUBLIC, RESTRICTED

MINT = "create_download_token_endpoint_auth_download_token__dataset_id__post"
TOKEN = re.compile(r'"token":\s*"eyJ[\w-]+\.[\w-]+\.[\w-]+"')


@pytest.fixture
def docs(browser_page, server):
    browser_page.goto(f"{server.base}/docs")
    expect(browser_page.locator(f"[id$={MINT}]")).to_be_visible()
    return browser_page


def run_mint(page, dataset):
    """Opens the operation if it is closed, enters the id, executes; returns the response."""
    operation = page.locator(f"[id$={MINT}]")
    if operation.locator(".try-out").count() == 0:
        operation.locator(".opblock-summary-control").click()
    if operation.locator(".execute").count() == 0:
        operation.locator(".try-out__btn").click()
    operation.get_by_placeholder("dataset_id").fill(dataset)
    with page.expect_response(lambda response: "/auth/download-token/" in response.url) as answered:
        operation.locator(".execute").click()
    return answered.value, operation.locator(".live-responses-table")


def sign_in(page, username, password):
    page.locator(".auth-wrapper > .authorize").first.click()
    dialog = page.locator(".dialog-ux")
    form = dialog.locator(".auth-container").filter(has_text="OAuth2PasswordBearer")
    form.locator("#oauth_username").fill(username)
    form.locator("#oauth_password").fill(password)
    form.locator("button.authorize").click()
    expect(form.get_by_text("Logout")).to_be_visible()
    form.locator(".btn-done").click()


def enter_api_key(page, key):
    page.locator(".auth-wrapper > .authorize").first.click()
    dialog = page.locator(".dialog-ux")
    form = dialog.locator(".auth-container").filter(has_text="ApiKeyHeader")
    form.locator("input").fill(key)
    form.locator("button.authorize").click()
    expect(form.get_by_text("Logout")).to_be_visible()
    form.locator(".btn-done").click()


def assert_no_outside_requests(page):
    elsewhere = [
        url
        for url in page.requested
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"
    ]
    assert page.requested and elsewhere == []
    assert page.errors == []


def test_trying_the_mint_out_anonymously_shows_a_token(docs):
    response, shown = run_mint(docs, PUBLIC)
    assert response.status == 200
    expect(shown).to_contain_text(TOKEN)
    assert_no_outside_requests(docs)


def test_a_member_who_signs_in_mints_for_the_restricted_dataset(docs, server):
    sign_in(docs, MEMBER, server.passwords[MEMBER])
    response, shown = run_mint(docs, RESTRICTED)
    assert response.status == 200
    expect(shown).to_contain_text(TOKEN)
    assert_no_outside_requests(docs)


def test_a_member_with_an_api_key_mints_for_the_restricted_dataset(docs, server):
    made = server.run("api-key", "create", "--user", MEMBER, "--name", "docs page")
    enter_api_key(docs, made.stdout.strip())
    response, shown = run_mint(docs, RESTRICTED)
    assert response.status == 200
    assert response.request.headers["x-api-key"] == made.stdout.strip()
    expect(shown).to_contain_text(TOKEN)
    assert_no_outside_requests(docs)


def test_the_docs_show_a_denial_as_a_problem(docs):
    response, shown = run_mint(docs, RESTRICTED)
    assert response.status == 404  # an anonymous caller may not discover it
    expect(shown).to_contain_text("application/problem+json")
    expect(shown).to_contain_text('"status": 404')
