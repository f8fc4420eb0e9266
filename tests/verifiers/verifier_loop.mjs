// Runs a published verifier for Node: one request a line on standard input, one verdict a line.
//
// Usage: verifier_loop.mjs FILE
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { verify, NoKeySet } = await import(pathToFileURL(process.argv[2]));
for await (const line of createInterface({ input: process.stdin })) {
  const [token, dataset] = JSON.parse(line);
  let verdict;
  try {
    verdict = { accepted: { sub: (await verify(token, dataset)).sub } };
  } catch (error) {
    verdict = error instanceof NoKeySet ? { "no key set": true } : { refused: String(error) };
  }
  console.log(JSON.stringify(verdict));
}
