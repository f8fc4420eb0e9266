// What is refused now and why: an edit of the policy folder, or a draft that the gate did not accept.

import { button, h, type Child } from "../../lib/dom";
import { ago, dateTime } from "../../lib/format";
import { sayError } from "../../lib/live";
import type { BrokenInvariant, RefusedEdit } from "../../lib/types";
import type { Place, Workbench } from "../workbench";
import { placeLink } from "./place";

/** Opens a place of the edit that was refused. */
type Open = (place: Place) => void;

function brokenInvariant(one: BrokenInvariant, open: Open): HTMLElement {
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
    h("p", { class: "small" }, placeLink(one, open)),
    one.counterexample !== undefined && h("pre", { class: "sunken" }, one.counterexample),
    one.suggestions.length > 0 && h("ul", {}, one.suggestions.map((text) => h("li", {}, text))),
    one.hint !== undefined && h("p", { class: "muted" }, one.hint),
  );
}

/** The reasons of a refusal. */
export function reasons(edit: RefusedEdit, open: Open): Child[] {
  const places = edit.diagnostics.map((one) =>
    h(
      "li",
      {},
      placeLink(one, open),
      ` ${one.message}`,
      one.help !== undefined && h("div", { class: "muted" }, `Help: ${one.help}`),
    ),
  );
  // Where there are places, the details say the same in other words, and then how many more there are.
  const details = edit.details.slice(places.length);
  return [
    h("p", {}, sentenceOf(edit)),
    places.length > 0 && h("ul", { class: "plain-list" }, places),
    details.length > 0 && h("pre", { class: "sunken" }, details.join("\n")),
    edit.invariants.map((one) => brokenInvariant(one, open)),
  ];
}

/** The kind of reason is a word of the server; what is not known is said as it is. */
function sentenceOf(edit: RefusedEdit): string {
  const text = edit.reason.replaceAll("_", " ");
  return `Reason: ${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Opens a place of the refused edit: in the draft that has it, or else in a new one. */
async function openRefused(bench: Workbench, edit: RefusedEdit, place?: Place): Promise<void> {
  const hasIt = edit.folder_revision !== undefined && bench.draft.response?.folder_revision === edit.folder_revision;
  await bench.after(hasIt ? Promise.resolve(true) : bench.openDraft("folder"), (isOpen) => {
    if (!isOpen) return;
    if (place === undefined) bench.go("edit");
    else bench.openPlace(place);
  });
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
    ...reasons(edit, (place) => void openRefused(bench, edit, place).catch(sayError)),
    h(
      "div",
      { class: "actions" },
      button("Open the refused edit as a draft", () => void openRefused(bench, edit).catch(sayError), {
        class: "primary",
      }),
    ),
  );
}
