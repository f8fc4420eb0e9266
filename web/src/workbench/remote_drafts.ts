// The user's drafts on the server: one call for each thing that is done with them.

import type { Api } from "../lib/api";
import { Problem } from "../lib/problem";
import type { DraftFileResponse, DraftResponse } from "../lib/types";
import { textOf, type Text } from "./texts";

const DRAFTS = "admin/policies/drafts";

/** Files with their new texts; null removes one. */
export type FileTexts = Record<string, string | null>;

/** The path of an operation of a draft, or of the draft itself. */
export function draftPath(id: string, operation = ""): string {
  return operation === "" ? `${DRAFTS}/${id}` : `${DRAFTS}/${id}/${operation}`;
}

/** The operation that reads a file of a draft. */
export function filePath(name: string): string {
  return `files/${encodeURIComponent(name)}`;
}

export class RemoteDrafts {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  async list(): Promise<readonly DraftResponse[]> {
    return (await this.#api.json<{ items: DraftResponse[] }>(DRAFTS)).items;
  }

  get(id: string): Promise<DraftResponse> {
    return this.#api.json(draftPath(id));
  }

  create(from: string, files: FileTexts): Promise<DraftResponse> {
    return this.#api.json(DRAFTS, { method: "POST", json: { from, files } });
  }

  /** Writes files, if the draft is as the tab has seen it. */
  write({ id, version }: DraftResponse, files: FileTexts): Promise<DraftResponse> {
    return this.#api.json(draftPath(id), {
      method: "PATCH",
      json: { files },
      headers: { "if-match": `"${version}"` },
    });
  }

  /** A draft that the server does not know any more is removed already. */
  async remove(id: string): Promise<void> {
    await this.#api.json(draftPath(id), { method: "DELETE" }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  isKnown(id: string): Promise<boolean> {
    return this.get(id).then(() => true, (error: unknown) => !isNotFound(error));
  }

  async text(id: string, name: string): Promise<Text> {
    return textOf(await this.#api.json<DraftFileResponse>(draftPath(id, filePath(name))));
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Problem && error.status === 404;
}
