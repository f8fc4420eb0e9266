"""A client generated from the OpenAPI document compiles, mints, and has types for problems."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo import MEMBER, PUBLIC, RESTRICTED, UNKNOWN

GENERATOR = Path(sys.executable).with_name("openapi-python-client")

# What a programmer would write with the generated client, run in a process of its own.
PROGRAM = """
import importlib, sys
from uuid import UUID
from cedargate_client import AuthenticatedClient, Client
from cedargate_client.models import DownloadTokenResponse, ProblemDetail

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
print("done")
"""


def generate_client(document_url, folder):
    """Generates the package from a document, in a folder to put on the path."""
    (folder / "config.yaml").write_text(
        "project_name_override: cedargate-client\n"
        "package_name_override: cedargate_client\n"
        "post_hooks: []\n"
        # The generator knows bytes by one media type only.
        "content_type_overrides:\n"
        "  image/tiff: application/octet-stream\n"
        "  application/x-ndjson: text/plain\n"
    )
    done = subprocess.run(
        [GENERATOR, "generate", "--url", document_url, "--meta", "none",
         "--output-path", folder / "cedargate_client", "--config", folder / "config.yaml",
         "--fail-on-warning"],
        cwd=folder, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run_generated_client(folder, run_peer, peers_folder, *arguments):
    """Runs PROGRAM with the generated package."""
    contract = json.loads((peers_folder / "contract" / "download-token.json").read_text())
    module = contract["operation"]["operationId"].replace("__", "_")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return run_peer(sys.executable, "-c", PROGRAM, module, *arguments, env=environment)


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
