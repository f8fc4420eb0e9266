"""Keys rotate every few seconds while clients mint and verifiers verify, each with its own cache.

nginx stands in front of the gate and caches the key set as its `Cache-Control` says; PyJWT and jose
keep what they fetch from there for a second more; and nginx asks a published verifier for each
request (`auth_request`). None of them sees a key set that is newer than the copy of nginx, so a
token of a key that was not published long enough is refused.

CEDARGATE_ROTATION_SECONDS is how long the loop runs, 26 by default. With these settings a key is
retired three minutes after it signed last.
"""

import base64
import json
import os
import random
import re
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demo import PUBLIC
from gate import AUDIENCE, Key, compact, encoded
from server import DEADLINE, ROOT, WITHOUT_LIMITS, decoded, free_port, until
from test_docs import ADDRESS, blocks, text_of

SECONDS = int(os.environ.get("CEDARGATE_ROTATION_SECONDS", "26"))
CLIENTS = 32
MAX_AGE = 1  # seconds, of nginx and of each library
# The announced time, a library's cache on top, and room for a machine that is busy.
REFUSED_AFTER = 2 * MAX_AGE + MAX_AGE + 10

TIMES = {
    "CEDARGATE_JWKS_MAX_AGE": str(MAX_AGE),
    "CEDARGATE_KEY_PUBLISH_AHEAD": "8",
    "CEDARGATE_KEY_ROTATION_AGE": "8",
    "CEDARGATE_SESSION_LIFETIME": "60",
}
FRONT = """
location /files/ {{
    auth_request /check;
    alias {folder}/files/;
}}
location = /check {{
    internal;
    proxy_pass http://127.0.0.1:{verifier};
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Original-URI $request_uri;
}}
location / {{
    proxy_pass {gate};
}}
"""


def documented_cache(gate, folder):
    """The cache of the key set in docs/operators.md: a directive and a location."""
    page = text_of("docs/operators.md")
    (directive,) = re.findall(r"`(proxy_cache_path [^`]*;)`", page)
    (location,) = [
        block.text for block in blocks("docs/operators.md") if "jwks.json {" in block.text
    ]
    directive = directive.replace("/var/cache/nginx/keys", f"{folder}/keys")
    return directive, location.replace(ADDRESS, gate)


class StolenKey(Key):
    """A private key of the gate, from a copy of its database and of its sealing key."""

    def __init__(self, sealed, sealing_key):
        protected, _, iv, text, tag = sealed.split(".")
        plain = AESGCM(sealing_key).decrypt(
            decoded(iv), decoded(text) + decoded(tag), protected.encode()
        )
        jwk = json.loads(plain)
        self.private = ec.derive_private_key(int.from_bytes(decoded(jwk["d"])), ec.SECP256R1())
        self.public = self.private.public_key()
        self.kid = jwk["kid"]

    def forge(self, claims):
        """A token like that of these claims, signed now."""
        now = int(time.time())
        header = {"alg": "ES256", "kid": self.kid, "typ": "download+jwt"}
        parts = (header, {**claims, "iat": now, "exp": now + 120})
        signed = ".".join(encoded(compact(part).encode()) for part in parts)
        return f"{signed}.{encoded(self.sign(signed.encode()))}"


