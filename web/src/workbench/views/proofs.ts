// The view of the proofs: each invariant holds, is violated or is open, with a counterexample to read.

import { button, fill, h, type Child } from "../../lib/dom";
import { count } from "../../lib/format";
import { announce, say } from "../../lib/live";
import { isAbort, isInvalidDraft, messageOf } from "../../lib/problem";
import type { Progress } from "../../lib/events";
import type { ProofResult } from "../../lib/types";
import { keepCase } from "../newcase";
import { situationSentence } from "../situation";
import { addView } from "../views";
import type { Workbench } from "../workbench";
import { ProgressBar } from "./progress";
import { invalidDraft } from "./states";

type Verdict = ProofResult["invariants"][number];

const VERDICTS = {
  holds: { sign: "✓ holds", kind: "good" },
  violated: { sign: "✕ violated", kind: "bad" },
  unknown: { sign: "? open", kind: "warn" },
} as const;

/** Violated ones first, then open ones. */
const ORDER = ["violated", "unknown", "holds"];

function counterexample(bench: Workbench, one: Verdict): Child {
  if (one.counterexample === undefined) return null;
  const sentence = situationSentence(one.counterexample);
  return [
    h("p", {}, h("strong", {}, "A situation in which it is not so")),
    sentence !== undefined && h("p", {}, sentence),
    h("pre", { class: "sunken", tabindex: "0" }, one.counterexample),
    one.can_be_kept && h(
      "div",
      { class: "actions" },
      button("Keep it as a case", () => void keepCase(bench, { invariant: one.id }), {
        "aria-label": `Keep it as a case: the counterexample of ${one.id}`,
      }),
    ),
  ];
}

function verdict(bench: Workbench, one: Verdict): HTMLElement {
  const { sign, kind } = VERDICTS[one.verdict];
  return h(
    "li",
    { class: `card ${one.verdict === "violated" ? "effect-lost" : ""}` },
    h(
      "div",
      { class: "row" },
      h("span", { class: `badge ${kind}` }, sign),
      button(one.id, () => bench.openPlace(one), { class: "link mono" }),
    ),
    one.reason !== undefined && h("p", {}, one.reason),
    one.verdict === "violated" &&
      one.policies.length > 0 &&
      h("p", {}, "Violated by ", one.policies.map((id, index) => [index > 0 && ", ", policyLink(bench, id)]), "."),
    one.verdict === "unknown" && h("p", {}, "It is neither proved nor disproved."),
    one.open.length > 0 && h("ul", {}, one.open.map((text) => h("li", {}, text))),
    counterexample(bench, one),
    one.suggestions.length > 0 && [
      h("p", {}, h("strong", {}, "Ways on")),
      h("ul", {}, one.suggestions.map((text) => h("li", {}, text))),
    ],
    one.hint !== undefined && h("p", { class: "muted" }, one.hint),
  );
}

function policyLink(bench: Workbench, id: string): Child {
  const policy = bench.checks.policy(id);
  if (policy === undefined) return h("code", {}, id);
  return button(id, () => bench.openPlace(policy), { class: "link mono" });
}

function summary(proof: ProofResult): { text: string; kind: string } {
  const of = (word: Verdict["verdict"]): number => proof.invariants.filter((one) => one.verdict === word).length;
  const [violated, open] = [of("violated"), of("unknown")];
  if (proof.invariants.length === 0) return { text: "The draft has no invariants: nothing is proved about who may do what.", kind: "warn" };
  if (violated > 0) return { text: `✕ ${count(violated, "invariant is", "invariants are")} violated.`, kind: "bad" };
  if (open > 0 || !proof.is_complete) return { text: `? ${count(open, "invariant is", "invariants are")} open.`, kind: "warn" };
  return { text: `✓ All ${count(proof.invariants.length, "invariant")} hold, for every request that there can be.`, kind: "good" };
}

