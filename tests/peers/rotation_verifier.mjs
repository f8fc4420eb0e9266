// Verifies with jose's own cache of a remote key set: one request a line on standard input, one verdict a line.
//
// Usage: rotation_verifier.mjs ISSUER AUDIENCE CACHE_SECONDS
import { createRemoteJWKSet, jwtVerify } from "jose";
import { createInterface } from "node:readline";

const [issuer, audience, seconds] = process.argv.slice(2);
const found = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
const metadata = await found.json();
if (metadata.issuer !== issuer) throw new Error(`the metadata is of ${metadata.issuer}`);
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), {
  cacheMaxAge: Number(seconds) * 1000,
  cooldownDuration: 0,
});
for await (const line of createInterface({ input: process.stdin })) {
  const { id, token } = JSON.parse(line);
  const verdict = await jwtVerify(token, keys, { issuer, audience, typ: "download+jwt", algorithms: ["ES256"] })
    .then(() => "accepted", (error) => String(error));
  console.log(JSON.stringify({ id, verdict }));
}
