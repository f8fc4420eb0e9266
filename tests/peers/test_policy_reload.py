"""Policy edits while the server runs."""

import re
import shutil
import signal
import subprocess

import pytest

from demo import ADMIN, MEMBER, PUBLIC
from server import ROOT, until

NO_SOLVER = {"CVC5": "/nonexistent/cvc5"}
RELOADED = "policies reloaded"
REFUSED = "policies not reloaded: the edit is refused"


@pytest.fixture
def make_server_with_policies(make_server):
    """Creates servers with a copy of the shipped policies, which the test may edit."""

    def make(**settings):
        server = make_server(CEDARGATE_POLICY_DIR="policies", **settings)
        shutil.copytree(ROOT / "policies", server.folder / "policies")
        return server

    return make


def shorten_public_tokens(server, seconds):
    """Edits the folder so that tokens for public data are valid for this long."""
    shipped = (ROOT / "policies" / "public.cedar").read_text()
    text = shipped.replace("permit (", f'@max_ttl("{seconds}")\npermit (')
    (server.folder / "policies" / "public.cedar").write_text(text)


def send_sighup(server, message):
    """Sends SIGHUP, and returns the log line with the result."""

    def log_lines():
        return [line for line in server.log_lines() if line["message"] == message]

    before = len(log_lines())
    server.process.send_signal(signal.SIGHUP)
    return until(lambda: log_lines()[before:], f"log line: {message}")[0]


def health(server):
    response = server.get("/health/ready")
    assert response.status_code == 200
    return response.json()


def public_token_lifetime(server):
    return server.post_mint(PUBLIC).json()["expires_in"]


def get_policies(server):
    session = server.login(ADMIN)
    response = server.get("/admin/policies", headers={"Authorization": f"Bearer {session}"})
    assert response.status_code == 200
    return response.json()


def policy_metrics(server):
    """The policy metrics, by name and label."""
    lines = server.get("/metrics").text.splitlines()
    shown = (line.rsplit(" ", 1) for line in lines if line.startswith("cedargate_policy_"))
    return {name: float(value) for name, value in shown}


def test_sighup_reloads_the_folder_and_logs_the_result(
    make_server_with_policies,
):
    server = make_server_with_policies(CEDARGATE_GATE_PROOFS="off").start()
    first = health(server)["revision"]
    line = send_sighup(server, RELOADED)
    assert (line["revision"], line["is_changed"], line["has_folder"]) == (first, False, True)
    shorten_public_tokens(server, 50)
    edited = send_sighup(server, RELOADED)["revision"]
    assert edited != first
    assert (health(server)["revision"], public_token_lifetime(server)) == (edited, 50)
    broken = server.folder / "policies" / "broken.cedar"
    broken.write_text('@id("x")\npermit (principal, action, resorce);\n')
    line = send_sighup(server, REFUSED)
    assert "broken.cedar:2" in str(line["reasons"])
    ready = health(server)
    assert (ready["status"], ready["revision"]) == ("degraded", edited)
    assert public_token_lifetime(server) == 50
    edits = {
        'cedargate_policy_reloads_total{outcome="granted"}': 1,
        'cedargate_policy_reloads_total{outcome="refused"}': 1,
        "cedargate_policy_evaluation_errors_total": 0,
        'cedargate_policy_proofs_total{result="proved"}': 0,
        'cedargate_policy_proofs_total{result="remembered"}': 0,
    }
    assert policy_metrics(server) == {**edits, "cedargate_policy_folder_refused": 1}
    broken.unlink()
    assert send_sighup(server, RELOADED)["revision"] == edited
    assert health(server)["status"] == "ready"
    assert policy_metrics(server) == {**edits, "cedargate_policy_folder_refused": 0}
    assert server.stop() == 0


def test_sighup_has_no_effect_without_a_policy_folder(make_server):
    server = make_server().start()
    line = send_sighup(server, RELOADED)
    assert (line["is_changed"], line["has_folder"]) == (False, False)
    assert server.mint(PUBLIC)
    assert server.stop() == 0


