// The view of the access matrix.

import { fill, h } from "../lib/dom";
import { announce } from "../lib/live";
import { isAbort, isInvalidDraft, messageOf, Problem } from "../lib/problem";
import type { Action } from "../explain/types";
import { addView } from "../workbench/views";
import { toFirstError } from "../workbench/views/states";
import type { Workbench } from "../workbench/workbench";
import { Breadcrumbs, Controls, Paging } from "./controls";
import { Grid } from "./grid";
import { legend, summary } from "./legend";
import { ExplanationPanel } from "./panel";
import { Situations } from "./situations";
import { canZoomDatasets, canZoomPeople, reachKey, requestOf, START, zoomDatasets, zoomPeople, type MatrixState } from "./state";
import { CellTable } from "./table";
import type { MatrixResponse } from "./types";
import { changeWords, NOTHING_SEEN } from "./words";

/** What the draft says is asked again this long after it was saved; several saves at once are one. */
const REFRESH_DELAY_MS = 60;

const ACTIONS: readonly Action[] = ["read", "discover", "administer"];

class MatrixView {
  readonly #bench: Workbench;
  readonly #controls: Controls;
  readonly #crumbs: Breadcrumbs;
  readonly #paging: Paging;
  readonly #grid: Grid;
  readonly #situations: Situations;
  readonly #panel: ExplanationPanel;
  readonly #table = new CellTable();
  readonly #summary = h("div", { class: "matrix-summary" });
  readonly #problem = h("div", { role: "alert" });
  readonly #frame = h("div", { class: "matrix-frame" });
  readonly #legend = legend();
  /** The question that the picture answers. */
  #pictureOf: string | undefined;
  #state: MatrixState = START;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isShown = false;
  #isStale = true;
  /** What the pictures beside the sliders show. */
  #reachOf = "";

  constructor(root: HTMLElement, bench: Workbench) {
    this.#bench = bench;
    const change = (next: (now: MatrixState) => MatrixState) => this.#change(next(this.#state));
    this.#controls = new Controls(this.#state, change);
    this.#crumbs = new Breadcrumbs(change);
    this.#paging = new Paging(change);
    this.#grid = new Grid({
      canZoomPeople: (column) => canZoomPeople(this.#state, column),
      canZoomDatasets: (row) => canZoomDatasets(this.#state, row),
      onPeople: (column) => change((now) => zoomPeople(now, column)),
      onDatasets: (row) => change((now) => zoomDatasets(now, row)),
      onCell: (column, row, cell) => this.#panel.explain({ column, row, cell }, this.#state.action, this.#state.situation),
    });
    this.#panel = new ExplanationPanel(
      bench,
      ({ column, row }) =>
        change((now) => {
          const people = canZoomPeople(now, column) ? zoomPeople(now, column) : now;
          return canZoomDatasets(people, row) ? zoomDatasets(people, row) : people;
        }),
      () => this.#grid.focus(),
    );
    this.#situations = new Situations((situation) => change((now) => ({ ...now, situation })));
    root.append(
      this.#controls.element,
      h(
        "div",
        { class: "matrix-layout" },
        h(
          "div",
          { class: "stack matrix-main" },
          this.#summary,
          this.#problem,
          this.#crumbs.element,
          this.#frame,
          this.#paging.element,
          this.#legend,
          this.#table.element,
        ),
        h("div", { class: "stack matrix-side" }, this.#panel.element, this.#situations.element),
      ),
    );
    this.#frame.append(this.#grid.element);
    this.#hidePicture(true);
    bench.draft.on((event) => {
      if (event === "edited" || event === "failed") return;
      if (event === "opened") this.#pictureOf = undefined;
      this.#abort.abort(); // what comes would be about another draft, or another version of it
      this.#later();
    });
  }

