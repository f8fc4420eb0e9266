"""nginx with njs, and Caddy by way of it, ask Cedargate by AuthZEN: the files of docs/gateways/."""

import http.server
import json
import os
import subprocess
import threading

import httpx
import pytest
import yaml

from decision_point import scenario
from nginx import NGINX
from recipes import CADDY, replaced, write_certificate
from server import ROOT, free_port, until

GATEWAYS = ROOT / "docs" / "gateways"
PEOPLE = scenario("todo.json")["people"]
DECISIONS = scenario("gateway.json")
PATHS = {
    "/todos": "/todos",
    "/todos/{todoId}": "/todos/7240d0db-8ff0-41ec-98b2-34a096273b91",
    "/users/{userId}": "/users/beth@the-smiths.com",
}
PASSWORD = "correct"
# Of PASSWORD, at the lowest cost.
BCRYPT = "$2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC"
# How often a gateway is started before its ports are its own.
ATTEMPTS = 5


class Application(http.server.BaseHTTPRequestHandler):
    """Answers everything with its own request line, and remembers it."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.seen.append((self.command, self.path))
        content = f"{self.command} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def application():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def pdp(todo_point):
    return todo_point


class Gateway:
    """nginx and Caddy with the files of docs/gateways/, in a folder of their own.

    `bases` are the URLs of the gateways by name; both ask the decision point on port `pdp_port`.
    """

    def __init__(self, folder, pdp_port, key, application_port):
        self.folder, self.pdp_port, self.key = folder, pdp_port, key
        self.application_port = application_port
        self.processes = []
        (folder / "log").mkdir()
        ids = [person["subject_id"] for person in PEOPLE.values()]
        (folder / "people").write_text("".join(f"{i}:{{PLAIN}}{PASSWORD}\n" for i in ids))
        (folder / "caddy-people").write_text("".join(f"{i} {BCRYPT}\n" for i in ids))
        write_certificate(folder / "example.org.pem", folder / "example.org.key")
        key_file = f'map "" $authzen_key {{ default "{key}"; }}\n'
        (folder / "authzen-key.conf").write_text(key_file)
        (folder / "authzen.js").write_text((GATEWAYS / "authzen.js").read_text())

    def start(self):
        """Starts both on free ports; somebody else may take one of them first."""
        for _ in range(ATTEMPTS):
            self.port, self.adapter, self.caddy_port = free_port(), free_port(), free_port()
            self.bases = {
                "nginx": f"https://127.0.0.1:{self.port}",
                "caddy": f"http://127.0.0.1:{self.caddy_port}",
            }
            if self.run_nginx() and self.run_caddy():
                return self
            self.stop()
            assert "address already in use" in self.logs().lower(), self.logs()
        raise AssertionError(self.logs())

    def run(self, name, command, is_listening):
        with open(self.folder / "log" / f"{name}.out", "ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        until(lambda: process.poll() is not None or is_listening(), f"{name} ready")
        return process.poll() is None

    def run_nginx(self):
        folder = self.folder
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        # The files of a test are readable by its user alone.
        user = "user root;\n" if os.geteuid() == 0 else ""
        text = replaced(
            (GATEWAYS / "nginx.conf").read_text(),
            [
                ("worker_processes auto;", f"{user}worker_processes 1;"),
                ("/run/nginx.pid", f"{folder}/nginx.pid"),
                ("/var/log/nginx/", f"{folder}/log/"),
                ("http {\n", f"http {{\n{own}"),
                ("/etc/nginx/", f"{folder}/"),
                ("/etc/ssl/certs/", f"{folder}/"),
                ("/etc/ssl/private/", f"{folder}/"),
                ("http://127.0.0.1:8080/", f"http://127.0.0.1:{self.pdp_port}/"),
                ("http://127.0.0.1:8081", f"http://127.0.0.1:{self.application_port}"),
                ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                ("listen 127.0.0.1:9000", f"listen 127.0.0.1:{self.adapter}"),
            ],
        )
        config, pid = folder / "nginx.conf", folder / "nginx.pid"
        config.write_text(text)
        early = folder / "log" / "early.log"
        command = [NGINX, "-e", early, "-p", folder, "-c", config, "-g", "daemon off;"]
        return self.run("nginx", command, lambda: pid.exists() and pid.stat().st_size > 0)

    def run_caddy(self):
        text = replaced(
            (GATEWAYS / "Caddyfile").read_text(),
            [
                (
                    "todo.example.org {",
                    "{\n\tadmin off\n\tauto_https off\n}\n\n"
                    f"http://127.0.0.1:{self.caddy_port} {{",
                ),
                ("/etc/caddy/people", f"{self.folder}/caddy-people"),
                ("forward_auth 127.0.0.1:9000", f"forward_auth 127.0.0.1:{self.adapter}"),
                (
                    "reverse_proxy 127.0.0.1:8081",
                    f"reverse_proxy 127.0.0.1:{self.application_port}",
                ),
            ],
        )
        config = self.folder / "Caddyfile"
        config.write_text(text)
        command = [CADDY, "run", "--adapter", "caddyfile", "--config", config]
        said = self.folder / "log" / "caddy.out"
        return self.run(
            "caddy", command, lambda: "serving initial configuration" in said.read_text()
        )

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)
        self.processes.clear()

    def logs(self):
        files = self.folder.glob("log/*")
        return "".join(file.read_text(errors="replace") for file in files)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, pdp, application):
    folder = tmp_path_factory.mktemp("gateway")
    gateway = Gateway(folder, pdp.port, pdp.key, application.server_port)
    try:
        yield gateway.start()
    finally:
        gateway.stop()


@pytest.fixture(scope="module")
def client():
    # The certificate is a test's own.
    with httpx.Client(trust_env=False, timeout=60, verify=False) as client:
        yield client


def sign_in(who):
    return (PEOPLE[who]["subject_id"], PASSWORD)


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
@pytest.mark.parametrize("who", PEOPLE)
def test_a_gateway_lets_pass_what_the_table_of_the_scenario_permits(
    gateway, application, client, who, proxy
):
    rows = [row for row in DECISIONS if row["who"] == who]
    assert len(rows) == 5
    for row in rows:
        path = f"{PATHS[row['route']]}?page=1"
        application.seen.clear()
        found = client.request(row["method"], gateway.bases[proxy] + path, auth=sign_in(who))
        if row["decision"]:
            assert (found.status_code, found.text) == (200, f"{row['method']} {path}"), row
        else:
            assert found.status_code == 403, row
            assert application.seen == [], "the application was asked"


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_who_does_not_sign_in_or_is_unknown_gets_nothing(gateway, application, client, proxy):
    url = gateway.bases[proxy] + "/todos"
    application.seen.clear()
    assert client.get(url).status_code == 401
    assert client.get(url, auth=(PEOPLE["rick"]["subject_id"], "wrong")).status_code == 401
    # Whom a header names does not count.
    claim = {"X-Authzen-Subject": PEOPLE["rick"]["subject_id"], "X-Forwarded-Method": "GET"}
    claim["X-Forwarded-Uri"] = "/todos"
    found = client.post(url, auth=sign_in("beth"), headers=claim)
    assert found.status_code == 403
    assert client.get(url, headers=claim).status_code == 401
    assert application.seen == []
    assert client.get(url, auth=sign_in("beth"), headers=claim).status_code == 200


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_no_path_passes_that_fits_no_route(gateway, application, client, proxy):
    application.seen.clear()
    for path in (
        "/",
        "/admin",
        "/todos/",
        "/todos/1/2",
        "//todos",
        "/todos/%2e%2e/admin",
        "/todos/..%2fadmin",
        "/todos/1;x=2",
        "/todos/1%00",
        "/%74odos",
        "/TODOS",
        "/_authzen",
        "/users/.",
    ):
        raw = httpx.URL(gateway.bases[proxy]).copy_with(raw_path=path.encode())
        found = client.request("GET", raw, auth=sign_in("rick"))
        assert found.status_code in (400, 403, 404), path
    assert application.seen == []


def test_envoys_way_of_asking_is_understood(gateway, client):
    def ask(method, path, **headers):
        url = f"http://127.0.0.1:{gateway.adapter}{path}"
        return client.request(method, url, headers=headers).status_code

    subject = {"X-Authzen-Subject": PEOPLE["beth"]["subject_id"]}
    assert ask("GET", "/request/todos?page=1", **subject) == 204
    assert ask("POST", "/request/todos", **subject) == 403
    assert ask("GET", "/request/todos") == 403
    assert ask("GET", "/request/admin", **subject) == 403
    # In /forwarded the headers alone count, and both have to be there.
    forwarded = {**subject, "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/todos"}
    assert ask("GET", "/forwarded", **forwarded) == 204
    for missing in forwarded:
        kept = {name: value for name, value in forwarded.items() if name != missing}
        assert ask("GET", "/forwarded", **kept) == 403, missing
    assert ask("GET", "/", **forwarded) == 403


def test_a_decision_is_on_record_with_who_asked_for_whom(gateway, pdp, client):
    beth = f'Todo::Person::"{PEOPLE["beth"]["subject_id"]}"'
    filters = ["--user-id", "gate", "--event", "evaluate", "--asked-principal", beth]

    def records():
        exported = pdp.run("audit", "export", *filters).stdout
        return [json.loads(line) for line in exported.splitlines()]

    before = len(records())
    found = client.delete(gateway.bases["nginx"] + "/todos/7", auth=sign_in("beth"))
    assert found.status_code == 403
    (record,) = records()[before:]
    assert record["outcome"] == "denied"
    assert record["asked_principal"] == beth
    assert record["asked_action"] == 'Todo::Action::"DELETE"'
    assert record["asked_resource"] == 'Todo::Route::"/todos/{todoId}"'


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_without_an_answer_nothing_passes(tmp_path, application, client, proxy, pdp):
    # Nothing listens there; and then a decision point that knows no such key.
    for place, port, key in (("away", free_port(), pdp.key), ("key", pdp.port, "wrong")):
        folder = tmp_path / place
        folder.mkdir()
        gateway = Gateway(folder, port, key, application.server_port)
        try:
            gateway.start()
            application.seen.clear()
            found = client.get(gateway.bases[proxy] + "/todos", auth=sign_in("rick"))
            assert found.status_code == 503, place
            assert application.seen == []
        finally:
            gateway.stop()
        assert "authzen: " in gateway.logs()
        assert pdp.key not in gateway.logs()


def test_the_files_that_do_not_run_here_can_be_read():
    files = {file.name: file.read_text() for file in GATEWAYS.iterdir()}
    parsed = {name: yaml.safe_load(text) for name, text in files.items() if ".y" in name}
    assert set(parsed) == {"apisix.yaml", "envoy.yaml", "kong.yml", "traefik-dynamic.yml"}
    for name in parsed:
        assert "http://127.0.0.1:9000/" in files[name] or "path_prefix: /request" in files[name]
        assert "authzen-subject" in files[name].lower()
