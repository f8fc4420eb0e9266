"""AuthZEN's todo scenario and the one of its gateways: every row of their tables of decisions."""

import pytest

from decision_point import EVALUATIONS, scenario

TODO = scenario("todo.json")
GATEWAY = scenario("gateway.json")
PEOPLE = TODO["people"]


@pytest.fixture(scope="module")
def pdp(todo_point):
    return todo_point


def person(who, kind="user"):
    return {"type": kind, "id": PEOPLE[who]["subject_id"]}


def todo(identifier, owner):
    properties = {"properties": {"ownerID": owner}} if owner else {}
    return {"type": "todo", "id": identifier, **properties}


def named(row):
    decision = "may" if row["decision"] else "may not"
    return f"{row['who']} {decision} {row['may']} of {row['owner'] or row['id']}"


def test_the_tables_are_whole():
    assert (len(TODO["evaluation"]), len(TODO["evaluations"]), len(GATEWAY)) == (40, 3, 25)
    for table in (TODO["evaluation"], GATEWAY):
        assert {row["who"] for row in table} == set(PEOPLE)
        assert {row["decision"] for row in table} == {True, False}


@pytest.mark.parametrize("row", TODO["evaluation"], ids=named)
def test_the_todo_application_is_answered(pdp, row):
    resource = todo(row["id"], row["owner"])
    question = {
        "subject": person(row["who"]),
        "action": {"name": row["may"]},
        "resource": {**resource, "type": row["type"]},
    }
    assert pdp.decision(question)["decision"] is row["decision"]


@pytest.mark.parametrize("row", TODO["evaluations"], ids=lambda row: row["who"])
def test_a_batch_about_todos_is_answered_in_order(pdp, row):
    question = {
        "subject": person(row["who"]),
        "action": {"name": row["may"]},
        # As the application of the scenario sends it: a default that every item replaces.
        "resource": {},
        "evaluations": [{"resource": todo(item["id"], item["owner"])} for item in row["todos"]],
    }
    found = pdp.answer(EVALUATIONS, question)["evaluations"]
    assert [answer["decision"] for answer in found] == row["decisions"]


def test_all_rows_as_one_batch_have_the_same_decisions(pdp):
    items = [
        {
            "subject": person(row["who"]),
            "action": {"name": row["may"]},
            "resource": {**todo(row["id"], row["owner"]), "type": row["type"]},
        }
        for row in TODO["evaluation"]
    ]
    wanted = [row["decision"] for row in TODO["evaluation"]]
    found = pdp.answer(EVALUATIONS, {"evaluations": items})["evaluations"]
    assert [answer["decision"] for answer in found] == wanted
    for semantic, last in (("deny_on_first_deny", False), ("permit_on_first_permit", True)):
        options = {"evaluations_semantic": semantic}
        answer = pdp.answer(EVALUATIONS, {"evaluations": items, "options": options})
        decisions = [found["decision"] for found in answer["evaluations"]]
        assert decisions == wanted[: wanted.index(last) + 1], semantic


def test_an_owner_is_who_the_application_says_and_nobody_else(pdp):
    question = {"subject": person("morty"), "action": {"name": "can_update_todo"}}
    mine, other = PEOPLE["morty"]["email"], PEOPLE["rick"]["email"]
    for owner, decision in ((mine, True), (other, False), (mine.upper(), False), (None, False)):
        answer = pdp.decision({**question, "resource": todo("1", owner)})
        assert answer["decision"] is decision, owner
    # A role is not taken from the question: it is a parent, which the bundle alone has.
    resource = todo("1", other)
    for properties in ({"roles": ["evil_genius"]}, {"parents": ["evil_genius"]}):
        subject = {**person("morty"), "properties": properties}
        asked = {**question, "subject": subject, "resource": resource}
        assert pdp.decision(asked)["decision"] is False


@pytest.mark.parametrize(
    "row", GATEWAY, ids=lambda row: f"{row['who']} {row['method']} {row['route']}"
)
def test_the_gateways_are_answered(pdp, row):
    question = {
        "subject": person(row["who"], row["subject_type"]),
        "action": {"name": row["method"]},
        "resource": {"type": "route", "id": row["route"]},
    }
    assert pdp.decision(question)["decision"] is row["decision"]
    # What the gateways of the scenario say besides changes nothing.
    question["resource"]["properties"] = {"uri": "https://todo.example.org/todos/1", "params": {}}
    question["context"] = {"hostname": "todo.example.org", "schema": "https"}
    assert pdp.decision(question)["decision"] is row["decision"]
