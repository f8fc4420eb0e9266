// The matrix in words: what a cell, a header and the whole picture say.

import type { Action } from "../explain/types";
import { count, number } from "../lib/format";
import type { Cell, Column, MatrixResponse, Row } from "./types";

export const ACTION_VERBS: Record<Action, string> = {
  read: "read",
  discover: "know of",
  administer: "administer",
};

export type Change = "gained" | "lost" | "both" | "none";

export function changeOf(cell: Cell): Change {
  if (cell.gained > 0) return cell.lost > 0 ? "both" : "gained";
  return cell.lost > 0 ? "lost" : "none";
}

/** `12 of 40`, `all`, `none`. */
export function share(part: number, pairs: number): string {
  if (part === 0) return "none";
  if (part >= pairs) return "all";
  return `${number(part)} of ${number(pairs)}`;
}

/** The same where there is little room: `30 %`. */
export function shortShare(cell: Cell): string {
  if (cell.pairs === 1) return cell.draft > 0 ? "allowed" : "denied";
  if (cell.draft === 0 || cell.draft >= cell.pairs) return share(cell.draft, cell.pairs);
  return `${Math.min(99, Math.max(1, Math.round((100 * cell.draft) / cell.pairs)))} %`;
}

/** What a cell says, without where it is. */
export function cellWords(cell: Cell): string {
  if (cell.pairs === 0) return "nobody or nothing here";
  const situations = cell.sometimes > 0 ? ", not in every situation" : "";
  if (cell.pairs === 1) return `${singleWords(cell)}${situations}`;
  const now = `under the draft ${share(cell.draft, cell.pairs)}`;
  const change = changeWords(cell);
  if (change === "") {
    const part = cell.draft > 0 && cell.draft < cell.pairs ? `${shortShare(cell)}, ` : "";
    return `${part}${share(cell.draft, cell.pairs)}, unchanged${situations}`;
  }
  return `${change}; in force ${share(cell.in_force, cell.pairs)}, ${now}${situations}`;
}

function singleWords(cell: Cell): string {
  const change = changeOf(cell);
  if (change === "gained") return cell.in_force > 0 ? "gained in some situations: allowed in more of them under the draft" : "gained: denied in force, allowed under the draft";
  if (change === "lost") return cell.draft > 0 ? "lost in some situations: allowed in fewer of them under the draft" : "lost: allowed in force, denied under the draft";
  if (change === "both") return "gained in some situations and lost in others";
  return cell.draft > 0 ? "allowed" : "denied";
}

/** `12 gained, 3 lost`; empty if nothing changes. */
export function changeWords(cell: { readonly gained: number; readonly lost: number }): string {
  const words = [];
  if (cell.gained > 0) words.push(`${number(cell.gained)} gained`);
  if (cell.lost > 0) words.push(`${number(cell.lost)} lost`);
  return words.join(", ");
}

/** The text alternative of a cell. */
export function cellLabel(column: Column, row: Row, cell: Cell): string {
  return `${columnLabel(column)}, ${row.label}: ${cellWords(cell)}`;
}

export function columnLabel(column: Column): string {
  return column.is_anonymous ? "not signed in" : column.label;
}

/** The number of a group, unless it is somebody: `12 users`. */
export function columnSize(column: Column): string {
  return column.is_anonymous || column.user_id !== undefined ? "" : count(column.people, "user");
}

export function rowSize(row: Row): string {
  return row.dataset_id !== undefined ? "" : count(row.datasets, "dataset");
}

/** Nothing was compared: that is not the same as no change. */
export const NOTHING_SEEN = "There are no users or datasets here that you may see, so nothing could be compared.";

/** The whole picture in a sentence or two. */
export function summaryWords(matrix: MatrixResponse): string {
  const { totals } = matrix;
  if (totals.pairs === 0) return NOTHING_SEEN;
  const verb = ACTION_VERBS[matrix.action];
  const callers = matrix.people === 1 ? "1 person" : `${number(matrix.people)} people`;
  const pairs = `${callers} and ${count(matrix.datasets, "dataset")} make ${count(totals.pairs, "pair")}`;
  const change = changeWords(totals);
  const reach = `${pairs}; in ${number(totals.draft)} of them the person may ${verb} the dataset under the draft`;
  if (change === "") return `${reach}, as in force. The draft changes nothing ${matrix.is_cut ? "in the situations that were asked about" : "here"}.`;
  return `${reach}, in force in ${number(totals.in_force)}.`;
}
