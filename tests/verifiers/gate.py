"""A gate that only publishes a key set, and signs the tokens that a test asks for.

The set of good and bad tokens is not made here: `cedargate conformance` writes it.
"""

import base64
import hashlib
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from server import free_port

AUDIENCE = "cedargate-downloads"
DATASET = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(members):
    return json.dumps(members, separators=(",", ":"))


class Key:
    """A P-256 key, named by its thumbprint (RFC 7638)."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        x, y = (encoded(part.to_bytes(32)) for part in (numbers.x, numbers.y))
        self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        self.kid = encoded(hashlib.sha256(compact(self.jwk).encode()).digest())

    def sign(self, data):
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def published(self):
        return {**self.jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}


class Gate:
    """A gate that only publishes a key set: it counts the requests, and can be away or broken."""

    def __init__(self):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.key, self.other, self.foreign = Key(), Key(), Key()
        self.keys = [self.other, self.key]
        self.requests, self.broken, self.server = 0, None, None
        self.written = None  # a key set that takes the place of the keys

    def token(self, key=None, **claims):
        """A good token, except for these claims."""
        key, now = key or self.key, int(time.time())
        header = {"alg": "ES256", "kid": key.kid, "typ": "download+jwt"}
        claims = {
            "iss": self.issuer, "aud": AUDIENCE, "iat": now, "exp": now + 120,
            "jti": str(uuid.uuid4()), "typ": "download", "scope": f"dataset:{DATASET}", **claims,
        }  # fmt: skip
        signed = ".".join(encoded(compact(part).encode()) for part in (header, claims))
        return f"{signed}.{encoded(key.sign(signed.encode()))}"

    def expired(self):
        now = int(time.time())
        return self.token(iat=now - 300, exp=now - 180)

    def start(self):
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                gate.requests += 1
                status, body = gate.broken or (200, gate.key_set())
                assert self.path == "/.well-known/jwks.json", self.path
                self.send_response(status)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def key_set(self):
        return compact(self.written or {"keys": [key.published() for key in self.keys]}).encode()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
