"""The pages that the binary embeds are those that `web/` builds."""

import shutil
import subprocess

from server import ROOT

WEB = ROOT / "web"
ASSETS = ROOT / "src" / "http" / "web"

# The whole of the workbench: a slow laptop reads it in a moment.
MAX_WORKBENCH_SIZE = 600_000


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_assets_are_what_the_sources_build(tmp_path):
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=copy)
    run("npx", "tsc", "--noEmit", cwd=copy)
    run("node", "build.mjs", tmp_path / "built", cwd=copy)
    built = {file.name: file.read_bytes() for file in (tmp_path / "built").iterdir()}
    committed = {file.name: file.read_bytes() for file in ASSETS.iterdir()}
    assert sorted(built) == sorted(committed)
    differing = [name for name, content in built.items() if content != committed[name]]
    assert differing == [], "run `npm ci && node build.mjs` in web/ and commit src/http/web/"


def test_the_workbench_is_small_and_makes_no_markup_of_text():
    script = (ASSETS / "workbench.js").read_text()
    assert len(script) < MAX_WORKBENCH_SIZE
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
    )
    sources = {file: file.read_text() for file in (WEB / "src").rglob("*.ts")}
    assert [
        file.name for file, text in sources.items() if any(word in text for word in forbidden)
    ] == []
