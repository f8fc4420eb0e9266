// The texts of files: in the draft, and in what it began from.

import type { Change, DraftFileResponse } from "../lib/types";

export interface Text {
  /** null: the draft has no such file. */
  text: string | null;
  /** null: the base has no such file. */
  base: string | null;
}

export function textOf(file: DraftFileResponse): Text {
  return {
    text: file.text ?? null,
    base: file.base_text ?? (file.change === "unchanged" ? (file.text ?? null) : null),
  };
}

export interface FileChange {
  readonly name: string;
  readonly change: Change;
}

/** The files as the server told them, with what the texts say that it does not know yet. */
export function changesOf(told: readonly FileChange[], texts: ReadonlyMap<string, Text>): FileChange[] {
  const changes = new Map(told.map(({ name, change }) => [name, change]));
  for (const [name, { text, base }] of texts) {
    if (text === null && base === null) changes.delete(name);
    else if (text === null) changes.set(name, "removed");
    else if (base === null) changes.set(name, "added");
    else changes.set(name, text === base ? "unchanged" : "changed");
  }
  return [...changes].map(([name, change]) => ({ name, change })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
