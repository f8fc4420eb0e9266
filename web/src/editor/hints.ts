// Names beside ids: after each id of a user or dataset that has a name, the name is shown.

import { RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, ViewPlugin, WidgetType, type DecorationSet, type ViewUpdate } from "@codemirror/view";

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

class NameHint extends WidgetType {
  readonly #name: string;

  constructor(name: string) {
    super();
    this.#name = name;
  }

  override eq(other: NameHint): boolean {
    return other.#name === this.#name;
  }

  override toDOM(): HTMLElement {
    const element = document.createElement("span");
    element.className = "cm-name-hint";
    element.textContent = this.#name;
    return element;
  }
}

export const setNames = StateEffect.define<ReadonlyMap<string, string>>();

const names = StateField.define<ReadonlyMap<string, string>>({
  create: () => new Map(),
  update: (value, transaction) => {
    for (const effect of transaction.effects) if (effect.is(setNames)) return effect.value;
    return value;
  },
});

function decorate(view: EditorView): DecorationSet {
  const known = view.state.field(names);
  const builder = new RangeSetBuilder<Decoration>();
  if (known.size === 0) return builder.finish();
  for (const { from, to } of view.visibleRanges) {
    const text = view.state.doc.sliceString(from, to);
    for (const match of text.matchAll(ID)) {
      const name = known.get(match[0].toLowerCase());
      if (name === undefined) continue;
      const end = match.index + match[0].length;
      const quote = /^(?:\\"|")/.exec(text.slice(end))?.[0].length ?? 0;
      const at = from + end + quote;
      builder.add(at, at, Decoration.widget({ widget: new NameHint(name), side: 1 }));
    }
  }
  return builder.finish();
}

const hints = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = decorate(view);
    }

    update(update: ViewUpdate): void {
      const isOther = update.startState.field(names) !== update.state.field(names);
      if (update.docChanged || update.viewportChanged || isOther) this.decorations = decorate(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

export const NAME_HINTS = [names, hints];
