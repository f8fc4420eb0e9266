// Files that the draft and somebody else changed: both texts beside each other, and the choice.

import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { MergeView } from "@codemirror/merge";

import { editorHost, languageOf } from "../../editor/editor";
import { joinText, splitText } from "../../editor/text";
import { THEME } from "../../editor/theme";
import { TYPE_OVER } from "../../editor/typing";
import { button, fill, h, isolated } from "../../lib/dom";
import { say, sayError } from "../../lib/live";
import type { Conflict } from "../conflicts";
import { mergeTexts } from "../merge";
import type { Workbench } from "../workbench";

const MERGE_LOOK = EditorView.theme({
  ".cm-collapsedLines": {
    background: "var(--sunken) !important",
    color: "var(--text) !important",
    borderBlock: "1px solid var(--line)",
  },
  // The sign that CodeMirror puts there is in few fonts.
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: '"…"' },
  "&.cm-merge-a .cm-changedLine": { backgroundColor: "var(--bad-soft)" },
  "&.cm-merge-b .cm-changedLine": { backgroundColor: "var(--good-soft)" },
  "&.cm-merge-a .cm-changedText": { background: "none", textDecoration: "underline 2px var(--bad)" },
  "&.cm-merge-b .cm-changedText": { background: "none", textDecoration: "underline 2px var(--good)" },
});

function side(name: string, label: string, isReadOnly: boolean): Extension[] {
  return [
    lineNumbers(),
    EditorView.lineWrapping,
    languageOf(name),
    THEME,
    TYPE_OVER,
    MERGE_LOOK,
    EditorState.readOnly.of(isReadOnly),
    EditorView.editable.of(!isReadOnly),
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", spellcheck: "false" }),
  ];
}

/** The draft's text with what else changed, if the two do not touch the same lines. */
function mergedText({ base, mine, theirs }: Conflict): string | undefined {
  if (base === null || mine === null || theirs === null) return undefined;
  return mergeTexts(base, mine, theirs);
}

function rightHeading(conflict: Conflict, merged: string | undefined): string {
  if (conflict.mine === null) return "Your draft deletes the file";
  return merged === undefined
    ? "Your draft (you can edit it here)"
    : "Your draft with both changes (you can edit it here)";
}

/** Takes one change of the left side over to the right side. */
function takeButton(name: string): HTMLElement {
  const element = h(
    "button",
    { type: "button", title: "Take this change over", "aria-label": `Take this change of ${name} over` },
    "→",
  );
  element.style.color = "var(--accent)";
  element.style.fontWeight = "700";
  element.style.minHeight = "24px";
  return element;
}

class ConflictView {
  readonly element: HTMLElement;
  readonly #merge: MergeView;

  constructor(bench: Workbench, conflict: Conflict, onDone: () => void) {
    const { name, byHand } = conflict;
    const { host, root } = editorHost("conflict-host");
    const merged = mergedText(conflict);
    const mine = splitText(merged ?? conflict.mine ?? "");
    const begun = mine.text.replaceAll(mine.separator, "\n");
    const written = EditorView.updateListener.of((update) => {
      const text = update.state.doc.toString();
      if (update.docChanged) bench.draft.keepByHand(name, text === begun ? undefined : text);
    });
    this.#merge = new MergeView({
      root,
      parent: root,
      a: {
        doc: splitText(conflict.theirs ?? "").text,
        extensions: side(name, `${name} in force now`, true),
      },
      b: { doc: byHand ?? mine.text, extensions: [side(name, `${name} in your draft`, false), written] },
      collapseUnchanged: { margin: 3, minSize: 6 },
      revertControls: "a-to-b",
      renderRevertControl: () => takeButton(name),
    });
    const decide = (text: string | null): void => {
      bench.draft
        .settle(name, text)
        .then(() => {
          say(`${isolated(name)} is decided.`);
          onDone();
        })
        .catch(sayError);
    };
    const separator = mine.separator;
    this.element = h(
      "section",
      { class: "card", "aria-label": `Both changed ${name}` },
      h("h3", { class: "mono" }, name),
      h(
        "div",
        { class: "conflict-heads small" },
        h("span", {}, conflict.theirs === null ? "In force now: the file is deleted" : "In force now"),
        h("span", {}, rightHeading(conflict, merged)),
      ),
      host,
      h(
        "div",
        { class: "actions" },
        button(
          "Keep what stands at the right",
          () => decide(conflict.mine === null && this.#text("\n") === "" ? null : joinText(mine, this.#text(separator))),
          { class: "primary" },
        ),
        button("Take what is in force", () => decide(conflict.theirs)),
      ),
    );
  }

  close(): void {
    this.#merge.destroy();
    this.element.remove();
  }

  #text(separator: string): string {
    return this.#merge.b.state.doc.toString().replaceAll("\n", separator);
  }
}

/** All files that are to be decided about; nothing if there are none. What is written by hand stays when redrawn. */
export class ConflictList {
  readonly element = h("div", { class: "stack" });
  readonly #bench: Workbench;
  readonly #onDone: () => void;
  readonly #views = new Map<Conflict, ConflictView>();

  constructor(bench: Workbench, onDone: () => void) {
    this.#bench = bench;
    this.#onDone = onDone;
  }

  draw(): void {
    const { conflicts } = this.#bench.draft;
    for (const [conflict, view] of [...this.#views]) {
      const same = conflicts.find((other) => isSame(other, conflict));
      this.#views.delete(conflict);
      if (same !== undefined) {
        this.#views.set(same, view);
        continue;
      }
      view.close();
    }
    if (conflicts.length === 0) return fill(this.element);
    if (this.element.childElementCount === 0) fill(this.element, heading());
    const section = this.element.firstElementChild;
    for (const conflict of conflicts) {
      if (this.#views.has(conflict)) continue;
      const view = new ConflictView(this.#bench, conflict, this.#onDone);
      this.#views.set(conflict, view);
      section?.append(view.element);
    }
  }
}

function isSame(one: Conflict, other: Conflict): boolean {
  return one.name === other.name && one.mine === other.mine && one.theirs === other.theirs;
}

function heading(): HTMLElement {
  return h(
    "section",
    { class: "stack", "aria-label": "Files to decide about" },
    h("h2", { tabindex: "-1" }, "You and somebody else changed the same files"),
    h("p", {}, "Put at the right what you want to have. Lines that differ are marked on both sides; an arrow takes one over."),
  );
}
