"""The rows of `make bench`: groups of scenarios that are measured by turns, and their targets."""

import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import world
from authzen import evaluation
from demo_servers import (
    LARGE,
    READER,
    ROOT,
    SPAN,
    demo_gate,
    minting,
    session_headers,
)
from processes import BenchError, Gate, Nginx, Postgres, Reference, run, until
from rows import Figure, Group, Target
from wrk import Scenario, random_pairs

FIRST_PROOF_TIMEOUT = 600
EDIT_TIMEOUT = 120
EDITS = 5
SAME_BYTES = "plain handler, as many bytes as the key set"
FIRST_DATASETS = 100_000  # are applied before anything else uses the server, and timed


def mint(bench, stack):
    """Mints and the key set, beside the reference handlers."""
    reference = stack.enter_context(Reference(bench.reference, bench.folder("memory")))
    memory, disk = (demo_gate(bench, stack, where) for where in ("memory", "disk"))
    floor = "signing handler"
    return Group(
        [
            Scenario(floor, reference, "/sign", "POST"),
            minting("mint, anonymous, in memory", memory),
            minting("mint, anonymous, on disk", disk),
            minting("mint, session by role, in memory", memory, session_headers(memory, READER)),
            minting("mint, session by role, on disk", disk, session_headers(disk, READER)),
            Scenario("plain text handler", reference, "/plain"),
            Scenario(SAME_BYTES, reference, "/document"),
            Scenario("key set", memory, "/.well-known/jwks.json"),
        ],
        [
            Target("mint, anonymous, in memory", floor, ">= 0.90"),
            Target("mint, anonymous, on disk", floor, ">= 0.75"),
            Target("mint, session by role, in memory", floor, ">= 0.85"),
            Target("mint, session by role, on disk", floor, ""),
            Target("mint, anonymous, in memory", floor, "<= 2.0", "p99"),
            Target("mint, anonymous, on disk", floor, "<= 2.0", "p99", 2),
            Target("key set", "plain text handler", ">= 0.90"),
            Target("key set", SAME_BYTES, ""),
            Target(SAME_BYTES, "plain text handler", ""),
        ],
    )  # fmt: skip


def latency(bench, stack):
    """Mints on one connection, beside the signing handler."""
    reference = stack.enter_context(Reference(bench.reference, bench.folder("memory")))
    memory, disk = (demo_gate(bench, stack, where) for where in ("memory", "disk"))
    floor = "signing handler, one connection"
    return Group(
        [
            Scenario(floor, reference, "/sign", "POST", connections=1),
            minting("mint, one connection, in memory", memory, connections=1),
            minting("mint, one connection, on disk", disk, connections=1),
        ],
        [
            Target("mint, one connection, in memory", floor, "<= 1.5", "p50"),
            Target("mint, one connection, on disk", floor, "<= 1.5", "p50", 1),
        ],
    )  # fmt: skip


def catalog(bench, stack):
    """Mints at random over a large catalog, beside mints of one dataset by one principal."""
    small = Gate(bench.cedargate, bench.folder("memory"), "cedargate small")
    large = Gate(bench.cedargate, bench.folder("memory"), "cedargate large")
    few, many = world.add_users(small, world.ROLES), world.add_users(large, bench.principals)
    first = range(min(FIRST_DATASETS, bench.datasets))
    with ThreadPoolExecutor(1) as background, large.start():
        began = time.monotonic()
        world.add_datasets(large, first, bench.principals, bench.say)
        applied = time.monotonic() - began
        # The users sign in while more datasets are added: passwords are hashed slowly on purpose.
        signing_in = background.submit(world.sign_in_all, large, many, bench.principals)
        rest = range(first.stop, bench.datasets)
        world.add_datasets(large, rest, bench.principals, bench.say)
        bench.say(f"catalog: {bench.principals} users sign in")
        signing_in.result()
    world.list_datasets(many, bench.datasets)
    world.add_datasets(small, range(2 * world.ROLES), world.ROLES)
    world.list_datasets(few, 2 * world.ROLES)
    stack.enter_context(small.start())
    world.sign_in_all(small, few, 1)
    began = time.monotonic()
    stack.enter_context(large.start())
    started = time.monotonic() - began
    count = f"{bench.datasets:,} datasets"
    # The same script with lists of one entry, so that wrk has as much to do.
    one, one_public = world.only_first(few.datasets, 1), world.only_first(few.public, 1)
    # The one session is of the first user, whose role the first restricted dataset is shared with.
    one.write_text(f"{world.dataset_id(world.ROLES)}\n")

    def drawn(name, gate, datasets, tokens=None, roles=1):
        script = random_pairs(gate, datasets, tokens, roles)
        return Scenario(name, gate, "/", "POST", script=script)

    def finish():
        peak = large.status("VmHWM") / 1024
        return [Figure(f"peak memory with {count} after the run", peak, "MiB", "<= 400")]

    of_one = "mint, anonymous, one dataset", "mint, session, one dataset"
    of_many = (
        f"mint, anonymous, random of {count}",
        f"mint, session, random of {count}, {bench.principals:,} principals",
    )
    return Group(
        [
            drawn(of_one[0], small, one_public),
            drawn(of_many[0], large, many.public),
            drawn(of_one[1], small, one, few.tokens),
            drawn(of_many[1], large, many.datasets, many.tokens, world.ROLES),
        ],
        [Target(of, against, ">= 0.80") for of, against in zip(of_many, of_one, strict=True)],
        [
            Figure(f"catalog apply of {first.stop:,} datasets", applied, "s", "<= 10"),
            Figure(f"ready with {count}", started, "s", "<= 0.5"),
        ],
        finish,
    )


