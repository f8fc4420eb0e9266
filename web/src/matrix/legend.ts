// What the signs of the matrix mean, and what the whole picture says.

import { h, type Child } from "../lib/dom";
import { count } from "../lib/format";
import { dot } from "./grid_parts";
import type { Cell, MatrixResponse } from "./types";
import { summaryWords } from "./words";

const NOTHING: Cell = { pairs: 4, in_force: 0, draft: 0, gained: 0, lost: 0, sometimes: 0 };

/** The meaning of each sign. */
export function legend(): HTMLElement {
  const item = (sign: Child, words: string) => h("li", {}, sign, words);
  const triangle = (name: string, shape: string) => h("span", { class: `sign sign-${name}`, "aria-hidden": "true" }, shape);
  return h(
    "ul",
    { class: "matrix-legend", "aria-label": "Legend" },
    item(dot({ ...NOTHING, in_force: 4, draft: 4 }), "all allowed"),
    item(dot({ ...NOTHING, in_force: 2, draft: 2 }), "some allowed"),
    item(dot(NOTHING), "none"),
    item(dot({ ...NOTHING, in_force: 4, draft: 4, sometimes: 4 }), "depends on when, where or how"),
    item(
      [h("span", { class: "matrix-cell-sign" }, dot({ ...NOTHING, in_force: 1, draft: 1 }, " is-before"), "→", dot({ ...NOTHING, in_force: 3, draft: 3 }))],
      "in force → under the draft",
    ),
    item([dot({ ...NOTHING, draft: 2, gained: 2 }), triangle("gained", "▲")], "gained by the draft"),
    item([dot({ ...NOTHING, in_force: 2, lost: 2 }), triangle("lost", "▼")], "lost by the draft"),
    h("li", { class: "muted" }, "A click on a cell says why; a click on a heading looks closer. Arrow keys move."),
  );
}

/** The numbers of the whole picture, and what no cell says. */
export function summary(matrix: MatrixResponse): HTMLElement {
  return h(
    "div",
    { class: "stack" },
    numbers(matrix),
    matrix.changes_token_lives &&
      h("p", { class: "callout" }, "The draft changes how long tokens live where access stays. No cell says so: see Effect."),
    matrix.errors.length > 0 &&
      h(
        "div",
        { class: "callout callout-warn" },
        h("p", {}, "Policies of the draft fail for some requests, and a policy that fails does not apply:"),
        h("ul", {}, ...matrix.errors.map((error) => h("li", {}, error))),
      ),
  );
}

function numbers(matrix: MatrixResponse): HTMLElement {
  const { gained, lost } = matrix.totals;
  return h(
    "div",
    { class: "row" },
    h("p", {}, summaryWords(matrix)),
    gained > 0 && h("span", { class: "badge sum sum-gained" }, "▲ ", count(gained, "pair"), " gained"),
    lost > 0 && h("span", { class: "badge sum sum-lost" }, "▼ ", count(lost, "pair"), " lost"),
    matrix.is_cut && h("p", { class: "muted" }, "Not every situation that the policies tell apart was asked about: there are too many."),
  );
}
