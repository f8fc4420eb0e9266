// What the matrix shows: the action, how far people and datasets are zoomed in, the page, the situation.

import type { Action } from "../explain/types";
import type { Column, DatasetsBy, MatrixRequest, PeopleBy, Row, Situation } from "./types";

/** Groups on one page of an axis, as the server bounds them. */
export const PAGE_SIZES = [25, 50, 100, 200] as const;

/** The most datasets or people that a zoom shows one by one at once. */
const MAX_SINGLE = 200;

/** One step of zooming in: which groups are inside, and how they are grouped. */
export interface Step<By> {
  readonly label: string;
  readonly by: By;
  readonly tag?: string | undefined;
  readonly inside: readonly string[];
}

export interface Axis<By> {
  /** From everything to the current step, which is last. */
  readonly steps: readonly Step<By>[];
  /** Where each page so far began; the last is the current one. */
  readonly pages: readonly (string | undefined)[];
}

export interface MatrixState {
  readonly action: Action;
  readonly people: Axis<PeopleBy>;
  readonly datasets: Axis<DatasetsBy>;
  readonly situation: Situation | undefined;
  readonly limit: number;
}

const FIRST_PAGE = [undefined];

export const START: MatrixState = {
  action: "read",
  people: { steps: [{ label: "Everyone", by: "role", inside: [] }], pages: FIRST_PAGE },
  datasets: { steps: [{ label: "All datasets", by: "visibility", inside: [] }], pages: FIRST_PAGE },
  situation: undefined,
  limit: 50,
};

export function current<By>(axis: Axis<By>): Step<By> {
  const step = axis.steps.at(-1);
  if (step === undefined) throw new Error("an axis has a first step");
  return step;
}

/** The axis grouped otherwise. */
export function regrouped<By>(axis: Axis<By>, by: By, tag?: string): Axis<By> {
  return { steps: [...axis.steps.slice(0, -1), { ...current(axis), by, tag }], pages: FIRST_PAGE };
}

/** Back to an earlier step. */
export function backTo<By>(axis: Axis<By>, index: number): Axis<By> {
  return { steps: axis.steps.slice(0, index + 1), pages: FIRST_PAGE };
}

export function nextPage<By>(axis: Axis<By>, after: string): Axis<By> {
  return { ...axis, pages: [...axis.pages, after] };
}

export function previousPage<By>(axis: Axis<By>): Axis<By> {
  return { ...axis, pages: axis.pages.slice(0, -1) };
}

/** Whether clicking on the header leads further in. */
export function canZoomPeople(state: MatrixState, column: Column): boolean {
  return !column.is_anonymous && !current(state.people).inside.includes(column.key);
}

export function canZoomDatasets(state: MatrixState, row: Row): boolean {
  return !current(state.datasets).inside.includes(row.key);
}

export function zoomPeople(state: MatrixState, column: Column): MatrixState {
  const step = current(state.people);
  const by: PeopleBy = step.by !== "class" && column.people > MAX_SINGLE ? "class" : "person";
  const next = { label: column.label, by, inside: [...step.inside, column.key] };
  return { ...state, people: { steps: [...state.people.steps, next], pages: FIRST_PAGE } };
}

export function zoomDatasets(state: MatrixState, row: Row): MatrixState {
  const step = current(state.datasets);
  const next = { label: row.label, by: finerDatasets(state, row.datasets), inside: [...step.inside, row.key] };
  return { ...state, datasets: { steps: [...state.datasets.steps, next], pages: FIRST_PAGE } };
}

/** Few datasets are shown one by one; many by what they are not grouped by yet. */
function finerDatasets(state: MatrixState, datasets: number): DatasetsBy {
  if (datasets <= MAX_SINGLE) return "dataset";
  const used = new Set(state.datasets.steps.map((step) => step.by));
  const unused = (["visibility", "record_status", "owner"] as const).find((by) => !used.has(by));
  return unused ?? "dataset";
}

/** The request for what the state shows. */
export function requestOf(state: MatrixState): MatrixRequest {
  const people = current(state.people);
  const datasets = current(state.datasets);
  const [afterPeople, afterDatasets] = [state.people.pages.at(-1), state.datasets.pages.at(-1)];
  return {
    action: state.action,
    people: {
      by: people.by,
      ...(people.inside.length > 0 && { in: people.inside }),
      ...(afterPeople !== undefined && { after: afterPeople }),
    },
    datasets: {
      by: datasets.by,
      ...(datasets.by === "tag" && datasets.tag !== undefined && { tag: datasets.tag }),
      ...(datasets.inside.length > 0 && { in: datasets.inside }),
      ...(afterDatasets !== undefined && { after: afterDatasets }),
    },
    ...(state.situation !== undefined && { context: state.situation }),
    limit: state.limit,
  };
}

/** What the reach in all situations depends on, besides the version of the draft. */
export function reachKey(state: MatrixState): string {
  const { people, datasets, action } = state;
  return JSON.stringify([action, current(people).inside, current(datasets).inside]);
}
