"""Verifies download tokens with joserfc: pip install joserfc"""

import json
import time
import urllib.request
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from threading import Lock

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "cedargate-downloads"
LEEWAY = 10  # seconds by which clocks may differ
LIFETIME = 120  # seconds that a token lives at most
MAX_LENGTH = 4096  # characters of a token at most
MAX_AGE = 300  # seconds after which the key set is fetched again
PAUSE = 5  # seconds between two attempts to fetch it

CLAIMS = jwt.JWTClaimsRegistry(
    leeway=LEEWAY,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    iat={"essential": True},
    exp={"essential": True},
    jti={"essential": True},
    typ={"essential": True, "value": "download"},
    scope={"essential": True},
)

lock, keys, fetched, tried = Lock(), {}, float("-inf"), float("-inf")


class NoKeySet(Exception):
    """No key set could be fetched since the start."""


class Refused(Exception):
    """The token is refused."""


def find_key(kid):
    """Fetches the key set if it is old or lacks the key; old keys stay until there are new ones."""
    global keys, fetched, tried
    if lock.acquire(blocking=not keys):  # while one thread fetches, others use what there is
        try:
            now = time.monotonic()
            if (kid not in keys or now - fetched >= MAX_AGE) and now - tried >= PAUSE:
                tried = now
                with urllib.request.urlopen(f"{ISSUER}/.well-known/jwks.json", timeout=5) as reply:
                    key_set = KeySet.import_key_set(json.load(reply))
                found = {key.kid: key for key in key_set.keys}
                if not found:
                    raise ValueError("it has no key")
                keys, fetched = found, now
        except Exception as error:  # whatever is wrong with the answer
            print(f"the key set cannot be fetched: {error}")
        finally:
            lock.release()
    if not keys:
        raise NoKeySet
    if kid not in keys:
        raise Refused("the key is unknown")
    return keys[kid]


def read(token):
    """Header and claims, if this is the only token for them: no member twice, no other base64url."""
    if len(token) > MAX_LENGTH:
        raise ValueError("too long")
    header, claims, signature = (urlsafe_b64decode(part + "==") for part in token.split("."))
    found = json.loads(header), json.loads(claims)
    texts = (json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in found)
    again = (urlsafe_b64encode(part) for part in (*(text.encode() for text in texts), signature))
    if ".".join(part.decode().rstrip("=") for part in again) != token:
        raise ValueError("not in its only form")
    return found


def verify(token, dataset_id):
    """Returns the claims of a token for this dataset, or raises Refused or NoKeySet."""
    try:
        header, claims = read(token)
        scope = f"dataset:{uuid.UUID(dataset_id)}"
        is_whole = type(claims["iat"]) is int and type(claims["exp"]) is int
        expected = {"alg": "ES256", "kid": str(header["kid"]), "typ": "download+jwt"}
        found = [claims[name] for name in ("iss", "aud", "typ", "scope")]
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise Refused("malformed token or dataset id") from None
    if header != expected or not is_whole or found != [ISSUER, AUDIENCE, "download", scope]:
        raise Refused("not a download token for this")
    if not 0 < claims["exp"] - claims["iat"] <= LIFETIME:
        raise Refused("not the lifetime of a download token")
    key = find_key(header["kid"])
    try:
        verified = jwt.decode(token, key, algorithms=["ES256"])
        CLAIMS.validate(verified.claims)
    except (JoseError, ValueError) as error:
        raise Refused(str(error)) from None
    return verified.claims
