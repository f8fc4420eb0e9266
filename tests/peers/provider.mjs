// A certified OpenID provider (npm `oidc-provider`) on loopback, for client_credentials.
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

async function generateKey(kid, alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: "sig" };
}

function providerWith(keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "nightly",
        client_secret: "a secret of the test",
        grant_types: ["client_credentials"],
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
        getResourceServerInfo: (_, resource) => ({
          scope: "hydrology archive",
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: keys[0].alg } },
        }),
      },
    },
    extraTokenClaims: (_, token) => ({ preferred_username: token.clientId }),
  });
  return provider.callback();
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
