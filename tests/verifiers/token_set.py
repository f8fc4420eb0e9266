"""The set of good and bad tokens, as `cedargate conformance` writes it."""

import json
import subprocess
import time

from gate import AUDIENCE, DATASET
from server import BINARY, DEADLINE


def write_set(issuer, *arguments):
    """The set for an issuer."""
    command = [BINARY, "conformance", "--issuer", issuer, "--audience", AUDIENCE]
    done = subprocess.run(
        [*command, "--dataset-id", DATASET, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def still_hold(tokens):
    """The tokens whose verdict is right now and for some seconds more, the urgent ones first."""
    now = time.time() + 5
    held = [token for token in tokens if token.get("holds_until", now + 1) > now]
    return sorted(held, key=lambda token: token.get("holds_until", float("inf")))
