// The list of datasets: search, pages, and the state in words.

import type { Api } from "../lib/api";
import { button, fill, h, newId } from "../lib/dom";
import { count } from "../lib/format";
import { isAbort, messageOf } from "../lib/problem";
import { datasetCard } from "./dataset_card";
import type { DatasetPage } from "./types";

/** Datasets that one request asks for. */
const PAGE = 24;

/** A page may be empty and have a next one: so many are read before it is asked whether to go on. */
const MAX_EMPTY_PAGES = 8;

const TYPING_DELAY_MS = 250;

export class DatasetList {
  readonly element: HTMLElement;
  readonly #api: Api;
  readonly #search: HTMLInputElement;
  readonly #items = h("ul", { class: "datasets plain-list" });
  readonly #words = h("p", { class: "muted", role: "status" });
  readonly #state = h("div", { class: "row" });
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api) {
    this.#api = api;
    const id = newId("search");
    this.#search = h("input", {
      id,
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 200,
      oninput: () => this.#later(),
    });
    this.element = h(
      "div",
      { class: "stack" },
      h(
        "form",
        {
          role: "search",
          class: "field search",
          onsubmit: (event: SubmitEvent) => {
            event.preventDefault();
            void this.load();
          },
        },
        h("label", { for: id }, "Find datasets by title or id"),
        this.#search,
      ),
      this.#items,
      h("div", { class: "row list-state" }, this.#words, this.#state),
    );
  }

  #later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), TYPING_DELAY_MS);
  }

  /** Shows the first page anew. */
  async load(): Promise<void> {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#abort = new AbortController();
    await this.#read(undefined, this.#abort.signal);
  }

  /** Reads pages until one has datasets, and shows them below the others. */
  async #read(after: string | undefined, signal: AbortSignal): Promise<void> {
    this.element.setAttribute("aria-busy", "true");
    const text = this.#search.value.trim();
    const isFirst = after === undefined;
    try {
      let next = after;
      let items: DatasetPage["items"] = [];
      for (let read = 0; read < MAX_EMPTY_PAGES && items.length === 0; read += 1) {
        const page = await this.#api.json<DatasetPage>("datasets", {
          query: { limit: PAGE, after: next, q: text === "" ? undefined : text },
          signal,
        });
        [items, next] = [page.items, page.next];
        if (next === undefined) break;
      }
      const hadFocus = this.#state.contains(document.activeElement);
      const cards = items.map((dataset) => datasetCard(this.#api, dataset));
      if (isFirst) fill(this.#items, cards);
      else this.#items.append(...cards);
      this.#draw(text, next, signal);
      if (!isFirst && hadFocus) cards[0]?.querySelector("button")?.focus();
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      fill(this.#words);
      fill(this.#state, h("p", { class: "error", role: "alert" }, messageOf(error)), button("Try again", () => void this.#read(after, signal)));
    }
    this.element.removeAttribute("aria-busy");
  }

  #draw(text: string, next: string | undefined, signal: AbortSignal): void {
    const shown = this.#items.childElementCount;
    const more = next !== undefined;
    const words = shown === 0 ? this.#nothing(text, more) : `${count(shown, "dataset")} shown${more ? ", and there may be more" : ""}.`;
    if (this.#words.textContent !== words) fill(this.#words, words);
    fill(
      this.#state,
      more && button(shown === 0 ? "Look further" : "Show more", () => void this.#read(next, signal)),
    );
  }

  #nothing(text: string, more: boolean): string {
    if (more) return "Nothing found so far.";
    const hint = this.#api.session.isSignedIn ? "" : " There may be more for you after signing in.";
    return text === "" ? `There are no datasets that you may see.${hint}` : `No dataset that you may see has “${text}” in its title, or an id that begins so.${hint}`;
  }
}
