// Files that the draft and somebody else changed, until somebody decided about them.

import type { Text } from "./texts";

/** null: there is no such file. */
export interface Conflict {
  readonly name: string;
  /** What both began from. */
  readonly base: string | null;
  readonly mine: string | null;
  /** What is in force now. */
  readonly theirs: string | null;
  /** What was written to settle it, and is not in the draft yet. */
  readonly byHand: string | undefined;
}

interface Entry {
  readonly base: string | null;
  byHand: string | undefined;
}

type Entries = Map<string, Entry>;

export class Conflicts {
  /** Those of drafts that this tab left open on the server. */
  readonly #left = new Map<string, Entries>();
  #draft: string | undefined;
  #entries: Entries = new Map();

  /** Goes on with another draft, or none; those of the one before wait for it. */
  open(draft: string | undefined): void {
    if (this.#draft !== undefined && this.#entries.size > 0) this.#left.set(this.#draft, this.#entries);
    this.#entries = (draft === undefined ? undefined : this.#left.get(draft)) ?? new Map();
    if (draft !== undefined) this.#left.delete(draft);
    this.#draft = draft;
  }

  /** The draft was created anew. */
  rename(draft: string): void {
    this.#draft = draft;
  }

  forget(draft: string): void {
    this.#left.delete(draft);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** A file that waits already keeps what both began from first. */
  add(name: string, base: string | null): void {
    if (!this.#entries.has(name)) this.#entries.set(name, { base, byHand: undefined });
  }

  settle(name: string): void {
    this.#entries.delete(name);
  }

  keepByHand(name: string, text: string | undefined): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.byHand = text;
  }

  /** Those that there are with these texts of the draft: where both say the same, nothing is to be decided. */
  list(texts: ReadonlyMap<string, Readonly<Text>>): readonly Conflict[] {
    return [...this.#entries].flatMap(([name, { base, byHand }]) => {
      const now = texts.get(name);
      return now === undefined || now.text === now.base ? [] : [{ name, base, mine: now.text, theirs: now.base, byHand }];
    });
  }
}
