// A certified OpenID provider (npm `oidc-provider`) on loopback, for programs (client_credentials) and people
// (a grant of its own, instead of a browser).
//
// The form parameter `change` of the grant for people is JSON: members of `claims` and `header` replace those of
// the token, and null removes one, as deployments configure it.
//
// Usage: node provider.mjs PORT AUDIENCE
// Prints `ready` once it listens. Each line on standard input is a command, which prints one line:
//   rotate KID   sign with a new key of this id from now on; the old ones stay published
//   key          print the newest key with its private part, as a JWK
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";

// Standard output is for replies to commands, not for notices of the library.
console.info = console.warn;
// Node 18 does not export these.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
const { exportJWK, generateKeyPair } = await import("jose");
const { Provider } = await import("oidc-provider");

const [port, audience] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const personGrant = "urn:example:person";

async function generateKey(kid, alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: "sig" };
}

function providerWith(keys) {
  const gate = {
    scope: "hydrology archive",
    audience,
    accessTokenTTL: 300,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: keys[0].alg } },
  };
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "nightly",
        client_secret: "a secret of the test",
        grant_types: ["client_credentials", personGrant],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ["hydrology", "archive"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => gate,
      },
    },
    extraTokenClaims: (_, token) =>
      token.kind === "ClientCredentials" ? { preferred_username: token.clientId } : undefined,
    formats: { customizers: { jwt: changeToken } },
  });
  provider.registerGrantType(personGrant, (ctx) => giveTokenToPerson(ctx, gate), ["account", "change"]);
  return provider.callback();
}

/** Gives the client an access token of the account that it names. */
async function giveTokenToPerson(ctx, gate) {
  const { client, params, provider } = ctx.oidc;
  const token = new provider.AccessToken({ accountId: params.account, client, scope: "hydrology" });
  token.resourceServer = new provider.ResourceServer(audience, gate);
  ctx.oidc.entity("AccessToken", token);
  ctx.body = { access_token: await token.save(), token_type: "Bearer", expires_in: token.expiration };
}

/** Changes a token before it is signed. */
function changeToken(ctx, _, parts) {
  const { claims = {}, header = {} } = JSON.parse(ctx.oidc.params.change ?? "{}");
  for (const [name, value] of Object.entries(claims)) {
    // A member that is not enumerable is not serialised: the library insists on having an audience.
    const enumerable = value !== null;
    Object.defineProperty(parts.payload, name, { value: value ?? "none", enumerable, writable: true });
  }
  parts.header = Object.fromEntries(Object.entries(header).map(([name, value]) => [name, value ?? undefined]));
}

let keys = [await generateKey("first", "RS256")];
let handler = providerWith(keys);
createServer((request, response) => handler(request, response)).listen(Number(port), "127.0.0.1", () =>
  console.log("ready"),
);

for await (const line of createInterface({ input: process.stdin })) {
  const [command, kid] = line.split(" ");
  if (command === "rotate") {
    keys = [await generateKey(kid, "ES256"), ...keys];
    handler = providerWith(keys);
    console.log("rotated");
  } else if (command === "key") {
    console.log(JSON.stringify(keys[0]));
  }
}
