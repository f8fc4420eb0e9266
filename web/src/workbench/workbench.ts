// What every view gets: the API, the draft, the bundle in force, and how to go elsewhere.

import type { Api } from "../lib/api";
import type { PoliciesAnswer } from "../lib/types";
import type { Checks } from "./checks";
import type { DraftStore } from "./draft";
import type { Words } from "./words";

/** A place in a file; lines and columns count from 1, columns in characters. */
export interface Place {
  readonly file: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

export interface Workbench {
  readonly api: Api;
  readonly draft: DraftStore;
  /** What is wrong with the draft, and what it contains. */
  readonly checks: Checks;
  /** The vocabulary, and names of ids. */
  readonly words: Words;
  /** The bundle in force, as last read; `refresh` reads it again. */
  readonly inForce: PoliciesAnswer | undefined;
  refresh(): Promise<PoliciesAnswer>;
  /** Calls the listener whenever the bundle in force was read again; returns how to stop that. */
  onInForce(listener: (answer: PoliciesAnswer) => void): () => void;
  /** Goes to a view: `go("matrix", { action: "read" })`. */
  go(view: string, args?: Record<string, string>): void;
  /** Waits for work and goes on from it, unless the user has gone to another view meanwhile. */
  after<T>(work: Promise<T>, then: (value: T) => void): Promise<void>;
  /** Opens a file in the editor. */
  openPlace(place: Place): void;
  /**
   * Opens a draft from what is in force, the folder or a revision, and tells whether it did: it asks first if that
   * leaves one with changes, which stays on the server.
   */
  openDraft(from: string): Promise<boolean>;
}
