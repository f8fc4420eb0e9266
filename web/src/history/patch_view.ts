// A unified diff with colours and signs.

import { h } from "../lib/dom";

/** The most lines of a patch that are shown. */
const MAX_LINES = 1500;

/** A patch, a line each; what is added and taken away has its sign, its colour and a word for screen readers. */
export function patchView(patch: string): HTMLElement {
  const lines = patch.replace(/\n$/, "").split("\n");
  const shown = lines.slice(0, MAX_LINES);
  return h(
    "div",
    { class: "patch", role: "group", tabindex: "0", "aria-label": "What changed, line by line" },
    h("pre", {}, shown.map(patchLine)),
    lines.length > shown.length && h("p", { class: "muted" }, `${lines.length - shown.length} further lines are not shown.`),
  );
}

function patchLine(line: string): HTMLElement {
  const kind = kindOf(line);
  const spoken = kind === "added" ? "added: " : kind === "removed" ? "removed: " : undefined;
  return h(
    "span",
    { class: `patch-line patch-${kind}` },
    spoken !== undefined && h("span", { class: "visually-hidden" }, spoken),
    `${line}\n`,
  );
}

function kindOf(line: string): "head" | "hunk" | "added" | "removed" | "same" {
  if (/^(diff |index |--- |\+\+\+ |new file |deleted file |similarity |rename |old mode |new mode )/.test(line)) return "head";
  if (line.startsWith("@@")) return "hunk";
  if (line.startsWith("+")) return "added";
  return line.startsWith("-") ? "removed" : "same";
}
