"""Operation: stop, restart, log, audit records."""

import hashlib
import re
import resource
import shutil
import socket
import sqlite3
import threading

import httpx
import numpy
import pytest
import rasterio

from demo import INTERNAL, MEMBER, OUTSIDER, PRIVATE, PUBLIC, RESTRICTED, UNKNOWN
from server import DEADLINE, ROOT, assert_problem, claims_unverified, until

LARGE = "7d3c2f8e-51b6-4a09-8e14-6f0b9c2d7a35"


def add_large_dataset(server):
    """Adds a public COG that is larger than any socket buffer; returns its file."""
    file = server.folder / "large.tif"
    noise = numpy.random.default_rng(1).integers(0, 2**16, (3200, 3200), dtype="uint16")
    with rasterio.open(
        file, "w", driver="COG", width=3200, height=3200, count=1, dtype="uint16", compress="NONE",
        crs="EPSG:4326", transform=rasterio.Affine(0.01, 0, 0, 0, -0.01, 50),
    ) as dataset:  # fmt: skip
        dataset.write(noise, 1)
    catalog = server.folder / "large.toml"
    catalog.write_text(
        f"""
        [[datasets]]
        id = "{LARGE}"
        title = "A large one"
        visibility = "public"
        record_status = "published"
        file = "large.tif"
        """
    )
    server.run("catalog", "apply", catalog)
    return file


