"""A client generated from the OpenAPI document mints, downloads, and has types for problems."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo import ADMIN, MEMBER, PUBLIC, RESTRICTED, UNKNOWN, file_of
from server import DEADLINE

GENERATOR = Path(sys.executable).with_name("openapi-python-client")

# What a programmer would write with the generated client, run in a process of its own.
PROGRAM = """
import importlib, sys
from uuid import UUID
from cedargate_client import AuthenticatedClient, Client
from cedargate_client.api.auth import create_download_tokens
from cedargate_client.models import DownloadTokenResponse, DownloadTokensRequest, ProblemDetail

module, base, public, restricted, unknown, session = sys.argv[1:]
mint = importlib.import_module("cedargate_client.api.auth." + module)
anonymous = Client(base_url=base)
member = AuthenticatedClient(base_url=base, token=session)
for dataset, client in ((public, anonymous), (restricted, member)):
    given = mint.sync(UUID(dataset), client=client)
    assert isinstance(given, DownloadTokenResponse), given
    assert given.token.count(".") == 2 and 0 < given.expires_in <= 120
refused = mint.sync_detailed(UUID(unknown), client=anonymous)
assert refused.status_code == 404
assert isinstance(refused.parsed, ProblemDetail), refused
assert refused.parsed.status == 404 and refused.parsed.title and refused.parsed.detail

body = DownloadTokensRequest(dataset_ids=[public, restricted, unknown, "dem"])
given = create_download_tokens.sync(client=member, body=body).results
assert [result.dataset_id for result in given] == [public, restricted, unknown, "dem"]
for result in given[:2]:
    assert result.token.count(".") == 2 and 0 < result.expires_in <= 120 and not result.problem
for result, status in zip(given[2:], (404, 422)):
    assert not result.token and not result.expires_in
    assert result.problem.status == status and result.problem.title and result.problem.detail
    assert not result.problem.retry_after
refused = create_download_tokens.sync(client=member, body=DownloadTokensRequest(dataset_ids=[]))
assert isinstance(refused, ProblemDetail) and refused.status == 422
print("done")
"""

# The same for the answers that are bytes.
BYTES_PROGRAM = """
import importlib, json, sys
from uuid import UUID
from cedargate_client import AuthenticatedClient, Client
from cedargate_client.api.administration import (
    export_audit_records, list_audit_records, upload_file)
from cedargate_client.api.datasets import download_cog
from cedargate_client.models import ProblemDetail
from cedargate_client.types import File

module, base, public, without_file, unknown, admin, path = sys.argv[1:]
mint = importlib.import_module("cedargate_client.api.auth." + module)
anonymous = Client(base_url=base)
administrator = AuthenticatedClient(base_url=base, token=admin)
with open(path, "rb") as opened:
    expected = opened.read()

token = mint.sync(UUID(public), client=anonymous).token
assert download_cog.sync(UUID(public), client=anonymous, token=token).payload.read() == expected
part = download_cog.sync_detailed(
    UUID(public), client=anonymous, token=token, range_="bytes=0-9")
assert part.status_code == 206 and part.parsed.payload.read() == expected[:10]
refused = download_cog.sync(UUID(public), client=anonymous, token="x")
assert isinstance(refused, ProblemDetail) and refused.status == 401, refused
refused = download_cog.sync(UUID(unknown), client=administrator)
assert isinstance(refused, ProblemDetail) and refused.status == 404, refused

with open(path, "rb") as opened:
    stored = upload_file.sync_detailed(
        UUID(without_file), client=administrator, body=File(payload=opened), name="a.tif")
assert stored.status_code in (200, 201), stored
assert download_cog.sync(UUID(without_file), client=administrator).payload.read() == expected

lines = export_audit_records.sync(client=administrator, dataset_id=UUID(public)).payload.read()
jti = UUID(json.loads(lines.splitlines()[0])["jti"])
found = list_audit_records.sync(client=administrator, jti=jti).items
assert {record.event for record in found} == {"mint", "download"}, found
print("done")
"""


def generate_client(document_url, folder):
    """Generates the package from a document, in a folder to put on the path."""
    (folder / "config.yaml").write_text(
        "project_name_override: cedargate-client\n"
        "package_name_override: cedargate_client\n"
        "post_hooks: []\n"
    )
    done = subprocess.run(
        [GENERATOR, "generate", "--url", document_url, "--meta", "none",
         "--output-path", folder / "cedargate_client", "--config", folder / "config.yaml"],
        cwd=folder, capture_output=True, text=True, timeout=4 * DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # It knows one of the two media types of an upload, and leaves out the other and nothing else.
    warnings = re.findall(r"^WARNING .*\n\n(.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert warnings == ["Unsupported content type image/tiff"], done.stdout + done.stderr
    return folder


def run_generated_client(folder, run_peer, peers_folder, *arguments, program=PROGRAM):
    """Runs a program with the generated package."""
    contract = json.loads((peers_folder / "contract" / "download-token.json").read_text())
    module = contract["operation"]["operationId"].replace("__", "_")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return run_peer(sys.executable, "-c", program, module, *arguments, env=environment)


@pytest.fixture(scope="module")
def client_folder(server, tmp_path_factory):
    return generate_client(f"{server.base}/openapi.json", tmp_path_factory.mktemp("sdk"))


def test_the_generated_client_compiles(client_folder, run_peer):
    done = run_peer(sys.executable, "-m", "compileall", "-q", client_folder / "cedargate_client")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_client_mints_and_gets_a_typed_problem(
    client_folder, server, run_peer, peers_folder
):
    session = server.login(MEMBER)
    done = run_generated_client(
        client_folder, run_peer, peers_folder, server.base, PUBLIC, RESTRICTED, UNKNOWN, session
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_the_generated_client_gives_the_bytes_of_downloads_and_exports(
    client_folder, make_server, run_peer, peers_folder
):
    server = make_server().start()
    admin = server.login(ADMIN)
    made = server.post(
        "/admin/datasets",
        headers={"Authorization": f"Bearer {admin}"},
        json={"title": "x", "visibility": "public", "record_status": "published"},
    )
    assert made.status_code == 201, made.text
    done = run_generated_client(
        client_folder, run_peer, peers_folder, server.base, PUBLIC, made.json()["id"], UNKNOWN,
        admin, file_of(PUBLIC), program=BYTES_PROGRAM,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