def test_the_banner_says_which_policies_are_in_force_and_why_the_folder_is_not(
    make_server_with_policies,
):
    server = make_server_with_policies(CEDARGATE_GATE_PROOFS="off")

    def banner():
        server.printed.write_text("")
        server.start()
        revision = health(server)["revision"]
        until(lambda: "Stop with Ctrl-C" in server.printed.read_text(), "the banner")
        assert server.stop() == 0
        listening = [line for line in server.log_lines() if line["message"] == "listening"][-1]
        return server.printed.read_text(), revision, listening["policies"]

    folder = server.folder / "policies"
    page, first, origin = banner()
    assert f"Policies  {folder}\n            revision {first}" in page
    assert "WARNING" not in page and origin == str(folder)
    shipped = {path: path.read_text() for path in folder.glob("*.cedar")}
    public = folder / "public.cedar"
    for text, reasons in [
        ('@id("x")\npermit (principal, action, resorce);\n', ["it is not valid", "public.cedar:2"]),
        (
            shipped[public].replace("permit (", "forbid ("),
            ["its cases are not met", "public.cases.json:2"],
        ),
    ]:
        public.write_text(text)
        page, revision, origin = banner()
        assert revision == first
        assert origin == f"the last good policies, since {folder} is refused"
        head, _, rest = page.partition("Docs UI")
        for part in [
            f"WARNING: the policy folder {folder} is refused",
            *reasons,
            "NOT in force",
            origin,
        ]:
            assert part in head, f"{part} is not in {head}"
        assert first in head and "/docs" in rest
    public.write_text(shipped[public])
    page, _, origin = banner()
    assert "WARNING" not in page and origin == str(folder)


def test_without_a_solver_edits_are_in_force_unproved_with_if_available(
    make_server_with_policies,
):
    server = make_server_with_policies(**NO_SOLVER).start()
    ready = health(server)
    assert ready["status"] == "degraded"
    assert "not proved" in str(ready["problems"])
    assert "/nonexistent" not in str(ready["problems"])
    assert "cvc5" in get_policies(server)["unproved"]
    shorten_public_tokens(server, 50)
    edited = send_sighup(server, RELOADED)["revision"]
    assert (health(server)["revision"], public_token_lifetime(server)) == (edited, 50)
    assert health(server)["status"] == "degraded"
    warned = [line for line in server.log_lines() if "were not proved" in line["message"]]
    assert warned and all(line["level"] == "WARN" for line in warned)
    assert server.stop() == 0


def test_without_a_solver_edits_are_refused_if_proofs_are_required(
    make_server_with_policies,
):
    server = make_server_with_policies(CEDARGATE_GATE_PROOFS="require", **NO_SOLVER)
    done = server.run("serve", "--demo", check=False)
    assert done.returncode == 1
    assert re.search(r"error:.*cannot be proved", done.stderr), done.stderr
    # After one start with the solver they are the last good policies.
    del server.settings["CVC5"]
    server.start()
    proved = health(server)
    assert proved["status"] == "ready", proved
    assert server.stop() == 0
    server.settings.update(NO_SOLVER)
    server.start()
    shorten_public_tokens(server, 50)
    line = send_sighup(server, REFUSED)
    assert "cvc5" in str(line["reasons"])
    ready = health(server)
    assert (ready["status"], ready["revision"]) == ("degraded", proved["revision"])
    assert public_token_lifetime(server) != 50
    refused = get_policies(server)["refused"]
    assert "without a solver" in refused["reason"]
    assert server.stop() == 0


