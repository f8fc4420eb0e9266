// What happens to the draft that is open, for whoever listens to it.

export type DraftEvent =
  /** Another draft was opened, or none is open any more. */
  | "opened"
  /** A text was edited in this tab. */
  | "edited"
  /** The server has a new version: what was computed for an older one is out of date. */
  | "saved"
  /** Files changed by something else than the editor: a rebase, a new case. */
  | "reloaded"
  /** The server cannot be reached or refuses the edit; `error` says why. */
  | "failed";
