// The texts of one file: in the draft, and in what it began from.

import type { DraftFileResponse } from "../lib/types";

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
