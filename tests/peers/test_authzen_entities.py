"""Files of entities that are too large, in circles or wrong are refused with their places."""

import json
import os
import shutil
import subprocess

import pytest

from server import BINARY, DEADLINE, ROOT

GROUP, ACCOUNT, DOCUMENT = (f"Certification::{name}" for name in ("Group", "Account", "Document"))
# Groups can be nested here, unlike in the example.
FLAT, NESTED = "  entity Group;\n", "  entity Group in [Group];\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The certification example with groups that nest, without its entities and cases."""
    folder = tmp_path_factory.mktemp("bundle") / "policies"
    shutil.copytree(ROOT / "policies", folder, ignore=shutil.ignore_patterns("*.json"))
    example = ROOT / "docs" / "examples" / "authzen-certification"
    skipped = shutil.ignore_patterns("*.json", "invariants")
    shutil.copytree(example, folder, dirs_exist_ok=True, ignore=skipped)
    schema = folder / "schema.cedarschema"
    text = schema.read_text()
    assert FLAT in text
    schema.write_text(text.replace(FLAT, NESTED))
    return folder


@pytest.fixture
def run_check(bundle, tmp_path):
    """Checks the bundle with more files: lists of entities, texts, or what makes a file."""
    folder = tmp_path / "policies"
    shutil.copytree(bundle, folder)

    def run(**files):
        for name, content in files.items():
            path = folder / f"{name}.entities.json"
            if callable(content):
                content(path)
            else:
                path.write_text(content if isinstance(content, str) else lines(content))
        return subprocess.run(
            [BINARY, "policy", "check", "--json", folder],
            env={**os.environ, "CEDARGATE_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    return run


@pytest.fixture
def check(run_check):
    """The report of the check."""

    def run(**files):
        done = run_check(**files)
        assert done.returncode in (0, 3), done.stderr
        report = json.loads(done.stdout)
        assert (done.returncode == 0) == (report["problems"] == []), done.stderr
        return report

    return run


def entity(kind, identifier, *parents, **attributes):
    found = {"uid": {"type": kind, "id": identifier}}
    if attributes:
        found["attrs"] = attributes
    if parents:
        found["parents"] = [{"type": GROUP, "id": parent} for parent in parents]
    return found


def lines(entities):
    """The JSON of entities, one in a line: the first is in line 2."""
    return "[\n" + ",\n".join(json.dumps(found) for found in entities) + "\n]\n"


def only_problem(report):
    (problem,) = report["problems"]
    return problem


def test_entities_of_every_kind_are_part_of_the_bundle(check):
    plain = check()
    entities = [
        entity(GROUP, "all"),
        entity(GROUP, "some", "all"),
        entity(ACCOUNT, "eve", "some", role="admin"),
        entity(DOCUMENT, "1", status="active"),
    ]
    report = check(good=entities)
    assert report["problems"] == []
    assert report["revision"] != plain["revision"]


def test_a_file_of_50_mib_is_refused_at_its_size(check):
    text = lines([entity(ACCOUNT, "a" * 1_000)] * 50_000)
    assert len(text) > 50 << 20
    problem = only_problem(check(large=text))
    assert "large.entities.json" in json.dumps(problem)
    assert "1024 KiB" in problem["message"]


def test_a_file_is_not_read_beyond_its_bound(check):
    # 1 TiB of nothing: whoever reads it whole does not end.
    def sparse(path):
        path.touch()
        os.truncate(path, 1 << 40)

    assert "sparse.entities.json" in json.dumps(only_problem(check(sparse=sparse)))


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/nonexistent/file"),
        lambda path: path.symlink_to(path),
    ],
    ids=["pipe", "link that leads nowhere", "link to itself"],
)
def test_what_is_no_file_is_refused(run_check, make):
    done = run_check(odd=make)
    assert done.returncode != 0
    assert "odd.entities.json" in done.stdout + done.stderr


def test_a_problem_at_the_end_of_a_very_long_line_is_told(run_check):
    # As json.dump writes it: one line.
    entities = [entity(ACCOUNT, f"{number}") for number in range(3_000)]
    done = run_check(one_line=json.dumps([*entities, entities[-1]]))
    assert done.returncode == 3, done.stderr
    assert "twice" in only_problem(json.loads(done.stdout))["message"]
    shown = subprocess.run(
        [BINARY, "policy", "check", done.args[-1]], capture_output=True, text=True, timeout=DEADLINE
    )
    assert shown.returncode == 3, shown.stderr
    assert "twice" in shown.stderr and len(shown.stderr) < 20_000


@pytest.mark.parametrize("length", [1, 2, 5_000])
def test_a_cycle_is_told_at_its_first_entity(check, length):
    ring = [entity(GROUP, f"{n}", f"{(n + 1) % length}") for n in range(length)]
    problem = only_problem(check(ring=[entity(GROUP, "other"), *ring]))
    assert f'{GROUP}::"0" is in itself' in problem["message"]
    assert (problem["file"].endswith("ring.entities.json"), problem["line"]) == (True, 3)
    assert len(problem["message"]) < 2_000


def test_a_cycle_through_two_files_is_told(check):
    report = check(a=[entity(GROUP, "x", "y")], b=[entity(GROUP, "y", "x")])
    assert "is in itself" in only_problem(report)["message"]


def test_a_long_chain_is_refused_at_its_ancestors(check):
    # Each is in all those before it: 12,500,000 ancestors would be stored.
    chain = [entity(GROUP, f"{n}", *([f"{n - 1}"] if n else [])) for n in range(5_000)]
    assert "ancestors" in only_problem(check(chain=chain))["message"]


def test_more_entities_than_the_bound_are_refused(check):
    def part(first, count):
        return [entity(GROUP, f"{number}") for number in range(first, first + count)]

    files = {f"part{number}": part(number * 10_000, 10_000) for number in range(5)}
    assert "50000" in only_problem(check(rest=part(50_000, 1), **files))["message"]


def test_every_mistake_of_every_file_is_told_in_one_run(check):
    report = check(
        first=[
            entity(ACCOUNT, "eve", "nobodies"),
            entity(DOCUMENT, "1", statu="active"),
            entity(DOCUMENT, "2", status=7),
            entity("User", "0d0d0d0d-0000-4000-8000-00000000be10", username="eve"),
            entity("Visibility", "public"),
            entity("Certification::Acount", "ann"),
            entity(GROUP, "all"),
        ],
        second=[entity(GROUP, "all"), {"uid": {"type": GROUP, "id": ""}}],
        third='[{"uid": {"type": "Certification::Group", "id": "x"}, "attrs": {}, "attrs": {}}]',
        fourth='{"uid": {}}',
        fifth="[{",
    )
    found = {
        (problem["file"].rsplit("/", 1)[-1].partition(".")[0], problem["line"])
        for problem in report["problems"]
    }
    assert found >= {("first", line) for line in range(2, 8)}
    assert found >= {("second", 2), ("second", 3), ("third", 1), ("fourth", 1)}
    assert "fifth" in {name for name, _ in found}
    told = json.dumps(report["problems"])
    for words in ("nobodies", "statu", "status", "catalog", "Account", "twice"):
        assert words in told, words


def test_a_similar_name_is_suggested(check):
    report = check(people=[entity(GROUP, "members"), entity(ACCOUNT, "eve", "membres")])
    assert "members" in only_problem(report)["help"]
