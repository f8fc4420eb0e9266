// The frame of the workbench: navigation between views, the bar of the draft, sign-out.

import { append, button, fill, focusIfLost, h } from "../lib/dom";
import { confirmDialog } from "../lib/dialog";
import { count } from "../lib/format";
import { announce, clearNotes, sayError } from "../lib/live";
import { messageOf } from "../lib/problem";
import { urlOf } from "../lib/base";
import { allViews, type MountedView, type View } from "./views";
import type { Workbench } from "./workbench";

interface Shown {
  readonly section: HTMLElement;
  readonly heading: HTMLElement;
  readonly mounted: MountedView;
}

/** The view and its arguments in the address: `#/matrix?action=read`. */
function address(): { id: string; args: URLSearchParams } {
  const [id = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { id, args: new URLSearchParams(query) };
}

export class Shell {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #nav = h("nav", { class: "bench-nav", "aria-label": "Views" });
  readonly #bar = h("section", { class: "draft-bar", "aria-label": "Draft" });
  readonly #state = h("div", { class: "row" });
  readonly #again = button("Try again", () => void this.#bench.draft.flush().catch(sayError));
  readonly #main = h("main", { class: "bench-main", id: "main", tabindex: "-1" });
  readonly #shown = new Map<string, Shown>();
  #current: string | undefined;

  constructor(bench: Workbench, username: string, onSignOut: () => void) {
    this.#bench = bench;
    this.element = h("div", {});
    append(
      this.element,
      h(
        "a",
        { class: "skip", href: "#main", onclick: (event: Event) => this.#skip(event) },
        "Skip to the content",
      ),
      h(
        "header",
        { class: "bench-head" },
        h("span", { class: "brand" }, "Cedargate workbench"),
        h(
          "div",
          { class: "others" },
          h("a", { href: urlOf("").href }, "Datasets"),
          h("a", { href: urlOf("docs").href }, "API reference"),
          h("span", { class: "muted" }, `Signed in as ${username}`),
          button("Sign out", onSignOut),
        ),
      ),
      this.#nav,
      this.#bar,
      this.#main,
    );
    for (const view of allViews()) {
      this.#nav.append(h("a", { href: `#/${view.id}`, "data-view": view.id }, view.label));
    }
    // The buttons stay when the state is drawn anew: a click is not lost by a draft that is saved meanwhile.
    append(
      this.#bar,
      this.#state,
      h(
        "div",
        { class: "actions" },
        this.#again,
        button("Publish…", () => bench.go("publish"), { class: "primary" }),
        button("Discard the draft", () => void this.#discard()),
      ),
    );
    bench.draft.on(() => this.#drawBar());
    this.#drawBar();
  }

  /** Shows the view that the address names. */
  route(): void {
    const { id, args } = address();
    const view = allViews().find((known) => known.id === id) ?? allViews()[0];
    if (view === undefined) return;
    const isOther = this.#current !== view.id;
    if (this.#current !== undefined && isOther) {
      const old = this.#shown.get(this.#current);
      if (old !== undefined) old.section.hidden = true;
      old?.mounted.hide?.();
    }
    this.#current = view.id;
    const shown = this.#shown.get(view.id) ?? this.#mount(view);
    shown.section.hidden = false;
    for (const link of this.#nav.querySelectorAll("a")) {
      if (link.dataset["view"] === view.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${view.label} - Cedargate workbench`;
    if (isOther) {
      clearNotes();
      announce(view.label);
    }
    shown.mounted.show?.(args);
  }

  #skip(event: Event): void {
    event.preventDefault();
    this.#main.focus();
  }

  #mount(view: View): Shown {
    const heading = h("h1", { tabindex: "-1" }, view.label);
    const root = h("div", { class: "view-root" });
    const section = h(
      "section",
      { class: "view", "data-view": view.id },
      h("div", { class: view.isCompact === true ? "visually-hidden" : "view-head" }, heading, h("p", { class: "muted" }, view.hint)),
      root,
    );
    this.#main.append(section);
    const shown = { section, heading, mounted: view.mount(root, this.#bench) };
    this.#shown.set(view.id, shown);
    return shown;
  }

  #drawBar(): void {
    const { draft } = this.#bench;
    const changed = draft.changedFiles.length;
    this.#bar.hidden = !draft.isOpen || (changed === 0 && draft.error === undefined);
    if (this.#bar.hidden) return;
    const state =
      draft.error !== undefined
        ? h("span", { class: "bad" }, `Not saved: ${messageOf(draft.error)}`)
        : h("span", { class: "muted" }, draft.isSaved ? "Saved as a draft; nothing is in force yet." : "Saving the draft…");
    fill(this.#state, h("strong", {}, `Draft: ${count(changed, "file")} changed`), state);
    this.#again.hidden = draft.error === undefined;
  }

  async #discard(): Promise<void> {
    const changed = this.#bench.draft.changedFiles.length;
    if (
      changed > 0 &&
      !(await confirmDialog(
        "Discard the draft?",
        `What you changed in ${count(changed, "file")} is gone then. What is in force stays as it is.`,
        "Discard",
      ))
    ) {
      return;
    }
    const { draft } = this.#bench;
    await draft
      .discard()
      .then(() => draft.ensure())
      .catch(sayError);
    focusIfLost(this.#main);
  }
}
