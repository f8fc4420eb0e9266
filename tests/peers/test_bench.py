"""The driver of `make bench` reads wrk and strace, compares, and runs against the real server."""

import json
import subprocess
import sys

import pytest

import report
import rows
import wrk
from server import BINARY, ROOT

DRIVER = ROOT / "benches" / "throughput"
REFERENCE = BINARY.parent / "examples" / "reference_handlers"
WRK = """Running 1s test @ http://127.0.0.1:1/
  2 threads and 32 connections
  20000 requests in 2.00s, 8.00MB read
RESULT {"requests": 20000, "micros": 2000000, "bytes": 8388608, "p50": 1500.0, "p99": 6000.0, \
"status": 3, "connect": 0, "read": 1, "write": 0, "timeout": 0}
""".replace("\\\n", "")
STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 80.00    0.300000           3    100000       500 futex
 20.00    0.100000           1     60000           writev
------ ----------- ----------- --------- --------- ----------------
100.00    0.400000           2    160000       500 total
"""


@pytest.fixture
def report_of_one_scenario():
    """A scenario twice as slow as its reference, or as fast as that with one fsync of 1 ms."""

    class Server:
        def status(self, key):
            return 1024

    def scenario(name, p50):
        figures = wrk.parse(WRK) | {"p50": p50}
        found = wrk.Scenario(name, Server(), "/", on_disk=True)
        found.runs = [wrk.run_of(figures, cpu_seconds=0.5)]
        return found

    measured = {s.name: s for s in (scenario("mint", 2000), scenario("floor", 1000))}
    targets = [
        rows.Target("mint", "floor", "<= 1.5", "p50"),
        rows.Target("mint", "floor", "<= 1.5", "p50", fsyncs=1),
    ]
    return {
        "commit": "0123456789", "date": "2026-01-01 00:00 UTC", "command": "run.py",
        "machine": {"cpu": "CPU", "cores": 2, "memory_gib": 8, "kernel": "6", "memory_folder": "m",
                    "disk": "d"},
        "rounds": 1, "seconds": 1, "minutes": 1, "fsync_ms": 1.0, "failures": [],
        "targets": [rows.target_row(target, measured, [1.0]) for target in targets],
        "figures": [{"name": "memory", "value": 64.2, "unit": "MiB", "bound": "<= 60"}],
        "scenarios": [rows.scenario_row(found, [1.0]) for found in measured.values()],
    }  # fmt: skip


def test_the_figures_of_a_run_are_read_from_wrk():
    run = wrk.run_of(wrk.parse(WRK), cpu_seconds=0.5)
    assert (run.rate, run.mib, run.p50, run.p99) == (10_000, 4, 1.5, 6)
    assert (run.cpu, run.errors) == (25, 4)


def test_system_calls_are_read_from_strace():
    assert wrk.parse_strace(STRACE) == {"futex": 100_000, "writev": 60_000}


def test_a_ratio_counts_the_fsyncs_that_a_target_allows(report_of_one_scenario):
    without, with_one = report_of_one_scenario["targets"]
    assert (without["ratio"], with_one["ratio"]) == (2, 1)


def test_the_tables_say_what_is_met_and_mark_errors(report_of_one_scenario):
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.text(report_of_one_scenario).splitlines()
        if line.startswith("| m")
    ]
    floor = ["floor", "1.00", "2.00", "<= 1.5", "no"]
    assert lines[1] == ["mint: p50 ms (ERRORS)", "2.00", *floor]
    assert lines[2][2:] == ["floor, plus one fsync", "2.00", "1.00", "<= 1.5", "yes"]
    assert lines[3] == ["memory", "64.2 MiB", "", "", "", "<= 60", "no"]
    assert lines[4][:2] == ["mint", "10,000"]


def test_a_report_takes_the_place_of_the_last_one_in_the_page(report_of_one_scenario, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        report.write_into(page, report_of_one_scenario)
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\nCommit 0123456789")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert text.count("| memory") == 1


def test_mints_are_measured_beside_the_signing_handler(tmp_path):
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [
            sys.executable, DRIVER / "run.py", "--rounds=1", "--seconds=1", "--only=mint",
            "--match=anonymous, in memory", f"--cedargate={BINARY}", f"--reference={REFERENCE}",
            f"--disk={tmp_path}", f"--json={figures}",
        ],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(figures.read_text())
    assert result["failures"] == [], done.stderr
    rate, tail = result["targets"]
    assert rate["name"] == "mint, anonymous, in memory: req/s"
    assert rate["ratio"] > 0
    assert rate["errors"] == tail["errors"] == 0
    assert {row["name"] for row in result["scenarios"]} == {
        "signing handler",
        "mint, anonymous, in memory",
    }
    assert "mint, anonymous, in memory: req/s" in done.stdout
    assert not list(tmp_path.glob("cedargate-bench-*")), "folders are removed"
