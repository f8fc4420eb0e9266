"""`policy test --junit` is valid XML with the content of the JSON report."""

import json
import shutil
import stat
from xml.etree import ElementTree

import pytest

from server import ROOT

# A name may contain any JSON string; XML cannot represent some characters.
ODD_NAME = "<&>\"' é 𝄞 ]]> \x00 \x1b[31mred\x1b[0m \x9b1m \ufffe end"
XML_NAME = "<&>\"' é 𝄞 ]]> � �[31mred�[0m �1m � end"


@pytest.fixture
def server(make_server):
    """A server folder with a copy of the shipped policies; the server does not run."""
    server = make_server()
    shutil.copytree(ROOT / "policies", server.folder / "policies")
    return server


def run_cases(server, *options):
    return server.run("policy", "test", *options, check=False)


def break_a_case(server):
    """Makes one shipped case fail, with an unusual name, and returns its file."""
    file = server.folder / "policies" / "public.cases.json"
    cases = json.loads(file.read_text())
    wrong = next(case for case in cases if case["decision"] == "deny")
    wrong |= {"name": ODD_NAME, "decision": "allow", "reason": ["public"]}
    file.write_text(json.dumps(cases))
    return file


def reported_cases(root):
    """All cases in order: file, name, line and whether it passed."""
    return [
        (suite.get("name"), case.get("name"), int(case.get("line")), case.find("failure") is None)
        for suite in root.findall("testsuite")
        for case in suite.findall("testcase")
    ]


def test_every_file_is_a_suite_and_every_case_is_reported_as_in_the_json(server):
    done = run_cases(server, "--json", "--junit", "report.xml")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    root = ElementTree.parse(server.folder / "report.xml").getroot()
    assert root.tag == "testsuites"
    assert root.get("tests") == str(len(report["results"])) and root.get("failures") == "0"
    results = report["results"]
    assert reported_cases(root) == [
        (r["file"], r["name"], r["line"], r["is_passed"]) for r in results
    ]
    suites = root.findall("testsuite")
    assert len(suites) == len({result["file"] for result in results})
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert (
            suite.find("properties/property[@name='revision']").get("value") == report["revision"]
        )


def test_a_failure_has_the_expected_and_actual_decision_and_its_policies(server):
    break_a_case(server)
    done = run_cases(server, "--junit", "report.xml")
    assert done.returncode == 3, done.stderr
    root = ElementTree.parse(server.folder / "report.xml").getroot()
    assert root.get("failures") == "1"
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert case.get("name") == XML_NAME
    assert case.get("classname") == case.get("file") == "public.cases.json"
    failure = case.find("failure")
    assert failure.get("message").startswith("expected allow, got deny; not determined by public")
    lines = failure.text.splitlines()
    assert lines[:2] == ["expected allow by public", "got deny"]
    assert "  public (permit, public.cedar:2)" in lines
    assert any(line.startswith("    false: line ") for line in lines)
    assert any(line.strip().startswith("resource.") and " = " in line for line in lines)
    # The same text as in the table.
    assert "\n".join(lines[2:]) in done.stdout


def test_standard_output_gets_the_xml_instead_of_the_table(server):
    break_a_case(server)
    done = run_cases(server, "--junit", "-", "--coverage")
    assert done.returncode == 3
    assert ElementTree.fromstring(done.stdout.encode()).get("failures") == "1"
    assert "policies that no case satisfies" in done.stderr
    both = run_cases(server, "--junit", "-", "--json")
    assert (both.returncode, both.stdout) == (2, "")
    assert "hint:" in both.stderr


def test_a_report_replaces_the_last_one_atomically_or_not_at_all(server):
    report = server.folder / "report.xml"
    report.write_text("x" * 100_000)
    report.chmod(0o644)
    assert run_cases(server, "--junit", "report.xml").returncode == 0
    before = report.read_bytes()
    ElementTree.fromstring(before)
    assert stat.S_IMODE(report.stat().st_mode) == 0o644
    (server.folder / "policies" / "broken.cedar").write_text("permit (")
    done = run_cases(server, "--junit", "report.xml")
    assert done.returncode == 1 and "broken.cedar" in done.stderr
    assert report.read_bytes() == before
    (server.folder / "policies" / "broken.cedar").unlink()
    done = run_cases(server, "--junit", "nowhere/report.xml")
    assert done.returncode == 1 and "cannot write nowhere/report.xml" in done.stderr
    assert [file.name for file in server.folder.glob("*.xml")] == ["report.xml"]
