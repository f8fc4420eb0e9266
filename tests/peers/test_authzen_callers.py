"""AuthZEN callers: who may ask, what is believed of what they say, and what is on record of it."""

import json
import shutil

import pytest

from decision_point import (
    ACTIONS,
    ARCHIVED,
    EVALUATION,
    EVALUATIONS,
    PATHS,
    QUESTION,
    RESOURCES,
    SUBJECTS,
    DecisionPoint,
)
from demo import ADMIN, INTERNAL, MEMBER, OUTSIDER, PRIVATE, PUBLIC, RESTRICTED
from server import ROOT, assert_problem


@pytest.fixture(scope="module")
def pdp(tmp_path_factory):
    """The certification example, and the one of an office network."""
    point = DecisionPoint(tmp_path_factory.mktemp("pdp"), "authzen-certification")
    office = ROOT / "docs" / "examples" / "office-network"
    shutil.copytree(office, point.policies, dirs_exist_ok=True)
    try:
        yield point.start()
    finally:
        point.stop()


def changed(**members):
    return {**QUESTION, **members}


# What callers say about others.


def test_properties_of_users_and_datasets_are_those_of_the_catalog(pdp):
    def decision(username, dataset, subject=None, resource=None):
        question = {
            "subject": {"type": "User", "id": username, "properties": subject},
            "action": {"name": "read"},
            "resource": {"type": "dataset", "id": dataset, "properties": resource},
        }
        return pdp.decision(question)["decision"]

    assert decision(MEMBER, RESTRICTED) is True
    assert decision("anonymous", PUBLIC) is True
    for properties in (
        {"subject": {"roles": ["admin"], "username": ADMIN}},
        {"subject": {"parents": [{"type": "Role", "id": "admin"}]}},
        {"resource": {"visibility": "public", "owner": OUTSIDER}},
        {"resource": {"reader_users": [OUTSIDER], "record_status": "published"}},
    ):
        assert decision(OUTSIDER, RESTRICTED, **properties) is False, properties
        assert decision(OUTSIDER, PRIVATE, **properties) is False, properties
        assert decision(MEMBER, RESTRICTED, **properties) is True, properties


def test_whoever_is_unknown_is_denied_and_not_an_error(pdp):
    for subject, resource in (
        ({"type": "User", "id": "mallory"}, {"type": "dataset", "id": PUBLIC}),
        (
            {"type": "User", "id": "00000000-0000-0000-0000-000000000000"},
            {"type": "dataset", "id": PUBLIC},
        ),
        ({"type": "User", "id": 'x" in Role::"admin'}, {"type": "dataset", "id": PUBLIC}),
        ({"type": "User", "id": MEMBER}, {"type": "dataset", "id": "no-uuid"}),
        ({"type": "User", "id": MEMBER}, {"type": "dataset", "id": "0" * 32}),
        ({"type": "spaceship", "id": "1"}, {"type": "record", "id": "record-1"}),
        ({"type": "user", "id": "alice"}, {"type": "spaceship", "id": "1"}),
        ({"type": "Action", "id": "read"}, {"type": "record", "id": "record-1"}),
        ({"type": "Server", "id": "cedargate"}, {"type": "record", "id": "record-1"}),
    ):
        answer = pdp.decision(
            {"subject": subject, "action": {"name": "read"}, "resource": resource}
        )
        assert answer["decision"] is False, (subject, resource)
        assert answer["context"]["reason"], (subject, resource)
    # An id of an own type may be anything; what no file has is in no group.
    for identifier in ("\0\u202e\n", 'alice"', "Alice", " alice", "alice\0"):
        answer = pdp.decision(changed(subject={"type": "user", "id": identifier}))
        assert answer["decision"] is False, identifier


def test_ill_typed_properties_deny_and_undeclared_ones_change_nothing(pdp):
    def decided(**properties):
        resource = {**ARCHIVED, "properties": properties}
        subject = {"type": "user", "id": "alice"}
        return pdp.decision({"subject": subject, "action": {"name": "write"}, "resource": resource})

    assert decided(status="active")["decision"] is True
    assert decided()["decision"] is False
    assert decided(status=None)["decision"] is False
    for status in (7, ["active"], {"a": 1}, True, {"__entity": {"type": "User", "id": "x"}}):
        answer = decided(status=status)
        assert answer["decision"] is False
        assert answer["context"]["error"]["status"] == 422
        assert "status" in answer["context"]["error"]["message"]
    for name in ("__proto__", "__expr", "__extn", "Status", "owner", "a" * 10_000):
        assert decided(status="active", **{name: {"x": [1]}})["decision"] is True, name


