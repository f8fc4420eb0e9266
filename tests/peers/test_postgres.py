"""Mint and download on PostgreSQL, and outages of it."""

import random

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED, file_of
from server import assert_problem, claims_unverified, until


def test_mint_and_download_work_on_postgres(postgres_server):
    server = postgres_server
    anonymous = server.mint(PUBLIC)
    restricted = server.mint(RESTRICTED, server.login(MEMBER))
    for dataset, token in ((PUBLIC, anonymous), (RESTRICTED, restricted)):
        span = server.get(
            f"{server.download_path(dataset)}?token={token}", headers={"Range": "bytes=100-199"}
        )
        assert span.status_code == 206
        assert span.content == file_of(dataset).read_bytes()[100:200]
    records = server.audit()
    minted = [r["jti"] for r in records if r["event"] == "mint" and r["outcome"] == "granted"]
    assert minted == [claims_unverified(token)["jti"] for token in (anonymous, restricted)]
    assert [r["jti"] for r in records if r["event"] == "download"] == minted


def test_a_postgres_server_stores_nothing_in_sqlite(postgres_server):
    assert not list(postgres_server.data.rglob("*.db"))


def test_a_restart_keeps_keys_and_catalog_on_postgres(postgres_server):
    server = postgres_server
    before, token = server.get("/.well-known/jwks.json").json(), server.mint(PUBLIC)
    assert server.stop() == 0
    server.start()
    assert server.get("/.well-known/jwks.json").json() == before
    path = f"{server.download_path(PUBLIC)}?token={token}"
    assert server.get(path).content == file_of(PUBLIC).read_bytes()


def test_an_unavailable_database_is_503_until_it_recovers(postgres_server, cluster):
    server = postgres_server
    session = server.login(MEMBER)
    assert server.mint(RESTRICTED, session)
    cluster.stop()
    try:
        for response in (
            server.post_mint(PUBLIC),
            server.post_mint(RESTRICTED, session),
            server.get(
                server.download_path(PUBLIC), headers={"Authorization": f"Bearer {session}"}
            ),
            server.post("/auth/login", data={"username": MEMBER, "password": "x"}),
        ):
            assert_problem(response, 503)
            assert int(response.headers["retry-after"]) > 0
        assert server.get("/health/live").status_code == 200
        ready = server.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unready")
        assert server.get("/.well-known/jwks.json").status_code == 200
    finally:
        cluster.restart()
    assert until(lambda: server.mint_or_none(PUBLIC), "minting recovers")
    assert server.mint(RESTRICTED, session)
    assert server.is_alive()


@pytest.mark.parametrize("how", ["read only", "no right to write"])
def test_no_token_is_issued_if_the_database_refuses_records(postgres_server, cluster, how):
    server, name = postgres_server, cluster.database_of(postgres_server)
    assert server.mint(PUBLIC)
    others = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    if how == "read only":
        cluster.sql(f'alter database "{name}" set default_transaction_read_only = on')
        cluster.sql(others)
        mend = f'alter database "{name}" set default_transaction_read_only = off'
    else:
        cluster.sql(
            "create function refuse() returns trigger language plpgsql as "
            "$$ begin raise exception 'audit records refused'; end $$; "
            "create trigger refuse before insert on audit_records "
            "for each statement execute function refuse()",
            name,
        )
        mend = None
    response = server.post_mint(PUBLIC)
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0
    assert "eyJ" not in response.text
    if mend:
        cluster.sql(mend)
        cluster.sql(others)
    else:
        cluster.sql("drop trigger refuse on audit_records", name)
    assert until(lambda: server.mint_or_none(PUBLIC), "minting recovers")


def test_the_password_of_the_database_is_never_printed(make_server):
    server = make_server(
        CEDARGATE_DATABASE_URL="postgres://cedargate:hush-hush@127.0.0.1:1/nowhere"
    )
    shown = server.run("config")
    assert "hush-hush" not in shown.stdout + shown.stderr
    failed = server.run("serve", "--demo", check=False)
    assert failed.returncode == 1
    assert "error:" in failed.stderr and "hush-hush" not in failed.stdout + failed.stderr


def test_questions_about_long_ids_are_on_record_on_postgres(postgres_server):
    server = postgres_server
    # Random letters of four bytes each: what an index cannot compress.
    letters = random.Random(1).choices(range(0x20000, 0x2A6D6), k=1_024)
    question = {
        "subject": {"type": "user", "id": MEMBER},
        "action": {"name": "read"},
        "resource": {"type": "dataset", "id": "".join(map(chr, letters))},
    }
    admin = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    for resource in (question["resource"], {"type": "dataset", "id": RESTRICTED}):
        asked = {**question, "resource": resource}
        answer = server.post("/access/v1/evaluation", json=asked, headers=admin)
        assert answer.status_code == 200, answer.text
        assert answer.json()["decision"] is (resource["id"] == RESTRICTED)
    assert server.get("/health/ready").json()["status"] == "ready"
    asked = [record for record in server.audit() if record["event"] == "evaluate"]
    assert [record["outcome"] for record in asked] == ["denied", "granted"]
