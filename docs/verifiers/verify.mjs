// Verifies download tokens with jose: npm install jose
import { createLocalJWKSet, jwtVerify } from "jose";

const ISSUER = "http://127.0.0.1:8080";
const AUDIENCE = "cedargate-downloads";
const LEEWAY = 10; // seconds by which clocks may differ
const LIFETIME = 120; // seconds that a token lives at most
const MAX_LENGTH = 4096; // characters of a token at most
const MAX_AGE = 300; // seconds after which the key set is fetched again
const PAUSE = 5; // seconds between two attempts to fetch it
const UUID = /^(?:urn:uuid:)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

let keys, fetching, kids = new Set(), fetched = -Infinity, tried = -Infinity;

/** No key set could be fetched since the start. */
export class NoKeySet extends Error {}

async function fetchKeys(now) {
  const response = await fetch(`${ISSUER}/.well-known/jwks.json`, { signal: AbortSignal.timeout(5000) });
  const keySet = await response.json();
  const found = new Set(keySet.keys.map((key) => key.kid));
  if (!response.ok || found.size === 0) throw new Error(`status ${response.status}`);
  [keys, kids, fetched] = [createLocalJWKSet(keySet), found, now];
}

/** Fetches the key set if it is old or lacks the key; old keys stay until there are new ones. */
async function findKey(header, token) {
  const now = performance.now() / 1000;
  const isDue = (!kids.has(header.kid) || now - fetched >= MAX_AGE) && now - tried >= PAUSE;
  if (isDue) {
    tried = now;
    fetching = fetchKeys(now).catch((error) => console.error(`the key set cannot be fetched: ${error}`));
  }
  if (isDue || !kids.has(header.kid)) await fetching; // meanwhile, others use what there is
  if (!keys) throw new NoKeySet();
  return keys(header, token);
}

/** Header and claims, if this is the only token for them: no member twice, no other base64url. */
function read(token) {
  if (token.length > MAX_LENGTH) throw new Error("too long");
  const [header, claims, signature] = token.split(".").map((part) => Buffer.from(part, "base64url"));
  const found = [JSON.parse(header), JSON.parse(claims)];
  const again = [...found.map((part) => Buffer.from(JSON.stringify(part))), signature];
  if (again.map((part) => part.toString("base64url")).join(".") !== token) throw new Error("not in its only form");
  return found;
}

/** Returns the claims of a token for this dataset, or throws NoKeySet, or another error for any other token. */
export async function verify(token, datasetId) {
  const [header, claims] = read(token);
  const scope = `dataset:${UUID.exec(datasetId).slice(1).join("-").toLowerCase()}`;
  const isWhole = Number.isInteger(claims.iat) && Number.isInteger(claims.exp);
  const isShort = claims.exp > claims.iat && claims.exp - claims.iat <= LIFETIME;
  const isDownload = header.typ === "download+jwt" && claims.typ === "download";
  if (Object.keys(header).length !== 3 || !isDownload || !isWhole || !isShort) throw new Error("not a download token");
  if (claims.scope !== scope || claims.aud !== AUDIENCE) throw new Error("the token is for something else");
  const { payload } = await jwtVerify(token, findKey, {
    algorithms: ["ES256"],
    issuer: ISSUER,
    audience: AUDIENCE,
    clockTolerance: LEEWAY,
    maxTokenAge: LIFETIME, // also checks that iat is not in the future
    requiredClaims: ["iss", "aud", "iat", "exp", "jti", "typ", "scope"],
  });
  return payload;
}
