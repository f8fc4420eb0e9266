"""AuthZEN clients of other people's: apparitor, and the policy backend of an agent toolkit."""

import asyncio
import json

import httpx
import pytest
from apparitor.client import AuthZENClient
from apparitor.config import ScannerConfig
from apparitor.decision import Verdict
from apparitor.engine import AuthorizationEngine
from apparitor.errors import AuthZENClientError
from apparitor.models import (
    Action,
    BatchEvaluationRequest,
    EvaluationItem,
    EvaluationRequest,
    EvaluationSemantic,
    EvaluationsOptions,
    Resource,
    Subject,
)
from authzen_backend import AuthZENBackend

from decision_point import EVALUATION, DecisionPoint, scenario
from demo import ADMIN, OUTSIDER

TODO = scenario("todo.json")
PEOPLE = TODO["people"]
# As the toolkit writes the ids of users.
AGENT = "auth:account:agentmesh:alice"


@pytest.fixture(scope="module")
def todo(todo_point):
    return todo_point


def config(pdp):
    # Without this the client talks https only, and not to a loopback address.
    return ScannerConfig(
        pdp_url=pdp.base, allow_insecure_pdp=True, max_retries=0, cache_enabled=False
    )


async def asked(pdp, ask, key=None):
    """What `ask` says with a client that shows the API key."""
    headers = {"X-Api-Key": key or pdp.key}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http_client:
        return await ask(AuthZENClient(config(pdp), http_client=http_client))


def subject(who):
    return Subject(type="user", id=PEOPLE[who]["subject_id"])


def resource(row):
    properties = {"ownerID": row["owner"]} if row["owner"] else {}
    return Resource(type=row["type"], id=row["id"], properties=properties)


def request(row):
    return EvaluationRequest(
        subject=subject(row["who"]), action=Action(name=row["may"]), resource=resource(row)
    )


def test_apparitor_gets_the_decisions_of_the_todo_table(todo):
    async def ask(client):
        return [(await client.evaluate(request(row))).decision for row in TODO["evaluation"]]

    assert asyncio.run(asked(todo, ask)) == [row["decision"] for row in TODO["evaluation"]]


@pytest.mark.parametrize("semantic", EvaluationSemantic)
def test_apparitor_gets_a_batch_by_each_semantic(todo, semantic):
    rows = [row for row in TODO["evaluation"] if row["who"] == "morty"]
    items = [EvaluationItem(action=Action(name=r["may"]), resource=resource(r)) for r in rows]
    batch = BatchEvaluationRequest(
        subject=subject("morty"),
        evaluations=items,
        options=EvaluationsOptions(evaluations_semantic=semantic),
    )
    answer = asyncio.run(asked(todo, lambda client: client.evaluate_batch(batch)))
    decisions = [row["decision"] for row in rows]
    last = {
        EvaluationSemantic.EXECUTE_ALL: len(decisions) - 1,
        EvaluationSemantic.DENY_ON_FIRST_DENY: decisions.index(False),
        EvaluationSemantic.PERMIT_ON_FIRST_PERMIT: decisions.index(True),
    }
    assert [found.decision for found in answer.evaluations] == decisions[: last[semantic] + 1]


def test_apparitor_lets_an_agent_do_what_is_permitted_only(todo):
    def verdict(who, *rows):
        async def ask(client):
            engine = AuthorizationEngine(config(todo), client=client)
            requests = [request(row) for row in rows]
            return (await engine.evaluate_requests(requests)).verdict

        return asyncio.run(asked(todo, ask))

    mine = [row for row in TODO["evaluation"] if row["who"] == "morty"]
    permitted = [row for row in mine if row["decision"]]
    assert verdict("morty", permitted[0]) is Verdict.ALLOW
    assert verdict("morty", *permitted) is Verdict.ALLOW
    assert verdict("morty", *mine) is Verdict.BLOCK


def test_apparitor_is_told_that_its_key_is_refused(todo):
    async def ask(client):
        return await client.evaluate(request(TODO["evaluation"][0]))

    with pytest.raises(AuthZENClientError) as raised:
        asyncio.run(asked(todo, ask, key="wrong"))
    assert raised.value.status_code == 401
    search_only = todo.create_key("search")
    with pytest.raises(AuthZENClientError) as raised:
        asyncio.run(asked(todo, ask, key=search_only))
    assert raised.value.status_code == 403


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The certification example, with an entity for the agent in a file of its own."""
    point = DecisionPoint(tmp_path_factory.mktemp("records"), "authzen-certification")
    agent = {
        "uid": {"type": "Certification::Account", "id": AGENT},
        "parents": [{"type": "Certification::Group", "id": "members"}],
    }
    (point.policies / "agents.entities.json").write_text(json.dumps([agent]))
    try:
        point.start()
        catalog = point.folder / "asking.toml"
        catalog.write_text(f'[[users]]\nusername = "{OUTSIDER}"\nroles = ["gateway"]\n')
        point.run("catalog", "apply", catalog)
        yield point
    finally:
        point.stop()


def backend(pdp, username):
    return AuthZENBackend(
        pdp_url=pdp.base + EVALUATION,
        pdp_application="records",
        token=pdp.login(username),
        default_subject_type="user",
        default_resource_type="record",
    )


def test_the_policy_backend_of_a_toolkit_gets_decisions_and_reasons(records):
    asks = {"agent_id": "alice", "action": "read", "resource_id": "record-1", "tool_name": "reader"}
    with backend(records, OUTSIDER) as asking:
        read = asking.evaluate(asks)
        assert (read.allowed, read.error) == (True, None)
        # The reason that the policy has for everybody.
        assert read.reason == "A member reads every document."
        for changes in ({"action": "write"}, {"agent_id": "mallory"}, {"resource_id": "record-9"}):
            refused = asking.evaluate({**asks, **changes})
            assert (refused.allowed, refused.error) == (False, None), changes
            assert "error" not in refused.reason.lower(), refused
            assert "reason_admin" not in refused.raw_result["context"]
    with backend(records, ADMIN) as asking:
        # An admin may see the policies, and is told which it was.
        read = asking.evaluate(asks)
        assert read.allowed
        assert "members-read" in read.reason
        assert set(read.raw_result["context"]["reason_admin"]) >= {"policies", "revision"}


def test_the_policy_backend_refuses_without_an_answer(records):
    asks = {"agent_id": "alice", "action": "read", "resource_id": "record-1"}
    with AuthZENBackend(
        pdp_url=records.base + EVALUATION, pdp_application="records", token="no-token"
    ) as asking:
        refused = asking.evaluate(asks)
    assert not refused.allowed
    assert "401" in refused.reason
