// The files of the draft by kind, with what changed and what has errors.

import { button, fill, h } from "../../lib/dom";
import { count } from "../../lib/format";
import type { Change } from "../../lib/types";
import { KINDS, kindOf } from "../files";
import type { Workbench } from "../workbench";

const MARKS: Record<Change, { sign: string; word: string } | undefined> = {
  unchanged: undefined,
  changed: { sign: "●", word: "changed" },
  added: { sign: "+", word: "new" },
  removed: { sign: "−", word: "deleted" },
};

export class FileTree {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #list = h("div", { class: "stack" });
  readonly #open: (name: string) => void;
  /** What is drawn. Drawn anew between the two halves of a click, a button would not get it. */
  #drawn = "";

  constructor(bench: Workbench, hooks: { open: (name: string) => void; create: () => void }) {
    this.#bench = bench;
    this.#open = hooks.open;
    this.element = h(
      "nav",
      { class: "file-tree card", "aria-label": "Files" },
      h("div", { class: "row spread" }, h("h2", {}, "Files"), button("New file", hooks.create)),
      this.#list,
    );
  }

  draw(current: string | undefined): void {
    const files = this.#bench.draft.files();
    const errors = this.#bench.checks.errors().map((error) => error.file);
    const drawn = JSON.stringify([files, errors, current]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset["file"] : undefined;
    fill(
      this.#list,
      KINDS.map((kind) => {
        const mine = files.filter((file) => kindOf(file.name) === kind);
        if (mine.length === 0) return null;
        return h(
          "section",
          {},
          h("h3", { class: "muted small" }, kind.label),
          h("ul", { class: "plain-list files" }, mine.map((file) => this.#row(file.name, file.change, current))),
        );
      }),
    );
    if (focused !== undefined) {
      for (const element of this.#list.querySelectorAll<HTMLElement>("[data-file]")) {
        if (element.dataset["file"] === focused) element.focus();
      }
    }
  }

  #row(name: string, change: Change, current: string | undefined): HTMLElement {
    const mark = MARKS[change];
    const errors = this.#bench.checks.errors().filter((one) => one.file === name).length;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: `file ${change === "removed" ? "file-removed" : ""}`,
          "data-file": name,
          "aria-current": name === current ? "true" : undefined,
          onclick: () => this.#open(name),
        },
        h("span", { class: "file-name" }, name),
        mark !== undefined && h("span", { class: "badge" }, `${mark.sign} ${mark.word}`),
        errors > 0 && h("span", { class: "badge bad" }, `✕ ${count(errors, "error")}`),
      ),
    );
  }
}
