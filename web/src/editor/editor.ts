// The code editor: CodeMirror in a shadow root, where its styles need no inline style element.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics, type Diagnostic as Mark } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Transaction, type Extension } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";

import { h } from "../lib/dom";
import type { Diagnostic } from "../lib/types";
import { CEDAR, CEDAR_SCHEMA } from "./cedar";
import { idCompletion, nameCompletion, wordCompletion, type Dictionary } from "./completion";
import { NAME_HINTS, setNames } from "./hints";
import { offsetOf, placeOf, spanOf } from "./positions";
import { joinText, splitText, type FileText } from "./text";
import { THEME } from "./theme";
import { TYPE_OVER } from "./typing";

/** A host element with a shadow root for an editor. */
export function editorHost(className: string): { host: HTMLElement; root: ShadowRoot } {
  const host = h("div", { class: className });
  return { host, root: host.attachShadow({ mode: "open" }) };
}

export function languageOf(name: string): Extension {
  if (name.endsWith(".cedar")) return CEDAR;
  if (name.endsWith(".cedarschema")) return CEDAR_SCHEMA;
  return name.endsWith(".json") ? json() : [];
}

/** No file is shown: nothing can be typed, since it would be lost. */
const NOTHING = EditorState.create({
  extensions: [
    THEME,
    EditorState.readOnly.of(true),
    EditorView.editable.of(false),
    EditorView.contentAttributes.of({ "aria-label": "No file is open", tabindex: "0" }),
  ],
});

interface OpenFile {
  state: EditorState;
  text: FileText;
  isReadOnly: boolean;
}

export interface EditorHooks {
  readonly dictionary: Dictionary;
  /** The text of a file was edited by hand. */
  onEdit(name: string, raw: string): void;
  onSave(): void;
  onFormat(): void;
  onCursor(place: { line: number; column: number }): void;
}

function messageElement(diagnostic: Diagnostic): Node {
  const help = diagnostic.help === undefined ? null : h("div", {}, `Help: ${diagnostic.help}`);
  return h("div", {}, h("div", {}, diagnostic.message), help);
}

export class CodeEditor {
  readonly element: HTMLElement;
  readonly #view: EditorView;
  readonly #hooks: EditorHooks;
  readonly #open = new Map<string, OpenFile>();
  readonly #readOnly = new Compartment();
  #name: string | undefined;
  #names: ReadonlyMap<string, string> = new Map();

