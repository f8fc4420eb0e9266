"""What `serve --demo` prints really works, pasted as it stands into another shell."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo import ADMIN, CATALOG, MEMBER, OUTSIDER, OWNER, PUBLIC, file_of
from gateway import until

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


@pytest.fixture(scope="module")
def printed(server):
    """The page, once it is out."""
    until(lambda: "Stop with" in server.printed.read_text(), "the page is printed")
    return server.printed.read_text()


def commands(printed):
    """Heading -> its commands: lines that four blanks set apart are for pasting."""
    found, heading = {}, None
    for line in printed.splitlines():
        if re.match(r" {4}\S", line):
            found.setdefault(heading, []).append(line.strip())
        elif line.strip():
            heading = line.strip().rstrip(":")
    return found


@pytest.fixture
def paste(tmp_path):
    """Pastes lines into a new bash in an empty folder, as a person would."""

    def paste(lines):
        own = Path(sys.executable).parent  # rio stands in the Python environment
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


def the_one(printed, word):
    found = [lines for heading, lines in commands(printed).items() if word in heading]
    assert len(found) == 1, f"{word!r}: {list(commands(printed))}"
    return found[0]


def test_the_page_names_everything_a_newcomer_needs(printed, server):
    assert f"{server.base}/docs" in printed
    assert server.jwks_url in printed
    for person in (ADMIN, OWNER, MEMBER, OUTSIDER):
        assert re.search(rf"^ +{person} +{re.escape(server.people[person])} ", printed, re.M)
    for entry in CATALOG["datasets"]:
        assert entry["id"] in printed and entry["title"] in printed


def test_the_page_has_the_four_commands(printed):
    for word in ("Mint", "Download", "Sign in", "Open"):
        assert the_one(printed, word)


def test_the_printed_mint_and_download_work(printed, paste, tmp_path):
    out = paste(the_one(printed, "Mint") + the_one(printed, "Download"))
    assert TOKEN.search(out)
    assert (tmp_path / "jacksboro.tif").read_bytes() == file_of(PUBLIC).read_bytes()


def test_the_printed_sign_in_mints_for_the_restricted_dataset(printed, paste):
    assert TOKEN.search(paste(the_one(printed, "Sign in")))


def test_the_printed_gdal_commands_open_the_public_dataset(printed, paste):
    out = paste(the_one(printed, "Open"))
    assert "Driver: GTiff/GeoTIFF" in out and "Size is 403, 344" in out  # gdalinfo
    assert '"driver": "GTiff"' in out and '"width": 403' in out  # rio


def test_all_printed_commands_work_in_one_shell_after_another(printed, paste):
    paste([line for lines in commands(printed).values() for line in lines])


def test_the_demo_listens_on_loopback_alone(make_gateway):
    gateway = make_gateway(CEDARGATE_LISTEN="0.0.0.0:0")
    done = gateway.run("serve", "--demo", check=False)
    assert done.returncode == 1
    assert "error:" in done.stderr and "hint:" in done.stderr