def policies(bench, stack):
    """Mints under many policies, beside mints under the shipped ones."""
    shipped = demo_gate(bench, stack, "memory")
    folder = bench.folder("memory") / "policies"
    world.write_policies(folder, ROOT / "policies", bench.policies)
    # This row is about decisions: the group `edit` has the proofs.
    gate = Gate(
        bench.cedargate, bench.folder("memory"), "cedargate policies",
        CEDARGATE_POLICY_DIR=str(folder), CEDARGATE_GATE_PROOFS="off",
    )  # fmt: skip
    stack.enter_context(gate.start("--demo"))
    count = f"{bench.policies:,} policies more"
    scenarios, targets = [], []
    for who, user in (("anonymous", None), ("session", READER)):
        names = f"mint, {who}, shipped policies", f"mint, {who}, {count}"
        for name, server in zip(names, (shipped, gate), strict=True):
            scenarios.append(minting(name, server, session_headers(server, user) if user else None))
        targets.append(Target(names[1], names[0], ">= 0.90"))
    return Group(scenarios, targets)


def postgres(bench, stack):
    """Mints on PostgreSQL, beside SQLite."""
    scenarios, targets = [], []
    for where in ("memory", "disk"):
        sqlite = demo_gate(bench, stack, where)
        cluster = stack.enter_context(Postgres(bench.folder(where, shared=True) / "postgres"))
        gate = demo_gate(
            bench, stack, where, CEDARGATE_DATABASE_URL=cluster.create_database("gate")
        )
        place = "in memory" if where == "memory" else "on disk"
        names = f"mint, SQLite, {place}", f"mint, PostgreSQL, {place}"
        scenarios += [minting(names[0], sqlite), minting(names[1], gate)]
        targets.append(Target(names[1], names[0], ">= 0.85"))
    return Group(scenarios, targets)


def large_file(bench, stack):
    gate = demo_gate(bench, stack, "disk")
    stored = world.add_file(gate, LARGE, bench.file_mib << 20)
    nginx = stack.enter_context(Nginx(bench.folder("disk"), stored))
    # The page cache is warm for both.
    with open(stored, "rb") as file:
        while file.read(1 << 20):
            pass
    # A token lives two minutes: each run has its own.
    path = lambda: f"/datasets/{LARGE}/download/cog?token={gate.mint(LARGE)}"  # noqa: E731
    return gate, nginx, path


def span(bench, stack):
    """Spans of 16 KiB with a token, beside nginx."""
    gate, nginx, path = large_file(bench, stack)
    names = "16 KiB span, nginx", "16 KiB span, token"
    return Group(
        [
            Scenario(names[0], nginx, "/sendfile", headers=SPAN, on_disk=True),
            Scenario(names[1], gate, path, headers=SPAN, on_disk=True),
        ],
        [
            Target(names[1], names[0], ">= 0.60"),
            Target(names[1], names[0], "", "p99"),
        ],
    )


def file(bench, stack):
    """A large file as a whole with a token, beside nginx."""
    gate, nginx, path = large_file(bench, stack)
    name = f"whole file of {bench.file_mib} MiB"
    mine, sendfile, read = f"{name}, token", f"{name}, nginx", f"{name}, nginx without sendfile"
    return Group(
        [
            Scenario(sendfile, nginx, "/sendfile", connections=4, on_disk=True),
            Scenario(read, nginx, "/read", connections=4, on_disk=True),
            Scenario(mine, gate, path, connections=4, on_disk=True),
        ],
        [
            Target(mine, sendfile, ">= 0.70", "mib"),
            Target(mine, read, ">= 0.70", "mib"),
        ],
    )


