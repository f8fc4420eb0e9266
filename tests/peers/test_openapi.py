"""The OpenAPI document is valid, equal to the committed one, and keeps the mint's contract."""

import json
import sys

import openapi_spec_validator

from server import ROOT

COMMITTED = ROOT / "openapi" / "openapi.json"


def test_the_served_document_is_valid_openapi(server):
    response = server.get("/openapi.json")
    assert response.headers["content-type"].startswith("application/json")
    openapi_spec_validator.validate(response.json())


def test_the_committed_document_is_what_the_program_writes(server):
    written = server.run("openapi").stdout
    assert COMMITTED.read_text() == written, "out of date: run `make openapi`"


def test_the_committed_document_is_what_the_server_serves(server):
    served = server.get("/openapi.json").json()
    committed = json.loads(COMMITTED.read_text())
    # A deployment adds only the address of the server.
    served.pop("servers", None), committed.pop("servers", None)
    assert served == committed, "out of date: run `make openapi`"


def test_no_object_of_the_document_has_a_duplicate_name(server):
    def once(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"duplicate name in {names}"
        return dict(pairs)

    json.loads(server.get("/openapi.json").text, object_pairs_hook=once)


def test_the_contract_of_the_mint_holds_on_the_wire(server, run_peer, peers_folder):
    done = run_peer(
        sys.executable, peers_folder / "contract" / "check", f"{server.base}/openapi.json"
    )
    assert (done.returncode, done.stdout) == (0, "contract holds\n"), done.stdout + done.stderr


def test_the_contract_of_the_mint_holds_in_the_committed_document(run_peer, peers_folder):
    done = run_peer(sys.executable, peers_folder / "contract" / "check", COMMITTED)
    assert (done.returncode, done.stdout) == (0, "contract holds\n"), done.stdout + done.stderr


def test_the_contract_check_rejects_a_broken_document(run_peer, peers_folder, tmp_path):
    document = json.loads(COMMITTED.read_text())
    contract = json.loads((peers_folder / "contract" / "download-token.json").read_text())
    operation = document["paths"][contract["path"]]["post"]
    operation["operationId"] = "mint"
    del operation["responses"]["429"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document))
    done = run_peer(sys.executable, peers_folder / "contract" / "check", broken)
    assert done.returncode == 1
    assert "operationId" in done.stdout and "statuses" in done.stdout


def test_the_document_says_where_to_sign_in(server):
    schemes = server.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes["OAuth2PasswordBearer"]["flows"]["password"]["scopes"] == {}
