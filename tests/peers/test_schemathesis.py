"""schemathesis finds no answer that the OpenAPI document does not promise."""

import sys
from pathlib import Path

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED

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
