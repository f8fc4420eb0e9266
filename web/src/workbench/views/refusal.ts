// What is refused now and why: an edit of the policy folder, or a draft that the gate did not accept.

import { button, h, type Child } from "../../lib/dom";
import { ago, dateTime } from "../../lib/format";
import { sayError } from "../../lib/live";
import type { BrokenInvariant, RefusedEdit } from "../../lib/types";
import type { Workbench } from "../workbench";

export function brokenInvariant(one: BrokenInvariant): HTMLElement {
  return h(
    "details",
    {},
    h(
      "summary",
      {},
      h("strong", { class: "mono" }, one.id),
      one.is_violated ? " does not hold" : " could not be proved",
      one.reason !== undefined && `: ${one.reason}`,
    ),
    one.counterexample !== undefined && h("pre", { class: "sunken" }, one.counterexample),
    one.suggestions.length > 0 && h("ul", {}, one.suggestions.map((text) => h("li", {}, text))),
    one.hint !== undefined && h("p", { class: "muted" }, one.hint),
  );
}

/** The reasons of a refusal. */
export function reasons(edit: RefusedEdit): Child[] {
  const places = edit.diagnostics.map((one) =>
    h(
      "li",
      {},
      h("span", { class: "mono" }, one.line === undefined ? one.file : `${one.file}:${one.line}:${one.column ?? 1}`),
      ` ${one.message}`,
      one.help !== undefined && h("div", { class: "muted" }, one.help),
    ),
  );
  return [
    h("p", {}, sentenceOf(edit)),
    edit.details.length > 0 && h("pre", { class: "sunken" }, edit.details.join("\n")),
    edit.details.length === 0 && places.length > 0 && h("ul", {}, places),
    edit.invariants.map(brokenInvariant),
  ];
}

/** The kind of reason is a word of the server; what is not known is said as it is. */
function sentenceOf(edit: RefusedEdit): string {
  const text = edit.reason.replaceAll("_", " ");
  return `Reason: ${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export function refusal(bench: Workbench, edit: RefusedEdit): HTMLElement {
  return h(
    "section",
    { class: "callout callout-bad", "aria-label": "Refused edit" },
    h("h2", {}, "An edit of the policy folder was refused"),
    h(
      "p",
      {},
      "The files on the server were changed, but what they say now is not in force: the policies below still decide. Refused ",
      h("time", { datetime: edit.refused_at }, `${dateTime(edit.refused_at)} (${ago(edit.refused_at)})`),
      ".",
    ),
    ...reasons(edit),
    h(
      "div",
      { class: "actions" },
      button("Open the refused edit as a draft", () => void bench.openDraft("folder").catch(sayError), {
        class: "primary",
      }),
    ),
  );
}
