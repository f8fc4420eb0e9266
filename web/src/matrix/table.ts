// The matrix as a plain table: a line for each cell, those that change first.

import { fill, h } from "../lib/dom";
import { number } from "../lib/format";
import type { Cell, Column, MatrixResponse, Row } from "./types";
import { changeOf, columnLabel, share } from "./words";

/** The most lines of the table. */
const MAX_LINES = 200;

interface Line {
  readonly column: Column;
  readonly row: Row;
  readonly cell: Cell;
}

export class CellTable {
  readonly element: HTMLDetailsElement;
  readonly #body = h("div", { class: "scroll" });
  #matrix: MatrixResponse | undefined;

  constructor() {
    this.element = h(
      "details",
      { class: "card matrix-table", ontoggle: () => this.#draw() },
      h("summary", {}, "The same as a list"),
      this.#body,
    );
  }

  show(matrix: MatrixResponse): void {
    this.#matrix = matrix;
    this.#draw();
  }

  #draw(): void {
    const matrix = this.#matrix;
    if (!this.element.open || matrix === undefined) {
      fill(this.#body);
      return;
    }
    const lines = linesOf(matrix);
    const shown = lines.slice(0, MAX_LINES);
    fill(
      this.#body,
      h(
        "table",
        {},
        h("caption", { class: "visually-hidden" }, "The cells of the matrix, those that the draft changes first"),
        h(
          "thead",
          {},
          h("tr", {}, ["People", "Datasets", "In force", "Under the draft", "Change"].map((name) => h("th", { scope: "col" }, name))),
        ),
        h("tbody", {}, shown.map(tableRow)),
      ),
      lines.length > shown.length && h("p", { class: "muted" }, `${number(lines.length - shown.length)} further cells are not listed.`),
    );
  }
}

function linesOf(matrix: MatrixResponse): Line[] {
  const lines: Line[] = [];
  matrix.rows.forEach((row, at) =>
    matrix.columns.forEach((column, place) => {
      const cell = matrix.cells[at]?.[place];
      if (cell !== undefined && cell.pairs > 0) lines.push({ column, row, cell });
    }),
  );
  const changes = ({ cell }: Line) => (changeOf(cell) === "none" ? 0 : 1);
  return lines.sort((a, b) => changes(b) - changes(a));
}

function tableRow({ column, row, cell }: Line): HTMLElement {
  const words = [cell.gained > 0 && `▲ ${number(cell.gained)} gained`, cell.lost > 0 && `▼ ${number(cell.lost)} lost`];
  const change = words.filter(Boolean).join(", ");
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, columnLabel(column)),
    h("td", {}, row.label),
    h("td", {}, share(cell.in_force, cell.pairs)),
    h("td", {}, share(cell.draft, cell.pairs)),
    h("td", {}, change === "" ? "none" : change),
  );
}
