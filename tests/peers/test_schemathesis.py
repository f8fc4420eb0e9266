"""schemathesis finds no answer that the OpenAPI document does not promise."""

import shutil
import sys
from pathlib import Path

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED
from gateway import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,"
    "unsupported_method,allow_header_conformance"
)


def explore(server, run_peer, *more):
    """Lets schemathesis ask what it likes, and answers the statuses of the log by path."""
    done = run_peer(
        SCHEMATHESIS, "--config-file", "schemathesis.toml",
        "run", f"{server.base}/openapi.json", "--checks", CHECKS,
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "40",
        "--seed", "1", "--generation-database", "none", "--suppress-health-check", "all",
        "--request-timeout", "20", "--continue-on-failure", "--no-color", *more,
        cwd=server.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.is_alive()
    assert server.get("/health/ready").status_code == 200
    answered = {}
    for line in server.access_lines():
        answered.setdefault(line["path"], set()).add(line["status"])
    return answered


@pytest.mark.parametrize("caller", ["anonymous", MEMBER, ADMIN])
def test_every_answer_is_documented_whatever_the_id(caller, make_gateway, run_peer):
    server = make_gateway().start()
    (server.folder / "schemathesis.toml").write_text("")
    identity = []
    if caller != "anonymous":
        identity = ["--header", f"Authorization: Bearer {server.login(caller)}"]
    answered = explore(server, run_peer, *identity)
    assert max(status for statuses in answered.values() for status in statuses) < 500


@pytest.mark.parametrize("caller", ["anonymous", MEMBER])
def test_every_answer_about_a_real_dataset_is_documented(caller, make_gateway, run_peer):
    server = make_gateway().start()
    dataset, identity, parameters = PUBLIC, [], ""
    if caller == "anonymous":
        parameters = f'"query.token" = "{server.mint(PUBLIC)}"\n'
    else:
        dataset = RESTRICTED
        identity = ["--header", f"Authorization: Bearer {server.login(caller)}"]
    (server.folder / "schemathesis.toml").write_text(
        f'[parameters]\n"path.dataset_id" = "{dataset}"\n{parameters}'
    )
    answered = explore(server, run_peer, *identity)
    assert max(status for statuses in answered.values() for status in statuses) < 500
    assert 200 in answered[f"/auth/download-token/{dataset}"]
    assert answered[server.download_path(dataset)] & {200, 206}


# An admin whom no admin can change: whatever schemathesis finds and tries, it goes on as an admin.
KEEPER = '[[users]]\nusername = "keeper"\nroles = ["admin"]\n'
KEEPER_STAYS = """\
@id("keeper-stays")
@reason("The keeper stays as it is.")
forbid (principal, action == Action::"administer_users", resource)
when { resource.username == "keeper" };
"""


def test_every_answer_to_an_admin_is_documented(make_gateway, run_peer):
    server = make_gateway()
    # The policy breaks an invariant on purpose (admins may do everything), so those stay behind.
    without_invariants = shutil.ignore_patterns("invariants")
    shutil.copytree(ROOT / "policies", server.folder / "policies", ignore=without_invariants)
    (server.folder / "policies" / "keeper.cedar").write_text(KEEPER_STAYS)
    server.start()
    (server.folder / "schemathesis.toml").write_text("")
    (server.folder / "keeper.toml").write_text(KEEPER)
    server.run("catalog", "apply", server.folder / "keeper.toml")
    made = server.run("api-key", "create", "--user", "keeper", "--name", "schemathesis")
    identity = {"X-Api-Key": made.stdout.strip()}
    # It would find its own key in the list, and revoke it.
    revoking = ["--exclude-path", "/auth/api-keys/{id}"]
    answered = explore(
        server, run_peer, "--header", f"X-Api-Key: {identity['X-Api-Key']}", *revoking
    )
    assert max(status for statuses in answered.values() for status in statuses) < 500
    for path in ("/admin/audit", "/admin/audit/export", "/admin/policies", "/admin/keys"):
        assert 200 in answered[path], path
        assert server.get(path, headers=identity).status_code == 200
