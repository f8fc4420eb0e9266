// Errors of the server (RFC 9457) as messages that a person can read.

import type { Diagnostic } from "./types";

interface ProblemDetail {
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly field?: string;
  readonly retry_after?: number;
  readonly diagnostics?: readonly Diagnostic[];
}

export class Problem extends Error {
  readonly status: number;
  readonly detail: string;
  readonly field: string | undefined;
  readonly retryAfter: number | undefined;
  readonly body: ProblemDetail;

  constructor(status: number, body: ProblemDetail, retryAfter?: number) {
    super(sentence(status, body));
    this.status = status;
    this.detail = body.detail ?? body.title ?? "";
    this.field = body.field;
    this.retryAfter = retryAfter ?? body.retry_after;
    this.body = body;
  }
}

function sentence(status: number, body: ProblemDetail): string {
  const detail = body.detail ?? body.title ?? `status ${status}`;
  const text = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Reads the problem of a response that is no success. */
export async function problemOf(response: Response): Promise<Problem> {
  const seconds = Number(response.headers.get("retry-after"));
  const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
  let body: ProblemDetail = { title: response.statusText };
  if ((response.headers.get("content-type") ?? "").includes("json")) {
    try {
      body = (await response.json()) as ProblemDetail;
    } catch {
      // a truncated body: the status says enough
    }
  }
  return new Problem(response.status, body, retryAfter);
}

/** What to tell a person about whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Problem) {
    if (error.status === 429 || error.status === 503) {
      const again = error.retryAfter === undefined ? "a moment" : `${error.retryAfter} s`;
      return `${error.message} Try again in ${again}.`;
    }
    return error.message;
  }
  if (error instanceof TypeError && /fetch|network/i.test(error.message)) {
    return "The server does not answer. What you wrote is still here; try again.";
  }
  return error instanceof Error ? error.message : String(error);
}

/** The draft has errors, so that nothing can be asked of it. Other conflicts have the same status. */
export function isInvalidDraft(error: unknown): error is Problem {
  return error instanceof Problem && error.status === 409 && error.detail.startsWith("the draft is not valid");
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
