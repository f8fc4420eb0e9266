"""AuthZEN's certification scenario, by its own numbers: Basic, Batch, Search and Discovery.

Sections 2 to 4 are rows of authzen/certification.json; every row is asked.
"""

import json
import re
from urllib.parse import urlsplit

import pytest

from decision_point import METADATA, TENANT, DecisionPoint, scenario
from server import assert_problem

ROWS = scenario("certification.json")
SECTIONS = ("2.2", "2.3", "2.4", "2.5", "2.6", "3.2", "3.4", "4.2", "4.3", "4.4", "4.6", "4.7")
ISSUER = "https://pdp.example.com"
ENDPOINTS = {
    "access_evaluation_endpoint": "/access/v1/evaluation",
    "access_evaluations_endpoint": "/access/v1/evaluations",
    "search_subject_endpoint": "/access/v1/search/subject",
    "search_resource_endpoint": "/access/v1/search/resource",
    "search_action_endpoint": "/access/v1/search/action",
}


def rows(*sections):
    """The rows of these sections as parameters, named by number and claim."""
    return [
        pytest.param(row, id=f"{row['number']} {row['claim']}")
        for row in ROWS
        if row["number"].startswith(sections)
    ]


def row(number):
    """The only row with this number."""
    (found,) = [row for row in ROWS if row["number"] == number]
    return found


@pytest.fixture(scope="module")
def pdp(tmp_path_factory):
    point = DecisionPoint(
        tmp_path_factory.mktemp("pdp"), "authzen-certification", CEDARGATE_ISSUER=ISSUER
    )
    try:
        yield point.start()
    finally:
        point.stop()


def ask(pdp, row):
    """Sends a row as it is, with its own body, media type and headers."""
    path = f"/access/v1/{row['endpoint']}"
    if "body" not in row and "content_type" not in row:
        return pdp.ask(path, row["request"], **row.get("headers", {}))
    content = row["body"] if "body" in row else json.dumps(row["request"])
    media_type = row.get("content_type", "application/json")
    return pdp.post(path, content=content, headers={**pdp.identity, "Content-Type": media_type})


def assert_decision(answer, expected=None):
    """Checks the form of one answer (2.3), and what is expected of it."""
    assert isinstance(answer["decision"], bool), answer
    assert isinstance(answer.get("context", {}), dict), answer
    if expected is not None:
        assert answer["decision"] is expected["decision"], answer


def assert_page(answer):
    """4.5.3: a page has a token, and counts if there are any."""
    page = answer["page"]
    assert isinstance(page["next_token"], str)
    assert all(type(page[name]) is int for name in ("count", "total") if name in page), page
    assert page.get("count", len(answer["results"])) == len(answer["results"])


def test_every_row_is_of_a_section_that_is_tested_here():
    paged = [row for row in ROWS if row["number"].startswith("4.5")]
    assert len(paged) == 2
    assert sum(len(rows(section)) for section in SECTIONS) + len(paged) == len(ROWS) == 67
    assert {row["level"] for row in ROWS} == {
        f"{level} {part}"
        for level in ("Basic", "Batch", "Search")
        for part in ("Core", "Properties")
    }


@pytest.mark.parametrize("row", rows("2.2", "2.3"))
def test_2_2_and_2_3_one_question_has_one_decision(pdp, row):
    response = ask(pdp, row)
    assert response.status_code == row["status"], response.text
    assert response.headers["content-type"] == "application/json"
    assert_decision(response.json(), row.get("expected"))


@pytest.mark.parametrize("row", rows("2.4"))
def test_2_4_what_is_no_question_is_refused(pdp, row):
    problem = assert_problem(ask(pdp, row), row["status"])
    assert problem["detail"]


def test_2_4_the_problem_names_the_member(pdp):
    for row in ROWS:
        if row["number"] not in ("2.4.1", "2.4.2"):
            continue
        member = re.search(r"no (\w+)|an? (\w+) without", row["claim"])
        assert (member[1] or member[2]) in ask(pdp, row).json()["detail"], row["claim"]


@pytest.mark.parametrize("row", rows("2.5"))
def test_2_5_the_request_id_comes_back(pdp, row):
    response = ask(pdp, row)
    assert response.status_code == row["status"]
    for name, value in row.get("headers", {}).items():
        assert response.headers.get_list(name) == [value]


@pytest.mark.parametrize("row", rows("2.6"))
def test_2_6_the_same_question_has_the_same_decision(pdp, row):
    answers = [ask(pdp, row) for _ in range(row["repeat"])]
    assert {answer.status_code for answer in answers} == {row["status"]}
    assert len({answer.json()["decision"] for answer in answers}) == 1
    assert_decision(answers[0].json(), row["expected"])


