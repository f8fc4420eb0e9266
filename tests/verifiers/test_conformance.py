"""`cedargate conformance` writes the set, and `conformance check` runs it against a verifier."""

import json
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from demo import MEMBER, PUBLIC, RESTRICTED
from gate import AUDIENCE, DATASET
from server import BINARY, DEADLINE, claims_unverified, free_port
from token_set import still_hold, write_set

ISSUER = "https://gate.example"
FIXED = 1_800_000_000
GOOD_KINDS = {"good", "time", "dataset id"}


def test_the_set_says_all_that_a_verifier_under_test_needs():
    written = write_set(ISSUER)
    assert written["issuer"] == ISSUER and written["audience"] == AUDIENCE
    assert written["dataset_id"] == DATASET and abs(written["now"] - time.time()) < 60
    tokens = written["tokens"]
    assert len({token["name"] for token in tokens}) == len(tokens) >= 280
    expected = [token["expected"] for token in tokens]
    assert set(expected) == {"accept", "refuse", "either"}
    assert expected.count("accept") >= 8 and expected.count("refuse") >= 270
    assert all(token["why"] and token["kind"] for token in tokens)
    keys = jwt.PyJWKSet.from_dict(written["key_set"])
    key = {key.key_id: key for key in keys.keys}
    for token in tokens:
        if token["expected"] == "accept":
            kid = jwt.get_unverified_header(token["token"])["kid"]
            claims = jwt.decode(
                token["token"], key[kid], algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER,
                leeway=10,
            )  # fmt: skip
            assert claims["scope"] == f"dataset:{DATASET}"
            assert token["kind"] in GOOD_KINDS and token["holds_until"] == claims["exp"]


def test_each_set_has_keys_of_its_own_and_a_time_that_may_stand_still():
    sets = [write_set(ISSUER, "--now", str(FIXED)) for _ in range(2)]
    ids = [{key["kid"] for key in written["key_set"]["keys"]} for written in sets]
    assert not ids[0] & ids[1]
    assert not any("d" in key for written in sets for key in written["key_set"]["keys"])
    for written in sets:
        assert written["now"] == FIXED
        good = next(t for t in written["tokens"] if t["name"] == "of an anonymous caller")
        claims = claims_unverified(good["token"])
        assert (claims["iat"], claims["exp"]) == (FIXED, FIXED + 120)
        assert still_hold([good]) == [good]  # the real time is before that


class Verifier:
    """A verifier whose verdict is a function of the token and of how often it was asked."""

    def __init__(self, answer):
        verifier = self
        self.asked, self.tokens, self.lock = 0, [], threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with verifier.lock:
                    verifier.asked += 1
                    asked = verifier.asked
                query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
                token = query["token"][0] if "token" in query else self.headers["Authorization"]
                verifier.tokens.append(token)
                status, headers = answer(token, asked)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/{{dataset_id}}.tif?token={{token}}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def make_verifier():
    made = []

    def make(answer):
        made.append(Verifier(answer))
        return made[-1]

    yield make
    for verifier in made:
        verifier.stop()


