// The picture of the matrix: a grid (WAI-ARIA pattern) of which only what is in view is in the page.

import { h } from "../lib/dom";
import { cellElement, columnHeader, rowHeader, type HeaderActions } from "./grid_parts";
import type { Cell, Column, MatrixResponse, Row } from "./types";
import { columnLabel, columnSize } from "./words";

/** Cells beyond the edge of the view that are drawn too. */
const OVERSCAN = 6;

/** The least size of a cell, so that a finger hits it (WCAG 2.5.8). */
const MIN_CELL = 28;
const MAX_CELL_WIDTH = 132;
const CELL_HEIGHT = 34;

/** Below this width cells have no words, and headers of columns stand upright. */
const WIDE_CELL = 84;

/** From this width on a cell that changes shows what is in force beside what the draft says. */
const ROOMY_CELL = 116;

/** Below this width the headers of rows have two lines. */
const NARROW_HEAD = 200;

export interface GridActions extends HeaderActions {
  readonly onCell: (column: Column, row: Row, cell: Cell) => void;
}

interface Size {
  readonly headWidth: number;
  readonly headHeight: number;
  readonly width: number;
  readonly height: number;
}

interface Place {
  readonly row: number;
  readonly column: number;
}

/** Row and column -1 are the headers. */
const CORNER: Place = { row: -1, column: -1 };

export class Grid {
  readonly element: HTMLElement;
  readonly #plane: HTMLElement;
  readonly #actions: GridActions;
  #matrix: MatrixResponse | undefined;
  #size: Size = { headWidth: 0, headHeight: 0, width: MIN_CELL, height: CELL_HEIGHT };
  #active: Place = { row: 0, column: 0 };
  /** The windows that are drawn; empty to draw everything anew. */
  #drawn = { columns: "", rows: "" };
  readonly #rows = new Map<number, HTMLElement>();
  #frame = 0;

