// What is wrong with the draft, in the words of `policy check`: below the text, told to screen readers as it changes.

import { button, fill, h } from "../../lib/dom";
import { count } from "../../lib/format";
import { messageOf } from "../../lib/problem";
import type { Diagnostic } from "../../lib/types";
import type { Place, Workbench } from "../workbench";

/** How many are listed; the rest is counted. */
const MAX_LISTED = 50;

function summary(bench: Workbench): { text: string; kind: string } {
  const { latest, error } = bench.checks;
  if (error !== undefined) return { text: `The draft cannot be checked: ${messageOf(error)}`, kind: "bad" };
  if (latest === undefined) return { text: "Checking…", kind: "muted" };
  const [errors, warnings] = [bench.checks.errors().length, bench.checks.warnings().length];
  const { policies, cases, invariants } = latest.counts;
  const contents = [
    policies !== undefined && count(policies, "policy", "policies"),
    cases !== undefined && count(cases, "case"),
    invariants !== undefined && count(invariants, "invariant"),
  ].filter(Boolean);
  if (errors > 0) return { text: `✕ ${count(errors, "error")}${warnings > 0 ? `, ${count(warnings, "warning")}` : ""}`, kind: "bad" };
  const whole = contents.length > 0 ? ` The draft has ${contents.join(", ")}.` : "";
  if (warnings > 0) return { text: `! ${count(warnings, "warning")}.${whole}`, kind: "warn" };
  return { text: `✓ No errors.${whole}`, kind: "good" };
}

export class ProblemList {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #go: (place: Place) => void;
  readonly #status = h("p", { role: "status" });
  readonly #list = h("ul", { class: "plain-list" });

  constructor(bench: Workbench, go: (place: Place) => void) {
    this.#bench = bench;
    this.#go = go;
    this.element = h(
      "section",
      { class: "card problems", "aria-label": "Errors and warnings" },
      this.#status,
      this.#list,
    );
  }

  /** Those of the file that is shown come first. */
  draw(current: string | undefined): void {
    const { text, kind } = summary(this.#bench);
    if (this.#status.textContent !== text) fill(this.#status, text);
    this.#status.className = kind;
    this.element.setAttribute("aria-busy", String(!this.#bench.checks.isCurrent));
    const all = [...(this.#bench.checks.latest?.diagnostics ?? [])];
    const rank = (one: Diagnostic): number =>
      (one.severity === "warning" ? 2 : 0) + (one.file === current ? 0 : 1);
    all.sort((a, b) => rank(a) - rank(b));
    const rest = all.length - MAX_LISTED;
    fill(
      this.#list,
      all.slice(0, MAX_LISTED).map((one) => this.#row(one)),
      rest > 0 && h("li", { class: "muted" }, `and ${rest} more`),
    );
  }

  #row(one: Diagnostic): HTMLElement {
    const isWarning = one.severity === "warning";
    const isFile = this.#bench.draft.files().some((file) => file.name === one.file);
    const where = one.line === undefined ? one.file : `${one.file}, line ${one.line}`;
    return h(
      "li",
      {},
      h("span", { class: `badge ${isWarning ? "warn" : "bad"}` }, isWarning ? "! warning" : "✕ error"),
      " ",
      isFile ? button(where, () => this.#go(one), { class: "link mono" }) : h("span", {}, where),
      h("div", {}, one.message),
      one.help !== undefined && h("div", { class: "muted" }, `Help: ${one.help}`),
    );
  }
}
