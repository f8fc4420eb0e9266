// Typing over a selection. Chromium would keep the look of the first character in an inline style, which the page's
// content security policy refuses; so the editor replaces the text itself.

import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";

function hasSelection(view: EditorView): boolean {
  return !view.state.readOnly && view.state.selection.ranges.some((range) => !range.empty);
}

export const TYPE_OVER: Extension = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    const text = event.data;
    if (event.inputType !== "insertText" || event.isComposing || view.composing || text === null || text === "") return false;
    if (!hasSelection(view)) return false;
    const insert = () => view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    const isHandled = view.state
      .facet(EditorView.inputHandler)
      .some((handler) => handler(view, main.from, main.to, text, insert));
    if (!isHandled) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
  // What an input method composes cannot be inserted by the editor: it goes where the selection was taken away.
  compositionstart(_event, view) {
    if (hasSelection(view)) view.dispatch(view.state.replaceSelection(""), { userEvent: "input.type.compose" });
    return false;
  },
});
