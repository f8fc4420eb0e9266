"""PyJWT as its documentation begins, with issuer and audience."""

import jwt

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "cedargate-downloads"
JWKS = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")


class NoKeySet(Exception):
    pass


def verify(token, dataset_id):
    key = JWKS.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
