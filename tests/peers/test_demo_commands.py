"""The commands that `serve --demo` prints work when pasted into another shell."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo import ADMIN, CATALOG, MEMBER, OUTSIDER, OWNER, PUBLIC, file_of
from server import until

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


@pytest.fixture(scope="module")
def printed(server):
    """The printed text, when it is complete."""
    until(lambda: "Stop with" in server.printed.read_text(), "demo text printed")
    return server.printed.read_text()


def commands(printed):
    """Heading -> its commands: the lines that are indented by four blanks."""
    found, heading = {}, None
    for line in printed.splitlines():
        if re.match(r" {4}\S", line):
            found.setdefault(heading, []).append(line.strip())
        elif line.strip():
            heading = line.strip().rstrip(":")
    return found


@pytest.fixture
def paste(tmp_path):
    """Runs lines in a new bash in an empty folder."""

    def paste(lines):
        own = Path(sys.executable).parent  # rio is in the Python environment
        done = subprocess.run(
            ["bash", "--noprofile", "--norc"],
            input="\n".join(["set -e -o pipefail", f'PATH="$PATH:{own}"', *lines]) + "\n",
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{lines}: {done.stdout}{done.stderr}"
        return done.stdout

    return paste


def commands_under(printed, word):
    found = [lines for heading, lines in commands(printed).items() if word in heading]
    assert len(found) == 1, f"{word!r}: {list(commands(printed))}"
    return found[0]


def test_the_demo_text_names_urls_users_and_datasets(printed, server):
    assert f"{server.base}/docs" in printed
    assert server.jwks_url in printed
    for username in (ADMIN, OWNER, MEMBER, OUTSIDER):
        assert re.search(rf"^ +{username} +{re.escape(server.passwords[username])} ", printed, re.M)
    for entry in CATALOG["datasets"]:
        assert entry["id"] in printed and entry["title"] in printed


def test_the_demo_text_has_the_four_commands(printed):
    for word in ("Mint", "Download", "Sign in", "Open"):
        assert commands_under(printed, word)


def test_the_printed_mint_and_download_work(printed, paste, tmp_path):
    out = paste(commands_under(printed, "Mint") + commands_under(printed, "Download"))
    assert TOKEN.search(out)
    assert (tmp_path / "jacksboro.tif").read_bytes() == file_of(PUBLIC).read_bytes()


def test_the_printed_sign_in_mints_for_the_restricted_dataset(printed, paste):
    assert TOKEN.search(paste(commands_under(printed, "Sign in")))


def test_the_printed_gdal_commands_open_the_public_dataset(printed, paste):
    out = paste(commands_under(printed, "Open"))
    assert "Driver: GTiff/GeoTIFF" in out and "Size is 403, 344" in out  # gdalinfo
    assert '"driver": "GTiff"' in out and '"width": 403' in out  # rio


def test_all_printed_commands_work_in_one_shell(printed, paste):
    paste([line for lines in commands(printed).values() for line in lines])


def test_the_demo_listens_on_loopback_only(make_server):
    server = make_server(CEDARGATE_LISTEN="0.0.0.0:0")
    done = server.run("serve", "--demo", check=False)
    assert done.returncode == 1
    assert "error:" in done.stderr and "hint:" in done.stderr