function result(bench: Workbench, proof: ProofResult): Child[] {
  const { text, kind } = summary(proof);
  const sorted = [...proof.invariants].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  const list = (title: string, lines: readonly string[]): Child =>
    lines.length > 0 && h("section", { class: "callout callout-warn" }, h("h2", {}, title), h("ul", {}, lines.map((line) => h("li", {}, line))));
  return [
    h("p", { class: `headline ${kind}` }, text),
    list("Policies that can fail", proof.failing),
    list("Policies that make no difference", proof.ineffective),
    h("ul", { class: "plain-list" }, sorted.map((one) => verdict(bench, one))),
    h("p", { class: "muted small" }, `Proved in ${proof.seconds.toFixed(1)} s.`),
  ];
}

function nothingYet(): HTMLElement {
  return h("p", { class: "muted" }, "Nothing is proved yet. A proof takes from a second to a minute, and you may give it up.");
}

class ProofView {
  readonly #bench: Workbench;
  readonly #run = button("Prove the draft", () => void this.#prove(), { class: "primary" });
  readonly #giveUp = button("Give up", () => this.#running?.abort());
  readonly #progress = new ProgressBar("Progress of the proof");
  readonly #stale = h("p", { class: "callout callout-warn", role: "status", hidden: true });
  readonly #content = h("div", { class: "view-root" });
  #running: AbortController | undefined;
  #proof: ProofResult | undefined;
  #of: string | undefined;

  constructor(root: HTMLElement, bench: Workbench) {
    this.#bench = bench;
    this.#giveUp.hidden = true;
    root.append(
      h("div", { class: "actions" }, this.#run, this.#giveUp),
      this.#progress.element,
      this.#stale,
      this.#content,
    );
    fill(this.#content, nothingYet());
    bench.draft.on((event) => {
      if (event === "opened") {
        this.#running?.abort();
        this.#proof = undefined;
        fill(this.#content, nothingYet());
      }
      this.#drawStale();
    });
  }

  #drawStale(): void {
    const { draft } = this.#bench;
    const isStale =
      this.#proof !== undefined &&
      (this.#proof.version !== draft.version || this.#of !== draft.response?.id || !draft.isSaved);
    this.#stale.hidden = !isStale;
    fill(this.#stale, isStale && "The draft has changed since: what is below is about how it was. Prove it again.");
  }

  async #prove(): Promise<void> {
    const { draft } = this.#bench;
    const running = new AbortController();
    this.#running = running;
    const isByButton = document.activeElement === this.#run;
    this.#run.disabled = true;
    this.#giveUp.hidden = false;
    if (isByButton) this.#giveUp.focus({ preventScroll: true });
    this.#progress.start("Beginning…");
    try {
      const { data } = await draft.stream<ProofResult>(
        "proofs",
        ["proof"],
        (event) => {
          if (event.name === "progress") this.#progress.update(event.data as Progress);
        },
        { signal: running.signal },
      );
      this.#proof = data;
      this.#of = draft.response?.id;
      fill(this.#content, result(this.#bench, data));
      announce(summary(data).text);
    } catch (error) {
      if (isAbort(error)) say("The proof is given up.");
      else {
        this.#proof = undefined;
        const failed = h("p", { class: "callout callout-bad", role: "alert" }, messageOf(error));
        fill(this.#content, isInvalidDraft(error) ? invalidDraft(this.#bench, error.message) : failed);
      }
    } finally {
      this.#progress.stop();
      const hadFocus = document.activeElement === this.#giveUp;
      this.#run.disabled = false;
      this.#giveUp.hidden = true;
      if (hadFocus) this.#run.focus({ preventScroll: true });
      this.#running = undefined;
      this.#drawStale();
    }
  }
}

addView({
  id: "proofs",
  label: "Proofs",
  hint: "An invariant is a sentence that must be true for every request that there can be. A proof tries them all.",
  order: 50,
  mount(root, bench) {
    new ProofView(root, bench);
    return {};
  },
});
