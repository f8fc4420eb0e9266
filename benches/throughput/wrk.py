"""Runs of wrk, and what they cost the measured program."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from processes import BenchError, Process, until

# What wrk prints at the end; latencies are in microseconds, so is the duration.
DONE = """
done = function(summary, latency, requests)
    io.write(string.format(
        'RESULT {"requests": %d, "micros": %d, "bytes": %d, "p50": %.1f, "p99": %.1f, '
        .. '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99),
        summary.errors.status, summary.errors.connect, summary.errors.read,
        summary.errors.write, summary.errors.timeout))
end
"""

# Each thread of wrk picks another sequence of pairs. A principal may read the datasets whose number
# leaves the same remainder by the number of roles.
RANDOM = """
local function lines_of(name)
    local found = {{}}
    for line in io.lines(name) do found[#found + 1] = line end
    return found
end
local threads = 0
function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end
local datasets, tokens, roles
function init()
    math.randomseed(seed)
    datasets = lines_of("{datasets}")
    tokens = {tokens}
    roles = {roles}
end
function request()
    local path, header = nil, ""
    if tokens then
        local principal = math.random(#tokens) - 1
        local role = principal % roles
        local dataset = math.random(math.floor(#datasets / roles)) - 1
        path = datasets[dataset * roles + role + 1]
        header = "Authorization: Bearer " .. tokens[principal + 1] .. "\\r\\n"
    else
        path = datasets[math.random(#datasets)]
    end
    return "POST /auth/download-token/" .. path .. " HTTP/1.1\\r\\nHost: {host}\\r\\n"
        .. header .. "\\r\\n"
end
"""


@dataclass
class Scenario:
    """What wrk asks of a program. What is a function is asked for anew before each run."""

    name: str
    server: Process
    path: str | Callable[[], str]
    method: str = "GET"
    headers: dict | Callable[[], dict] = field(default_factory=dict)
    connections: int = 32
    script: str | None = None
    body: str | None = None
    on_disk: bool = False
    runs: list = field(default_factory=list)
    syscalls: dict | None = None

    def current(self):
        path = self.path() if callable(self.path) else self.path
        headers = self.headers() if callable(self.headers) else self.headers
        return path, headers


@dataclass
class Run:
    """One run of wrk."""

    rate: float  # requests a second
    mib: float  # MiB a second
    p50: float  # milliseconds
    p99: float  # milliseconds
    cpu: float  # microseconds of the measured program a request
    requests: int
    errors: int  # answers beyond 2xx and 3xx, and broken connections


def random_pairs(server, datasets, tokens=None, roles=1):
    """A script that mints random lines of `datasets`, each with a random line of `tokens`."""
    return RANDOM.format(
        datasets=datasets, tokens=f'lines_of("{tokens}")' if tokens else "nil", roles=roles,
        host=f"127.0.0.1:{server.port}",
    )  # fmt: skip


def parse(output):
    """The figures that `DONE` printed."""
    found = re.search(r"^RESULT (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise BenchError(f"wrk printed no result: {output[-500:]}")
    return json.loads(found[1])


def check(scenario):
    """One request must succeed before thousands are counted."""
    if scenario.script:
        return
    path, headers = scenario.current()
    status, body = scenario.server.request(scenario.method, path, headers, scenario.body)
    if not 200 <= status < 300:
        raise BenchError(
            f"{scenario.name}: {scenario.method} {path} answers {status}: {body[:300]}"
        )


def drive(scenario, seconds, folder):
    """Runs wrk once."""
    path, headers = scenario.current()
    lines = [f'wrk.method = "{scenario.method}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    if scenario.body is not None:
        lines.append(f"wrk.body = [==[{scenario.body}]==]")
    script = Path(folder) / "script.lua"
    script.write_text("\n".join([*lines, scenario.script or "", DONE]))
    scenario.server.empty_log()
    before = scenario.server.cpu_seconds()
    done = subprocess.run(
        ["wrk", f"-t{min(2, scenario.connections)}", f"-c{scenario.connections}",
         f"-d{seconds}s", "--timeout", "30s", "-s", script, scenario.server.base + path],
        capture_output=True, text=True, timeout=seconds + 120,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(f"wrk: {done.stderr[-500:]}{done.stdout[-500:]}")
    cpu = scenario.server.cpu_seconds() - before
    return run_of(parse(done.stdout), cpu)


def run_of(figures, cpu_seconds):
    requests, seconds = figures["requests"], figures["micros"] / 1e6
    return Run(
        rate=requests / seconds,
        mib=figures["bytes"] / seconds / (1 << 20),
        p50=figures["p50"] / 1000,
        p99=figures["p99"] / 1000,
        cpu=cpu_seconds * 1e6 / max(requests, 1),
        requests=requests,
        errors=sum(figures[key] for key in ("status", "connect", "read", "write", "timeout")),
    )


def fsync_ms(folder, count=100):
    """The median time of appending 4 KiB to a file with fsync, in milliseconds."""
    times = []
    probe = Path(folder) / "fsync-probe"
    with open(probe, "wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    probe.unlink()
    return statistics.median(times)


def parse_strace(text):
    """The calls by name of the summary of `strace -c`."""
    calls = {}
    for line in text.splitlines():
        # % time, seconds, usecs/call, calls, errors if any, name
        fields = line.split()
        if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[3].isdigit():
            calls[fields[-1]] = int(fields[3])
    calls.pop("total", None)
    return calls


def count_syscalls(scenario, folder, seconds=2):
    """System calls a request by name, in a run of its own, because strace slows it down."""
    if not shutil.which("strace"):
        return None
    output = Path(folder) / "strace"
    output.unlink(missing_ok=True)
    pids = scenario.server.pids()
    command = ["strace", "-c", "-f", "-q", "-o", str(output)]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def is_attached():
        if tracer.poll() is not None:
            raise BenchError("strace may not attach to the program")
        status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return all(f"TracerPid:\t{tracer.pid}\n" in text for text in status)

    try:
        until(is_attached, "strace attached", timeout=10)
        run = drive(scenario, seconds, folder)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(timeout=60)
    calls = parse_strace(output.read_text())
    return {name: count / max(run.requests, 1) for name, count in calls.items()}