def edit(bench, stack):
    """One policy edited among many, proofs required, until it is in force."""
    folder, shadow = (bench.folder("disk") / "policies" for _ in range(2))
    world.write_policies(folder, ROOT / "policies", 0)
    gate = Gate(
        bench.cedargate, bench.folder("disk"), "cedargate edit",
        CEDARGATE_POLICY_DIR=str(folder), CEDARGATE_GATE_PROOFS="require",
    )  # fmt: skip
    stack.enter_context(gate.start("--demo"))
    count = f"{bench.policies:,} policies"

    def time_until_in_force(change, timeout, what):
        # The shadow says which revision to wait for.
        change(shadow)
        wanted = json.loads(gate.command("policy", "check", "--json", shadow))
        began = time.monotonic()
        change(folder)

        def is_in_force():
            health.update(gate.get_json("/health/ready"))
            return health["revision"] == wanted["revision"]

        health = {}
        try:
            # A folder that is refused because its proofs took too long is proved further.
            until(is_in_force, what, timeout, pause=0.005)
        except BenchError as error:
            raise BenchError(f"{error}: {' '.join(health['problems'])[:500]}") from None
        return time.monotonic() - began

    bench.say(f"edit: the first load of {count}")
    first = time_until_in_force(
        lambda at: world.write_policies(at, ROOT / "policies", bench.policies),
        FIRST_PROOF_TIMEOUT, f"first load of {count}",
    )  # fmt: skip
    times = []
    for number in range(EDITS):
        policy = number * bench.policies // EDITS
        bench.say(f"edit: policy {policy}, after {times}")
        times.append(
            time_until_in_force(
                lambda at, policy=policy: world.edit_policy(at, policy, bench.policies),
                EDIT_TIMEOUT, f"edit of policy {policy}",
            )
        )  # fmt: skip
    return Group(figures=[
        Figure(f"first load of {count}, proved, until in force", first, "s", "<= 60"),
        Figure(f"one of {count} edited, proved, until in force (median)",
               statistics.median(times), "s", "<= 1"),
        Figure(f"one of {count} edited, proved, until in force (longest)", max(times), "s", ""),
    ])  # fmt: skip


def start(bench, stack):
    """Memory and time of a start with the demo catalog."""
    gate = demo_gate(bench, stack, "memory")
    # The first start makes the demo up and hashes its passwords.
    gate.await_idle()
    first = gate.status("VmRSS") / 1024
    gate.stop()
    began = time.monotonic()
    gate.start("--demo")
    again = time.monotonic() - began
    gate.await_idle()
    return Group(figures=[
        Figure("memory after the first start, demo catalog", first, "MiB", "<= 60"),
        Figure("memory after a restart, demo catalog", gate.status("VmRSS") / 1024, "MiB", "<= 60"),
        Figure("threads after a restart, demo catalog", gate.status("Threads"), "", ""),
        Figure("ready after a restart, demo catalog", again, "s", ""),
    ])  # fmt: skip


def in_process(bench, stack):
    """The criterion benches: decisions, facts, signature and verification, the key set."""
    if not bench.micro:
        raise BenchError("needs --micro PROGRAM, which `make bench` builds")
    folder = bench.folder("memory")
    environment = {**os.environ, "CRITERION_HOME": str(folder)}
    run(bench.micro, "--bench", "--noplot", cwd=ROOT, env=environment, timeout=600)
    figures = []
    for path in sorted(folder.glob("**/new/estimates.json")):
        name = json.loads((path.parent / "benchmark.json").read_text())["full_id"]
        median = json.loads(path.read_text())["median"]["point_estimate"] / 1000
        bound = "<= 1" if name.startswith("decide/warm") else ""
        figures.append(Figure(f"in process: {name}", median, "us", bound))
    if not figures:
        raise BenchError("criterion wrote no estimates")
    return Group(figures=figures)


GROUPS = {
    "start": start,
    "mint": mint,
    "latency": latency,
    "evaluation": evaluation,
    "policies": policies,
    "postgres": postgres,
    "span": span,
    "file": file,
    "in-process": in_process,
    "edit": edit,
    "catalog": catalog,
}