@pytest.mark.parametrize("row", rows("3.2", "3.4"))
def test_3_2_and_3_4_a_batch_has_a_decision_for_each(pdp, row):
    response = ask(pdp, row)
    assert response.status_code == row["status"], response.text
    answer, expected = response.json(), row.get("expected", {})
    if "decision" in expected:
        # 3.4.2 and 3.4.3: it is answered as one evaluation.
        assert "evaluations" not in answer
        assert_decision(answer, expected)
        return
    decisions = answer["evaluations"]
    assert len(decisions) == len(row["request"]["evaluations"])
    assert len(decisions) == row.get("decisions", len(decisions))
    wanted = expected.get("evaluations", [None] * len(decisions))
    for found, claim in zip(decisions, wanted, strict=True):
        assert_decision(found, claim)


def test_3_3_a_batch_is_in_order_and_has_no_decision_of_its_own(pdp):
    batch = row("3.2.2")
    answer = ask(pdp, batch).json()
    assert [found["decision"] for found in answer["evaluations"]] == [True, False]
    assert "decision" not in answer
    turned = {**batch["request"], "evaluations": batch["request"]["evaluations"][::-1]}
    answer = pdp.answer("/access/v1/evaluations", turned)
    assert [found["decision"] for found in answer["evaluations"]] == [False, True]


def test_3_4_1_the_error_stands_beside_the_denial(pdp):
    found = ask(pdp, row("3.4.1")).json()["evaluations"]
    assert "error" not in found[0].get("context", {})
    error = found[1]["context"]["error"]
    assert error["status"] == 400
    assert "resource" in error["message"]


@pytest.mark.parametrize("row", rows("4.2", "4.3", "4.4", "4.6"))
def test_4_2_to_4_4_and_4_6_a_search_has_results(pdp, row):
    response = ask(pdp, row)
    assert response.status_code == row["status"], response.text
    answer = response.json()
    assert_page(answer)
    results = answer["results"]
    named = ("name",) if row["endpoint"] == "search/action" else ("type", "id")
    for result in results:
        assert all(isinstance(result[member], str) for member in named), result
    for wanted in row.get("includes", []):
        assert wanted in results, answer
    if "expected" in row:
        assert results == row["expected"]["results"]
    if "same_results_as" in row:
        (other,) = [other for other in ROWS if other["number"] == row["same_results_as"]]
        assert results == ask(pdp, other).json()["results"]


def test_4_5_pages_follow_each_other(pdp):
    first, second = row("4.5.1"), row("4.5.2")
    pages = [ask(pdp, first).json()]
    assert_page(pages[0])
    assert len(pages[0]["results"]) == 1
    while token := pages[-1]["page"]["next_token"]:
        assert len(pages) < 10, "the pages do not end"
        response = pdp.ask(
            f"/access/v1/{second['endpoint']}", {**second["request"], "page": {"token": token}}
        )
        assert response.status_code == second["status"], response.text
        pages.append(response.json())
        assert_page(pages[-1])
        # The limit was said with the first page.
        assert len(pages[-1]["results"]) <= 1
    together = [result for page in pages for result in page["results"]]
    whole = pdp.answer(f"/access/v1/{second['endpoint']}", second["request"])
    assert whole["page"]["next_token"] == ""
    assert together == whole["results"]
    assert len(together) >= 2


@pytest.mark.parametrize("row", rows("4.7"))
def test_4_7_what_is_no_search_is_refused(pdp, row):
    assert_problem(ask(pdp, row), row["status"])


@pytest.mark.parametrize("path", ENDPOINTS.values())
def test_5_every_endpoint_has_the_same_transport(pdp, path):
    first = next(row for row in ROWS if path.endswith(f"/v1/{row['endpoint']}"))
    question = {**first["request"], "unknown": [{"nested": None}]}
    response = pdp.ask(path, question, X_Request_ID="any id, of (nearly) any characters!")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    echoed = response.headers.get_list("x-request-id")
    assert echoed == ["any id, of (nearly) any characters!"]
    headers = {**pdp.identity, "Content-Type": "application/json; charset=utf-8"}
    again = pdp.post(path, content=response.request.content, headers=headers)
    assert again.json() == response.json()
    assert_problem(pdp.ask(path, {}), 400)


def assert_metadata(response, issuer):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    metadata = response.json()
    assert metadata["policy_decision_point"] == issuer
    for name, path in ENDPOINTS.items():
        assert metadata[name] == issuer + path
        assert urlsplit(metadata[name]).scheme == "https"
    assert all(isinstance(name, str) for name in metadata.get("capabilities", []))
    assert "signed_metadata" not in metadata


def test_6_the_metadata_name_every_endpoint(pdp):
    assert_metadata(pdp.get(METADATA), ISSUER)


def test_6_a_base_url_with_a_path_has_metadata_of_its_own(todo_point):
    assert TENANT.startswith(f"{ISSUER}/")
    assert_metadata(todo_point.get(METADATA + TENANT.removeprefix(ISSUER)), TENANT)