class Deployment:
    """A gate behind nginx, three verifiers, and a thief who reads its keys."""

    def __init__(self, make_server, make_nginx, folder, peers_folder):
        self.server = make_server(**WITHOUT_LIMITS, **TIMES)
        self.check_port = free_port()
        (folder / "files").mkdir()
        (folder / "files" / f"{PUBLIC}.tif").write_bytes(b"a file")
        settings = {"gate": self.server.base, "folder": folder, "verifier": self.check_port}
        directive, location = documented_cache(self.server.base, folder)
        block = location + FRONT.format(**settings)
        self.nginx = make_nginx(block, http=f"{directive} access_log off;")
        self.issuer = self.nginx.base
        self.server.settings["CEDARGATE_ISSUER"] = self.issuer
        self.server.start()
        metadata = httpx.get(
            f"{self.issuer}/.well-known/oauth-authorization-server", trust_env=False
        ).json()
        assert metadata["issuer"] == self.issuer
        self.pyjwt = jwt.PyJWKClient(metadata["jwks_uri"], lifespan=MAX_AGE)
        self.check = self.start_check()
        self.jose = Jose(peers_folder, self.issuer)
        self.http = httpx.Client(trust_env=False, timeout=DEADLINE)
        self.gone = {}  # kid -> when it was first seen retired

    def start_check(self):
        """The published verifier behind nginx, with the times of this deployment."""
        text = (ROOT / "docs" / "verifiers" / "verify.py").read_text()
        text = text.replace(ADDRESS, self.issuer)
        for constant, value in (("MAX_AGE", MAX_AGE), ("PAUSE", MAX_AGE)):
            text = re.sub(rf"\b{constant} = \d+", f"{constant} = {value}", text)
        verifier = {}
        exec(compile(text, "verify.py", "exec"), verifier)

        class Check(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.headers["X-Original-URI"])
                try:
                    [token] = parse_qs(url.query)["token"]
                    verifier["verify"](token, url.path.removeprefix("/files/").removesuffix(".tif"))
                    self.send_response(204)
                except jwt.InvalidTokenError:
                    self.send_response(401)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        check = ThreadingHTTPServer(("127.0.0.1", self.check_port), Check)
        threading.Thread(target=check.serve_forever, daemon=True).start()
        return check

    def stop(self):
        self.jose.stop()
        self.check.shutdown()
        self.check.server_close()
        self.http.close()

    def refusals(self, token):
        """Which verifiers refuse a token, and why."""
        verdicts = {
            "PyJWT": self.verdict_of_pyjwt(token),
            "jose": self.jose.verdict(token),
            "nginx": self.verdict_of_nginx(token),
        }
        return {name: why for name, why in verdicts.items() if why != "accepted"}

    def verdict_of_pyjwt(self, token):
        try:
            key = self.pyjwt.get_signing_key_from_jwt(token)
            expected = {"issuer": self.issuer, "audience": AUDIENCE, "algorithms": ["ES256"]}
            jwt.decode(token, key, leeway=10, **expected)
        except jwt.PyJWTError as error:
            return repr(error)
        return "accepted"

    def verdict_of_nginx(self, token):
        url = f"{self.issuer}/files/{PUBLIC}.tif"
        status = self.http.get(url, params={"token": token}).status_code
        return "accepted" if status == 200 else str(status)

    def mint(self):
        return self.server.mint(PUBLIC)

    def keys(self):
        """kid -> (state, sealed private key), as they are in the database."""
        database = sqlite3.connect(f"file:{self.server.data}/cedargate.db?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT kid, state, sealed FROM signing_keys").fetchall()
        finally:
            database.close()
        now = time.monotonic()
        for kid, state, _ in rows:
            if state == "retired":
                self.gone.setdefault(kid, now)
        return {kid: (state, sealed) for kid, state, sealed in rows}

    def must_be_refused(self, kid):
        """Whether a key was withdrawn so long ago that every cache has turned over."""
        return time.monotonic() - self.gone.get(kid, float("inf")) > REFUSED_AFTER

    def steal(self, stolen):
        sealing_key = base64.urlsafe_b64decode(
            (self.server.data / "sealing.key").read_text().strip() + "="
        )
        for kid, (_, sealed) in self.keys().items():
            if sealed and kid not in stolen:
                stolen[kid] = StolenKey(sealed, sealing_key)


