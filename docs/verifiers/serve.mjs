// Serves the files of a folder to whoever has a token for them: /data/{dataset_id}.tif?token=...
// Run it as `node serve.mjs FOLDER [PORT]`, with verify.mjs beside it.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { pipeline } from "node:stream";

import { NoKeySet, verify } from "./verify.mjs";

const [folder, port = 8090] = process.argv.slice(2);

async function respond(request, response) {
  const url = new URL(request.url, "http://localhost");
  response.setHeader("Cache-Control", "private, no-cache");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.on("finish", () => console.log(request.method, url.pathname, response.statusCode)); // never request.url
  const tokens = url.searchParams.getAll("token");
  const id = /^\/data\/([^/]+)\.tif$/.exec(url.pathname)?.[1];
  if (tokens.length !== 1) return response.writeHead(401).end("put one download token on ?token=\n");
  try {
    await verify(tokens[0], id);
  } catch (error) {
    return response.writeHead(error instanceof NoKeySet ? 503 : 401).end();
  }
  const file = createReadStream(`${folder}/${id}.tif`);
  file.on("error", () => response.writeHead(404).end());
  file.on("ready", () => {
    response.writeHead(200, { "Content-Type": "image/tiff" });
    if (request.method === "HEAD") response.end();
    else pipeline(file, response, () => {});
  });
}

createServer((request, response) => {
  respond(request, response).catch(() => response.writeHead(400).end());
}).listen(Number(port), "127.0.0.1");
