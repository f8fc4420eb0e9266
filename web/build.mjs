// Builds the pages into the folder that the server embeds: `node build.mjs [FOLDER]`.
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "..", "src", "http", "web");

await mkdir(folder, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: {
    workbench: "src/workbench/main.ts",
    data: "src/data/main.ts",
    style: "src/style.css",
  },
  outdir: folder,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  charset: "ascii",
  legalComments: "none",
  logLevel: "warning",
});
for (const page of ["index.html", "workbench.html"]) {
  await copyFile(join(here, page), join(folder, page));
}
