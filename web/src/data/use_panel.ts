// How to use a dataset with other programs: lines to copy, with a fresh token and its remaining seconds.

import { button, fill, h } from "../lib/dom";
import { announce } from "../lib/live";
import { messageOf } from "../lib/problem";
import { tabs } from "../lib/tabs";
import { snippets, type Snippet } from "./snippets";
import type { DownloadToken } from "./token";
import type { Dataset } from "./types";

const TICK_MS = 500;

/** From so many seconds on the token is told to be about to expire. */
const SOON_SECONDS = 15;

export class UsePanel {
  readonly element = h("div", { class: "use stack" });
  readonly #dataset: Dataset;
  readonly #token: DownloadToken;
  readonly #countdown = h("span", { class: "countdown" });
  readonly #error = h("p", { class: "error", role: "alert" });
  readonly #codes = new Map<string, HTMLElement>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #isBuilt = false;

  constructor(dataset: Dataset, token: DownloadToken) {
    this.#dataset = dataset;
    this.#token = token;
  }

  /** Shows the lines; a token is minted for them. */
  async open(): Promise<void> {
    if (!this.#isBuilt) this.#build();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    await this.#renew(false);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #build(): void {
    this.#isBuilt = true;
    const panels = snippets(this.#dataset, "…").map((snippet) => ({
      label: snippet.label,
      panel: this.#snippet(snippet),
    }));
    fill(
      this.element,
      h(
        "div",
        { class: "row token-row" },
        this.#countdown,
        button("New token", () => void this.#renew(true), { class: "quiet" }),
      ),
      this.#error,
      tabs("Programs", panels).element,
      h(
        "p",
        { class: "muted small" },
        "The lines contain a token for this dataset alone. It lasts two minutes at most; a download that has begun goes on. Copying takes a new one if the old one is about to end.",
      ),
    );
  }

  #snippet(snippet: Snippet): HTMLElement {
    const code = h("code", {});
    this.#codes.set(snippet.label, code);
    return h(
      "div",
      { class: "snippet stack" },
      h("p", { class: "muted small" }, snippet.hint),
      h("pre", { role: "group", tabindex: "0", "aria-label": `Lines for ${snippet.label}` }, code),
      h("div", { class: "actions" }, button("Copy", () => void this.#copy(snippet.label), { "aria-label": `Copy the lines for ${snippet.label}` })),
    );
  }

  async #renew(isWanted: boolean): Promise<boolean> {
    fill(this.#error);
    try {
      await (isWanted ? this.#token.mint() : this.#token.fresh());
      if (isWanted) announce(`A new token: it lasts ${this.#token.remaining} seconds.`);
      this.#draw();
      return true;
    } catch (error) {
      fill(this.#error, messageOf(error));
      return false;
    } finally {
      this.#tick();
    }
  }

  #draw(): void {
    const token = this.#token.current;
    for (const snippet of snippets(this.#dataset, token ?? "…")) {
      const code = this.#codes.get(snippet.label);
      if (code !== undefined) code.textContent = snippet.text;
    }
  }

  #tick(): void {
    const { remaining } = this.#token;
    const words = remaining > 0 ? `The token lasts ${remaining} s` : "The token has ended: take a new one";
    if (this.#countdown.textContent !== words) this.#countdown.textContent = words;
    this.#countdown.classList.toggle("is-soon", remaining < SOON_SECONDS);
  }

  async #copy(label: string): Promise<void> {
    if (!(await this.#renew(false))) return;
    const code = this.#codes.get(label);
    const text = code?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
      announce("Copied.");
      this.#say(label, "Copied");
    } catch {
      // Without permission, or on a page without TLS: the text is selected, so that the keyboard copies it.
      if (code !== undefined) getSelection()?.selectAllChildren(code);
      this.#say(label, "Selected: press Ctrl+C");
    }
  }

  #say(label: string, words: string): void {
    const row = this.#codes.get(label)?.closest(".snippet")?.querySelector(".actions");
    if (!row) return;
    row.querySelector(".copied")?.remove();
    row.append(h("span", { class: "copied good" }, words));
  }
}
