"""What an operator relies on: stopping, starting again, the log, the audit records."""

import hashlib
import re
import shutil
import socket
import sqlite3
import threading

import httpx
import numpy
import pytest
import rasterio

from demo import INTERNAL, MEMBER, OUTSIDER, PRIVATE, PUBLIC, RESTRICTED, UNKNOWN
from gateway import DEADLINE, ROOT, assert_problem, claims_unverified, until

LARGE = "7d3c2f8e-51b6-4a09-8e14-6f0b9c2d7a35"


def add_large_dataset(server):
    """Adds a public COG that no socket buffer swallows whole; answers its file."""
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
    """Asks for the file and reads the answer's head only; answers the connection and what came."""
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


def test_stopping_drains_a_download_in_flight_and_exits_0(make_gateway):
    server = make_gateway().start()
    file = add_large_dataset(server)
    token = until(lambda: server.minted_or_none(LARGE), "the new dataset is there")
    connection, body = begin_slow_download(server, LARGE, token)
    with connection:
        server.terminate()
        until(lambda: not is_listening(server), "the server takes no more connections")
        assert server.is_alive()
        digest, length = hashlib.sha256(body), len(body)
        while part := connection.recv(1 << 20):
            digest.update(part)
            length += len(part)
    assert length == file.stat().st_size > 16 << 20
    assert digest.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()
    assert server.ended() == 0


def test_stopping_and_starting_again_keeps_keys_people_and_catalog(make_gateway):
    server = make_gateway().start()
    before = server.get("/.well-known/jwks.json").json()
    people = server.people
    token, session = server.mint(PUBLIC), server.login(MEMBER)
    assert server.stop() == 0
    server.start()
    assert server.get("/.well-known/jwks.json").json() == before
    assert server.people == people
    path = server.download_path(PUBLIC)
    assert server.get(f"{path}?token={token}", headers={"Range": "bytes=0-3"}).status_code == 206
    assert server.ask_mint(RESTRICTED, session).status_code == 200
    assert server.login(MEMBER)


def test_the_log_holds_no_token_and_no_password(make_gateway):
    server = make_gateway(CEDARGATE_LOG_LEVEL="debug").start()
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
    server.ask_mint(PUBLIC, session[:-3] + "AAA")
    server.post("/auth/login", data={"username": MEMBER, "password": secret})
    server.post(f"/auth/login?username={MEMBER}&password={secret}")
    people = server.people
    assert server.stop() == 0
    log = server.log_text()
    paths = [line["path"] for line in server.access_lines()]
    assert path in paths and "/auth/login" in paths, "the log is not the one meant"
    for password in (*people.values(), secret):
        assert password not in log
    assert "eyJ" not in log


def test_each_answer_has_a_request_id_that_the_log_knows(make_gateway):
    server = make_gateway().start()
    given = [server.get("/nothing"), server.ask_mint(PUBLIC), server.ask_mint(UNKNOWN)]
    ids = [answer.headers["x-request-id"] for answer in given]
    assert len(set(ids)) == len(ids)
    assert server.stop() == 0
    for request_id in ids:
        assert request_id in server.log_text()


def test_the_audit_log_knows_each_mint_by_its_jti(make_gateway):
    server = make_gateway().start()
    token = server.mint(RESTRICTED, server.login(MEMBER))
    claims = claims_unverified(token)
    server.get(f"{server.download_path(RESTRICTED)}?token={token}", headers={"Range": "bytes=0-1"})
    refused = server.ask_mint(PRIVATE, server.login(OUTSIDER))
    assert_problem(refused, 404)
    server.ask_mint(UNKNOWN)
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
def test_a_kill_under_load_loses_no_record_of_a_token_that_got_out(make_gateway, round):
    server = make_gateway().start()
    got, enough = [], threading.Event()

    def mint_until_it_dies():
        with httpx.Client(base_url=server.base, trust_env=False, timeout=DEADLINE) as client:
            while True:
                try:
                    answer = client.post(f"/auth/download-token/{PUBLIC}")
                except httpx.TransportError:
                    return
                assert answer.status_code == 200
                got.append(answer.json()["token"])
                if len(got) >= 100 * (round + 1):
                    enough.set()

    threads = [threading.Thread(target=mint_until_it_dies) for _ in range(8)]
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


