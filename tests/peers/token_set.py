"""A set of download tokens for any verifier, and a gate that publishes the keys which signed them.

The cases are data (`conformance/tokens.json`); this file signs them. It uses no token library, so
that it can also make what such a library refuses to make.
"""

import base64
import hashlib
import hmac
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from server import decoded, free_port

AUDIENCE = "cedargate-downloads"
TOKEN_SET = json.loads((Path(__file__).parent / "conformance" / "tokens.json").read_text())
DATASET = TOKEN_SET["dataset"]
CASES = TOKEN_SET["cases"]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A P-256 key, named by its thumbprint (RFC 7638)."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.public = self.private.public_key()
        numbers = self.public.public_numbers()
        x, y = (encoded(part.to_bytes(32)) for part in (numbers.x, numbers.y))
        self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        self.kid = encoded(hashlib.sha256(compact(self.jwk).encode()).digest())

    def sign(self, data):
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def published(self):
        return {**self.jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def as_secret(self, form):
        """The public key as bytes, for an HMAC with it."""
        encoding, layout = serialization.Encoding, serialization.PublicFormat
        return {
            "pem": self.public.public_bytes(encoding.PEM, layout.SubjectPublicKeyInfo),
            "der": self.public.public_bytes(encoding.DER, layout.SubjectPublicKeyInfo),
            "point": self.public.public_bytes(encoding.X962, layout.UncompressedPoint),
            "jwk": compact(self.published()).encode(),
            "empty": b"",
        }[form]


def compact(members):
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


class TokenMaker:
    """Makes the tokens of the cases."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.key, self.other, self.foreign = Key(), Key(), Key()

    def make(self, case, now):
        """The token of a case, and the id of the dataset that is asked for."""
        key = {"other": self.other, "foreign": self.foreign}.get(case.get("key"), self.key)
        claims = {
            "iss": self.issuer, "aud": AUDIENCE, "iat": 0, "exp": 120, "jti": str(uuid.uuid4()),
            "typ": "download", "scope": f"dataset:{DATASET}",
        }  # fmt: skip
        claims = replaced(claims, case.get("claims", {}))
        for name in ("iat", "exp"):
            if name in claims:
                claims[name] += now
        words = {
            "{issuer}": self.issuer, "{audience}": AUDIENCE, "{kid}": self.key.kid,
            "{iat}": str(now), "{exp}": str(now + 120), "{foreign jwk}": self.foreign.jwk,
        }  # fmt: skip
        header = {"alg": "ES256", "kid": key.kid, "typ": "download+jwt"}
        header = filled(replaced(header, case.get("header", {})), words)
        claims = filled(claims, words)
        header = text_of(header, case, "header", words)
        payload = text_of(claims, case, "claims", words)
        signed = f"{encoded(header.encode())}.{encoded(payload.encode())}"
        signature = self.signature(case.get("key", "published"), key, signed.encode())
        return self.finish(case, signed, signature), case.get("dataset", DATASET)

    def signature(self, kind, key, data):
        if kind == "none":
            return b""
        if kind.startswith("hmac-"):
            secret = self.key.as_secret(kind.removeprefix("hmac-"))
            return hmac.new(secret, data, hashlib.sha256).digest()
        return key.sign(data)

    def finish(self, case, signed, signature):
        header, payload = signed.split(".")
        parts = {"header": header, "payload": payload, "signature": encoded(signature)}
        if damage := case.get("damage"):
            text = parts[damage["part"]]
            parts[damage["part"]] = damaged(text, damage["how"], self.key)
        token = ".".join(parts.values())
        if "text" not in case:
            return token
        text = case["text"].replace("{token}", token)
        for name, part in parts.items():
            text = text.replace(f"{{{name}}}", part)
        return text


def replaced(members, changes):
    """The members with those that change; null removes one."""
    changed = {**members, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def filled(value, words):
    """The value with its words filled in."""
    if isinstance(value, dict):
        return {name: filled(member, words) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(member, words) for member in value]
    if isinstance(value, str):
        if not isinstance(words.get(value, ""), str):
            return words[value]
        for word, text in words.items():
            value = value.replace(word, str(text))
    return value


def text_of(members, case, which, words):
    """The JSON text of a part; a case may put texts in place of members, or members twice."""
    texts = {name: filled(text, words) for name, text in case.get(f"{which}_text", {}).items()}
    pairs = [
        f"{compact(name)}:{texts.get(name, compact(value))}" for name, value in members.items()
    ]
    first, last = case.get(f"{which}_first"), case.get(f"{which}_last")
    pairs = [*([first] if first else []), *pairs, *([last] if last else [])]
    return filled("{" + ",".join(pairs) + "}", words)


def damaged(text, how, key):
    """A part of a token with one damage."""
    data = bytearray(decoded(text))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    match how:
        case "first bit flipped":
            data[0] ^= 0x80
        case "last bit flipped":
            data[-1] ^= 1
        case "cut short":
            del data[-1]
        case "one byte more":
            data.append(0)
        case "zeros":
            data = bytes(len(data))
        case "none":
            data = b""
        case "of another token":
            data = key.sign(b"another")
        case "in DER":
            r, s = (int.from_bytes(half) for half in (data[:32], data[32:]))
            data = utils.encode_dss_signature(r, s)
        case "padded":
            return text + "=" * (-len(text) % 4 or 4)
        case "a spare character":
            return text + "A"
        case "a newline":
            return f"{text[:4]}\n{text[4:]}"
        case "a space":
            return f"{text[:4]} {text[4:]}"
        case "spare bits set":
            return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
        case _:
            raise ValueError(how)
    return encoded(bytes(data))


class Gate:
    """A gate that only publishes a key set: it counts the requests, and can be away or broken."""

    def __init__(self):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.maker = TokenMaker(self.issuer)
        self.keys = [self.maker.other, self.maker.key]
        self.requests, self.broken, self.server = 0, None, None

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
        return compact({"keys": [key.published() for key in self.keys]}).encode()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
