// Positions as the server counts them (lines and characters from 1) and as the editor does (UTF-16 units from 0).

import type { Text } from "@codemirror/state";

/** The offset in `line` of a column that counts characters from 1; the end if there are fewer. */
function unitsBefore(line: string, column: number): number {
  let units = 0;
  let left = column - 1;
  for (const character of line) {
    if (left <= 0) break;
    units += character.length;
    left -= 1;
  }
  return units;
}

/** The offset in a document of a line and a column. */
export function offsetOf(doc: Text, line = 1, column = 1): number {
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
  if (line > doc.lines) return doc.length;
  return at.from + unitsBefore(at.text, column);
}

/** The line and the column, in characters, of an offset. */
export function placeOf(doc: Text, offset: number): { line: number; column: number } {
  const at = doc.lineAt(offset);
  return { line: at.number, column: [...at.text.slice(0, offset - at.from)].length + 1 };
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What to underline for a diagnostic: its range, else the word at its place, else the line. */
export function spanOf(
  doc: Text,
  place: {
    readonly line?: number;
    readonly column?: number;
    readonly end_line?: number;
    readonly end_column?: number;
  },
): Span {
  if (place.line === undefined) return { from: 0, to: 0 };
  const line = doc.line(Math.min(Math.max(place.line, 1), doc.lines));
  if (place.column === undefined) return { from: line.from, to: line.to };
  const from = offsetOf(doc, place.line, place.column);
  if (place.end_column !== undefined) {
    const to = offsetOf(doc, place.end_line ?? place.line, place.end_column);
    if (to > from) return { from, to };
  }
  const word = /^(?:[\p{L}\p{N}_]+|.)/u.exec(doc.lineAt(from).text.slice(from - doc.lineAt(from).from));
  return { from, to: Math.min(doc.length, from + (word?.[0].length ?? 0)) };
}
