// A patch to read: one box a file, added and removed lines told apart by sign and colour.

import { h, type Child } from "../../lib/dom";

interface FilePatch {
  readonly title: string;
  readonly lines: readonly string[];
}

function fileName(header: string): string {
  return header.replace(/^(?:---|\+\+\+) /, "").replace(/^"?[ab]\//, "").replace(/\t.*$/, "").replace(/"$/, "");
}

/** The files of a unified diff; what git adds before them is left out. */
export function splitPatch(patch: string): FilePatch[] {
  const files: { title: string; lines: string[] }[] = [];
  const lines = patch.replace(/\n$/, "").split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const [line = "", next = ""] = [lines[at], lines[at + 1]];
    if (line.startsWith("--- ") && next.startsWith("+++ ")) {
      const [old, fresh] = [fileName(line), fileName(next)];
      const isNew = /^--- "?\/dev\/null/.test(line);
      const isGone = /^\+\+\+ "?\/dev\/null/.test(next);
      const title = isNew ? `${fresh} (new)` : isGone ? `${old} (deleted)` : fresh;
      files.push({ title, lines: [] });
      at += 1;
    } else if (!/^(?:diff --git|index |new file|deleted file|old mode|new mode)/.test(line)) {
      files.at(-1)?.lines.push(line);
    }
  }
  return files;
}

const KINDS: Record<string, string> = { "+": "patch-added", "-": "patch-removed", "@": "patch-place" };

function lineElement(line: string): Child {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  return h("span", { class: `patch-line ${KINDS[line.charAt(0)] ?? ""}` }, text === "" ? " " : text, "\n");
}

export function patchView(patch: string): HTMLElement {
  return h(
    "div",
    { class: "stack" },
    splitPatch(patch).map((file) =>
      h(
        "section",
        { class: "card patch" },
        h("h3", { class: "mono" }, file.title),
        h(
          "pre",
          { tabindex: "0", role: "group", "aria-label": `Changes of ${file.title}` },
          file.lines.map(lineElement),
        ),
      ),
    ),
  );
}
