"""Rows of the report: figures of scenarios, and their ratios beside the targets."""

import dataclasses
import statistics
from dataclasses import dataclass, field

METRICS = {"rate": "req/s", "p50": "p50 ms", "p99": "p99 ms", "mib": "MiB/s"}


@dataclass
class Target:
    """A scenario's figure divided by another's, and the bound that the project has set itself."""

    of: str
    against: str
    bound: str  # such as ">= 0.90"; without one the ratio is shown
    metric: str = "rate"
    fsyncs: int = 0  # so many are added to the time that it is compared with

    @property
    def name(self):
        return f"{self.of}: {METRICS[self.metric]}"

    @property
    def against_name(self):
        more = {0: "", 1: ", plus one fsync", 2: ", plus two fsyncs"}[self.fsyncs]
        return f"{self.against}{more}"


@dataclass
class Figure:
    """A figure that is held against a bound as it is."""

    name: str
    value: float
    unit: str
    bound: str


@dataclass
class Group:
    """Scenarios that are measured by turns, and what is asked about them."""

    scenarios: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    figures: list = field(default_factory=list)
    # Called after the last round, for more figures.
    finish: object = list


def scenario_row(scenario, probes):
    """Medians of a scenario's runs; `probes` are the times of an fsync, one a round."""
    row = {
        key: statistics.median(getattr(run, key) for run in scenario.runs)
        for key in ("rate", "mib", "p50", "p99", "cpu")
    }
    return {
        "name": scenario.name,
        **row,
        "errors": sum(run.errors for run in scenario.runs),
        "threads": scenario.server.status("Threads"),
        "rss_mib": scenario.server.status("VmRSS") / 1024,
        "peak_rss_mib": scenario.server.status("VmHWM") / 1024,
        "fsync_ms": statistics.median(probes) if scenario.on_disk else None,
        "syscalls": scenario.syscalls,
        "runs": [dataclasses.asdict(run) for run in scenario.runs],
    }


def target_row(target, scenarios, probes):
    """The median of the ratios of the rounds."""
    of, against = scenarios[target.of], scenarios[target.against]
    pairs = [
        (getattr(a, target.metric), getattr(b, target.metric) + target.fsyncs * probe)
        for a, b, probe in zip(of.runs, against.runs, probes, strict=True)
    ]
    return {
        "name": target.name,
        "against": target.against_name,
        "value": statistics.median(a for a, _ in pairs),
        "against_value": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
        "bound": target.bound,
        "errors": sum(run.errors for run in [*of.runs, *against.runs]),
    }
