"""schemathesis finds no answer that the OpenAPI document does not promise."""

import sys
from pathlib import Path

import pytest
from demo import ADMIN, MEMBER

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,"
    "unsupported_method,allow_header_conformance"
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("caller", ["anonymous", MEMBER, ADMIN])
def test_every_answer_is_documented(caller, make_gateway, run_peer):
    server = make_gateway().start()
    identity = ["--header", f"Authorization: Bearer {server.login(caller)}"]
    done = run_peer(
        SCHEMATHESIS, "run", f"{server.base}/openapi.json", "--checks", CHECKS,
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "20",
        "--seed", "1", "--generation-database", "none", "--suppress-health-check", "all",
        "--request-timeout", "20", "--continue-on-failure", "--no-color",
        *(identity if caller != "anonymous" else []),
        cwd=server.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.is_alive()
    assert server.get("/health/ready").status_code == 200
    errors = [line for line in server.access_lines() if line["status"] >= 500]
    assert errors == []
