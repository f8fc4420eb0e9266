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


@pytest.fixture(scope="module")
def client_folder(server, tmp_path_factory):
    """The generated package, in a folder to put on the path."""
    folder = tmp_path_factory.mktemp("sdk")
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
        [GENERATOR, "generate", "--url", f"{server.base}/openapi.json", "--meta", "none",
         "--output-path", folder / "cedargate_client", "--config", folder / "config.yaml",
         "--fail-on-warning"],
        cwd=folder, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_generated_client_compiles(client_folder, run_peer):
    done = run_peer(sys.executable, "-m", "compileall", "-q", client_folder / "cedargate_client")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_client_mints_and_gets_a_typed_problem(
    client_folder, server, run_peer, peers_folder
):
    contract = json.loads((peers_folder / "contract" / "download-token.json").read_text())
    module = contract["operation"]["operationId"].replace("__", "_")
    done = run_peer(
        sys.executable, "-c", PROGRAM, module,
        server.base, PUBLIC, RESTRICTED, UNKNOWN, server.login(MEMBER),
        env={**os.environ, "PYTHONPATH": str(client_folder)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
