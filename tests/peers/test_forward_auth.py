"""nginx and Caddy, with the files of docs/proxies/, serve COGs that Cedargate guards."""

import http.server
import os
import shutil
import socket
import ssl
import threading
from urllib.parse import urlsplit

import httpx
import numpy
import pytest
import rasterio

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED, UNKNOWN, file_of
from recipes import RECIPE_CLASSES, SETTINGS
from server import Server
from test_gdal import VSICURL


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("gate"), **SETTINGS)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module", params=RECIPE_CLASSES)
def proxy(request, gate, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    proxy = RECIPE_CLASSES[request.param](folder, gate.port)
    for dataset in (PUBLIC, RESTRICTED):
        shutil.copy(file_of(dataset), proxy.files / f"{dataset}.tif")
    try:
        yield proxy.start()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def client():
    # The certificate is a test's own.
    with httpx.Client(trust_env=False, timeout=60, verify=False) as client:
        yield client


def url(proxy, dataset, token=None):
    return f"{proxy.data}/cogs/{dataset}.tif" + (f"?token={token}" if token else "")


def test_rasterio_reads_a_file_of_the_proxy_with_a_token(gate, proxy):
    token = gate.mint(RESTRICTED, gate.login(MEMBER))
    with rasterio.Env(**VSICURL, GDAL_HTTP_UNSAFESSL="YES"):
        with rasterio.open(f"/vsicurl/{url(proxy, RESTRICTED, token)}") as remote:
            read, profile = remote.read(1), remote.profile
    with rasterio.open(file_of(RESTRICTED)) as local:
        assert profile == local.profile
        assert numpy.array_equal(read, local.read(1), equal_nan=True)


def test_no_credential_is_401_and_a_token_of_another_dataset_403(gate, proxy, client):
    token = gate.mint(PUBLIC)
    found = client.get(url(proxy, PUBLIC))
    assert found.status_code == 401
    assert found.headers["www-authenticate"].startswith(("Bearer", "Basic"))
    assert client.get(url(proxy, PUBLIC, "nonsense")).status_code == 401
    for dataset in (RESTRICTED, UNKNOWN):
        assert client.get(url(proxy, dataset, token)).status_code == 403
    key = gate.post(
        "/auth/api-keys",
        json={"name": "files"},
        headers={"Authorization": f"Bearer {gate.login(MEMBER)}"},
    ).json()["key"]
    found = client.get(url(proxy, RESTRICTED), headers={"X-Api-Key": key})
    assert found.content == file_of(RESTRICTED).read_bytes()
    assert client.get(url(proxy, RESTRICTED), auth=("anybody", key)).status_code == 200


def test_ranges_and_head_are_those_of_the_file(gate, proxy, client):
    whole = file_of(PUBLIC).read_bytes()
    asked = url(proxy, PUBLIC, gate.mint(PUBLIC))
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=100-299"}
    part = client.get(asked, headers=headers)
    assert (part.status_code, part.content) == (206, whole[100:300])
    head = client.head(asked, headers={"Accept-Encoding": "gzip"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole)))
    assert head.headers["accept-ranges"] == "bytes"
    for found in (part, head):
        assert "content-encoding" not in found.headers
        assert found.headers["cache-control"] == "private, no-cache"
        assert found.headers["referrer-policy"] == "no-referrer"
    unchanged = client.get(asked, headers={"If-None-Match": head.headers["etag"]})
    assert unchanged.status_code == 304


def test_pages_of_other_origins_may_read_ranges(gate, proxy, client):
    origin = {"Origin": "https://maps.example.org"}
    asking = {**origin, "Access-Control-Request-Method": "GET"}
    asking["Access-Control-Request-Headers"] = "range,authorization"
    asked = url(proxy, PUBLIC, gate.mint(PUBLIC))
    preflight = client.options(asked, headers=asking)
    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "range" in allowed and "authorization" in allowed
    without = url(proxy, PUBLIC)
    for target, status in ((asked, 200), (without, 401), (url(proxy, UNKNOWN, "x"), 401)):
        found = client.get(target, headers=origin)
        assert found.status_code == status
        assert found.headers.get_list("access-control-allow-origin") == ["*"], target
    assert "ETag" in client.get(asked).headers["access-control-expose-headers"]