def test_a_token_whose_record_cannot_be_written_is_not_handed_out(make_gateway):
    server = make_gateway().start()
    assert server.mint(PUBLIC)
    writer = sqlite3.connect(server.data / "cedargate.db", isolation_level=None)
    writer.execute("begin immediate")  # nobody else writes now
    try:
        answer = server.ask_mint(PUBLIC)
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert "token" not in answer.json()
    finally:
        writer.execute("rollback")
        writer.close()
    assert until(lambda: server.minted_or_none(PUBLIC), "minting recovers by itself")


def test_a_database_made_read_only_hands_out_no_token(make_gateway):
    server = make_gateway().start()
    assert server.stop() == 0
    with sqlite3.connect(server.data / "cedargate.db") as database:
        # A trigger stands for the disk that takes no more: permission bits do not bind root.
        table = next(
            name
            for (name,) in database.execute("select name from sqlite_master where type = 'table'")
            if "audit" in name
        )
        database.execute(
            f"create trigger full before insert on {table} "
            "begin select raise(abort, 'the disk is full'); end"
        )
    server.start()
    answer = server.ask_mint(PUBLIC)
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    session = server.post(
        "/auth/login", data={"username": MEMBER, "password": server.people[MEMBER]}
    )
    assert session.status_code == 503
    with sqlite3.connect(server.data / "cedargate.db") as database:
        database.execute("drop trigger full")
    assert until(lambda: server.minted_or_none(PUBLIC), "minting recovers by itself")


def test_liveness_readiness_and_settings_are_told(make_gateway):
    server = make_gateway().start()
    assert server.get("/health/live").status_code == 200
    ready = server.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    told = server.run("config").stdout
    assert f"127.0.0.1:{server.port}" in told and "CEDARGATE_LISTEN" in told


def test_a_missing_file_is_told_to_those_who_may_read_and_hidden_from_the_rest(make_gateway):
    server = make_gateway().start()
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
        lambda: "file" in server.ask_mint(LARGE, session).json()["detail"],
        "those who may read are told",
    )
    hidden = assert_problem(server.ask_mint(LARGE), 404)
    assert hidden == assert_problem(server.ask_mint(UNKNOWN), 404)
    assert server.ask_mint(INTERNAL, session).status_code == 200


def test_a_catalog_file_with_a_wrong_word_changes_nothing(make_gateway):
    server = make_gateway().start()
    wrong = server.folder / "wrong.toml"
    wrong.write_text(
        f'[[datasets]]\nid = "{LARGE}"\ntitle = "x"\nvisibility = "publik"\n'
        'record_status = "published"\n'
    )
    done = server.run("catalog", "apply", wrong, check=False)
    assert done.returncode == 1
    assert "error:" in done.stderr and "wrong.toml" in done.stderr and "publik" in done.stderr
    assert re.search(r"wrong\.toml:4\b|line 4\b", done.stderr), done.stderr
    assert_problem(server.ask_mint(LARGE), 404)


def test_a_broken_policy_is_a_diagnostic_and_no_server(make_gateway):
    gateway = make_gateway(CEDARGATE_POLICY_DIR="policies")
    shipped = gateway.folder / "policies"
    shutil.copytree(ROOT / "policies", shipped)
    (shipped / "typo.cedar").write_text(
        '@id("typo")\npermit (principal, action == Action::"read", resource)\n'
        'when { resource.visibilty == Visibility::"public" };\n'
    )
    for command in (("policy", "check"), ("serve", "--demo")):
        done = gateway.run(*command, check=False)
        assert done.returncode in (1, 3), done.stderr
        text = done.stdout + done.stderr
        assert "typo.cedar" in text and "visibilty" in text and ":3" in text, text