def begin_slow_download(server, dataset, token):
    """Requests the file and reads the headers only; returns the connection and the body so far."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(DEADLINE)
    connection.connect(("127.0.0.1", server.port))
    path = f"{server.download_path(dataset)}?token={token}"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1024)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return connection, body


def is_listening(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        return True
    except OSError:
        return False


def test_stopping_drains_a_download_in_flight_and_exits_0(make_server):
    server = make_server().start()
    file = add_large_dataset(server)
    token = until(lambda: server.mint_or_none(LARGE), "new dataset available")
    connection, body = begin_slow_download(server, LARGE, token)
    with connection:
        server.terminate()
        until(lambda: not is_listening(server), "server refuses connections")
        assert server.is_alive()
        digest, length = hashlib.sha256(body), len(body)
        while part := connection.recv(1 << 20):
            digest.update(part)
            length += len(part)
    assert length == file.stat().st_size > 16 << 20
    assert digest.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()
    assert server.wait() == 0


def test_a_restart_keeps_keys_users_and_catalog(make_server):
    server = make_server().start()
    before = server.get("/.well-known/jwks.json").json()
    passwords = server.passwords
    token, session = server.mint(PUBLIC), server.login(MEMBER)
    assert server.stop() == 0
    server.start()
    assert server.get("/.well-known/jwks.json").json() == before
    assert server.passwords == passwords
    path = server.download_path(PUBLIC)
    assert server.get(f"{path}?token={token}", headers={"Range": "bytes=0-3"}).status_code == 206
    assert server.post_mint(RESTRICTED, session).status_code == 200
    assert server.login(MEMBER)


def test_the_log_contains_no_token_and_no_password(make_server):
    server = make_server(CEDARGATE_LOG_LEVEL="debug").start()
    session = server.login(MEMBER)
    token = server.mint(PUBLIC)
    path = server.download_path(PUBLIC)
    secret = "a-password-that-was-mistyped"
    server.get(f"{path}?token={token}")
    server.get(f"{path}?token={token[:-3]}AAA")
    server.get(f"{server.download_path(RESTRICTED)}?token={token}")
    server.get(f"{path}?token={session}")
    server.get(f"/nothing/{token}")
    server.get(f"/docs?token={token}")
    server.get(path, headers={"Authorization": f"Bearer {session}"})
    server.get(path, headers={"Authorization": f"Bearer {session}x", "X-Api-Key": token})
    server.post_mint(PUBLIC, session[:-3] + "AAA")
    server.post("/auth/login", data={"username": MEMBER, "password": secret})
    server.post(f"/auth/login?username={MEMBER}&password={secret}")
    passwords = server.passwords
    assert server.stop() == 0
    log = server.log_text()
    paths = [line["path"] for line in server.access_lines()]
    assert path in paths and "/auth/login" in paths, "unexpected log"
    for password in (*passwords.values(), secret):
        assert password not in log
    assert "eyJ" not in log


def test_the_request_id_of_each_response_is_in_the_log(make_server):
    server = make_server().start()
    responses = [server.get("/nothing"), server.post_mint(PUBLIC), server.post_mint(UNKNOWN)]
    ids = [response.headers["x-request-id"] for response in responses]
    assert len(set(ids)) == len(ids)
    assert server.stop() == 0
    for request_id in ids:
        assert request_id in server.log_text()


def test_the_audit_log_has_each_mint_under_its_jti(make_server):
    server = make_server().start()
    token = server.mint(RESTRICTED, server.login(MEMBER))
    claims = claims_unverified(token)
    server.get(f"{server.download_path(RESTRICTED)}?token={token}", headers={"Range": "bytes=0-1"})
    refused = server.post_mint(PRIVATE, server.login(OUTSIDER))
    assert_problem(refused, 404)
    server.post_mint(UNKNOWN)
    records = server.audit()
    mint = next(r for r in records if r["event"] == "mint" and r["jti"] == claims["jti"])
    assert mint["id"] == claims["jti"]
    assert (mint["outcome"], mint["dataset_id"]) == ("granted", RESTRICTED)
    assert mint["user_id"] == claims["sub"]
    assert mint["address"] == "127.0.0.1"
    assert mint["determining_policies"] and mint["revision"]
    download = next(r for r in records if r["event"] == "download")
    assert (download["outcome"], download["jti"]) == ("granted", claims["jti"])
    denied = next(r for r in records if r["dataset_id"] == PRIVATE)
    assert denied["outcome"] == "denied"
    assert denied["request_id"] == refused.headers["x-request-id"]
    unknown = next(r for r in records if r["dataset_id"] == UNKNOWN)
    assert (unknown["outcome"], unknown["user_id"]) == ("refused", None)
    assert "eyJ" not in server.run("audit", "export").stdout


@pytest.mark.parametrize("round", range(3))
def test_a_kill_under_load_loses_no_record_of_an_issued_token(make_server, round):
    server = make_server().start()
    got, enough = [], threading.Event()

    def mint_until_it_fails():
        with httpx.Client(base_url=server.base, trust_env=False, timeout=DEADLINE) as client:
            while True:
                try:
                    response = client.post(f"/auth/download-token/{PUBLIC}")
                except httpx.TransportError:
                    return
                assert response.status_code == 200
                got.append(response.json()["token"])
                if len(got) >= 100 * (round + 1):
                    enough.set()

    threads = [threading.Thread(target=mint_until_it_fails) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(DEADLINE)
    server.kill()
    for thread in threads:
        thread.join(DEADLINE)
    recorded = {record["jti"] for record in server.audit() if record["event"] == "mint"}
    lost = {claims_unverified(token)["jti"] for token in got} - recorded
    assert lost == set()
    server.start()
    assert server.mint(PUBLIC)


def test_a_token_whose_record_cannot_be_written_is_not_issued(make_server):
    server = make_server().start()
    assert server.mint(PUBLIC)
    writer = sqlite3.connect(server.data / "cedargate.db", isolation_level=None)
    writer.execute("begin immediate")  # blocks all other writers
    try:
        response = server.post_mint(PUBLIC)
        assert_problem(response, 503)
        assert int(response.headers["retry-after"]) > 0
        assert "token" not in response.json()
    finally:
        writer.execute("rollback")
        writer.close()
    assert until(lambda: server.mint_or_none(PUBLIC), "minting recovers")


def test_no_token_is_issued_while_no_audit_record_can_be_written(make_server):
    server = make_server().start()
    with sqlite3.connect(server.data / "cedargate.db") as database:
        database.execute(
            "create trigger full before insert on audit_records "
            "begin select raise(abort, 'the disk is full'); end"
        )
    response = server.post_mint(PUBLIC)
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0
    session = server.post(
        "/auth/login", data={"username": MEMBER, "password": server.passwords[MEMBER]}
    )
    assert session.status_code == 503
    with sqlite3.connect(server.data / "cedargate.db") as database:
        database.execute("drop trigger full")
    assert until(lambda: server.mint_or_none(PUBLIC), "minting recovers")


def test_files_that_cannot_grow_stop_minting_until_they_can_again(make_server):
    """As on a full disk, which only root could make: no file of the process may grow."""
    server = make_server().start()
    assert server.mint(PUBLIC)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    until(lambda: server.post_mint(PUBLIC).status_code == 503, "nothing can be written")
    until(lambda: server.get("/health/ready").status_code == 503, "health says so")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert until(lambda: server.mint_or_none(PUBLIC), "minting recovers")
    until(lambda: server.get("/health/ready").json()["status"] == "ready", "health recovers")
    assert server.stop() == 0


def test_liveness_readiness_and_settings_are_reported(make_server):
    server = make_server().start()
    assert server.get("/health/live").status_code == 200
    ready = server.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    printed = server.run("config").stdout
    assert f"127.0.0.1:{server.port}" in printed and "CEDARGATE_LISTEN" in printed


def test_a_missing_file_is_reported_to_readers_and_hidden_from_others(make_server):
    server = make_server().start()
    catalog = server.folder / "without-file.toml"
    catalog.write_text(
        f"""
        [[datasets]]
        id = "{LARGE}"
        title = "Announced"
        visibility = "internal"
        record_status = "published"
        """
    )
    server.run("catalog", "apply", catalog)
    session = server.login(OUTSIDER)
    until(
        lambda: "file" in server.post_mint(LARGE, session).json()["detail"],
        "missing file reported to a reader",
    )
    hidden = assert_problem(server.post_mint(LARGE), 404)
    assert hidden == assert_problem(server.post_mint(UNKNOWN), 404)
    assert server.post_mint(INTERNAL, session).status_code == 200


def test_a_catalog_file_with_an_invalid_value_changes_nothing(make_server):
    server = make_server().start()
    wrong = server.folder / "wrong.toml"
    wrong.write_text(
        f'[[datasets]]\nid = "{LARGE}"\ntitle = "x"\nvisibility = "publik"\n'
        'record_status = "published"\n'
    )
    done = server.run("catalog", "apply", wrong, check=False)
    assert done.returncode == 1
    assert "error:" in done.stderr and "wrong.toml" in done.stderr and "publik" in done.stderr
    assert re.search(r"wrong\.toml:4\b|line 4\b", done.stderr), done.stderr
    assert_problem(server.post_mint(LARGE), 404)


def test_a_broken_policy_is_reported_and_prevents_the_start(make_server):
    server = make_server(CEDARGATE_POLICY_DIR="policies")
    shipped = server.folder / "policies"
    shutil.copytree(ROOT / "policies", shipped)
    (shipped / "typo.cedar").write_text(
        '@id("typo")\npermit (principal, action == Action::"read", resource)\n'
        'when { resource.visibilty == Visibility::"public" };\n'
    )
    for command in (("policy", "check"), ("serve", "--demo")):
        done = server.run(*command, check=False)
        assert done.returncode in (1, 3), done.stderr
        text = done.stdout + done.stderr
        assert "typo.cedar" in text and "visibilty" in text and ":3" in text, text
