// The last check of the draft: what is wrong with it and what it contains. Done again after each change.

import { isAbort } from "../lib/problem";
import type { CheckResponse, Diagnostic, PolicySummary } from "../lib/types";
import type { DraftStore } from "./draft";

type Invariant = CheckResponse["invariants"][number];

export class Checks {
  readonly #draft: DraftStore;
  readonly #listeners = new Set<() => void>();
  #running: AbortController | undefined;
  /** The draft that was checked. */
  #of: string | undefined;
  latest: CheckResponse | undefined;
  /** The check of a draft without changes: what was in force when it began. */
  ofBase: CheckResponse | undefined;
  error: unknown;

  constructor(draft: DraftStore) {
    this.#draft = draft;
    draft.on((event) => {
      if (event === "opened") this.latest = undefined;
      if (event === "opened" || event === "saved") void this.run();
    });
  }

  on(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether what is shown is of the text that is shown. */
  get isCurrent(): boolean {
    const isOfVersion = this.#of === this.#draft.response?.id && this.latest?.version === this.#draft.version;
    return this.#draft.isSaved && (isOfVersion || this.error !== undefined);
  }

  async run(): Promise<void> {
    this.#running?.abort();
    if (!this.#draft.isOpen) return this.#tell();
    const running = new AbortController();
    this.#running = running;
    const { version } = this.#draft;
    try {
      const check = await this.#draft.call<CheckResponse>("check", { signal: running.signal });
      this.latest = check;
      if (check.folder_revision === this.#draft.response?.base_revision) this.ofBase = check;
      this.#of = this.#draft.response?.id;
      this.error = undefined;
      // Another tab changed the draft: what was checked is not what this one shows.
      if (check.version > version && this.#draft.version === version) void this.#draft.reread().catch(() => {});
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    }
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  errors(): Diagnostic[] {
    return (this.latest?.diagnostics ?? []).filter((one) => one.severity !== "warning");
  }

  warnings(): Diagnostic[] {
    return (this.latest?.diagnostics ?? []).filter((one) => one.severity === "warning");
  }

  policy(id: string): PolicySummary | undefined {
    return this.latest?.policies.find((policy) => policy.id === id);
  }

  invariant(id: string): Invariant | undefined {
    return this.latest?.invariants.find((invariant) => invariant.id === id);
  }
}