  constructor(hooks: EditorHooks) {
    const { host, root } = editorHost("editor-host");
    this.element = host;
    this.#hooks = hooks;
    this.#view = new EditorView({
      state: NOTHING,
      root,
      parent: root,
      dispatchTransactions: (transactions, view) => this.#dispatch(transactions, view),
    });
  }

  get name(): string | undefined {
    return this.#name;
  }

  has(name: string): boolean {
    return this.#open.has(name);
  }

  /** Shows a file. What was typed into it before, and its undo history, are kept. */
  show(name: string, raw: string, isReadOnly = false): void {
    this.#keep();
    const known = this.#open.get(name);
    const isSame = known !== undefined && known.isReadOnly === isReadOnly;
    const file = isSame ? known : this.#create(name, raw, isReadOnly);
    this.#open.set(name, file);
    this.#name = name;
    this.#view.setState(file.state);
    if (isSame) this.update(name, raw);
    this.#view.dispatch({ effects: setNames.of(this.#names) });
  }

  /** Takes a text that changed elsewhere. The cursor stays where it is, as far as it can. */
  update(name: string, raw: string): void {
    const file = this.#open.get(name);
    if (file === undefined) return;
    const text = splitText(raw);
    if (name !== this.#name || text.separator !== file.text.separator) {
      if (name === this.#name) {
        const anchor = Math.min(this.#view.state.selection.main.head, text.text.length);
        const fresh = this.#create(name, raw, file.isReadOnly);
        this.#open.set(name, fresh);
        this.#view.setState(fresh.state);
        const at = Math.min(anchor, fresh.state.doc.length);
        this.#view.dispatch({ selection: { anchor: at }, effects: setNames.of(this.#names) });
      } else if (joinText(file.text, file.state.sliceDoc()) !== raw) {
        this.#open.delete(name);
      }
      return;
    }
    file.text = text;
    const now = this.#view.state.doc;
    const next = this.#view.state.toText(text.text);
    if (now.eq(next)) return;
    const [before, after] = [now.toString(), next.toString()];
    let from = 0;
    while (from < before.length && from < after.length && before[from] === after[from]) from += 1;
    let end = 0;
    const most = Math.min(before.length, after.length) - from;
    while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
    this.#view.dispatch({
      changes: { from, to: before.length - end, insert: next.slice(from, after.length - end) },
      annotations: Transaction.remote.of(true),
    });
  }

  /** Forgets what is open, of one file or of all. */
  forget(name?: string): void {
    if (name === undefined) this.#open.clear();
    else this.#open.delete(name);
    if (name !== undefined && name !== this.#name) return;
    this.#name = undefined;
    this.#view.setState(NOTHING);
  }

  setNames(names: ReadonlyMap<string, string>): void {
    this.#names = names;
    this.#view.dispatch({ effects: setNames.of(names) });
  }

  /** Underlines what is wrong in the file that is shown. */
  mark(diagnostics: readonly Diagnostic[]): void {
    const { doc } = this.#view.state;
    const marks: Mark[] = diagnostics.map((diagnostic) => ({
      ...spanOf(doc, diagnostic),
      severity: diagnostic.severity === "warning" ? "warning" : "error",
      message: diagnostic.help === undefined ? diagnostic.message : `${diagnostic.message}\n${diagnostic.help}`,
      renderMessage: () => messageElement(diagnostic),
    }));
    this.#view.dispatch(setDiagnostics(this.#view.state, marks));
  }

  goTo(line: number | undefined, column: number | undefined): void {
    const at = offsetOf(this.#view.state.doc, line ?? 1, column ?? 1);
    this.#view.dispatch({
      selection: { anchor: at },
      effects: EditorView.scrollIntoView(at, { y: "center" }),
    });
    this.#view.focus();
  }

  #keep(): void {
    const file = this.#name === undefined ? undefined : this.#open.get(this.#name);
    if (file !== undefined) file.state = this.#view.state;
  }

  #dispatch(transactions: readonly Transaction[], view: EditorView): void {
    view.update(transactions);
    const last = transactions.at(-1);
    if (last === undefined || this.#name === undefined) return;
    const isByHand = transactions.some((one) => one.docChanged && one.annotation(Transaction.remote) !== true);
    if (isByHand) {
      const file = this.#open.get(this.#name);
      if (file !== undefined) this.#hooks.onEdit(this.#name, joinText(file.text, view.state.sliceDoc()));
    }
    if (transactions.some((one) => one.docChanged || one.selection !== undefined)) {
      this.#hooks.onCursor(placeOf(view.state.doc, view.state.selection.main.head));
    }
  }

  #create(name: string, raw: string, isReadOnly: boolean): OpenFile {
    const text = splitText(raw);
    const state = EditorState.create({ doc: text.text, extensions: this.#extensions(name, text, isReadOnly) });
    return { state, text, isReadOnly };
  }

  #extensions(name: string, text: FileText, isReadOnly: boolean): Extension[] {
    const { dictionary } = this.#hooks;
    const sources = /\.json$/.test(name)
      ? [idCompletion(dictionary)]
      : [nameCompletion(dictionary), wordCompletion(dictionary)];
    const hasReturns = text.text.includes("\r");
    return [
      hasReturns ? EditorState.lineSeparator.of(text.separator) : [],
      EditorView.clipboardInputFilter.of((pasted) => pasted.replace(/\r\n?|\n/g, text.separator)),
      lineNumbers(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      history(),
      drawSelection(),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion({ override: sources, activateOnTypingDelay: 150, maxRenderedOptions: 60 }),
      highlightSelectionMatches(),
      lintGutter(),
      EditorView.lineWrapping,
      languageOf(name),
      NAME_HINTS,
      THEME,
      TYPE_OVER,
      this.#readOnly.of([EditorState.readOnly.of(isReadOnly), EditorView.editable.of(!isReadOnly)]),
      EditorView.contentAttributes.of({
        "aria-label": `Text of ${name}`,
        spellcheck: "false",
        autocorrect: "off",
        autocapitalize: "off",
        tabindex: "0",
      }),
      keymap.of([
        { key: "Mod-s", run: () => (this.#hooks.onSave(), true) },
        { key: "Shift-Alt-f", run: () => (this.#hooks.onFormat(), true) },
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...completionKeymap,
        ...lintKeymap,
      ]),
    ];
  }
}
