"""schemathesis finds no response that the OpenAPI document does not describe."""

import shutil
import sys
from pathlib import Path

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED
from server import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,"
    "unsupported_method,allow_header_conformance"
)

AUTHZEN = (
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
)


def explore(server, run_peer, *more):
    """Runs schemathesis, and returns the statuses in the access log by path."""
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
    statuses = {}
    for line in server.access_lines():
        statuses.setdefault(line["path"], set()).add(line["status"])
    return statuses


@pytest.mark.parametrize("caller", ["anonymous", MEMBER, ADMIN])
def test_every_response_is_documented_for_any_id(caller, make_server, run_peer):
    server = make_server().start()
    (server.folder / "schemathesis.toml").write_text("")
    identity = []
    if caller != "anonymous":
        identity = ["--header", f"Authorization: Bearer {server.login(caller)}"]
    statuses = explore(server, run_peer, *identity)
    assert max(status for statuses in statuses.values() for status in statuses) < 500


@pytest.mark.parametrize("caller", ["anonymous", MEMBER])
def test_every_response_about_an_existing_dataset_is_documented(caller, make_server, run_peer):
    server = make_server().start()
    dataset, identity, parameters = PUBLIC, [], ""
    if caller == "anonymous":
        parameters = f'"query.token" = "{server.mint(PUBLIC)}"\n'
    else:
        dataset = RESTRICTED
        identity = ["--header", f"Authorization: Bearer {server.login(caller)}"]
    (server.folder / "schemathesis.toml").write_text(
        f'[parameters]\n"path.dataset_id" = "{dataset}"\n{parameters}'
    )
    # These are not about the dataset.
    statuses = explore(server, run_peer, "--exclude-path-regex", "^/access/", *identity)
    assert max(status for statuses in statuses.values() for status in statuses) < 500
    assert 200 in statuses[f"/auth/download-token/{dataset}"]
    assert statuses[server.download_path(dataset)] & {200, 206}


# An admin that no admin can change, so that schemathesis stays an admin whatever it does.
KEEPER = '[[users]]\nusername = "keeper"\nroles = ["admin"]\n'
KEEPER_STAYS = """\
@id("keeper-stays")
@reason("The keeper stays as it is.")
forbid (principal, action == Action::"administer_users", resource)
when { resource.username == "keeper" };
"""


def test_every_response_to_an_admin_is_documented(make_server, run_peer):
    server = make_server()
    # The policy breaks an invariant on purpose (admins may do everything), so those are not copied.
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
    statuses = explore(
        server, run_peer, "--header", f"X-Api-Key: {identity['X-Api-Key']}", *revoking
    )
    assert max(status for statuses in statuses.values() for status in statuses) < 500
    for path in ("/admin/audit", "/admin/audit/export", "/admin/policies", "/admin/keys"):
        assert 200 in statuses[path], path
        assert server.get(path, headers=identity).status_code == 200
    for path in AUTHZEN:
        # A media type that is not taken is a 400 there, as AuthZEN has it.
        assert 400 in statuses[path] and not statuses[path] & {415, 422}, path
    assert 200 in statuses[AUTHZEN[0]]
