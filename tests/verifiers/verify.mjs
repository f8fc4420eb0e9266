// Verifies a download token with npm `jose` and nothing but the published key set.
//
// Usage: node verify.mjs JWKS_URL TOKEN ISSUER AUDIENCE [UNIX_SECONDS]
// Prints the claims as JSON; a refused token is one line on standard error, and exit code 1.
import { webcrypto } from "node:crypto";

// Node 18 does not export these.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const { createRemoteJWKSet, jwtVerify } = await import("jose");

const [url, token, issuer, audience, now] = process.argv.slice(2);
try {
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(url)), {
    algorithms: ["ES256"],
    issuer,
    audience,
    typ: "download+jwt",
    requiredClaims: ["iat", "exp", "jti", "scope"],
    currentDate: now ? new Date(Number(now) * 1000) : new Date(),
  });
  console.log(JSON.stringify(payload));
} catch (error) {
  console.error(error.code ?? error.message);
  process.exit(1);
}
