// A download token of one dataset, minted when it is needed and again when it is about to expire.

import type { Api } from "../lib/api";
import type { MintedToken } from "./types";

/** A token that lasts at least this long is used as it is. */
const MIN_REMAINING_MS = 10_000;

/** One clock stands still while the machine sleeps, the other may be set back: the later one counts. */
interface Moment {
  readonly steady: number;
  readonly wall: number;
}

function now(): Moment {
  return { steady: performance.now(), wall: Date.now() };
}

export class DownloadToken {
  readonly #api: Api;
  readonly #datasetId: string;
  #token: string | undefined;
  #lifetime = 0;
  #asked: Moment = { steady: 0, wall: 0 };
  #pending: Promise<string> | undefined;

  constructor(api: Api, datasetId: string) {
    this.#api = api;
    this.#datasetId = datasetId;
  }

  /** The whole seconds that the token lasts; 0 if there is none. */
  get remaining(): number {
    return Math.max(0, Math.floor(this.#remainingMs / 1000));
  }

  get #remainingMs(): number {
    if (this.#token === undefined) return 0;
    const at = now();
    return this.#lifetime - Math.max(at.steady - this.#asked.steady, at.wall - this.#asked.wall);
  }

  /** The token if it still lasts. */
  get current(): string | undefined {
    return this.remaining > 0 ? this.#token : undefined;
  }

  /** A token that lasts a while: the one at hand, or a new one. */
  async fresh(): Promise<string> {
    if (this.#token !== undefined && this.#remainingMs > MIN_REMAINING_MS) return this.#token;
    return this.mint();
  }

  /** A new token. Those who ask at the same time share one. */
  mint(): Promise<string> {
    this.#pending ??= this.#ask().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #ask(): Promise<string> {
    // Counted from before the request, by the clock of this machine.
    const started = now();
    const minted = await this.#api.json<MintedToken>(`auth/download-token/${this.#datasetId}`, { method: "POST" });
    this.#token = minted.token;
    this.#asked = started;
    this.#lifetime = minted.expires_in * 1000;
    return minted.token;
  }
}
