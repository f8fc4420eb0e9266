// The words that the draft may use, and the names of the ids in it.

import type { Api } from "../lib/api";
import { Questions } from "../lib/latest";
import type { FoundName, VocabularyResponse } from "../lib/types";
import type { Dictionary } from "../editor/completion";
import type { DraftStore } from "./draft";

/** The vocabulary is read again this long after the last change. */
const READ_DELAY_MS = 800;
/** How many searches for names are remembered. */
const MAX_SEARCHES = 100;

export class Words implements Dictionary {
  readonly #api: Api;
  readonly #draft: DraftStore;
  readonly #listeners = new Set<() => void>();
  readonly #searches = new Map<string, readonly FoundName[]>();
  readonly #questions = new Questions();
  #names = new Map<string, string>();
  #vocabulary: VocabularyResponse | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, draft: DraftStore) {
    this.#api = api;
    this.#draft = draft;
    draft.on((event) => {
      if (event === "opened") void this.#read();
      if (event !== "saved") return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#read(), READ_DELAY_MS);
    });
  }

  on(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  vocabulary(): VocabularyResponse | undefined {
    return this.#vocabulary;
  }

  /** Names by id in lower case. */
  names(): ReadonlyMap<string, string> {
    return this.#names;
  }

  async findNames(text: string, signal?: AbortSignal): Promise<readonly FoundName[]> {
    const known = this.#searches.get(text.toLowerCase());
    if (known !== undefined) return known;
    const { items } = await this.#api.json<{ items: FoundName[] }>("admin/policies/names", {
      query: { text, limit: 20 },
      signal,
    });
    if (this.#searches.size >= MAX_SEARCHES) this.#searches.clear();
    this.#searches.set(text.toLowerCase(), items);
    this.#learn(items);
    return items;
  }

  /** The principal or dataset with its name, for people. */
  nameOf(cedar: string): string {
    const id = /"([^"]*)"$/.exec(cedar)?.[1] ?? cedar;
    return this.#names.get(id.toLowerCase()) ?? cedar;
  }

  #learn(items: readonly { type: string; id: string; name: string }[]): void {
    const next = new Map(this.#names);
    for (const { type, id, name } of items) if (type !== "Role") next.set(id.toLowerCase(), name);
    if (next.size === this.#names.size && [...next].every(([id, name]) => this.#names.get(id) === name)) return;
    this.#names = next;
    for (const listener of [...this.#listeners]) listener();
  }

  async #read(): Promise<void> {
    if (!this.#draft.isOpen) return;
    const question = this.#questions.ask();
    try {
      const vocabulary = await this.#draft.call<VocabularyResponse>("vocabulary");
      if (!question.take()) return;
      this.#vocabulary = vocabulary;
      this.#learn(vocabulary.names);
    } catch {
      // without it there are fewer offers and hints; the next change tries again
    }
  }
}