class Jose:
    """jose in a process of its own, for many callers at once."""

    def __init__(self, peers_folder, issuer):
        self.process = subprocess.Popen(
            ["node", "rotation_verifier.mjs", issuer, AUDIENCE, str(MAX_AGE)],
            cwd=peers_folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lock = threading.Lock()

    def verdict(self, token):
        with self.lock:
            self.process.stdin.write(json.dumps({"id": 0, "token": token}) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())["verdict"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


class Client(threading.Thread):
    """Mints tokens and shows them to all verifiers, new ones and some that are older."""

    def __init__(self, deployment, ends_at):
        super().__init__()
        self.deployment, self.ends_at = deployment, ends_at
        self.recent, self.counts, self.failures = deque(maxlen=200), Counter(), []

    def run(self):
        try:
            while time.monotonic() < self.ends_at:
                self.recent.append(self.deployment.mint())
                self.counts["minted"] += 1
                self.show(self.recent[-1], "new")
                older = random.choice(self.recent)
                claims = jwt.decode(older, options={"verify_signature": False})
                if claims["exp"] > time.time() + 30:
                    self.show(older, "older")
        except Exception as error:
            self.failures.append(repr(error))

    def show(self, token, age):
        kid = jwt.get_unverified_header(token)["kid"]
        refusals = self.deployment.refusals(token)
        self.counts[age] += 1
        # Of a revoked key nothing is valid.
        if refusals and kid not in self.deployment.gone:
            self.failures.append(f"{age} token of {kid}: {refusals}")


@pytest.fixture
def open_folder():
    """A folder that the workers of nginx may enter, whoever they are."""
    with tempfile.TemporaryDirectory(prefix="cedargate-nginx-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def deployment(make_server, make_nginx, open_folder, peers_folder):
    deployment = Deployment(make_server, make_nginx, open_folder, peers_folder)
    yield deployment
    deployment.stop()


@pytest.mark.timeout(SECONDS + 1200)
def test_no_valid_token_is_refused_and_no_withdrawn_key_accepted_while_keys_rotate(deployment):
    stolen, counts = {}, Counter()
    claims = jwt.decode(deployment.mint(), options={"verify_signature": False})
    ends_at = time.monotonic() + SECONDS
    clients = [Client(deployment, ends_at) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    revoked = None
    while time.monotonic() < ends_at:
        deployment.steal(stolen)
        previous = [kid for kid, (state, _) in deployment.keys().items() if state == "previous"]
        if previous and revoked is None:
            revoked = previous[0]
            # A stolen key opens everything until it is revoked.
            assert deployment.refusals(stolen[revoked].forge(claims)) == {}
            deployment.gone[revoked] = time.monotonic()
            deployment.server.run("keys", "revoke", revoked)
            # Who notices at once may refuse it already; who does not has its time from now on.
            deployment.gone[revoked] = time.monotonic()
        for kid, key in list(stolen.items()):
            if deployment.must_be_refused(kid):
                counts["forged"] += 1
                refusals = deployment.refusals(key.forge(claims))
                assert len(refusals) == 3, f"{kid} is withdrawn, and only {refusals} refuse it"
    for client in clients:
        client.join()
    failures = [failure for client in clients for failure in client.failures]
    assert failures == [], f"{len(failures)}: {failures[:5]}"
    assert revoked is not None
    # In an emergency the key that signs is revoked: its tokens end, and a new one signs.
    deployment.steal(stolen)
    current = next(kid for kid, (state, _) in deployment.keys().items() if state == "current")
    deployment.server.run("keys", "revoke", current)
    for kid in (revoked, current):
        forged = stolen[kid].forge(claims)
        until(lambda forged=forged: len(deployment.refusals(forged)) == 3, f"{kid} refused")
    until(lambda: deployment.refusals(deployment.mint()) == {}, "tokens of the new key accepted")
    for client in clients:
        counts += client.counts
    signed = {kid for kid, (state, _) in deployment.keys().items()}
    counts["keys"] = len(signed)
    counts["withdrawn"] = len(deployment.gone)
    assert counts["new"] >= CLIENTS and counts["keys"] >= 4
    print(f"rotation: {SECONDS} s, {dict(counts)}")
