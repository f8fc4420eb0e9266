"""Every published verifier allows for clocks that differ, by the leeway that the page names.

The programs are the blocks of the pages as they stand there. They run with a clock that stands at
a moment which the test chooses.
"""

import re

import pytest

from demo import PUBLIC
from server import claims_unverified
from test_docs import PAGES, Block, Reader, blocks, make_clone, text_of

PYTHON_CLOCK = """
import datetime, os

class Standing(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(int(os.environ["VERIFIER_NOW"]), tz)

datetime.datetime = Standing
"""
NODE_CLOCK = """
const now = Number(process.env.VERIFIER_NOW) * 1000;
globalThis.Date = class extends Date {
  constructor(...fields) {
    super(...(fields.length > 0 ? fields : [now]));
  }
  static now() {
    return now;
  }
};
"""
VERIFIERS = [
    block
    for page in PAGES
    for block in blocks(page)
    if re.search(r"\bjwt\.decode\(|\bjwtVerify\(", block.text)
]
LEEWAY = int(re.search(r"leeway of \*\*(\d+) seconds\*\*", text_of("docs/verifiers.md"))[1])


class StandingVerifier(Reader):
    """A published program, and a token that it is to verify."""

    def __init__(self, server, block):
        super().__init__(server)
        (server.folder / "clock.cjs").write_text(NODE_CLOCK)
        self.token = server.mint(PUBLIC)
        self.claims = claims_unverified(self.token)
        self.environment |= {"TOKEN": self.token, "NODE_OPTIONS": "--require ./clock.cjs"}
        self.block = block

    def accepts_at(self, now):
        """Whether the token is accepted while the verifier's clock stands at `now`."""
        self.environment["VERIFIER_NOW"] = str(now)
        arguments = f'("{self.token}", "{PUBLIC}")'
        if self.block.language == "js":
            done = self.run_js(self.block, f"\nawait verify{arguments};\n")
        else:
            # A program without such a function takes the token from its environment.
            call = f"\nverify{arguments}\n" if "def verify(" in self.block.text else ""
            text = PYTHON_CLOCK + self.block.text + call
            done = self.run_python(Block(self.block.page, self.block.line, "python", text))
        is_refused = re.search(r"ImmatureSignature|ExpiredSignature|ERR_JWT_", done.stderr)
        assert (done.returncode != 0) == bool(is_refused), done.stderr
        return not is_refused


@pytest.mark.parametrize("block", VERIFIERS, ids=str)
def test_a_published_verifier_allows_for_a_clock_that_is_a_few_seconds_off(block, make_server):
    verifier = StandingVerifier(make_clone(make_server()).start(), block)
    issued, expires = verifier.claims["iat"], verifier.claims["exp"]
    assert expires - issued == 120
    for now in (issued - LEEWAY, issued - 5, issued - 1, issued, issued + 5):
        assert verifier.accepts_at(now), f"refused {now - issued} s after it was issued"
    for now in (expires - 5, expires + 4, expires + 5, expires + LEEWAY - 1):
        assert verifier.accepts_at(now), f"refused {now - expires} s after it expired"
    for now in (issued - 3600, issued - LEEWAY - 1):
        assert not verifier.accepts_at(now), f"accepted {issued - now} s before it was issued"
    for now in (expires + LEEWAY, expires + LEEWAY + 1, expires + 3600):
        assert not verifier.accepts_at(now), f"accepted {now - expires} s after it expired"


def test_every_published_verifier_has_the_leeway_that_the_page_names():
    assert len(VERIFIERS) >= 3, VERIFIERS
    assert 5 < LEEWAY <= 30
    for block in VERIFIERS:
        named = re.search(r"\bleeway ?= ?(\d+)", block.text, re.IGNORECASE)
        assert named and int(named[1]) == LEEWAY, f"{block} has another leeway"
        assert re.search(r"\b(leeway=|clockTolerance:)", block.text), f"{block} does not use it"