def test_other_methods_and_other_paths_get_nothing(gate, proxy, client):
    token = gate.mint(PUBLIC)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        found = client.request(method, url(proxy, PUBLIC, token), content=b"x")
        assert found.status_code in (401, 403, 405), method
    for path in ("/", "/cogs", "/cogs/", f"/{PUBLIC}.tif", "/_verify", "/auth/verify", "/metrics"):
        found = client.get(f"{proxy.data}{path}?token={token}")
        assert found.status_code in (301, 401, 403, 404), path
    for path in ("/metrics", "/metrics/", "/auth/verify", "/auth/verify/"):
        assert client.get(f"{proxy.gate}{path}").status_code == 404, path


def raw(base, request):
    """Sends bytes as they are, and returns everything that comes back."""
    found = urlsplit(base)
    connection = socket.create_connection((found.hostname, found.port), timeout=30)
    if found.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection)
    received = b""
    with connection:
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                received += chunk
        except OSError:
            pass
    return received


DETOURS = (
    "/cogs/OWN.tif/../OTHER.tif",
    "/cogs/OWN.tif/../../cogs/OTHER.tif",
    "/cogs/OWN.tif%2f..%2fOTHER.tif",
    "/cogs/OWN.tif/%2e%2e/OTHER.tif",
    "/cogs/OWN.tif/%2E%2E/OTHER.tif",
    "/cogs/./OTHER.tif",
    "//cogs/OTHER.tif",
    "/cogs//OTHER.tif",
    "/cogs/OTHER.tif/",
    "/cogs/OTHER.tif/.",
    "/cogs/OTHER%2Etif",
    "/%63ogs/OTHER.tif",
    "/cogs/OTHER.tif;x=/cogs/OWN.tif",
    "/cogs/OTHER.tif#/cogs/OWN.tif",
    "/cogs/OTHER.tif%00/cogs/OWN.tif",
    "/cogs\\OTHER.tif",
    "/cogs/x/..\\OTHER.tif",
    "http://HOST/cogs/OTHER.tif",
    "http://HOST/cogs/OWN.tif/../OTHER.tif",
    "/cogs/OTHER.tif?x=/cogs/OWN.tif",
)
DECEITS = (
    "",
    "X-Original-URI: /cogs/OWN.tif?token=TOKEN\r\n",
    "X-Forwarded-Uri: /cogs/OWN.tif?token=TOKEN\r\n",
    "X-Original-Method: GET\r\nX-Forwarded-Method: GET\r\n",
    "X-Auth-Request-User: anonymous\r\nX-Auth-Request-Dataset: OTHER\r\n",
)


@pytest.mark.parametrize("deceit", DECEITS, ids=range(len(DECEITS)))
def test_no_detour_leads_to_the_file_of_another_dataset(gate, proxy, deceit):
    token = gate.mint(PUBLIC)
    secret = file_of(RESTRICTED).read_bytes()[:64]
    host = urlsplit(proxy.data).netloc

    def filled(text):
        places = {"OWN": PUBLIC, "OTHER": RESTRICTED, "TOKEN": token, "HOST": host}
        for place, value in places.items():
            text = text.replace(place, value)
        return text

    for path in DETOURS:
        target = filled(path)
        target += ("&" if "?" in target else "?") + f"token={token}"
        headers = f"Host: {host}\r\nConnection: close\r\n{filled(deceit)}"
        answer = raw(proxy.data, f"GET {target} HTTP/1.1\r\n{headers}\r\n".encode())
        status = answer[9:12]
        assert status in (b"400", b"401", b"403", b"404"), (path, answer[:200])
        assert secret not in answer, path


