"""AuthZEN's search scenario: every row of its tables, and a search is what evaluations say."""

import pytest

from decision_point import EVALUATIONS, DecisionPoint, scenario

TABLES = scenario("search.json")
SUBJECTS = sorted({row["subject"] for row in TABLES["resource"]})
RESOURCES = sorted({row["resource"] for row in TABLES["subject"]})
ACTIONS = ("view", "edit", "delete")


@pytest.fixture(scope="module")
def pdp(tmp_path_factory):
    point = DecisionPoint(tmp_path_factory.mktemp("search"), "authzen-search")
    try:
        yield point.start()
    finally:
        point.stop()


def user(identifier):
    return {"type": "user", "id": identifier}


def record(identifier):
    return {"type": "record", "id": identifier}


def ids(results, kind):
    """The ids of results, each of which is there once."""
    assert {result["type"] for result in results} <= {kind}
    found = [result["id"] for result in results]
    assert len(set(found)) == len(found)
    return set(found)


def test_the_tables_are_whole():
    assert (len(SUBJECTS), len(RESOURCES)) == (6, 20)
    sizes = {kind: len(rows) for kind, rows in TABLES.items()}
    assert sizes == {"subject": 20 * 3, "resource": 6 * 3, "action": 6 * 20}


@pytest.mark.parametrize("resource", RESOURCES)
def test_subject_search_finds_who_may(pdp, resource):
    for row in TABLES["subject"]:
        if row["resource"] == resource:
            question = {
                "subject": {"type": "user"},
                "action": {"name": row["action"]},
                "resource": record(resource),
            }
            assert ids(pdp.search("subject", question), "user") == set(row["results"]), row


@pytest.mark.parametrize("subject", SUBJECTS)
def test_resource_search_finds_what_one_may(pdp, subject):
    for row in TABLES["resource"]:
        if row["subject"] == subject:
            question = {
                "subject": user(subject),
                "action": {"name": row["action"]},
                "resource": {"type": "record"},
            }
            assert ids(pdp.search("resource", question), "record") == set(row["results"]), row


@pytest.mark.parametrize("subject", SUBJECTS)
def test_action_search_finds_how_one_may(pdp, subject):
    for row in TABLES["action"]:
        if row["subject"] == subject:
            question = {"subject": user(subject), "resource": record(row["resource"])}
            found = [result["name"] for result in pdp.search("action", question)]
            assert len(set(found)) == len(found)
            assert set(found) == set(row["results"]), row


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("limit", [1, 3, 7, 20])
def test_pages_of_any_size_have_the_same_results(pdp, action, limit):
    question = {
        "subject": user("dan"),
        "action": {"name": action},
        "resource": {"type": "record"},
    }
    whole = pdp.answer("/access/v1/search/resource", question)["results"]
    results, page = [], {"limit": limit}
    while True:
        answer = pdp.answer("/access/v1/search/resource", {**question, "page": page})
        assert len(answer["results"]) <= limit
        results += answer["results"]
        token = answer["page"]["next_token"]
        if not token:
            break
        page = {"token": token}
    assert results == whole


def test_every_search_is_what_evaluations_say(pdp):
    pairs = [
        (subject, action, resource)
        for subject in SUBJECTS
        for action in ACTIONS
        for resource in RESOURCES
    ]
    permitted = set()
    for first in range(0, len(pairs), 250):
        part = pairs[first : first + 250]
        items = [
            {"subject": user(s), "action": {"name": a}, "resource": record(r)} for s, a, r in part
        ]
        found = pdp.answer(EVALUATIONS, {"evaluations": items})["evaluations"]
        decided = [answer["decision"] for answer in found]
        permitted |= {
            pair for pair, is_permitted in zip(part, decided, strict=True) if is_permitted
        }
    by_subject = {
        (subject, row["action"], row["resource"])
        for row in TABLES["subject"]
        for subject in row["results"]
    }
    assert permitted == by_subject


def test_properties_count_in_a_search_as_in_an_evaluation(pdp):
    # As a contractor of that department alice would view its records and her own.
    less = {"role": "contractor", "department": "Accounting"}
    question = {
        "subject": {**user("alice"), "properties": less},
        "action": {"name": "view"},
        "resource": {"type": "record"},
    }
    found = ids(pdp.search("resource", question), "record")
    decided = {
        resource
        for resource in RESOURCES
        if pdp.decision({**question, "resource": record(resource)})["decision"]
    }
    assert found == decided
    assert found < set(RESOURCES)


def test_a_token_is_good_for_its_own_search_only(pdp):
    question = {
        "subject": {"type": "user"},
        "action": {"name": "view"},
        "resource": record("101"),
        "page": {"limit": 1},
    }
    token = pdp.answer("/access/v1/search/subject", question)["page"]["next_token"]
    assert token
    others = (
        {**question, "page": {"token": token, "limit": 2}},
        {**question, "resource": record("102"), "page": {"token": token}},
        {**question, "action": {"name": "edit"}, "page": {"token": token}},
        {**question, "page": {"token": token[:8]}},
        {**question, "page": {"token": "?" * 100}},
        {**question, "page": {"token": 1}},
    )
    for other in others:
        response = pdp.ask("/access/v1/search/subject", other)
        assert response.status_code == 400, other
    same = {**question, "page": {"token": token, "limit": 1}}
    assert len(pdp.answer("/access/v1/search/subject", same)["results"]) == 1