  constructor(actions: GridActions) {
    this.#actions = actions;
    this.#plane = h("div", {
      role: "grid",
      class: "matrix-plane",
      "aria-label": "Access matrix: people across, datasets down",
      onkeydown: (event: KeyboardEvent) => this.#onKey(event),
      onclick: (event: MouseEvent) => this.#onClick(event),
      onfocusin: (event: FocusEvent) => this.#onFocus(event),
    });
    this.element = h("div", { class: "matrix-scroll", onscroll: () => this.#later() }, this.#plane);
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  /** Shows an answer; the active cell stays if it is still there. */
  show(matrix: MatrixResponse): void {
    const before = this.#matrix;
    this.#matrix = matrix;
    const isOther = before === undefined || keysOf(before) !== keysOf(matrix);
    if (isOther) {
      this.#active = { row: matrix.rows.length > 0 ? 0 : -1, column: matrix.columns.length > 0 ? 0 : -1 };
      this.element.scrollTo(0, 0);
    }
    this.#plane.setAttribute("aria-rowcount", String(matrix.rows.length + 1));
    this.#plane.setAttribute("aria-colcount", String(matrix.columns.length + 1));
    this.#resize();
  }

  /** Moves the focus into the grid. */
  focus(): void {
    this.#focusActive();
  }

  #resize(): void {
    const matrix = this.#matrix;
    const available = this.element.clientWidth;
    if (matrix === undefined || available === 0) return;
    const headWidth = Math.round(Math.min(280, Math.max(112, available * 0.28)));
    const columns = Math.max(1, matrix.columns.length);
    const fitting = Math.floor((available - headWidth - 2) / columns);
    const width = Math.max(MIN_CELL, Math.min(MAX_CELL_WIDTH, fitting));
    const longest = Math.max(0, ...matrix.columns.map((column) => columnLabel(column).length + columnSize(column).length));
    const headHeight = width >= WIDE_CELL ? 64 : Math.min(200, Math.max(80, longest * 7 + 28));
    this.#size = { headWidth, headHeight, width, height: CELL_HEIGHT };
    const style = this.#plane.style;
    style.width = `${headWidth + columns * width}px`;
    style.height = `${headHeight + matrix.rows.length * CELL_HEIGHT}px`;
    style.setProperty("--head-width", `${headWidth}px`);
    style.setProperty("--head-height", `${headHeight}px`);
    style.setProperty("--cell-width", `${width}px`);
    style.setProperty("--cell-height", `${CELL_HEIGHT}px`);
    this.#plane.classList.toggle("is-wide", width >= WIDE_CELL);
    this.#plane.classList.toggle("is-narrow", headWidth < NARROW_HEAD);
    this.#drawn = { columns: "", rows: "" };
    this.#draw();
  }

  #later(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** Draws the window in view, if it is another than before. */
  #draw(): void {
    const matrix = this.#matrix;
    if (matrix === undefined) return;
    const { headWidth, headHeight, width, height } = this.#size;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.element;
    const columns = windowOf(scrollLeft, clientWidth - headWidth, width, matrix.columns.length, this.#active.column);
    const rows = windowOf(scrollTop, clientHeight - headHeight, height, matrix.rows.length, this.#active.row);
    const drawn = { columns: columns.join(), rows: rows.join() };
    if (drawn.columns === this.#drawn.columns && drawn.rows === this.#drawn.rows) return;
    const hadFocus = this.#plane.contains(document.activeElement);
    if (drawn.columns !== this.#drawn.columns) this.#clear(matrix, columns);
    this.#drawn = drawn;
    this.#drawRows(matrix, rows, columns);
    if (hadFocus && !this.#plane.contains(document.activeElement)) {
      this.#element(this.#active)?.focus({ preventScroll: true });
    }
  }

  /** Removes all rows and draws the headers of the columns. */
  #clear(matrix: MatrixResponse, columns: readonly number[]): void {
    this.#rows.clear();
    const head = h("div", { role: "row", class: "matrix-head", "aria-rowindex": 1 });
    head.append(this.#corner());
    for (const at of columns) {
      const column = matrix.columns[at];
      if (column !== undefined) head.append(this.#placed(columnHeader(column, this.#actions), { row: -1, column: at }));
    }
    this.#plane.replaceChildren(head);
  }

  /** Draws rows that came into view, and removes those that left it. */
  #drawRows(matrix: MatrixResponse, rows: readonly number[], columns: readonly number[]): void {
    const wanted = new Set(rows);
    for (const [at, element] of this.#rows) {
      if (wanted.has(at)) continue;
      element.remove();
      this.#rows.delete(at);
    }
    for (const at of rows) {
      if (this.#rows.has(at)) continue;
      const element = this.#row(matrix, at, columns);
      this.#rows.set(at, element);
      // In the order of the rows, for screen readers.
      const next = [...this.#rows.keys()].filter((other) => other > at).sort((a, b) => a - b)[0];
      this.#plane.insertBefore(element, next === undefined ? null : (this.#rows.get(next) ?? null));
    }
  }

  #corner(): HTMLElement {
    const corner = h("div", { role: "columnheader", class: "matrix-corner" }, h("span", {}, "datasets ↓"), h("span", {}, "people →"));
    return this.#placed(corner, CORNER);
  }

  #row(matrix: MatrixResponse, at: number, columns: readonly number[]): HTMLElement {
    const element = h("div", { role: "row", class: "matrix-row", "aria-rowindex": at + 2 });
    element.style.top = `${this.#size.headHeight + at * this.#size.height}px`;
    const row = matrix.rows[at];
    if (row === undefined) return element;
    element.append(this.#placed(rowHeader(row, this.#actions), { row: at, column: -1 }));
    for (const place of columns) {
      const [column, cell] = [matrix.columns[place], matrix.cells[at]?.[place]];
      if (column === undefined || cell === undefined) continue;
      const { width } = this.#size;
      const room = width >= ROOMY_CELL ? "roomy" : width >= WIDE_CELL ? "wide" : "small";
      element.append(this.#placed(cellElement(column, row, cell, room), { row: at, column: place }));
    }
    return element;
  }

  #placed(element: HTMLElement, place: Place): HTMLElement {
    element.dataset["row"] = String(place.row);
    element.dataset["column"] = String(place.column);
    element.setAttribute("aria-colindex", String(place.column + 2));
    element.tabIndex = isSame(place, this.#active) ? 0 : -1;
    if (place.column >= 0) element.style.left = `${this.#size.headWidth + place.column * this.#size.width}px`;
    return element;
  }

  #element(place: Place): HTMLElement | null {
    return this.#plane.querySelector(`[data-row="${place.row}"][data-column="${place.column}"]`);
  }

  #placeOf(target: EventTarget | null): Place | undefined {
    const element = target instanceof Element ? target.closest<HTMLElement>("[data-row]") : null;
    if (element === null) return undefined;
    return { row: Number(element.dataset["row"]), column: Number(element.dataset["column"]) };
  }

  #onFocus(event: FocusEvent): void {
    const place = this.#placeOf(event.target);
    if (place === undefined || isSame(place, this.#active)) return;
    const before = this.#element(this.#active);
    if (before !== null) before.tabIndex = -1;
    this.#active = place;
    const now = this.#element(place);
    if (now !== null) now.tabIndex = 0;
  }

  #onClick(event: MouseEvent): void {
    const place = this.#placeOf(event.target);
    if (place === undefined) return;
    this.#setActive(place);
    this.#activate(place);
  }

  #activate({ row, column }: Place): void {
    const matrix = this.#matrix;
    const [people, datasets] = [matrix?.columns[column], matrix?.rows[row]];
    if (people !== undefined && datasets !== undefined) {
      const cell = matrix?.cells[row]?.[column];
      if (cell !== undefined) this.#actions.onCell(people, datasets, cell);
    } else if (people !== undefined && this.#actions.canZoomPeople(people)) this.#actions.onPeople(people);
    else if (datasets !== undefined && this.#actions.canZoomDatasets(datasets)) this.#actions.onDatasets(datasets);
  }

  #onKey(event: KeyboardEvent): void {
    const matrix = this.#matrix;
    if (matrix === undefined || event.altKey || event.metaKey) return;
    const last = { row: matrix.rows.length - 1, column: matrix.columns.length - 1 };
    const to = moved(this.#active, event, last, Math.max(1, Math.floor(this.element.clientHeight / CELL_HEIGHT) - 3));
    if (to !== undefined) {
      event.preventDefault();
      this.#setActive({
        row: Math.max(-1, Math.min(last.row, to.row)),
        column: Math.max(-1, Math.min(last.column, to.column)),
      });
      this.#focusActive();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#activate(this.#active);
    }
  }

  #setActive(place: Place): void {
    const before = this.#element(this.#active);
    if (before !== null) before.tabIndex = -1;
    this.#active = place;
    this.#scrollTo(place);
    this.#draw();
    const now = this.#element(place);
    if (now !== null) now.tabIndex = 0;
  }

  #focusActive(): void {
    this.#element(this.#active)?.focus({ preventScroll: true });
  }

  /** Scrolls so that nothing of the cell is behind the headers. */
  #scrollTo({ row, column }: Place): void {
    const { headWidth, headHeight, width, height } = this.#size;
    const { element } = this;
    if (column >= 0) {
      const left = column * width;
      const most = left + width - (element.clientWidth - headWidth);
      element.scrollLeft = Math.max(Math.min(element.scrollLeft, left), most);
    }
    if (row >= 0) {
      const top = row * height;
      const most = top + height - (element.clientHeight - headHeight);
      element.scrollTop = Math.max(Math.min(element.scrollTop, top), most);
    }
  }
}

