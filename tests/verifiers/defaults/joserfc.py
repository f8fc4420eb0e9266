"""joserfc as its documentation begins, with issuer and audience."""

import json
import urllib.request

from joserfc import jwt
from joserfc.errors import JoseError as Refused
from joserfc.jwk import KeySet

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "cedargate-downloads"
with urllib.request.urlopen(f"{ISSUER}/.well-known/jwks.json") as reply:
    JWKS = KeySet.import_key_set(json.load(reply))
CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}
)


class NoKeySet(Exception):
    pass


def verify(token, dataset_id):
    found = jwt.decode(token, JWKS)
    CLAIMS.validate(found.claims)
    return found.claims


__all__ = ["NoKeySet", "Refused", "verify"]
