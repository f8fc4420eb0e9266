// Files that the draft and somebody else changed: both texts beside each other, and the choice.

import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { MergeView } from "@codemirror/merge";

import { editorHost, languageOf } from "../../editor/editor";
import { joinText, splitText } from "../../editor/text";
import { THEME } from "../../editor/theme";
import { button, h, type Child } from "../../lib/dom";
import { say, sayError } from "../../lib/live";
import type { Conflict } from "../draft";
import type { Workbench } from "../workbench";

function side(name: string, label: string, isReadOnly: boolean): Extension[] {
  return [
    lineNumbers(),
    EditorView.lineWrapping,
    languageOf(name),
    THEME,
    EditorState.readOnly.of(isReadOnly),
    EditorView.editable.of(!isReadOnly),
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", spellcheck: "false" }),
  ];
}

class ConflictView {
  readonly element: HTMLElement;
  readonly #merge: MergeView;
  readonly #mine: string;

  constructor(bench: Workbench, conflict: Conflict, onDone: () => void) {
    const { name } = conflict;
    const { host, root } = editorHost("conflict-host");
    this.#mine = conflict.mine ?? "";
    const mine = splitText(this.#mine);
    this.#merge = new MergeView({
      root,
      parent: root,
      a: {
        doc: splitText(conflict.theirs ?? "").text,
        extensions: side(name, `${name} in force now`, true),
      },
      b: { doc: mine.text, extensions: side(name, `${name} in your draft`, false) },
      collapseUnchanged: { margin: 3, minSize: 6 },
    });
    const decide = (text: string | null): void => {
      bench.draft
        .settle(name, text)
        .then(() => {
          say(`${name} is decided.`);
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
        h("span", {}, conflict.mine === null ? "Your draft deletes the file" : "Your draft (you can edit it here)"),
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

  #text(separator: string): string {
    return this.#merge.b.state.doc.toString().replaceAll("\n", separator);
  }
}

/** All files that are to be decided about; nothing if there are none. */
export function conflictList(bench: Workbench, onDone: () => void): Child {
  const { conflicts } = bench.draft;
  if (conflicts.length === 0) return null;
  return h(
    "section",
    { class: "stack", "aria-label": "Files to decide about" },
    h("h2", {}, "You and somebody else changed the same files"),
    h("p", {}, "Put at the right what you want to have. Lines that differ are marked on both sides."),
    conflicts.map((conflict) => new ConflictView(bench, conflict, onDone).element),
  );
}
