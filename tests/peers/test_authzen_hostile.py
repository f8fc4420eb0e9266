"""Hostile AuthZEN requests: each gets a problem or a denial, and the server keeps answering."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from decision_point import (
    EVALUATION,
    EVALUATIONS,
    METADATA,
    PATHS,
    QUESTION,
    RESOURCES,
    SUBJECTS,
    DecisionPoint,
)
from server import assert_problem

# So many documents are added to the example, which alice may all read.
DOCUMENTS = 12_000
DOCUMENTS_PER_FILE = 6_000


@pytest.fixture(scope="module")
def pdp(tmp_path_factory):
    """The certification example with thousands of documents."""
    point = DecisionPoint(tmp_path_factory.mktemp("pdp"), "authzen-certification")
    for first in range(0, DOCUMENTS, DOCUMENTS_PER_FILE):
        documents = [
            {
                "uid": {"type": "Certification::Document", "id": f"doc-{number:05}"},
                "attrs": {"status": "active"},
            }
            for number in range(first, first + DOCUMENTS_PER_FILE)
        ]
        file = point.policies / f"documents-{first}.entities.json"
        file.write_text(json.dumps(documents))
    try:
        yield point.start()
    finally:
        point.stop()


@pytest.fixture(autouse=True)
def server_keeps_answering(pdp):
    process = pdp.process.pid
    yield
    assert pdp.is_alive() and pdp.process.pid == process
    assert pdp.get("/health/ready").status_code == 200
    assert pdp.decision(QUESTION)["decision"] is True


def send(pdp, path, content, media_type="application/json", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**pdp.identity, "Content-Type": media_type, **named}
    return pdp.post(path, content=content, headers=sent)


def changed(**members):
    return {**QUESTION, **members}


# Bodies.


def test_a_batch_of_10_000_is_refused_before_anything_is_decided(pdp):
    before = len(pdp.audit())
    short = json.dumps({**QUESTION, "evaluations": [{}] * 10_000})
    problem = assert_problem(send(pdp, EVALUATIONS, short), 400)
    assert "250" in problem["detail"]
    whole = json.dumps({"evaluations": [QUESTION] * 10_000})
    assert len(whole) > 1 << 20
    assert_problem(send(pdp, EVALUATIONS, whole, Connection="close"), 413)
    assert_problem(pdp.ask(EVALUATIONS, {"evaluations": [QUESTION] * 251}), 400)
    # A refusal may be on record; decisions are not.
    decided = [record for record in pdp.audit()[before:] if record.get("asked_principal")]
    assert decided == []
    answer = pdp.answer(EVALUATIONS, {"evaluations": [QUESTION] * 250})
    assert [found["decision"] for found in answer["evaluations"]] == [True] * 250


@pytest.mark.parametrize("path", PATHS)
def test_deep_and_broken_json_is_a_400(pdp, path):
    text = json.dumps(QUESTION)
    nested = '{"a":' * 1_000 + "1" + "}" * 1_000
    bodies = {
        "deep": text[:-1] + f', "context": {nested}}}',
        "deep list": "[" * 30_000,
        "subject twice": text[:-1] + ', "subject": {"type": "user", "id": "bob"}}',
        "id twice": text.replace('"id": "alice"', '"id": "bob", "id": "alice"'),
        "property twice": text[:-1] + ', "context": {"a": 1, "a": 2}}',
        "lone surrogate": text.replace("alice", "\\ud800"),
        "NaN": text[:-1] + ', "context": {"a": NaN}}',
        "too large a number": text[:-1] + ', "context": {"a": 1e400}}',
        "a list": f"[{text}]",
        "text": '"alice"',
        "null": "null",
        "two documents": text + text,
        "not UTF-8": text.replace("alice", "\xff").encode("latin-1"),
        "UTF-16": text.encode("utf-16"),
    }
    for name, body in bodies.items():
        content = body.encode() if isinstance(body, str) else body
        response = send(pdp, path, content)
        assert response.status_code == 400, f"{name}: {response.status_code} {response.text}"
        assert_problem(response, 400)


def test_a_body_beyond_its_bound_is_a_413(pdp):
    padding = {"padding": "x" * (64 << 10)}
    # The server reads no more of it, and the connection is of no use afterwards.
    assert_problem(pdp.ask(EVALUATION, changed(context=padding), Connection="close"), 413)
    # A batch may be larger, but not by that much.
    assert pdp.ask(EVALUATIONS, changed(context=padding)).status_code == 200
    longer = changed(context={"padding": "x" * (1 << 20)})
    assert_problem(pdp.ask(EVALUATIONS, longer, Connection="close"), 413)


def test_names_and_ids_have_a_length(pdp):
    for member, question in (
        ("type", changed(subject={"type": "u" * 257, "id": "alice"})),
        ("type", changed(resource={"type": "", "id": "record-1"})),
        ("name", changed(action={"name": "r" * 257})),
        ("id", changed(subject={"type": "user", "id": "a" * 1_025})),
        ("id", changed(subject={"type": "user", "id": ""})),
        ("id", changed(resource={"type": "record", "id": "ä" * 1_025})),
    ):
        assert member in assert_problem(pdp.ask(EVALUATION, question), 400)["detail"], question
    for longest in ("a" * 1_024, "ä" * 1_024):
        question = changed(subject={"type": "user", "id": longest})
        assert pdp.decision(question)["decision"] is False


@pytest.mark.parametrize("path", PATHS)
def test_another_media_type_is_a_400(pdp, path):
    text = json.dumps(QUESTION)
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "*/*",
        "json",
        "",
    ):
        assert_problem(send(pdp, path, text, media_type), 400)
    without = httpx.Request("POST", pdp.base + path, content=text, headers=pdp.identity)
    without.headers.pop("content-type", None)
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert_problem(client.send(without), 400)
    for media_type in ("application/json; charset=utf-8", "APPLICATION/JSON"):
        assert send(pdp, path, text, media_type).status_code == 200


def test_a_compressed_body_is_a_415(pdp):
    body = json.dumps(QUESTION)
    assert_problem(send(pdp, EVALUATION, body, Content_Encoding="gzip"), 415)


# Headers.


def raw(pdp, head, body):
    """Sends bytes as they are, and returns the header lines of the response."""
    text = f"POST {EVALUATION} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    text += f"X-Api-Key: {pdp.key}\r\nContent-Type: application/json\r\n"
    text += f"Content-Length: {len(body)}\r\n{head}"
    with socket.create_connection(("127.0.0.1", pdp.port), timeout=30) as connection:
        connection.sendall(text.encode("latin-1") + b"\r\n" + body)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")


def request_ids(lines):
    return [line.partition(": ")[2] for line in lines if line.lower().startswith("x-request-id:")]


def test_one_request_id_comes_back_byte_for_byte_and_of_two_none(pdp):
    body = json.dumps(QUESTION).encode()
    for sent in ("a", 'any id: {"b"} <c>; d=e', "~" * 1_000, "caf\xe9", "a\tb"):
        lines = raw(pdp, f"X-Request-ID: {sent}\r\n", body)
        assert lines[0].split()[1] == "200"
        assert request_ids(lines) == [sent]
    lines = raw(pdp, "X-Request-ID: first\r\nX-Request-ID: second\r\n", body)
    assert lines[0].split()[1] == "200"
    (own,) = request_ids(lines)
    assert own and own not in ("first", "second")
    # What could forge a line is in no log and no record.
    assert "any id" not in pdp.log_text()
    assert "any id" not in pdp.run("audit", "export").stdout


@pytest.mark.parametrize("line_end", ["\n", "\r", "\0"])
def test_no_header_is_made_by_a_request_id(pdp, line_end):
    injected = f"X-Request-ID: a{line_end}Set-Cookie: injected=1"
    lines = raw(pdp, f"{injected}\r\n", json.dumps(QUESTION).encode())
    assert not [line for line in lines if line.lower().startswith("set-cookie")]
    assert all("injected" not in found for found in request_ids(lines))


def test_a_batch_and_a_search_echo_it_even_with_a_problem(pdp):
    for path in (*PATHS, METADATA):
        headers = {"X-Request-ID": "the (id)"}
        response = (
            pdp.get(path, headers=headers) if path == METADATA else pdp.ask(path, {}, **headers)
        )
        assert response.headers.get_list("x-request-id") == ["the (id)"], path


# Searches.


def pages(pdp, path, question, limit):
    """All pages of a search."""
    page, found = {"limit": limit}, []
    while True:
        answer = pdp.answer(path, {**question, "page": page})
        found.append(answer["results"])
        token = answer["page"]["next_token"]
        if not token:
            return found
        page = {"token": token}


def test_a_search_whose_answer_is_everything_has_bounded_pages(pdp):
    question = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record"},
    }
    found = pages(pdp, RESOURCES, question, 1_000_000_000)
    assert max(len(page) for page in found) == 1_000
    ids = [result["id"] for page in found for result in page]
    assert len(set(ids)) == len(ids) == DOCUMENTS + 2
    assert ids == sorted(ids)
    by_default = pdp.answer(RESOURCES, question)
    assert len(by_default["results"]) == 100
    assert "total" not in by_default["page"]


def test_a_search_without_results_ends(pdp):
    question = {
        "subject": {"type": "user", "id": "nobody"},
        "action": {"name": "read"},
        "resource": {"type": "record"},
    }
    assert sum(len(page) for page in pages(pdp, RESOURCES, question, 1_000)) == 0


def test_odd_pages_are_a_400_or_bounded(pdp):
    question = {**QUESTION, "subject": {"type": "user"}}
    for page in (
        {"limit": -1},
        {"limit": 1.5},
        {"limit": "10"},
        {"limit": True},
        {"token": 7},
        {"token": "AAAA"},
        {"token": "=" * 1_000},
        {"token": "../../etc/passwd"},
        [],
        "next",
    ):
        assert_problem(pdp.ask(SUBJECTS, {**question, "page": page}), 400)
    for page in ({}, {"limit": 10**18}, {"token": ""}, {"unknown": 1}):
        assert pdp.ask(SUBJECTS, {**question, "page": page}).status_code == 200, page
    empty = pdp.answer(SUBJECTS, {**question, "page": {"limit": 0}})
    assert empty["results"] == []
    first = pdp.answer(
        SUBJECTS, {**question, "page": {"token": empty["page"]["next_token"], "limit": 0}}
    )
    assert first["results"] == []


def test_many_searches_at_once_leave_the_server_ready(pdp):
    question = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record"},
        "page": {"limit": 1_000},
    }
    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(pdp.ask, RESOURCES, question) for _ in range(64)]
        assert pdp.get("/health/live").status_code == 200
        statuses = {response.result().status_code for response in asked}
    assert 200 in statuses
    assert statuses <= {200, 429, 503}


def test_batches_at_once_are_all_answered(pdp):
    batch = {**QUESTION, "evaluations": [{}] * 30}
    with ThreadPoolExecutor(96) as pool:
        asked = [pool.submit(pdp.ask, EVALUATIONS, batch) for _ in range(96)]
        assert {response.result().status_code for response in asked} == {200}


def test_other_methods_and_paths_are_a_405_or_404(pdp):
    for path in PATHS:
        for method in ("GET", "PUT", "DELETE"):
            assert_problem(pdp.request(method, path, headers=pdp.identity), 405)
    for path in (
        "/access/v1",
        "/access/v1/search",
        "/access/v2/evaluation",
        "/access/v1/Evaluation",
    ):
        assert_problem(pdp.ask(path, QUESTION), 404)
