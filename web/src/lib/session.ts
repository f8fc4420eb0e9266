// The caller's token, in a variable of this tab only: never in a URL, never in storage.

import { urlOf } from "./base";
import { Problem, problemOf } from "./problem";

interface LoginResponse {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** Tokens are replaced in this last part of their lifetime, or this long before they expire if that is later. */
const REFRESH_PART = 0.2;
const MAX_REFRESH_BEFORE_MS = 60_000;

export class Session {
  #token: string | undefined;
  #refresh: string | undefined;
  /** When the token is to be replaced. */
  #refreshAt = 0;
  #pending: Promise<void> | undefined;
  readonly #listeners = new Set<() => void>();
  #onEnd: () => void = () => {};

  get isSignedIn(): boolean {
    return this.#token !== undefined;
  }

  /** Calls the listener after each sign-in and sign-out, and when the session ended. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Called when the session ended without the user's doing. */
  set onEnd(listener: () => void) {
    this.#onEnd = listener;
  }

  async signIn(username: string, password: string): Promise<void> {
    const response = await fetch(urlOf("auth/login"), {
      method: "POST",
      body: new URLSearchParams({ grant_type: "password", username, password }),
      cache: "no-store",
    });
    if (!response.ok) throw await problemOf(response);
    this.#keep((await response.json()) as LoginResponse);
    this.#changed();
  }

  /** Takes a token of an identity provider, or of another sign-in. */
  useToken(token: string): void {
    const text = token.trim().replace(/^Bearer\s+/i, "");
    if (!/^[\x21-\x7e]+$/.test(text)) {
      throw new Problem(400, { detail: "this is not a token: paste all of it, and nothing else" });
    }
    this.#forget();
    this.#token = text;
    this.#changed();
  }

  async signOut(): Promise<void> {
    const refresh = this.#refresh;
    this.#forget();
    this.#changed();
    if (refresh === undefined) return;
    await fetch(urlOf("auth/logout"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refresh_token: refresh }),
      keepalive: true,
    }).catch(() => {});
  }

  /** The headers that authenticate a request; refreshes the token first if it is about to expire. */
  async headers(): Promise<Record<string, string>> {
    if (this.#refresh !== undefined && Date.now() > this.#refreshAt) await this.refresh();
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  get canRefresh(): boolean {
    return this.#refresh !== undefined;
  }

  /** Replaces the token. Requests that need it at the same time share one refresh. */
  refresh(): Promise<void> {
    if (this.#pending !== undefined) return this.#pending;
    const pending = this.#replace().finally(() => {
      if (this.#pending === pending) this.#pending = undefined;
    });
    return (this.#pending = pending);
  }

  /** Forgets the tokens and tells whoever shows that somebody is signed in. */
  end(): void {
    this.#forget();
    this.#changed();
    this.#onEnd();
  }

  async #replace(): Promise<void> {
    const replaced = this.#refresh;
    // Whoever signed out meanwhile stays signed out, and whoever signed in again stays signed in.
    const isOver = (): boolean => this.#refresh !== replaced;
    const response = await fetch(urlOf("auth/refresh"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refresh_token: replaced }),
      cache: "no-store",
    });
    if (isOver()) return;
    if (response.ok) {
      const tokens = (await response.json()) as LoginResponse;
      if (!isOver()) this.#keep(tokens);
    } else if (response.status === 401 || response.status === 403) this.end();
    else throw await problemOf(response);
  }

  #keep(tokens: LoginResponse): void {
    this.#token = tokens.access_token;
    this.#refresh = tokens.refresh_token;
    const lifetime = tokens.expires_in * 1000;
    this.#refreshAt = Date.now() + lifetime - Math.min(MAX_REFRESH_BEFORE_MS, lifetime * REFRESH_PART);
  }

  #forget(): void {
    this.#token = undefined;
    this.#refresh = undefined;
    this.#refreshAt = 0;
    this.#pending = undefined;
  }
}
