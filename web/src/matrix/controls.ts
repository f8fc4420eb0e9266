// The controls around the matrix: action, grouping, breadcrumbs back out, paging.

import { button, fill, focusIfLost, h, newId } from "../lib/dom";
import type { Action } from "../explain/types";
import type { DatasetsBy, MatrixResponse, PeopleBy } from "./types";
import {
  backTo,
  current,
  nextPage,
  PAGE_SIZES,
  previousPage,
  regrouped,
  type Axis,
  type MatrixState,
} from "./state";

/** Changes what the matrix is to show by then, which may be more than is drawn already. */
type Change = (next: (now: MatrixState) => MatrixState) => void;

const ACTION_CHOICES: readonly [Action, string][] = [
  ["read", "read (download)"],
  ["discover", "discover (know that it exists)"],
  ["administer", "administer (change it)"],
];

const PEOPLE_CHOICES: readonly [PeopleBy, string][] = [
  ["role", "by role"],
  ["class", "as the policies tell them apart"],
  ["person", "one by one"],
];

const DATASETS_CHOICES: readonly [DatasetsBy, string][] = [
  ["visibility", "by visibility"],
  ["record_status", "by state"],
  ["tag", "by tag"],
  ["owner", "by owner"],
  ["dataset", "one by one"],
];

/** A labelled choice. */
function choice<T extends string>(label: string, choices: readonly [T, string][], onPick: (value: T) => void) {
  const id = newId("choice");
  const select = h(
    "select",
    { id, onchange: () => onPick(select.value as T) },
    choices.map(([value, words]) => h("option", { value }, words)),
  );
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), select), select };
}

/** What is asked for, and how people and datasets are grouped. */
export class Controls {
  readonly element: HTMLElement;
  readonly #tag: HTMLInputElement;
  readonly #tagField: HTMLElement;
  readonly #selects: { action: HTMLSelectElement; people: HTMLSelectElement; datasets: HTMLSelectElement };

  constructor(state: MatrixState, onChange: Change) {
    const action = choice("May they …", ACTION_CHOICES, (value) => onChange((now) => ({ ...now, action: value })));
    const people = choice("People", PEOPLE_CHOICES, (by) =>
      onChange((now) => ({ ...now, people: regrouped(now.people, by) })),
    );
    const datasets = choice("Datasets", DATASETS_CHOICES, (by) => this.#groupDatasets(by, onChange));
    const id = newId("tag");
    this.#tag = h("input", {
      id,
      type: "text",
      value: "theme",
      size: 12,
      spellcheck: "false",
      autocapitalize: "none",
      onchange: () => this.#groupDatasets("tag", onChange),
    });
    this.#tagField = h("div", { class: "field" }, h("label", { for: id }, "Name of the tag"), this.#tag);
    this.#selects = { action: action.select, people: people.select, datasets: datasets.select };
    this.element = h(
      "div",
      { class: "matrix-controls", role: "group", "aria-label": "What the matrix shows" },
      action.element,
      people.element,
      datasets.element,
      this.#tagField,
    );
    this.show(state);
  }

  show(state: MatrixState): void {
    this.#selects.action.value = state.action;
    this.#selects.people.value = current(state.people).by;
    this.#selects.datasets.value = current(state.datasets).by;
    this.#tagField.hidden = current(state.datasets).by !== "tag";
  }

  #groupDatasets(by: DatasetsBy, onChange: Change): void {
    const tag = by === "tag" ? this.#tag.value.trim() || "theme" : undefined;
    onChange((now) => ({ ...now, datasets: regrouped(now.datasets, by, tag) }));
  }
}

/** The way back out of what was zoomed into. */
export class Breadcrumbs {
  readonly element = h("div", { class: "matrix-crumbs" });
  readonly #onChange: Change;

  constructor(onChange: Change) {
    this.#onChange = onChange;
  }

  show(state: MatrixState): void {
    const hadFocus = this.element.contains(document.activeElement);
    fill(
      this.element,
      crumbs("People", state.people, (index) =>
        this.#onChange((now) => ({ ...now, people: backTo(now.people, index) })),
      ),
      crumbs("Datasets", state.datasets, (index) =>
        this.#onChange((now) => ({ ...now, datasets: backTo(now.datasets, index) })),
      ),
    );
    const here = this.element.querySelector<HTMLElement>("[aria-current]");
    if (hadFocus && here !== null) focusIfLost(here);
  }
}

function crumbs<By>(label: string, axis: Axis<By>, onBack: (index: number) => void): HTMLElement {
  const last = axis.steps.length - 1;
  const items = axis.steps.map((step, index) =>
    h(
      "li",
      {},
      index === last
        ? h("span", { "aria-current": "true", tabindex: "-1" }, step.label)
        : button(step.label, () => onBack(index), { class: "link" }),
    ),
  );
  return h("nav", { "aria-label": `${label} shown` }, h("span", { class: "muted" }, `${label}:`), h("ol", {}, items));
}

/** Earlier and later groups of either axis, and how many at once. */
export class Paging {
  readonly element = h("div", { class: "row matrix-paging" });
  readonly #onChange: Change;

  constructor(onChange: Change) {
    this.#onChange = onChange;
  }

  show(state: MatrixState, matrix: MatrixResponse): void {
    // The pages of an axis that is shown otherwise by then are not those of these buttons.
    const people = pager("people", state.people, matrix.next_people, matrix.columns.length, (people) =>
      this.#onChange((now) => (now.people === state.people ? { ...now, people } : now)),
    );
    const datasets = pager("datasets", state.datasets, matrix.next_datasets, matrix.rows.length, (datasets) =>
      this.#onChange((now) => (now.datasets === state.datasets ? { ...now, datasets } : now)),
    );
    const isPaged = people !== null || datasets !== null;
    const size = choice("At once", PAGE_SIZES.map((value) => [String(value), `${value} groups`] as [string, string]), (value) =>
      this.#onChange((now) => ({
        ...now,
        limit: Number(value),
        people: { ...now.people, pages: [undefined] },
        datasets: { ...now.datasets, pages: [undefined] },
      })),
    );
    size.select.value = String(state.limit);
    size.element.classList.add("row");
    fill(this.element, people, datasets, (isPaged || state.limit !== 50) && size.element);
  }
}

function pager<By>(
  label: string,
  axis: Axis<By>,
  next: string | undefined,
  shown: number,
  onChange: (axis: Axis<By>) => void,
): HTMLElement | null {
  if (next === undefined && axis.pages.length === 1) return null;
  const back = button("‹ Earlier", () => onChange(previousPage(axis)), { "aria-label": `Earlier ${label}` });
  const on = button("More ›", () => next !== undefined && onChange(nextPage(axis, next)), { "aria-label": `More ${label}` });
  back.disabled = axis.pages.length === 1;
  on.disabled = next === undefined;
  const place = `page ${axis.pages.length}, ${shown} groups`;
  return h("div", { class: "row", role: "group", "aria-label": `Pages of ${label}` }, back, h("span", { class: "muted" }, `${label}: ${place}`), on);
}
