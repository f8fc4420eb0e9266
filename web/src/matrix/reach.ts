// The reach of the draft as numbers and a bar, with the sliders for time, network and kind of key: beside the editor.

import { fill, h, newId, s } from "../lib/dom";
import { number } from "../lib/format";
import { isAbort, isInvalidDraft, messageOf } from "../lib/problem";
import type { Action } from "../explain/types";
import type { Workbench } from "../workbench/workbench";
import { Situations } from "./situations";
import type { MatrixRequest, MatrixResponse } from "./types";
import { ACTION_VERBS, NOTHING_SEEN } from "./words";

const REFRESH_DELAY_MS = 60;

/** A panel that follows the draft while it is in view. */
export function reachPanel(bench: Workbench): HTMLElement {
  return new ReachPanel(bench).element;
}

class ReachPanel {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #numbers = h("div", { class: "reach-numbers", role: "status" });
  readonly #action: HTMLSelectElement;
  readonly #situations: Situations;
  #matrix: MatrixResponse | undefined;
  #hasSituation = false;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStale = true;
  #isVisible = false;

  constructor(bench: Workbench) {
    this.#bench = bench;
    const id = newId("reach");
    this.#action = h(
      "select",
      { id, onchange: () => this.#later() },
      (Object.keys(ACTION_VERBS) as Action[]).map((action) => h("option", { value: action }, action)),
    );
    this.#situations = new Situations((situation) => {
      this.#hasSituation = situation !== undefined;
      this.#draw();
    });
    this.element = h(
      "div",
      { class: "stack reach" },
      h(
        "section",
        { class: "card", "aria-label": "Reach" },
        h("div", { class: "row reach-head" }, h("h2", {}, "Who reaches what"), h("label", { for: id, class: "visually-hidden" }, "Action"), this.#action),
        this.#numbers,
      ),
      this.#situations.element,
    );
    bench.draft.on((event) => {
      if (event === "edited" || event === "failed") return;
      this.#abort.abort(); // what comes would be about another draft, or another version of it
      this.#later();
    });
    new IntersectionObserver((entries) => {
      this.#isVisible = entries.some((entry) => entry.isIntersecting);
      if (this.#isVisible && this.#isStale) this.#later();
    }).observe(this.element);
  }

  #later(): void {
    this.#isStale = true;
    if (!this.#isVisible) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(), REFRESH_DELAY_MS);
  }

  async #load(): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const request: MatrixRequest = {
      action: this.#action.value as Action,
      people: { by: "role" },
      datasets: { by: "visibility" },
      limit: 1,
    };
    try {
      const matrix = await this.#bench.draft.call<MatrixResponse>("matrix", {
        method: "POST",
        json: request,
        signal: abort.signal,
      });
      if (abort.signal.aborted || matrix.version < this.#bench.draft.version) return;
      this.#isStale = false;
      this.#matrix = matrix;
      this.#situations.show(matrix.contexts);
      this.#draw();
    } catch (error) {
      if (isAbort(error) || abort.signal.aborted) return;
      this.#matrix = undefined;
      this.#situations.element.hidden = true;
      const words = isInvalidDraft(error) ? "Shown again once the draft has no errors." : messageOf(error);
      fill(this.#numbers, h("p", { class: "muted" }, words));
    }
  }

  #draw(): void {
    const matrix = this.#matrix;
    if (matrix === undefined) return;
    const reach = this.#hasSituation ? this.#situations.reach : matrix.totals;
    if (matrix.totals.pairs === 0) return fill(this.#numbers, h("p", {}, NOTHING_SEEN));
    const verb = ACTION_VERBS[matrix.action];
    const isSame = reach.gained === 0 && reach.lost === 0;
    fill(
      this.#numbers,
      h(
        "p",
        {},
        h("strong", {}, number(reach.draft)),
        ` of ${number(matrix.totals.pairs)} pairs: the person may ${verb} the dataset`,
        isSame ? ". The draft changes none of them." : ` under the draft. In force it is ${number(reach.in_force)}.`,
      ),
      bar(reach, matrix.totals.pairs),
      !isSame &&
        h(
          "p",
          { class: "row" },
          reach.gained > 0 && h("span", { class: "badge sum sum-gained" }, `▲ ${number(reach.gained)} gained`),
          reach.lost > 0 && h("span", { class: "badge sum sum-lost" }, `▼ ${number(reach.lost)} lost`),
        ),
    );
  }
}

function bar(reach: { readonly in_force: number; readonly draft: number }, pairs: number): SVGElement {
  const width = (value: number) => (pairs === 0 ? 0 : (100 * value) / pairs);
  const kept = width(Math.min(reach.in_force, reach.draft));
  const beyond = width(Math.abs(reach.in_force - reach.draft));
  return s(
    "svg",
    { class: "reach-bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "bar-kept is-current", x: 0, y: 0, height: 8, width: kept }),
    beyond > 0 &&
      s("rect", {
        class: reach.draft > reach.in_force ? "bar-gained" : "bar-lost",
        x: kept,
        y: 0,
        height: 8,
        width: Math.max(0.6, beyond),
      }),
  );
}
