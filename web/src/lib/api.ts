// Calls of the server's API: JSON, texts and streams of events, with the session's token.

import { urlOf } from "./base";
import { Problem, problemOf } from "./problem";
import type { Session } from "./session";
import { readEvents, type ServerEvent } from "./events";

export interface CallOptions {
  readonly method?: string;
  readonly json?: unknown;
  readonly query?: Record<string, string | number | undefined>;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer<T> {
  readonly body: T;
  readonly etag: string | undefined;
  readonly headers: Headers;
}

export class Api {
  readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** The JSON of a response; throws a `Problem` for every status that is no success. */
  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    return (await this.answer<T>(path, options)).body;
  }

  async answer<T>(path: string, options: CallOptions = {}): Promise<Answer<T>> {
    const response = await this.fetch(path, options);
    const body = response.status === 204 ? undefined : await response.json();
    return {
      body: body as T,
      etag: response.headers.get("etag") ?? undefined,
      headers: response.headers,
    };
  }

  async text(path: string, options: CallOptions = {}): Promise<string> {
    return (await this.fetch(path, options)).text();
  }

  /**
   * Posts and reads a stream of events: `onEvent` gets each but the last; the data of the event named
   * `last` is returned. An event `problem` throws. Aborting the signal gives the work up.
   */
  async stream<T>(
    path: string,
    last: readonly string[],
    onEvent: (event: ServerEvent) => void,
    options: CallOptions = {},
  ): Promise<{ name: string; data: T }> {
    const headers = { accept: "text/event-stream", ...options.headers };
    const response = await this.fetch(path, { method: "POST", ...options, headers });
    if (response.body === null) throw new Problem(502, { detail: "the answer is empty" });
    for await (const event of readEvents(response.body)) {
      if (event.name === "problem") {
        const body = event.data as { status?: number };
        throw new Problem(body.status ?? 500, body);
      }
      if (last.includes(event.name)) return { name: event.name, data: event.data as T };
      onEvent(event);
    }
    throw new Problem(502, { detail: "the connection ended before the answer was complete" });
  }

  async fetch(path: string, options: CallOptions = {}): Promise<Response> {
    let response = await this.#send(path, options);
    if (response.status === 401 && this.session.canRefresh) {
      await this.session.refresh();
      response = await this.#send(path, options);
    }
    if (response.status === 401 && this.session.isSignedIn) this.session.end();
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  async #send(path: string, options: CallOptions): Promise<Response> {
    const url = urlOf(path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { ...(await this.session.headers()), ...options.headers };
    const init: RequestInit = { method: options.method ?? "GET", headers, cache: "no-store", credentials: "omit" };
    if (options.json !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(options.json);
    }
    if (options.signal !== undefined) init.signal = options.signal;
    return fetch(url, init);
  }
}
