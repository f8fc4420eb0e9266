// Something computed of the draft that follows it: asked anew after each change while it is shown.

import { isAbort, isInvalidDraft } from "../lib/problem";
import type { Workbench } from "./workbench";

export type Following<T> =
  | { readonly kind: "loading"; readonly before: T | undefined }
  | { readonly kind: "ready"; readonly value: T }
  | { readonly kind: "invalid"; readonly message: string }
  | { readonly kind: "failed"; readonly error: unknown };

export class Follower<T extends { readonly version: number }> {
  readonly #bench: Workbench;
  readonly #load: (signal: AbortSignal) => Promise<T>;
  readonly #draw: (state: Following<T>) => void;
  #running: AbortController | undefined;
  #isShown = false;
  #value: T | undefined;
  #of: string | undefined;

  constructor(
    bench: Workbench,
    load: (signal: AbortSignal) => Promise<T>,
    draw: (state: Following<T>) => void,
  ) {
    this.#bench = bench;
    this.#load = load;
    this.#draw = draw;
    bench.draft.on((event) => {
      if (event === "opened") this.#value = undefined;
      if (this.#isShown && (event === "saved" || event === "opened")) void this.run();
    });
  }

  show(): void {
    this.#isShown = true;
    const { draft } = this.#bench;
    const isCurrent = this.#value?.version === draft.version && this.#of === draft.response?.id && draft.isSaved;
    if (!isCurrent) void this.run();
  }

  hide(): void {
    this.#isShown = false;
    this.#running?.abort();
  }

  async run(): Promise<void> {
    this.#running?.abort();
    if (!this.#bench.draft.isOpen) return;
    const running = new AbortController();
    this.#running = running;
    this.#draw({ kind: "loading", before: this.#value });
    try {
      const value = await this.#load(running.signal);
      if (this.#running !== running) return;
      this.#value = value;
      this.#of = this.#bench.draft.response?.id;
      this.#draw({ kind: "ready", value });
    } catch (error) {
      if (isAbort(error) || this.#running !== running) return;
      this.#value = undefined;
      if (isInvalidDraft(error)) this.#draw({ kind: "invalid", message: error.message });
      else this.#draw({ kind: "failed", error });
    }
  }
}
