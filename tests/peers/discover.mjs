// Verifies a token with nothing but the issuer: oauth4webapi finds the key set, and jose verifies.
//
// Usage: discover.mjs ISSUER oidc|oauth2 AUDIENCE TOKEN
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";

const [issuer, algorithm, audience, token] = process.argv.slice(2);
const options = { algorithm, [oauth.allowInsecureRequests]: true }; // the tests have no TLS
const response = await oauth.discoveryRequest(new URL(issuer), options);
const server = await oauth.processDiscoveryResponse(new URL(issuer), response);
const algorithms = server.id_token_signing_alg_values_supported;
const keys = createRemoteJWKSet(new URL(server.jwks_uri));
const { payload } = await jwtVerify(token, keys, { issuer: server.issuer, audience, algorithms });
console.log(JSON.stringify({ url: response.url, payload }));
