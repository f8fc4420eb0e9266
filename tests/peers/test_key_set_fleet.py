"""A fleet of verifiers that restarts fetches the key set at once, while others mint.

CEDARGATE_FLEET_ROUNDS is how often it does, once by default; more rounds give better figures.
"""

import asyncio
import os
import resource
import statistics
import threading
import time

import pytest

from demo import PUBLIC
from server import until

ROUNDS = int(os.environ.get("CEDARGATE_FLEET_ROUNDS", "1"))
VERIFIERS = 1000
REQUEST = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: gate\r\n%b\r\n"


@pytest.fixture
def many_files():
    """Lets this process have a socket for each verifier."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Minter(threading.Thread):
    """Mints without a pause until it is told to stop."""

    def __init__(self, server):
        super().__init__()
        self.server, self.is_done, self.times, self.failures = server, False, [], []

    def run(self):
        while not self.is_done:
            begun = time.monotonic()
            response = self.server.post_mint(PUBLIC)
            self.times.append(time.monotonic() - begun)
            if response.status_code != 200:
                self.failures.append(response.text)


async def fetch(port, source, header):
    """The status of one fetch over a connection of its own, or why there is none."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=(source, 0), limit=1 << 20
        )
        writer.write(REQUEST % header)
        status = await reader.readline()
        writer.close()
        return status.split()[1].decode() if status else "closed"
    except OSError as error:
        return type(error).__name__


def refetch(server, sources, header, at_once):
    """What a fleet is answered, each verifier at one of these addresses, and how long it took."""

    async def all_at_once():
        room = asyncio.Semaphore(at_once)

        async def one(source):
            async with room:
                return await fetch(server.port, source, header)

        fetches = [one(sources[number % len(sources)]) for number in range(VERIFIERS)]
        return await asyncio.gather(*fetches)

    begun = time.monotonic()
    answered = asyncio.run(all_at_once())
    return answered, time.monotonic() - begun


def median(times):
    return f"{statistics.median(times) * 1000:.1f} ms"


def test_a_fleet_that_fetches_the_key_set_at_once_disturbs_no_mint(make_server, many_files):
    server = make_server().start()
    etag = server.get("/.well-known/jwks.json").headers["etag"]
    if_none_match = f"If-None-Match: {etag}\r\n".encode()
    hosts = [f"127.0.1.{host}" for host in range(1, 251)]
    fleets = {
        "250 hosts": (hosts, b"", "200", VERIFIERS),
        "250 hosts, unchanged": (hosts, if_none_match, "304", VERIFIERS),
        # One address may have 256 connections: those that come late wait for their turn.
        "one address": (["127.0.2.1"], b"", "200", 300),
    }
    minter = Minter(server)
    minter.start()
    try:
        until(lambda: len(minter.times) >= 50, "mints while nobody else asks")
        print(f"nobody else: mint {median(minter.times)}")
        for name, (sources, header, expected, at_once) in fleets.items():
            minted = len(minter.times)
            for _ in range(ROUNDS):
                answered, took = refetch(server, sources, header, at_once)
                print(f"{name}: {VERIFIERS} fetches in {took:.2f} s")
                counts = {status: answered.count(status) for status in set(answered)}
                assert counts == {expected: VERIFIERS}, f"{name}: {counts}"
            if len(minter.times) > minted:
                print(f"{name}: mint {median(minter.times[minted:])} meanwhile")
    finally:
        minter.is_done = True
        minter.join()
    assert minter.failures == []