def check_alone(url, *arguments):
    """A check with a key of its own, which a verifier that looks at no signature need not fetch."""
    listen = f"127.0.0.1:{free_port()}"
    command = [BINARY, "conformance", "check", "--url-template", url, "--listen", listen]
    done = subprocess.run(
        [*command, "--dataset-id", DATASET, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return done


def report_of(done):
    return json.loads(done.stdout)


def names(report, verdict):
    return {token["name"] for token in report["tokens"] if token["verdict"] == verdict}


def looks_good(token):
    """What a careless verifier looks at: the claims alone."""
    try:
        claims = claims_unverified(token)
        return claims["scope"] == f"dataset:{DATASET}" and claims["exp"] > time.time() - 10
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def test_a_verifier_that_takes_everything_fails_the_check(make_verifier):
    everything = make_verifier(lambda token, asked: (200, {}))
    done = check_alone(everything.url, "--json")
    assert done.returncode == 3, done.stderr
    report = report_of(done)
    assert not report["is_passed"]
    assert {"expired a day ago", "alg none", "of another dataset"} <= names(report, "wrong")
    assert "of an anonymous caller" in names(report, "right")


def test_a_careless_verifier_is_told_which_tokens_it_should_have_refused(make_verifier):
    careless = make_verifier(lambda token, asked: (200 if looks_good(token) else 401, {}))
    done = check_alone(careless.url, "--json")
    assert done.returncode == 3
    report = report_of(done)
    wrong = names(report, "wrong")
    assert {"alg none", "for another audience", "signature: r zero", "with jku"} <= wrong
    assert "expired a day ago" not in wrong and report["failed"] == 0
    table = check_alone(careless.url)
    row = next(line for line in table.stdout.splitlines() if line.strip().startswith("alg none "))
    assert row.split()[-4:] == ["refuse", "accepted", "200", "WRONG"]
    assert "eyJ" not in done.stdout + done.stderr + table.stdout + table.stderr
    shown = check_alone(careless.url, "--json", "--show-tokens")
    assert shown.stdout.count("eyJ") > 200


def test_an_error_or_a_redirect_is_no_verdict(make_verifier):
    def answer(token, asked):
        if looks_good(token):
            return 200, {}
        return (500, {}) if len(token) % 2 else (302, {"Location": "/login"})

    verifier = make_verifier(answer)
    report = report_of(check_alone(verifier.url, "--json"))
    failed = [token for token in report["tokens"] if token["verdict"] == "failed"]
    assert {token["status"] for token in failed} == {500, 302}
    # The operator may know better what a redirect means.
    report = report_of(check_alone(verifier.url, "--json", "--refuse-status", "302"))
    assert {t["status"] for t in report["tokens"] if t["verdict"] == "failed"} == {500}


def test_a_verifier_that_is_not_there_is_an_error_before_anything_is_signed():
    done = check_alone(f"http://127.0.0.1:{free_port()}/{{dataset_id}}?token={{token}}")
    assert done.returncode == 1 and "cannot be reached" in done.stderr
    assert "eyJ" not in done.stderr


def test_a_limit_is_waited_for_and_no_verdict(make_verifier):
    def answer(token, asked):
        if asked in (3, 40):
            return 429, {"Retry-After": "0"}
        if asked == 41:
            return 403, {"X-Error-Status": "429", "Retry-After": "0"}
        return (200 if looks_good(token) else 401), {}

    report = report_of(check_alone(make_verifier(answer).url, "--json", "--concurrency", "1"))
    assert report["failed"] == 0
    assert 429 not in {token["status"] for token in report["tokens"]}


def test_a_token_may_be_in_a_header(make_verifier):
    verifier = make_verifier(lambda token, asked: (200 if looks_good(token) else 401, {}))
    url = verifier.url.removesuffix("?token={token}")
    done = check_alone(url, "--json", "--header", "Authorization: Bearer {token}")
    assert all(token.startswith("Bearer") for token in verifier.tokens)
    left_out = [t for t in report_of(done)["tokens"] if t["verdict"] == "left_out"]
    assert {token["got"] for token in left_out} == {"this token cannot be in a header"}
    assert 1 <= len(left_out) <= 12, left_out


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--url-template", "http://127.0.0.1:1/{dataset_id}"], "the token is in no place"),
        (["--url-template", "http://127.0.0.1:1/x?token={token}"], "which dataset is asked for"),
        (["--url-template", "http://127.0.0.1:1/{id}?token={token}"], "only {dataset_id}"),
        (["--url-template", "127.0.0.1/{dataset_id}?token={token}"], "not a URL"),
        (["--url-template", "http://a/{dataset_id}?t={token}", "--issuer", "x"], "--listen"),
        ([], "--url-template"),
    ],
)
def test_wrong_usage_is_told(arguments, reason):
    done = subprocess.run(
        [BINARY, "conformance", "check", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and reason in done.stderr, done.stderr


def test_without_a_gate_the_check_says_what_it_needs(tmp_path):
    url = "http://127.0.0.1:1/{dataset_id}?token={token}"
    done = subprocess.run(
        [BINARY, "conformance", "check", "--url-template", url],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "--listen" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir()), "it made a data directory"


def download_url(server):
    return f"{server.base}/datasets/{{dataset_id}}/download/cog?token={{token}}"


def test_the_gate_itself_passes_the_check_and_has_it_on_record(server):
    before = len(server.audit())
    check = ("conformance", "check", "--json", "--url-template", download_url(server))
    done = server.run(*check, "--dataset-id", PUBLIC, "--user", MEMBER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_of(done)
    assert report["right"] >= 250 and report["left_out"] < 25
    assert "of a user" in names(report, "right") and "of ten years" in names(report, "left_out")
    records = server.audit()[before:]
    reason = "signed for a conformance check by"
    signed = [record for record in records if reason in (record["reason"] or "")]
    assert len(signed) >= 150
    assert {(record["event"], record["outcome"]) for record in signed} == {("mint", "granted")}
    assert {record["dataset_id"] for record in signed} == {PUBLIC}
    assert sum(record["user_id"] is not None for record in signed) == 1
    # Every token that opened something is one of them.
    opened = [r for r in records if r["event"] == "download" and r["outcome"] == "granted"]
    assert opened and {record["jti"] for record in opened} <= {r["jti"] for r in signed}
    assert "eyJ" not in done.stdout + done.stderr


def test_without_a_dataset_the_check_opens_nothing(server):
    before = len(server.audit())
    done = server.run(
        "conformance", "check", "--json", "--url-template", download_url(server), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_of(done)
    accepted = [token for token in report["tokens"] if token["got"] == "accepted"]
    assert {token["status"] for token in accepted} == {404}
    assert uuid.UUID(report["dataset_id"])
    records = server.audit()[before:]
    assert not [r for r in records if r["event"] == "download" and r["outcome"] == "granted"]
    assert {r["dataset_id"] for r in records} == {report["dataset_id"]}


def test_a_wrong_url_is_not_taken_for_a_verdict(server):
    url = f"{server.base}/nothing/{{dataset_id}}?token={{token}}"
    done = server.run("conformance", "check", "--url-template", url, check=False)
    assert done.returncode == 1 and "--dataset-id" in done.stderr
    restricted = ("--dataset-id", RESTRICTED, "--url-template", download_url(server))
    done = server.run("conformance", "check", *restricted, check=False)
    # No anonymous caller may read it: the check says so, whatever else was right.
    assert done.returncode == 3 and "no good token was accepted" in done.stderr
