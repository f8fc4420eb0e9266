"""`policy test --junit` is XML that another parser reads, and says what the JSON report says."""

import json
import shutil
import stat
from xml.etree import ElementTree

import pytest

from gateway import ROOT

# A name may hold whatever JSON can write; XML cannot write some of it.
ODD_NAME = "<&>\"' é 𝄞 ]]> \x00 \x1b[31mred\x1b[0m \x9b1m \ufffe end"
TOLD_NAME = "<&>\"' é 𝄞 ]]> � �[31mred�[0m �1m � end"


@pytest.fixture
def folder(make_gateway):
    """A copy of the shipped policies, and the program to ask of it."""
    gateway = make_gateway()
    shutil.copytree(ROOT / "policies", gateway.folder / "policies")
    return gateway


def run_cases(folder, *options):
    return folder.run("policy", "test", *options, check=False)


def spoil(folder):
    """Makes one shipped case fail, under an odd name, and answers its file."""
    file = folder.folder / "policies" / "public.cases.json"
    cases = json.loads(file.read_text())
    wrong = next(case for case in cases if case["decision"] == "deny")
    wrong |= {"name": ODD_NAME, "decision": "allow", "reason": ["public"]}
    file.write_text(json.dumps(cases))
    return file


def told(root):
    """Every case with its file, line and whether it passed, in their order."""
    return [
        (suite.get("name"), case.get("name"), int(case.get("line")), case.find("failure") is None)
        for suite in root.findall("testsuite")
        for case in suite.findall("testcase")
    ]


def test_every_file_is_a_suite_and_every_case_is_told_as_in_the_json(folder):
    done = run_cases(folder, "--json", "--junit", "report.xml")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    root = ElementTree.parse(folder.folder / "report.xml").getroot()
    assert root.tag == "testsuites"
    assert root.get("tests") == str(len(report["results"])) and root.get("failures") == "0"
    results = report["results"]
    assert told(root) == [(r["file"], r["name"], r["line"], r["is_passed"]) for r in results]
    suites = root.findall("testsuite")
    assert len(suites) == len({result["file"] for result in results})
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert (
            suite.find("properties/property[@name='revision']").get("value") == report["revision"]
        )


def test_a_failure_says_what_was_expected_what_came_and_what_decided(folder):
    spoil(folder)
    done = run_cases(folder, "--junit", "report.xml")
    assert done.returncode == 3, done.stderr
    root = ElementTree.parse(folder.folder / "report.xml").getroot()
    assert root.get("failures") == "1"
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert case.get("name") == TOLD_NAME
    assert case.get("classname") == case.get("file") == "public.cases.json"
    failure = case.find("failure")
    assert failure.get("message").startswith("expected allow, got deny; not determined by public")
    lines = failure.text.splitlines()
    assert lines[:2] == ["expected allow by public", "got deny"]
    assert "  public (permit, public.cedar:2)" in lines
    assert any(line.startswith("    does not hold: line ") for line in lines)
    assert any(line.strip().startswith("resource.") and " = " in line for line in lines)
    # What the table says of it, word for word.
    assert "\n".join(lines[2:]) in done.stdout


def test_standard_output_takes_the_xml_in_place_of_the_table(folder):
    spoil(folder)
    done = run_cases(folder, "--junit", "-", "--coverage")
    assert done.returncode == 3
    assert ElementTree.fromstring(done.stdout.encode()).get("failures") == "1"
    assert "policies that no case satisfies" in done.stderr
    both = run_cases(folder, "--junit", "-", "--json")
    assert (both.returncode, both.stdout) == (2, "")
    assert "hint:" in both.stderr


def test_a_report_takes_the_place_of_the_last_one_whole_or_stays(folder):
    report = folder.folder / "report.xml"
    report.write_text("x" * 100_000)
    report.chmod(0o644)
    assert run_cases(folder, "--junit", "report.xml").returncode == 0
    before = report.read_bytes()
    ElementTree.fromstring(before)
    assert stat.S_IMODE(report.stat().st_mode) == 0o644
    (folder.folder / "policies" / "broken.cedar").write_text("permit (")
    done = run_cases(folder, "--junit", "report.xml")
    assert done.returncode == 1 and "broken.cedar" in done.stderr
    assert report.read_bytes() == before
    (folder.folder / "policies" / "broken.cedar").unlink()
    done = run_cases(folder, "--junit", "nowhere/report.xml")
    assert done.returncode == 1 and "cannot write nowhere/report.xml" in done.stderr
    assert [file.name for file in folder.folder.glob("*.xml")] == ["report.xml"]
