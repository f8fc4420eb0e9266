// Lays two edits of one text over each other, where they do not touch the same lines.

import { Chunk } from "@codemirror/merge";
import { Text } from "@codemirror/state";

interface Edit {
  /** In the base: whole lines, so that an edit beside another does not touch it. */
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

function edits(base: Text, changed: Text): Edit[] {
  return Chunk.build(base, changed).map((chunk) => ({
    from: chunk.fromA,
    to: chunk.toA,
    text: changed.sliceString(chunk.fromB, chunk.toB),
  }));
}

function touch(one: Edit, other: Edit): boolean {
  return one.from <= other.to && other.from <= one.to;
}

/** Every text ends with a line break while it is merged, so that all edits are of whole lines. */
function linesOf(text: string): Text {
  return Text.of(`${text}\n`.split("\n"));
}

/** Both edits of the base, or nothing if they touch. */
export function mergeTexts(base: string, mine: string, theirs: string): string | undefined {
  const from = linesOf(base);
  const [ours, others] = [edits(from, linesOf(mine)), edits(from, linesOf(theirs))];
  if (ours.some((one) => others.some((other) => touch(one, other)))) return undefined;
  let text = from.toString();
  for (const edit of [...ours, ...others].sort((a, b) => b.from - a.from)) {
    text = text.slice(0, edit.from) + edit.text + text.slice(Math.min(edit.to, text.length));
  }
  return text.replace(/\n$/, "");
}