def test_a_proof_that_takes_too_long_refuses_the_edit_after_the_request_timeout_of_others(
    make_server_with_policies,
):
    server = make_server_with_policies(CEDARGATE_GATE_PROOFS="require")
    solver = server.folder / "cvc5"
    slow = server.folder / "slow"
    greeting = 'if [ "$1" != --version ] && [ -e "' + str(slow) + '" ]; then exec sleep 600; fi'
    solver.write_text(f'#!/bin/sh\n{greeting}\nexec {shutil.which("cvc5")} "$@"\n')
    solver.chmod(0o755)
    server.settings["CVC5"] = str(solver)
    server.start()
    first = health(server)
    assert first["status"] == "ready", first
    bearer = {"Authorization": f"Bearer {server.login(ADMIN)}"}
    assert server.stop() == 0
    # What is in force was proved with more time than this, and the session goes on.
    server.settings |= {"CEDARGATE_GATE_PROOF_LIMIT": "10", "CEDARGATE_REQUEST_TIMEOUT": "5"}
    server.start()
    slow.touch()
    shorten_public_tokens(server, 50)
    # What was proved of the others is remembered; of this one nothing is.
    (server.folder / "policies" / "edited.cedar").write_text(
        '@id("edited") @reason("x")\n'
        'permit (principal in Role::"admin", action, resource == Dataset::"1");\n'
    )
    response = server.post("/admin/policies/reload", headers=bearer)
    assert response.status_code == 409, response.text
    assert "not proved within" in response.json()["detail"]
    assert health(server)["revision"] == first["revision"]
    slow.unlink()
    response = server.post("/admin/policies/reload", headers=bearer)
    assert (response.status_code, public_token_lifetime(server)) == (200, 50), response.text
    assert server.stop() == 0


def test_a_git_checkout_of_another_branch_comes_into_force_as_a_whole(
    make_server_with_policies,
):
    server = make_server_with_policies(CEDARGATE_GATE_PROOFS="off")
    folder = server.folder / "policies"

    def git(*words):
        names = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
        subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True)

    git("init", "--initial-branch=live")
    git("add", ".")
    git("commit", "--message=live")
    git("checkout", "-b", "next")
    # One edit over many files.
    shorten_public_tokens(server, 50)
    git("mv", "public.cedar", "open.cedar")
    for number in range(50):
        name = f"extra-{number}"
        policy = f'@id("{name}")\nforbid (principal, action, resource == Dataset::"{name}");\n'
        (folder / f"{name}.cedar").write_text(policy)
    git("add", ".")
    git("commit", "--message=next")
    git("checkout", "live")
    server.start()
    before = health(server)["revision"]
    git("checkout", "next")
    until(lambda: health(server)["revision"] != before, "the other branch comes into force")
    assert public_token_lifetime(server) == 50
    policies = get_policies(server)["in_force"]["policies"]
    assert sum("extra-" in policy["id"] for policy in policies) == 50
    git("checkout", "live")
    until(lambda: health(server)["revision"] == before, "the first branch is in force again")

    def came():
        return [line for line in server.log_lines() if "came into force" in line["message"]]

    until(lambda: came()[1:], "both are logged")
    assert len(came()) == 2, came()
    assert server.stop() == 0


def test_a_first_start_with_a_broken_folder_fails_with_its_diagnostics(
    make_server_with_policies,
):
    server = make_server_with_policies()
    broken = server.folder / "policies" / "broken.cedar"
    broken.write_text('@id("x")\npermit (principal, action, resorce);\n')
    done = server.run("serve", "--demo", check=False)
    assert done.returncode == 1
    assert re.search(r"broken\.cedar:2:\d+", done.stderr), done.stderr
    assert "resorce" in done.stderr


def test_what_policies_name_in_vain_is_logged_when_they_come_into_force(make_server_with_policies):
    server = make_server_with_policies(CEDARGATE_GATE_CASES="off", CEDARGATE_GATE_PROOFS="off")
    server.start()
    message = "the policies in force may not do what they say"

    def warnings():
        return [line["warning"] for line in server.log_lines() if line["message"] == message]

    assert warnings() == []
    head = '@id("p{0}") @reason("x")\npermit (principal == User::"nobody{0}", '
    rest = 'action == Action::"read", resource);\n'
    named = "".join(head.format(number) + rest for number in range(25))
    by_name = head.replace("nobody{0}", MEMBER).format(25) + rest
    (server.folder / "policies" / "mine.cedar").write_text(by_name + named)
    send_sighup(server, RELOADED)
    told = until(lambda: len(warnings()) >= 20 and warnings(), "log lines of warnings")
    assert len(told) == 20
    assert "mine.cedar:2" in told[0] and f"({MEMBER})" in told[0]
    until(lambda: [line for line in server.log_lines() if line.get("more") == 6], "the rest")
    assert len(warnings()) == 20