def test_groups_are_those_of_the_bundle_whatever_a_caller_says(pdp):
    write = changed(action={"name": "write"})
    for properties in (
        {"parents": [{"type": "Certification::Group", "id": "editors"}]},
        {"groups": ["editors"]},
        {"role": "editor"},
    ):
        subject = {"type": "user", "id": "bob", "properties": properties}
        assert pdp.decision({**write, "subject": subject})["decision"] is False, properties


def test_an_address_is_believed_only_from_who_may_say_so(pdp):
    question = {
        "subject": {"type": "anonymous", "id": "anonymous"},
        "action": {"name": "read"},
        "resource": {"type": "dataset", "id": INTERNAL},
        "context": {"address": "198.51.100.7"},
    }
    assert pdp.decision(question)["decision"] is False
    forged = {**question, "context": {**question["context"], "networks": ["office"], "key": {}}}
    assert pdp.decision(forged)["decision"] is False
    admin = {"Authorization": f"Bearer {pdp.login(ADMIN)}"}
    for address, decision in (("198.51.100.7", True), ("192.0.2.7", False)):
        asked = {**question, "context": {"address": address}}
        answer = pdp.post(EVALUATION, json=asked, headers=admin).json()
        assert answer["decision"] is decision, address
    for context in ({"address": "somewhere"}, {"address": 7}, {"time": "yesterday"}):
        answer = pdp.post(EVALUATION, json={**question, "context": context}, headers=admin).json()
        assert answer["decision"] is False
        assert answer["context"]["error"]["status"] == 422, context


# Who may ask.


@pytest.mark.parametrize("path", PATHS)
def test_who_shows_no_credential_is_a_401_whatever_the_body(pdp, path):
    for content in (json.dumps(QUESTION), "{", "x" * 100_000):
        headers = {"Content-Type": "text/plain", "Connection": "close"}
        response = pdp.post(path, content=content, headers=headers)
        assert_problem(response, 401)
        assert response.headers["www-authenticate"]
    for key in ("wrong", "", pdp.key[:-1]):
        assert_problem(pdp.post(path, json=QUESTION, headers={"X-Api-Key": key}), 401)


def test_who_may_not_ask_is_a_403(pdp):
    outsider = {"Authorization": f"Bearer {pdp.login(OUTSIDER)}"}
    for path in PATHS:
        assert_problem(pdp.post(path, json=QUESTION, headers=outsider), 403)
    evaluating = {"X-Api-Key": pdp.create_key("evaluate")}
    searching = {"X-Api-Key": pdp.create_key("search")}
    reading = {"X-Api-Key": pdp.create_key("read")}
    for path in (EVALUATION, EVALUATIONS):
        assert pdp.post(path, json=QUESTION, headers=evaluating).status_code == 200
        assert_problem(pdp.post(path, json=QUESTION, headers=searching), 403)
        assert_problem(pdp.post(path, json=QUESTION, headers=reading), 403)
    for path in (SUBJECTS, RESOURCES, ACTIONS):
        assert pdp.post(path, json=QUESTION, headers=searching).status_code == 200
        assert_problem(pdp.post(path, json=QUESTION, headers=evaluating), 403)
        assert_problem(pdp.post(path, json=QUESTION, headers=reading), 403)


def test_every_denial_is_on_record(pdp):
    before = len(pdp.audit())
    write = changed(subject={"type": "user", "id": "bob"}, action={"name": "write"})
    answer = pdp.answer(EVALUATIONS, {"evaluations": [write] * 20})
    assert [found["decision"] for found in answer["evaluations"]] == [False] * 20
    denials = [record for record in pdp.audit()[before:] if record["event"] == "evaluate"]
    assert len(denials) == 20
    for record in denials:
        assert record["outcome"] == "denied"
        assert record["asked_principal"] == 'Certification::Account::"bob"'
        assert record["asked_action"] == 'Certification::Action::"writeDocument"'
        assert record["asked_resource"] == 'Certification::Document::"record-1"'


def test_no_record_has_what_callers_say_of_others(pdp):
    secret = "078-05-1120"
    resource = {**ARCHIVED, "properties": {"status": {"text": secret}}}
    context = {"soft": secret, "diagnosis": secret}
    items = [
        changed(resource=resource),
        changed(action={"name": "delete"}, context=context),
        changed(action={"name": "read", "properties": {"soft": secret}}),
        changed(subject={"type": "user", "id": "alice", "properties": {"role": secret}}),
    ]
    pdp.answer(EVALUATIONS, {"evaluations": items})
    for item in items:
        pdp.answer(EVALUATION, item)
    assert secret not in pdp.run("audit", "export").stdout
    assert secret not in pdp.log_text()
