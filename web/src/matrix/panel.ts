// Explains a cell by its example: why it is as it is, in force beside the draft, and makes a case of it.

import { button, fill, h } from "../lib/dom";
import { announce } from "../lib/live";
import { isAbort, messageOf } from "../lib/problem";
import type { Explanation, ExplanationQuestion } from "../explain/types";
import { asAnswered, explanationView, questionTitle } from "../explain/view";
import { keepCase } from "../workbench/newcase";
import type { Workbench } from "../workbench/workbench";
import type { Cell, Column, Row, Situation } from "./types";
import { cellWords, columnLabel } from "./words";

interface BothExplanations {
  readonly version: number;
  readonly in_force: Explanation;
  readonly draft: Explanation;
}

export interface CellShown {
  readonly column: Column;
  readonly row: Row;
  readonly cell: Cell;
}

export class ExplanationPanel {
  readonly element = h("section", { class: "card matrix-why", "aria-label": "Explanation" });
  readonly #bench: Workbench;
  readonly #onZoom: (shown: CellShown) => void;
  readonly #onClose: () => void;
  #abort = new AbortController();
  #shown: { cell: CellShown; question: ExplanationQuestion } | undefined;

  constructor(bench: Workbench, onZoom: (shown: CellShown) => void, onClose: () => void) {
    this.#bench = bench;
    this.#onZoom = onZoom;
    this.#onClose = onClose;
    this.element.hidden = true;
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  close(): void {
    this.#abort.abort();
    this.#shown = undefined;
    this.element.hidden = true;
    this.#onClose();
  }

  /** Asks again after the draft changed. */
  refresh(): void {
    if (this.#shown !== undefined) void this.#ask(this.#shown.cell, this.#shown.question, false);
  }

  /** Explains the example of a cell in the situation that the matrix shows, or else in that of the example. */
  explain(shown: CellShown, action: ExplanationQuestion["action"], situation: Situation | undefined): void {
    const { example } = shown.cell;
    if (example === undefined) {
      announce("Nobody or nothing is in this cell.");
      return;
    }
    const { address, time, authentication } = { ...example, ...situation };
    const question: ExplanationQuestion = {
      principal: example.principal,
      action,
      dataset_id: example.dataset_id,
      ...(address !== undefined && { address }),
      ...(time !== undefined && { time }),
      // Without it the user is asked about as it signs in.
      ...(authentication !== undefined &&
        authentication !== "signed_in" &&
        example.principal !== "anonymous" && { authentication }),
    };
    void this.#ask(shown, question, true);
  }

  async #ask(shown: CellShown, question: ExplanationQuestion, isNew: boolean): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#shown = { cell: shown, question };
    if (isNew) {
      this.#frame(shown, question, h("p", { class: "muted" }, "Asking the policies…"));
      this.element.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
    }
    try {
      const answer = await this.#bench.draft.call<BothExplanations>("explain", {
        method: "POST",
        json: question,
        signal: abort.signal,
      });
      if (abort.signal.aborted) return;
      const view = explanationView(
        [
          { heading: "In force", answer: answer.in_force },
          { heading: "Under the draft", answer: answer.draft },
        ],
        { onOpenPolicy: (_id, file, line) => this.#bench.openPlace({ file, line }) },
      );
      this.#frame(shown, question, view, asAnswered(question, answer.draft));
      // Whoever went on meanwhile stays where they are.
      if (isNew && this.element.contains(document.activeElement)) this.element.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (isAbort(error) || abort.signal.aborted) return;
      this.#frame(shown, question, h("p", { class: "error" }, messageOf(error)));
    }
  }

  /** `asked` is what a case can be made of. */
  #frame(shown: CellShown, question: ExplanationQuestion, content: Node, asked?: ExplanationQuestion): void {
    const { column, row, cell } = shown;
    const example = cell.example;
    const who = example?.principal === "anonymous" ? "somebody who is not signed in" : (example?.principal_name ?? question.principal);
    const isMany = cell.pairs > 1;
    this.element.hidden = false;
    fill(
      this.element,
      h(
        "div",
        { class: "row matrix-why-head" },
        h("h2", { tabindex: "-1" }, questionTitle(who, question.action, example?.dataset_title ?? question.dataset_id)),
        button("Close", () => this.close(), { class: "quiet" }),
      ),
      isMany && h("p", { class: "muted" }, `One of ${cell.pairs.toLocaleString("en")} pairs of “${columnLabel(column)}” and “${row.label}”: ${cellWords(cell)}.`),
      content,
      h(
        "div",
        { class: "actions" },
        asked !== undefined && button("Make a case of it", () => void keepCase(this.#bench, asked), {
          title: "A case is a test: it says what the policies must answer here",
        }),
        isMany && button("Look closer", () => this.#onZoom(shown), { title: "Show the people and datasets of this cell" }),
      ),
    );
  }
}
