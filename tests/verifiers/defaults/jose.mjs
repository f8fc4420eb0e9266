// jose as its documentation begins, with issuer and audience.
import { createRemoteJWKSet, jwtVerify } from "jose";

const ISSUER = "http://127.0.0.1:8080";
const AUDIENCE = "cedargate-downloads";
const JWKS = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`));

export class NoKeySet extends Error {}

export async function verify(token) {
  const { payload } = await jwtVerify(token, JWKS, { issuer: ISSUER, audience: AUDIENCE });
  return payload;
}
