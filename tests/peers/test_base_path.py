"""Under a path behind a real nginx the docs page, login, mint, download and a client work."""

import re
import sys
from urllib.parse import unquote, urljoin

import httpx
import pytest
import rasterio
from playwright.sync_api import expect

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED, UNKNOWN, file_of
from server import DEADLINE, ROOT, assert_problem
from test_docs_ui import MINT, TOKEN, assert_no_outside_requests, run_mint, sign_in
from test_gdal import VSICURL
from test_sdk import generate_client, run_generated_client

OPERATORS = ROOT / "docs" / "operators.md"


def documented_block(path, port):
    """The locations of docs/operators.md for a server under a path, for another path and port."""
    blocks = re.findall(r"^```nginx\n(.*?)^```", OPERATORS.read_text(), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if "location /gate/" in block]
    # nginx compares locations with decoded paths.
    named = re.sub(
        r"location /gate(\S*)", lambda match: f'location "{unquote(path)}{match[1]}"', found
    )
    return named.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


class Gate:
    """A server whose issuer has a path, behind nginx."""

    def __init__(self, make_server, make_nginx, path, with_issuer=True):
        self.server = make_server()
        nginx = make_nginx(documented_block(path, self.server.port))
        self.base = f"{nginx.base}{path}"
        if with_issuer:
            self.server.settings["CEDARGATE_ISSUER"] = self.base
        self.server.start()
        self.http = httpx.Client(trust_env=False, timeout=DEADLINE)

    def url(self, path):
        return self.base + path


@pytest.fixture(params=["/gate", "/a/b/gate", "/my%20gate"])
def gate(request, make_server, make_nginx):
    return Gate(make_server, make_nginx, request.param)


@pytest.fixture
def plain_gate(make_server, make_nginx):
    return Gate(make_server, make_nginx, "/gate")


def test_the_documented_addresses_are_under_the_path(gate):
    document_url = gate.url("/openapi.json")
    document = gate.http.get(document_url).json()
    assert [urljoin(document_url, one["url"]) for one in document["servers"]] == [gate.base]
    flow = document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]
    assert urljoin(document_url, flow["tokenUrl"]) == gate.url("/auth/login")


def test_login_mint_download_and_key_set_work_under_the_path(gate):
    form = {"username": MEMBER, "password": gate.server.passwords[MEMBER]}
    login = gate.http.post(gate.url("/auth/login"), data=form)
    session = {"Authorization": f"Bearer {login.json()['access_token']}"}
    minted = gate.http.post(gate.url(f"/auth/download-token/{RESTRICTED}"), headers=session)
    token = minted.json()["token"]
    download = gate.http.get(gate.url(f"/datasets/{RESTRICTED}/download/cog?token={token}"))
    assert download.content == file_of(RESTRICTED).read_bytes()
    assert gate.http.get(f"{gate.base}/.well-known/jwks.json").json()["keys"]
    assert_problem(gate.http.get(gate.url("/nothing")), 404)
    with rasterio.Env(**VSICURL):
        cog = f"/vsicurl/{gate.url(f'/datasets/{RESTRICTED}/download/cog')}?token={token}"
        assert rasterio.open(cog).count == 1


def test_redirects_and_locations_stay_under_the_path(gate):
    browser = {"Accept": "text/html"}
    for start in (gate.base, gate.url("/")):
        page = gate.http.get(start, headers=browser, follow_redirects=True)
        assert (page.status_code, str(page.url)) == (200, gate.url("/"))
        assert "web/data.js" in page.text
    session = {"Authorization": f"Bearer {gate.server.login(ADMIN)}"}
    for slash, role in (("", "one"), ("/", "two")):
        created = gate.http.post(
            gate.url(f"/admin/roles{slash}"), json={"name": role}, headers=session
        )
        assert created.status_code == 201, created.text
        found = urljoin(str(created.url), created.headers["location"])
        assert found == gate.url(f"/admin/roles/{role}")
        assert gate.http.get(found, headers=session).status_code == 200


@pytest.mark.parametrize("page", ["/docs", "/docs/"])
def test_the_docs_page_signs_in_and_mints_under_the_path(gate, browser_page, page):
    browser_page.goto(gate.url(page))
    expect(browser_page.locator(f"[id$={MINT}]")).to_be_visible()
    sign_in(browser_page, MEMBER, gate.server.passwords[MEMBER])
    response, shown = run_mint(browser_page, RESTRICTED)
    assert response.status == 200
    assert response.url == gate.url(f"/auth/download-token/{RESTRICTED}")
    expect(shown).to_contain_text(TOKEN)
    assert_no_outside_requests(browser_page)
    assert all(url.startswith((gate.base, "data:", "blob:")) for url in browser_page.requested)


def test_the_docs_page_works_under_a_path_that_the_server_does_not_know(
    make_server, make_nginx, browser_page
):
    gate = Gate(make_server, make_nginx, "/unknown", with_issuer=False)
    browser_page.goto(gate.url("/docs"))
    sign_in(browser_page, MEMBER, gate.server.passwords[MEMBER])
    response, _ = run_mint(browser_page, RESTRICTED)
    assert response.status == 200 and response.url.startswith(gate.base)
    assert_no_outside_requests(browser_page)


def test_a_client_generated_from_the_document_under_the_path_works(
    plain_gate, tmp_path, run_peer, peers_folder
):
    client = generate_client(plain_gate.url("/openapi.json"), tmp_path)
    session = plain_gate.server.login(MEMBER)
    done = run_generated_client(
        client, run_peer, peers_folder, plain_gate.base, PUBLIC, RESTRICTED, UNKNOWN, session
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    done = run_peer(
        sys.executable, peers_folder / "contract" / "check", plain_gate.url("/openapi.json")
    )
    assert done.stdout == "contract holds\n"


def test_metrics_stay_closed_under_the_path(gate):
    for path in ("/metrics", "/metrics/", "//metrics"):
        assert gate.http.get(gate.url(path)).status_code in (403, 404), path
    assert gate.server.get("/metrics").status_code == 200


def test_a_proxy_that_does_not_remove_the_path_is_told_so(plain_gate, make_nginx):
    keeping = make_nginx(f"location /gate/ {{ proxy_pass {plain_gate.server.base}; }}")
    for path in ("/gate/", "/gate/docs", "/gate/auth/me"):
        response = httpx.get(keeping.base + path, trust_env=False)
        assert "the proxy must remove" in assert_problem(response, 404)["detail"]
