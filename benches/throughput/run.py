#!/usr/bin/env python3
"""Cedargate's speed beside reference handlers and nginx, as ratios of one run: `make bench`.

The scenarios of a group are measured by turns, once a round, with wrk; a ratio is the median of
the ratios of the rounds. On a machine that does other work too, only ratios of one run mean
something. Nothing is asserted.
"""

import argparse
import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import groups
import report
from processes import BenchError
from rows import scenario_row, target_row
from wrk import check, count_syscalls, drive, fsync_ms

ROOT = Path(__file__).resolve().parents[2]
MIN_MEMORY = 4 << 30  # bytes of the file system in memory
FAILURES = (BenchError, OSError, subprocess.SubprocessError, ValueError, LookupError)


class Bench:
    """The programs, the sizes and the folders of one run."""

    def __init__(self, options, memory, disk):
        self.cedargate, self.reference = options.cedargate, options.reference
        self.micro = options.micro
        self.datasets, self.principals = options.datasets, options.principals
        self.policies, self.file_mib = options.policies, options.file_mib
        self.roots = {"memory": memory, "disk": disk}
        self._numbers = itertools.count(1)

    def folder(self, where, shared=False):
        """A new folder in memory or on disk, where `shared` lets other users in."""
        folder = self.roots[where] / str(next(self._numbers))
        folder.mkdir(mode=0o755 if shared else 0o700)
        if shared:
            self.roots[where].chmod(0o711)
        return folder

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)


def chosen(group, text):
    """Only the scenarios with this text, and those that they are compared with."""
    if not text:
        return group
    group.targets = [t for t in group.targets if text in t.of]
    names = {name for t in group.targets for name in (t.of, t.against)}
    group.scenarios = [s for s in group.scenarios if text in s.name or s.name in names]
    return group


def measure(bench, group, options, failures):
    """Warms each scenario up, measures all of them by turns, and counts system calls at the end."""
    folder, disk = bench.folder("memory"), bench.folder("disk")
    probes = []

    def attempt(scenario, action):
        try:
            return action()
        except FAILURES as error:
            failures.append({"name": scenario.name, "reason": str(error)})
            group.scenarios = [s for s in group.scenarios if s is not scenario]
            return None

    for server in {id(s.server): s.server for s in group.scenarios}.values():
        server.await_idle()
    for scenario in list(group.scenarios):
        bench.say(f"warm up: {scenario.name}")
        attempt(scenario, lambda s=scenario: (check(s), drive(s, 1, folder)))
    for number in range(options.rounds):
        for scenario in list(group.scenarios):
            bench.say(f"round {number + 1} of {options.rounds}: {scenario.name}")
            run = attempt(scenario, lambda s=scenario: drive(s, options.seconds, folder))
            if run:
                scenario.runs.append(run)
        probes.append(fsync_ms(disk))
    if options.strace:
        for scenario in group.scenarios:
            try:
                scenario.syscalls = count_syscalls(scenario, folder)
            except FAILURES as error:
                bench.say(f"no system calls of {scenario.name}: {error}")
    return probes


def run_group(bench, name, options, result):
    """Runs one group, from the start of its servers to their end, and adds its rows."""
    failures = result["failures"]
    with contextlib.ExitStack() as stack:
        bench.say(f"group {name}: servers start")
        group = chosen(groups.GROUPS[name](bench, stack), options.match)
        probes = measure(bench, group, options, failures) if group.scenarios else []
        measured = {s.name: s for s in group.scenarios if s.runs}
        result["scenarios"] += [scenario_row(s, probes) for s in measured.values()]
        for target in group.targets:
            if target.of in measured and target.against in measured:
                result["targets"].append(target_row(target, measured, probes))
        for figure in [*group.figures, *group.finish()]:
            result["figures"].append(dataclasses.asdict(figure))
        result["probes"] += probes


def run_groups(options, result):
    memory_root, result["machine"]["memory_folder"] = memory_folder(options)
    disk_root = options.disk
    disk_root.mkdir(parents=True, exist_ok=True)
    result["machine"]["disk"] = file_system(disk_root)
    for name in options.only or groups.GROUPS:
        # A group has folders of its own: its records do not fill the memory of the next one.
        memory = Path(tempfile.mkdtemp(prefix="cedargate-bench-", dir=memory_root))
        disk = Path(tempfile.mkdtemp(prefix="cedargate-bench-", dir=disk_root))
        try:
            run_group(Bench(options, memory, disk), name, options, result)
        except FAILURES as error:
            if options.debug:
                traceback.print_exc()
            result["failures"].append({"name": f"group {name}", "reason": str(error)})
        finally:
            if not options.keep:
                shutil.rmtree(memory, ignore_errors=True)
                shutil.rmtree(disk, ignore_errors=True)


