// The cells and headers of the matrix, drawn with signs of their own shapes and told in words.

import { h, type Child } from "../lib/dom";
import { number } from "../lib/format";
import type { Cell, Column, Row } from "./types";
import { cellLabel, changeOf, columnLabel, columnSize, rowSize, shortShare } from "./words";

export interface HeaderActions {
  readonly onPeople: (column: Column) => void;
  readonly onDatasets: (row: Row) => void;
  readonly canZoomPeople: (column: Column) => boolean;
  readonly canZoomDatasets: (row: Row) => boolean;
}

export function columnHeader(column: Column, actions: HeaderActions): HTMLElement {
  const size = columnSize(column);
  return header("columnheader", "matrix-column", columnLabel(column), size, column.detail, actions.canZoomPeople(column));
}

export function rowHeader(row: Row, actions: HeaderActions): HTMLElement {
  const size = rowSize(row);
  return header("rowheader", "matrix-row-head", row.label, size, row.detail, actions.canZoomDatasets(row));
}

function header(
  role: string,
  name: string,
  label: string,
  size: string,
  detail: string | undefined,
  canZoom: boolean,
): HTMLElement {
  const title = [label, size, detail].filter(Boolean).join(" · ");
  const words = [label, size, canZoom ? "Enter zooms in" : ""].filter(Boolean).join(", ");
  return h(
    "div",
    { role, class: canZoom ? `${name} can-zoom` : name, title, "aria-label": words },
    h("span", { class: "matrix-label" }, label),
    size !== "" && h("span", { class: "matrix-size" }, size),
  );
}

/** How much a cell has room for: signs alone, words too, or what is in force beside what the draft says. */
export type Room = "small" | "wide" | "roomy";

/** A cell: a dot filled by the share that is allowed, and triangles for what is gained and lost. */
export function cellElement(column: Column, row: Row, cell: Cell, room: Room): HTMLElement {
  const label = cellLabel(column, row, cell);
  const change = changeOf(cell);
  const isWide = room !== "small";
  const before = { ...cell, draft: cell.in_force, gained: 0, lost: 0, sometimes: 0 };
  return h(
    "div",
    { role: "gridcell", class: `matrix-cell change-${change}`, "aria-label": label, title: label },
    room === "roomy" && change !== "none" && [dot(before, " is-before"), h("span", { class: "muted", "aria-hidden": "true" }, "→")],
    dot(cell),
    signs(cell, isWide),
    isWide && change === "none" && cell.pairs > 0 && h("span", { class: "matrix-share" }, shortShare(cell)),
  );
}

/** The parts of the dot as turns: what stays, then what is gained, then what is lost. */
export function dot(cell: Cell, more = ""): HTMLElement {
  const kind = cell.pairs === 0 ? " is-empty" : cell.draft === 0 && cell.lost === 0 ? " is-none" : "";
  const element = h("span", { class: `dot${cell.sometimes > 0 ? " is-sometimes" : ""}${kind}${more}`, "aria-hidden": "true" });
  if (cell.pairs === 0) return element;
  const gained = Math.min(cell.gained, cell.draft) / cell.pairs;
  const kept = cell.draft / cell.pairs - gained;
  const style = element.style;
  style.setProperty("--kept", `${visible(kept)}turn`);
  style.setProperty("--gained", `${Math.min(1, visible(kept) + visible(gained))}turn`);
  style.setProperty("--lost", `${Math.min(1, visible(kept) + visible(gained) + visible(cell.lost / cell.pairs))}turn`);
  return element;
}

/** A share that can be seen: what is not nothing is at least a sliver, what is not all is never whole. */
function visible(part: number): number {
  if (part <= 0) return 0;
  return part >= 1 ? 1 : Math.min(0.95, Math.max(0.08, part));
}

/** Triangles up for gains and down for losses. */
function signs(cell: Cell, isWide: boolean): Child {
  const sign = (count: number, name: string, shape: string): Child =>
    count > 0 &&
    h(
      "span",
      {
        class: `sign sign-${name}`,
        "aria-hidden": "true",
        // Drawn by the style sheet: the label of the cell has it in words.
        "data-count": isWide && cell.pairs > 1 ? short(count) : undefined,
      },
      shape,
    );
  return h("span", { class: "signs" }, sign(cell.gained, "gained", "▲"), sign(cell.lost, "lost", "▼"));
}

/** `12,345` as `12k`. */
function short(value: number): string {
  if (value < 10_000) return number(value);
  return value < 1e6 ? `${Math.floor(value / 1e3)}k` : `${Math.floor(value / 1e5) / 10}M`;
}
