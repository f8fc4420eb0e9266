// The texts of one file: in the draft, in what it began from, and in what somebody else made of it.

import type { DraftFileResponse } from "../lib/types";

export interface Text {
  /** null: the draft has no such file. */
  text: string | null;
  /** null: the base has no such file. */
  base: string | null;
}

/** A file that the draft and somebody else changed; null: there is no such file. */
export interface Conflict {
  readonly name: string;
  /** What both began from. */
  readonly base: string | null;
  readonly mine: string | null;
  readonly theirs: string | null;
}

export function textOf(file: DraftFileResponse): Text {
  return {
    text: file.text ?? null,
    base: file.base_text ?? (file.change === "unchanged" ? (file.text ?? null) : null),
  };
}
