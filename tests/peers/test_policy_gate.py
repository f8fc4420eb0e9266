"""The policy gate: a solver that is missing, broken or gone, and a flood of reload calls."""

import http.client
import shutil
import threading
import time

import pytest

from demo import ADMIN
from server import ROOT, until
from test_policy_reload import REFUSED, RELOADED, get_policies, health, send_sighup

OPEN = '@id("open") @reason("x")\npermit (principal, action, resource);\n'
HARMLESS = (
    '@id("harmless") @reason("x")\n'
    'permit (principal in Role::"admin", action, resource == Dataset::"{}");\n'
)
# The shipped permits do not look at tags.
VIOLATED = """@id("no-secrets-{}")
@reason("Nobody reads what is tagged secret.")
@invariant("upper")
permit (principal, action == Action::"read", resource)
when {{ !(resource.hasTag("secret") && resource.getTag("secret").contains("yes")) }};
"""
VERSION = 'if [ "$1" = --version ]; then echo "This is cvc5 version 9"; exit; fi\n'


@pytest.fixture
def guarded(make_server):
    """A server with a copy of the shipped policies, whose solver the test may replace.

    Cases are not run, so that the proofs alone guard the policies.
    """
    server = make_server(CEDARGATE_POLICY_DIR="policies", CEDARGATE_GATE_CASES="off")
    shutil.copytree(ROOT / "policies", server.folder / "policies")
    server.settings["CVC5"] = str(server.folder / "cvc5")
    install(server, f'exec {shutil.which("cvc5")} "$@"\n')
    server.start()
    assert health(server)["status"] == "ready", health(server)
    return server


def install(server, script, interpreter="/bin/sh", mode=0o755):
    """Replaces the solver at once."""
    new = server.folder / "cvc5.new"
    new.write_text(f"#!{interpreter}\n{script}")
    new.chmod(mode)
    new.rename(server.folder / "cvc5")


def no_interpreter(server):
    install(server, "", interpreter="/nonexistent/sh")


def not_executable(server):
    install(server, "", mode=0o644)


def link_that_leads_nowhere(server):
    (server.folder / "cvc5").unlink()
    (server.folder / "cvc5").symlink_to("/nonexistent/cvc5")


def folder(server):
    (server.folder / "cvc5").unlink()
    (server.folder / "cvc5").mkdir()


def crashes_at_once(server):
    install(server, "kill -SEGV $$\n")


def another_program(server):
    install(server, "echo hello\n")


def crashes_later(server):
    install(server, VERSION + "kill -SEGV $$\n")


def garbage(server):
    install(server, VERSION + "while read -r line; do echo 'what?'; done\n")


def unknown(server):
    script = 'while read -r line; do case "$line" in *check-sat*) echo unknown;; esac; done\n'
    install(server, VERSION + script)


@pytest.mark.parametrize(
    "break_solver",
    [
        no_interpreter,
        not_executable,
        link_that_leads_nowhere,
        folder,
        crashes_at_once,
        another_program,
        crashes_later,
        garbage,
        unknown,
    ],
)
def test_an_edit_is_refused_while_the_solver_is_installed_and_does_not_work(guarded, break_solver):
    before = health(guarded)["revision"]
    break_solver(guarded)
    edited = guarded.folder / "policies" / "open.cedar"
    edited.write_text(OPEN)
    assert send_sighup(guarded, REFUSED)["reasons"]
    ready = health(guarded)
    assert (ready["status"], ready["revision"]) == ("degraded", before)
    assert "earlier policies are in force" in str(ready["problems"]), ready
    # Not even an edit that keeps all invariants.
    edited.write_text(HARMLESS.format(1))
    send_sighup(guarded, REFUSED)
    assert health(guarded)["revision"] == before


def test_a_solver_that_vanishes_is_reported_and_one_that_returns_proves_what_is_in_force(guarded):
    before = health(guarded)["revision"]
    (guarded.folder / "cvc5").rename(guarded.folder / "away")
    edited = guarded.folder / "policies" / "edited.cedar"
    edited.write_text(HARMLESS.format(1))
    assert send_sighup(guarded, RELOADED)["revision"] != before
    ready = health(guarded)
    assert ready["status"] == "degraded"
    assert "not proved" in str(ready["problems"])
    assert "not installed" in get_policies(guarded)["unproved"]
    # It survives a restart.
    assert guarded.stop() == 0
    guarded.start()
    assert health(guarded)["status"] == "degraded"
    (guarded.folder / "away").rename(guarded.folder / "cvc5")
    send_sighup(guarded, RELOADED)
    assert health(guarded)["status"] == "ready"


def test_a_first_start_with_a_solver_that_does_not_work_fails(make_server):
    server = make_server(CEDARGATE_POLICY_DIR="policies")
    shutil.copytree(ROOT / "policies", server.folder / "policies")
    server.settings["CVC5"] = str(server.folder / "cvc5")
    not_executable(server)
    done = server.run("serve", "--demo", check=False)
    assert done.returncode == 1
    assert "cannot start the solver" in done.stderr, done.stderr


def test_what_a_solver_that_died_was_to_prove_is_asked_again(guarded):
    """Whichever run of a solver dies, it proves nothing that a later edit could rely on."""
    invariant = guarded.folder / "policies" / "invariants" / "secret.cedar"
    first = health(guarded)["revision"]
    for deaths in (1, 2, 4, 8):
        count = guarded.folder / f"deaths-{deaths}"
        count.write_text(f"{deaths}\n")
        install(
            guarded,
            f"""{VERSION}exec 9>{count}.lock; flock 9
read -r left <{count}
if [ "$left" -gt 0 ]; then echo $((left - 1)) >{count}; exit 1; fi
exec 9>&-
exec {shutil.which("cvc5")} "$@"
""",
        )
        invariant.write_text(VIOLATED.format(deaths))
        send_sighup(guarded, REFUSED)
        count.write_text("0\n")
        invariant.write_text(VIOLATED.format(deaths) + "// Saved once more.\n")
        send_sighup(guarded, REFUSED)
        assert health(guarded)["revision"] == first


def test_a_flood_of_reload_calls_does_not_hold_up_an_edit(guarded):
    """550 calls that nobody waits for, while each proof takes two seconds."""
    install(guarded, f'sleep 2\nexec {shutil.which("cvc5")} "$@"\n')
    edited = guarded.folder / "policies" / "edited.cedar"
    first = health(guarded)["revision"]
    edited.write_text(HARMLESS.format(1))
    until(lambda: health(guarded)["revision"] != first, "the edit is in force")
    bearer = {"Authorization": f"Bearer {guarded.login(ADMIN)}"}

    def call_and_leave():
        for _ in range(50):
            connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
            connection.request("POST", "/admin/policies/reload", headers=bearer)
            connection.close()

    callers = [threading.Thread(target=call_and_leave) for _ in range(11)]
    before = health(guarded)["revision"]
    for caller in callers:
        caller.start()
    edited.write_text(HARMLESS.format(2))
    begun = time.monotonic()
    until(lambda: health(guarded)["revision"] != before, "the edit is in force under the flood")
    response = guarded.post("/admin/policies/reload", headers=bearer)
    assert response.status_code == 200, response.text
    # A generous bound: each call of its own would take two seconds and more.
    assert time.monotonic() - begun < 60
    for caller in callers:
        caller.join()
