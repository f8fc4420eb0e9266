"""The figures of a run as tables for people."""

import operator
import re

# Where docs/performance.md has the last run.
BEGIN, END = "<!-- the last run -->", "<!-- end of the last run -->"
COMPARISONS = {">=": operator.ge, "<=": operator.le}


def is_met(value, bound):
    """Whether the figure keeps the bound; None without one."""
    if not bound:
        return None
    sign, limit = bound.split()
    return COMPARISONS[sign](value, float(limit))


def is_number(text):
    return text[:1].isdigit() or text in ("", "yes", "no") or text[:2] in COMPARISONS


def table(lines):
    """A table in Markdown, aligned for a terminal too. The first line is the heading."""
    columns = list(zip(*lines, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    is_right = [all(is_number(cell) for cell in column[1:]) for column in columns]

    def text(line):
        cells = zip(line, widths, is_right, strict=True)
        padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells)
        return f"| {' | '.join(padded)} |"

    rules = zip(widths, is_right, strict=True)
    rule = "|".join(f"{'-' * (width + 1)}{':' if right else '-'}" for width, right in rules)
    return "\n".join([text(lines[0]), f"|{rule}|", *map(text, lines[1:])])


def number(value):
    """Three or more digits, whatever the size."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdict(value, bound):
    met = is_met(value, bound)
    return "" if met is None else "yes" if met else "no"


def target_lines(report):
    """Each ratio or figure beside its target."""
    lines = [("measure", "figure", "against", "its figure", "ratio", "target", "met")]
    for row in report["targets"]:
        marked = " (ERRORS)" if row["errors"] else ""
        lines.append(
            (
                row["name"] + marked,
                number(row["value"]),
                row["against"],
                number(row["against_value"]),
                f"{row['ratio']:.2f}",
                row["bound"],
                verdict(row["ratio"], row["bound"]),
            )
        )
    for row in report["figures"]:
        figure = f"{number(row['value'])} {row['unit']}".strip()
        met = verdict(row["value"], row["bound"])
        lines.append((row["name"], figure, "", "", "", row["bound"], met))
    return lines


def scenario_lines(report):
    lines = [("scenario", "req/s", "MiB/s", "p50 ms", "p99 ms", "us CPU", "syscalls", "futex",
              "threads", "RSS MiB", "peak", "fsync ms", "errors")]  # fmt: skip
    for row in report["scenarios"]:
        calls = row["syscalls"]
        lines.append((
            row["name"], number(row["rate"]), number(row["mib"]), number(row["p50"]),
            number(row["p99"]), number(row["cpu"]),
            "" if calls is None else number(sum(calls.values())),
            "" if calls is None else number(calls.get("futex", 0)),
            str(row["threads"]), number(row["rss_mib"]), number(row["peak_rss_mib"]),
            number(row["fsync_ms"]), str(row["errors"]),
        ))  # fmt: skip
    return lines


def text(report):
    """The whole report in Markdown."""
    machine = report["machine"]
    parts = [
        f"Commit {report['commit']}, {report['date']}, `{report['command']}`, "
        f"{report['minutes']:.0f} minutes.\n"
        f"{machine['cpu']}, {machine['cores']} cores shared with wrk, "
        f"{machine['memory_gib']} GiB; Linux {machine['kernel']}; "
        f"in memory is {machine['memory_folder']}, on disk {machine['disk']}, where "
        f"a 4 KiB write with fsync takes {number(report['fsync_ms'])} ms (median of the run).\n"
        f"{report['rounds']} rounds of {report['seconds']} s; "
        "32 connections unless a row says otherwise.",
    ]
    if report["targets"] or report["figures"]:
        parts.append(table(target_lines(report)))
    if report["scenarios"]:
        parts.append(table(scenario_lines(report)))
    for failure in report["failures"]:
        parts.append(f"**Failed:** {failure['name']}: {failure['reason']}")
    return "\n\n".join(parts)


def write_into(path, report):
    """Puts the report into the page, in the place of the last one."""
    page = path.read_text()
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{path} has no place for a run: {BEGIN} ... {END}")
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text(report)}\n{END}", page))