def test_an_upload_of_some_megabytes_goes_through_to_the_gate(gate, proxy, client, tmp_path):
    noise = numpy.random.default_rng(1).integers(0, 250, (1, 2000, 2000)).astype("uint8")
    file = tmp_path / "big.tif"
    profile = {"driver": "COG", "width": 2000, "height": 2000, "count": 1, "dtype": "uint8"}
    with rasterio.open(file, "w", **profile, crs="EPSG:3857", compress="none") as written:
        written.write(noise)
    size = file.stat().st_size
    assert size > 3_000_000
    session = {"Authorization": f"Bearer {gate.login(ADMIN)}"}
    created = client.post(
        f"{proxy.gate}/admin/datasets",
        headers=session,
        json={"title": "Big", "visibility": "public", "record_status": "published"},
    )
    assert created.status_code == 201, created.text
    dataset = created.json()["id"]
    uploaded = client.put(
        f"{proxy.gate}/admin/datasets/{dataset}/file",
        headers={**session, "Content-Type": "image/tiff"},
        content=file.read_bytes(),
    )
    assert uploaded.is_success, uploaded.text
    # The length is not known to the proxy.
    uploaded = client.put(
        f"{proxy.gate}/admin/datasets/{dataset}/file",
        headers={**session, "Content-Type": "image/tiff"},
        content=iter([file.read_bytes()]),
    )
    assert uploaded.is_success, uploaded.text
    token = client.post(f"{proxy.gate}/auth/download-token/{dataset}").json()["token"]
    found = client.get(f"{proxy.gate}/datasets/{dataset}/download/cog?token={token}")
    assert len(found.content) == size


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers what it was told to."""

    def do_GET(self):
        self.send_response(403)
        for name, value in self.server.told.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(params=RECIPE_CLASSES)
def refused(request, tmp_path):
    """A proxy whose gate refuses everything, as it is told to."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as stub:
        stub.told = {}
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        proxy = RECIPE_CLASSES[request.param](tmp_path / "proxy", stub.server_port)
        (proxy.files / f"{PUBLIC}.tif").write_bytes(b"II*\0")
        try:
            yield proxy.start(), stub
        finally:
            proxy.stop()
            stub.shutdown()


def test_limits_and_outages_are_turned_back_and_no_log_has_a_token(refused, client):
    proxy, stub = refused
    asked = url(proxy, PUBLIC, "eyJ-the-token")
    headers = {"Authorization": "Bearer the-session", "X-Api-Key": "the-key", "Referer": asked}
    for told, status, after in (
        ({"X-Error-Status": "429", "Retry-After": "17"}, 429, "17"),
        ({"X-Error-Status": "503", "Retry-After": "2"}, 503, "2"),
        ({"X-Error-Status": "404"}, 403, None),
        ({}, 403, None),
    ):
        stub.told = told
        found = client.get(asked, headers=headers)
        assert (found.status_code, found.headers.get("retry-after")) == (status, after), told
    # What cannot be opened is logged by nginx as critical.
    (proxy.files / f"{PUBLIC}.tif").unlink()
    with socket.socket(socket.AF_UNIX) as unopenable:
        place = os.getcwd()
        os.chdir(proxy.files)
        try:
            unopenable.bind(f"{PUBLIC}.tif")
        finally:
            os.chdir(place)
        Answer.do_GET, refuse = permit, Answer.do_GET
        try:
            assert client.get(asked, headers=headers).status_code >= 400
        finally:
            Answer.do_GET = refuse
    stub.shutdown()
    stub.server_close()
    assert client.get(asked, headers=headers).status_code in (502, 503)
    gate_url = f"{proxy.gate}/datasets/{PUBLIC}/download/cog?token=eyJ-the-token"
    assert client.get(gate_url, headers=headers).status_code == 502
    raw(proxy.data, b"GET /cogs/x?token=eyJ-the-token NONSENSE\r\n\r\n")
    raw(proxy.data, b"GET /cogs/" + b"x" * 100_000 + b"?token=eyJ-the-token HTTP/1.1\r\n\r\n")
    proxy.stop()
    logs = proxy.logs()
    assert f"/cogs/{PUBLIC}.tif" in logs
    for secret in ("eyJ-the-token", "the-session", "the-key"):
        assert secret not in logs


def permit(handler):
    handler.send_response(204)
    handler.end_headers()
