"""What each library does by default with the tokens of the set is what the table of the page says.

Run as a program, this file updates the table in docs/verifiers.md:

    PYTHONPATH=tests/peers .venv/bin/python tests/verifiers/test_verdicts.py
"""

import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from gate import Gate
from server import ROOT
from test_docs import text_of
from test_examples import PAGE, Verifier
from token_set import still_hold, write_set

HERE = Path(__file__).resolve().parent
TABLE = re.compile(r"(<!-- verdicts: [^\n]*-->\n)(.*?)(<!-- end of verdicts -->)", re.DOTALL)

# The library as its documentation begins, and the verifier that the page publishes for it.
LIBRARIES = {
    "PyJWT": (HERE / "defaults" / "pyjwt.py", "verify.py"),
    "joserfc": (HERE / "defaults" / "joserfc.py", "verify_joserfc.py"),
    "jose": (HERE / "defaults" / "jose.mjs", "verify.mjs"),
    "`cedargate::token`": (None, "verify.rs"),
}

# What closes each kind, for whoever adds it to a program of his own.
CLOSED_BY = {
    "time": "`maxTokenAge: 120` (jose), without which it ignores `iat`",
    "lifetime": "`exp - iat` compared with 120",
    "missing claim": '`options={"require": [...]}` (PyJWT), `"essential": True` for each claim '
    "(joserfc), `requiredClaims` (jose)",
    "number": "`type(claims[...]) is int` (Python), `Number.isInteger` (Node), for `iat` and `exp`",
    "audience": "`aud` compared as one text, since the option takes a list that has it",
    "kind of token": "the header's `typ` compared with `download+jwt` as one text (the option "
    "`typ` of jose takes other spellings), and the claim `typ` with `download`",
    "dataset": "`scope` compared with `dataset:` and the id of what is served",
    "dataset id": "that id made canonical before (`uuid.UUID`, `UUID` above)",
    "key": "a header of exactly `alg`, `kid` and `typ`",
    "critical": "a header of exactly `alg`, `kid` and `typ`",
    "member twice": "`read`",
    "encoding": "`read`",
    "form": "`read`, and its bound on the length",
}


# A library without leeway accepts this one a few seconds later: the page has a section on clocks.
# And whether a payload has spare bits depends on the length of the issuer.
NOT_JUDGED = {"issued by a clock 5 seconds ahead", "payload: spare bits set"}


def is_judged(token):
    return token["expected"] != "either" and token["name"] not in NOT_JUDGED


def wrong_verdicts(verifier, tokens):
    """The names of the tokens that a verifier is wrong about, by kind."""
    wrong = defaultdict(list)
    for token in tokens:
        is_accepted = "accepted" in verifier.verdict(token["token"], token["dataset_id"])
        if is_accepted != (token["expected"] == "accept"):
            wrong[token["kind"]].append(token["name"])
    return wrong


def judge(folder):
    """The wrong verdicts of each library by default and as published, and the size of each kind."""
    gate = Gate().start()
    verdicts, kinds = {}, {}
    try:
        for library, programs in LIBRARIES.items():
            verdicts[library] = [None, None]
            for at, program in enumerate(programs):
                if program is None:
                    continue
                written = write_set(gate.issuer)
                gate.written = written["key_set"]
                tokens = [t for t in still_hold(written["tokens"]) if is_judged(t)]
                kinds = Counter(t["kind"] for t in written["tokens"] if is_judged(t))
                place = folder / f"{len(verdicts)}-{at}"
                place.mkdir()
                verifier = Verifier(place, program, gate.issuer)
                try:
                    verdicts[library][at] = wrong_verdicts(verifier, tokens)
                finally:
                    verifier.stop()
    finally:
        gate.stop()
    return verdicts, kinds


def table_of(verdicts, kinds):
    """The table: how many verdicts of each kind are wrong by default, and what closes them."""
    lines = [
        f"| kind | tokens | {' | '.join(verdicts)} | what closes it |",
        f"|---|---|{'---|' * len(verdicts)}---|",
    ]
    for kind, tokens in kinds.items():
        wrong = [default or published for default, published in verdicts.values()]
        counts = [len(found[kind]) for found in wrong]
        closed_by = CLOSED_BY[kind] if any(counts) else ""
        cells = [str(count) if count else "-" for count in counts]
        lines.append(f"| {kind} | {tokens} | {' | '.join(cells)} | {closed_by} |")
    totals = [
        sum(map(len, (default or published).values())) for default, published in verdicts.values()
    ]
    published = [sum(map(len, published.values())) for _, published in verdicts.values()]
    tokens = kinds.total()
    for name, counts in (("**all**", totals), ("**the programs above**", published)):
        lines.append(f"| {name} | {tokens} | {' | '.join(map(str, counts))} | |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("verdicts"))


def test_the_table_of_verdicts_is_current(judged):
    table = TABLE.search(text_of(PAGE))
    assert table, f"{PAGE} has no marks around its table of verdicts"
    assert table[2] == table_of(*judged), (
        f"{PAGE} is out of date: run tests/verifiers/test_verdicts.py as a program"
    )


def test_a_library_alone_is_wrong_about_many_tokens_and_a_published_verifier_about_none(judged):
    verdicts, kinds = judged
    assert kinds.total() >= 270 and len(kinds) >= 15
    for library, (default, published) in verdicts.items():
        assert not any(published.values()), f"{library}: {dict(published)}"
        # No library can know what the token is asked for.
        assert default is None or len(default["dataset"]) >= 20, library


def main():
    with tempfile.TemporaryDirectory() as folder:
        table = table_of(*judge(Path(folder)))
    page = ROOT / PAGE
    text = TABLE.sub(lambda found: found[1] + table + found[3], page.read_text())
    page.write_text(text)


if __name__ == "__main__":
    main()