  show(args: URLSearchParams): void {
    this.#isShown = true;
    const action = ACTIONS.find((known) => known === args.get("action"));
    if (action !== undefined && action !== this.#state.action) this.#change({ ...this.#state, action });
    else if (this.#isStale) void this.#load();
  }

  hide(): void {
    this.#isShown = false;
  }

  #change(state: MatrixState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#controls.show(state);
    void this.#load();
  }

  #later(delay = REFRESH_DELAY_MS): void {
    this.#isStale = true;
    if (!this.#isShown) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.#load();
      this.#panel.refresh();
    }, delay);
  }

  async #load(): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const state = this.#state;
    this.#frame.setAttribute("aria-busy", "true");
    try {
      await this.#bench.draft.ensure();
      const matrix = await this.#ask(state, abort.signal);
      if (abort.signal.aborted) return;
      if (matrix.version < this.#bench.draft.version) return this.#later();
      this.#isStale = false;
      fill(this.#problem);
      this.#draw(state, matrix);
      await this.#drawReach(state, matrix, abort.signal);
    } catch (error) {
      if (isAbort(error) || abort.signal.aborted) return;
      this.#fail(error);
    }
    this.#frame.removeAttribute("aria-busy");
  }

  #ask(state: MatrixState, signal: AbortSignal): Promise<MatrixResponse> {
    return this.#bench.draft.call<MatrixResponse>("matrix", { method: "POST", json: requestOf(state), signal });
  }

  #hidePicture(isHidden: boolean): void {
    const parts = [this.#summary, this.#frame, this.#paging.element, this.#legend, this.#table.element];
    for (const part of parts) part.hidden = isHidden;
    if (isHidden) this.#situations.element.hidden = true;
  }

  #draw(state: MatrixState, matrix: MatrixResponse): void {
    this.#pictureOf = JSON.stringify(requestOf(state));
    this.#hidePicture(false);
    this.#crumbs.show(state);
    this.#paging.show(state, matrix);
    fill(this.#summary, summary(matrix));
    this.#grid.show(matrix);
    this.#table.show(matrix);
    const change = changeWords(matrix.totals);
    if (matrix.totals.pairs === 0) announce(NOTHING_SEEN);
    else announce(change === "" ? "The matrix shows no change." : `The matrix shows ${change}.`);
  }

  /** The pictures beside the sliders are about all situations, whichever one the matrix shows. */
  async #drawReach(state: MatrixState, matrix: MatrixResponse, signal: AbortSignal): Promise<void> {
    const key = `${matrix.version} ${reachKey(state)}`;
    if (state.situation === undefined) this.#situations.show(matrix.contexts);
    else if (key !== this.#reachOf) {
      const all = await this.#ask({ ...state, situation: undefined, limit: 1 }, signal);
      if (signal.aborted) return;
      this.#situations.show(all.contexts);
    }
    this.#reachOf = key;
  }

  /** A picture of another question, or of another draft, would be taken for an answer. */
  #fail(error: unknown): void {
    const isInvalid = isInvalidDraft(error);
    const seconds = error instanceof Problem && [429, 503].includes(error.status) ? error.retryAfter : undefined;
    if (seconds !== undefined) this.#later(seconds * 1000);
    const isOld = this.#pictureOf === JSON.stringify(requestOf(this.#state));
    this.#hidePicture(!isOld);
    this.#crumbs.show(this.#state);
    fill(
      this.#problem,
      h(
        "div",
        { class: isInvalid ? "callout callout-warn" : "callout callout-bad" },
        h("p", {}, `${isInvalid ? "The draft has an error." : "The matrix cannot be shown now."} ${isOld ? BEFORE : isInvalid ? NOTHING : ""}`),
        h("p", {}, messageOf(error)),
        isInvalid && h("div", { class: "actions" }, toFirstError(this.#bench)),
      ),
    );
  }
}

const BEFORE = "What is shown here is how it was before.";
const NOTHING = "Until it is mended, there is nothing to show here.";

addView({
  id: "matrix",
  label: "Access matrix",
  hint: "Who may do what with which data: as it is in force, and what the draft would change.",
  order: 20,
  mount(root, bench) {
    const view = new MatrixView(root, bench);
    return { show: (args) => view.show(args), hide: () => view.hide() };
  },
});