def memory_folder(options):
    """A folder in memory with enough room, or the disk, which the report then says."""
    candidates = (
        [options.memory] if options.memory else [Path("/dev/shm"), Path("/tmp"), Path("/run")]
    )
    for folder in candidates:
        is_memory = folder.is_dir() and file_system(folder).split()[0] == "tmpfs"
        if (
            is_memory
            and os.access(folder, os.W_OK)
            and shutil.disk_usage(folder).free >= MIN_MEMORY
        ):
            return folder, f"{folder} (tmpfs)"
    if options.memory:
        return options.memory, f"{options.memory} ({file_system(options.memory)})"
    print("bench: no tmpfs with 4 GiB; rows in memory run on disk", file=sys.stderr)
    return options.disk, "THE DISK, as no tmpfs has 4 GiB free"


def file_system(folder):
    """The kind of file system and its device."""
    done = subprocess.run(
        ["df", "--output=fstype,source", str(folder)], capture_output=True, text=True
    )
    return " ".join(done.stdout.splitlines()[-1].split()) if done.stdout else "unknown"


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": platform.release(),
    }


def commit():
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def executables(*arguments):
    """Builds targets in the release profile and returns the paths of their programs by name."""
    options = ["--release", "--locked", "--message-format=json-render-diagnostics"]
    done = subprocess.run(
        ["cargo", "build", *options, *arguments],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {m["target"]["name"]: Path(m["executable"]) for m in messages if m.get("executable")}


def build(options):
    """Builds what no option names. The server comes last: it is built exactly as for production."""
    needs_micro = not options.micro and (not options.only or "in-process" in options.only)
    if not options.reference or needs_micro:
        wanted = ["--example", "reference_handlers", *(["--bench", "micro"] if needs_micro else [])]
        built = executables(*wanted)
        options.reference = options.reference or built["reference_handlers"]
        options.micro = options.micro or built.get("micro")
    if not options.cedargate:
        options.cedargate = executables("--bin", "cedargate")["cedargate"]


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"Groups: {', '.join(groups.GROUPS)}."
    )
    whole, quick = (1_000_000, 10_000, 10_000, 256, 3, 5), (10_000, 200, 500, 64, 1, 2)
    names = "datasets", "principals", "policies", "file-mib", "rounds", "seconds"
    parser.add_argument("--only", action="append", choices=groups.GROUPS, metavar="GROUP",
                        help="only this group of rows; may be repeated")  # fmt: skip
    parser.add_argument("--match", default="", metavar="TEXT",
                        help="of these groups only the scenarios with this text")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="smaller sizes and one round")
    for name, size in zip(names, whole, strict=True):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{size:,} if not given")
    parser.add_argument("--no-strace", dest="strace", action="store_false",
                        help="count no system calls")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--write", type=Path, metavar="PAGE",
                        help="put the tables into this page, docs/performance.md")  # fmt: skip
    for name in ("cedargate", "reference", "micro"):
        parser.add_argument(
            f"--{name}", type=Path, metavar="PROGRAM", help="measure this one, build none"
        )
    parser.add_argument("--disk", type=Path, default=ROOT / "target" / "bench", metavar="FOLDER",
                        help="for the rows on disk; target/bench if not given")  # fmt: skip
    parser.add_argument("--memory", type=Path, metavar="FOLDER",
                        help="for the rows in memory; /dev/shm if not given")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the data and logs of the servers")
    parser.add_argument("--debug", action="store_true", help="print where a group failed")
    options = parser.parse_args(arguments)
    for name, size in zip(names, quick if options.quick else whole, strict=True):
        name = name.replace("-", "_")
        if getattr(options, name) is None:
            setattr(options, name, size)
    for name in ("cedargate", "reference", "micro", "disk", "memory"):
        if getattr(options, name):
            setattr(options, name, getattr(options, name).resolve())
    return options


def main():
    options = parse_arguments()
    # The servers are stopped and the folders removed then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: `make bench` installs it")
    build(options)
    began = time.monotonic()
    result = {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["benches/throughput/run.py", *sys.argv[1:]]),
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "targets": [], "figures": [], "scenarios": [], "failures": [], "probes": [],
    }  # fmt: skip
    run_groups(options, result)
    probes = result.pop("probes")
    result["fsync_ms"] = statistics.median(probes) if probes else None
    result["minutes"] = (time.monotonic() - began) / 60
    print(report.text(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.write:
        report.write_into(options.write, result)


if __name__ == "__main__":
    main()
