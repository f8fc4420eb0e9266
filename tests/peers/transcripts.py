"""Transcripts on the pages: `console` blocks with commands and what they print.

A line that begins with `$ ` is a command, together with the text of its here-document; the lines
after it are all that it prints. In these, `[..]` stands for any text within a line, and a line
`...` for any lines. The blocks of a page are one session in one folder.

    .venv/bin/python tests/peers/transcripts.py docs/policy-authors.md

runs them and writes what the commands print now into the page: read the difference.
"""

import datetime
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from server import DEADLINE, ROOT

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# How much of what a command prints is on the page.
MAX_LINES = 24
# What differs from run to run.
VARIABLE = [
    (re.compile(r"\b[0-9a-f]{64}\b"), "[..]"),
    (re.compile(r"(?<=127\.0\.0\.1 at )[^,]+"), "[..]"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|seconds?)\b"), "[..] s"),
]
KNOWN_ID = re.compile(r"2489e9ad|3fa82b90|6b1f0a52|91e4c6d8|c05d7e1b|00000000")
TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@dataclass
class Step:
    """A command, and what it prints."""

    command: str
    output: list[str] = field(default_factory=list)

    def text(self):
        return "\n".join([f"$ {self.command}", *self.output])


def steps_of(text):
    """The steps of a block."""
    steps, lines = [], iter(text.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            assert steps, f"a block begins with what it prints: {line}"
            steps[-1].output.append(line)
            continue
        command = line[2:]
        if end := re.search(r"<<'?(\w+)'?", command):
            for further in lines:
                command += f"\n{further}"
                if further == end[1]:
                    break
        while command.endswith("\\"):
            command += f"\n{next(lines)}"
        steps.append(Step(command))
    return steps


def run_step(reader, step):
    """What the command prints, on both streams in their order; the session keeps its variables."""
    kept = reader.server.folder / "environment"
    script = f"set -a\nexec 2>&1\n{reader.as_pasted_text(step.command)}\nstatus=$?\n"
    script += f"env -0 >'{kept}'\nexit $status\n"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", script],
        cwd=reader.server.folder,
        env={**reader.environment, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    pairs = [pair.partition("=") for pair in kept.read_text().split("\0") if pair]
    reader.environment = {name: value for name, _, value in pairs}
    return reader.as_written(done.stdout).splitlines()


def matches(expected, found):
    """Whether the lines are those of the page."""
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("[..]")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in found)) is not None


def is_now(time):
    """Whether a time is at most a day away."""
    away = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(time)
    return abs(away) < datetime.timedelta(days=1)


def generalized(lines):
    """The lines as the page has them: without what differs from run to run."""
    text = "\n".join(lines)
    for pattern, stand_in in VARIABLE:
        text = pattern.sub(stand_in, text)
    text = TIME.sub(lambda found: "[..]" if is_now(found[0]) else found[0], text)
    return UUID.sub(lambda found: found[0] if KNOWN_ID.match(found[0]) else "[..]", text).split(
        "\n"
    )


def shortened(lines):
    """The beginning and the end, where the summaries are."""
    if len(lines) <= MAX_LINES:
        return lines
    return [*lines[: MAX_LINES - 4], "...", *lines[-3:]]


def updated(expected, found):
    """What the page should have: what it has if it matches, and what was printed if not."""
    return expected if matches(expected, found) else shortened(generalized(found))


def run_page(text, reader):
    """The text of a page with the output that its commands have now, and the steps that differ."""
    differing = []

    def run_block(block):
        steps = steps_of(block[1])
        for step in steps:
            found = run_step(reader, step)
            if not matches(step.output, found):
                differing.append((step, found))
            step.output = updated(step.output, found)
        return "```console\n" + "".join(f"{step.text()}\n" for step in steps) + "```"

    return BLOCK.sub(run_block, text), differing


def main():
    from server import WITHOUT_LIMITS, Server
    from test_docs import Reader, make_clone

    for page in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            server = make_clone(Server(Path(folder) / "clone", **WITHOUT_LIMITS)).start()
            try:
                text, differing = run_page((ROOT / page).read_text(), Reader(server))
            finally:
                server.stop()
        (ROOT / page).write_text(text)
        print(f"{page}: {len(differing)} steps changed")


if __name__ == "__main__":
    main()
