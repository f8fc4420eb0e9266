// What a view shows while it waits, if the draft has errors, and if something failed.

import { button, h, type Child } from "../../lib/dom";
import { messageOf } from "../../lib/problem";
import type { Following } from "../following";
import type { Workbench } from "../workbench";

/** A button that opens the first error of the draft in the editor. */
export function toFirstError(bench: Workbench): HTMLElement {
  return button(
    "Go to it",
    () => {
      const first = bench.checks.errors()[0];
      if (first === undefined) bench.go("edit");
      else bench.openPlace(first);
    },
    { class: "primary" },
  );
}

/** The draft has errors: nothing can be asked of it. */
export function invalidDraft(bench: Workbench, message: string): HTMLElement {
  return h(
    "section",
    { class: "callout callout-bad" },
    h("h2", {}, "The draft has errors"),
    h("p", {}, "Until they are gone, it cannot be said what the draft would do. The first:"),
    h("p", { class: "mono" }, message),
    h("div", { class: "actions" }, toFirstError(bench)),
  );
}

/** Draws what is not ready; nothing if it is. */
export function unready<T>(bench: Workbench, state: Following<T>, again: () => void): Child {
  switch (state.kind) {
    case "ready":
      return null;
    case "loading":
      return h("p", { class: "muted", role: "status" }, "Asking the server…");
    case "invalid":
      return invalidDraft(bench, state.message);
    case "failed":
      return h(
        "section",
        { class: "callout callout-bad" },
        h("p", {}, messageOf(state.error)),
        h("div", { class: "actions" }, button("Try again", again)),
      );
  }
}