function keysOf(matrix: MatrixResponse): string {
  return JSON.stringify([matrix.columns.map((column) => column.key), matrix.rows.map((row) => row.key)]);
}

function isSame(one: Place, other: Place): boolean {
  return one.row === other.row && one.column === other.column;
}

/** The places in view with some beyond, in steps, so that it is not drawn anew at each pixel; and the active one. */
function windowOf(scroll: number, view: number, size: number, count: number, active: number): number[] {
  const first = Math.max(0, Math.floor(scroll / size / OVERSCAN) * OVERSCAN - OVERSCAN);
  const last = Math.min(count, Math.ceil((scroll + Math.max(view, size)) / size / OVERSCAN) * OVERSCAN + OVERSCAN);
  const places = [];
  if (active >= 0 && active < Math.min(first, count)) places.push(active);
  for (let at = first; at < last; at += 1) places.push(at);
  if (active >= last && active < count) places.push(active);
  return places;
}

/** Where a key leads to, as the grid pattern has it. */
function moved(from: Place, event: KeyboardEvent, last: Place, page: number): Place | undefined {
  const { row, column } = from;
  switch (event.key) {
    case "ArrowRight":
      return { row, column: column + 1 };
    case "ArrowLeft":
      return { row, column: column - 1 };
    case "ArrowDown":
      return { row: row + 1, column };
    case "ArrowUp":
      return { row: row - 1, column };
    case "PageDown":
      return { row: row + page, column };
    case "PageUp":
      return { row: Math.max(0, row - page), column };
    case "Home":
      return event.ctrlKey ? { row: 0, column: 0 } : { row, column: 0 };
    case "End":
      return event.ctrlKey ? last : { row, column: last.column };
    default:
      return undefined;
  }
}
