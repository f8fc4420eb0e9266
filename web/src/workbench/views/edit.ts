// The editor of the draft: files at the left, the text, and what is wrong with it below.

import { CodeEditor } from "../../editor/editor";
import { describeText, splitText } from "../../editor/text";
import { confirmDialog, promptDialog } from "../../lib/dialog";
import { button, fill, focusIfLost, h, isolated } from "../../lib/dom";
import { announce, say, sayError } from "../../lib/live";
import { reachPanel } from "../../matrix/reach";
import { nameProblem, templateOf } from "../files";
import { addView } from "../views";
import type { Place, Workbench } from "../workbench";
import { FileTree } from "./file_tree";
import { ProblemList } from "./problem_list";

class EditView {
  readonly #bench: Workbench;
  readonly #editor: CodeEditor;
  readonly #tree: FileTree;
  readonly #problems: ProblemList;
  readonly #title = h("h2", { class: "mono file-title", tabindex: "-1" });
  readonly #about = h("span", { class: "muted small" });
  readonly #tools = h("div", { class: "actions" });
  readonly #notice = h("div", {});
  readonly #cursor = h("span", { class: "muted small", "aria-hidden": "true" });
  /** The file that is shown. */
  #name: string | undefined;
  /** The file that was asked for last: it is shown once it is read. */
  #asked: string | undefined;

  constructor(root: HTMLElement, bench: Workbench) {
    this.#bench = bench;
    this.#editor = new CodeEditor({
      dictionary: bench.words,
      onEdit: (name, raw) => bench.draft.edit(name, raw),
      onSave: () => void bench.draft.flush().then(() => announce("Saved as a draft"), sayError),
      onFormat: () => void this.#format().catch(sayError),
      onCursor: ({ line, column }) => fill(this.#cursor, `Line ${line}, column ${column}`),
    });
    this.#tree = new FileTree(bench, {
      open: (name) => bench.openPlace({ file: name }),
      create: () => void this.#create().catch(sayError),
    });
    this.#problems = new ProblemList(bench, (place) => bench.openPlace(place));
    root.append(
      h(
        "div",
        { class: "edit" },
        this.#tree.element,
        h(
          "div",
          { class: "edit-text" },
          h("div", { class: "edit-head" }, h("div", {}, this.#title, this.#about), this.#tools),
          this.#notice,
          this.#editor.element,
          h(
            "div",
            { class: "row spread" },
            h("span", { class: "muted small" }, "Ctrl+Space: what can stand here. Shift+Alt+F: format. Esc, then Tab: leave the text."),
            this.#cursor,
          ),
          this.#problems.element,
        ),
        h("aside", { class: "edit-side", "aria-label": "Reach of the draft" }, reachPanel(bench)),
      ),
    );
    this.#listen();
  }

  #listen(): void {
    const { draft, checks, words } = this.#bench;
    draft.on((event) => {
      if (event === "opened") {
        this.#editor.forget();
        this.#name = this.#asked = undefined;
      }
      if (event === "opened" || event === "reloaded") void this.#reload().catch(sayError);
      this.#drawHead();
      this.#tree.draw(this.#name);
      this.#problems.draw(this.#name);
    });
    checks.on(() => {
      this.#mark();
      this.#tree.draw(this.#name);
      this.#problems.draw(this.#name);
    });
    words.on(() => this.#editor.setNames(words.names()));
    this.#editor.setNames(words.names());
  }

  async show(place: Partial<Place>): Promise<void> {
    const names = this.#bench.draft.files().map((file) => file.name);
    const asked = place.file ?? this.#asked;
    const first = names.find((name) => name.endsWith(".cedar")) ?? names[0];
    const name = asked !== undefined && names.includes(asked) ? asked : first;
    if (place.file !== undefined && name !== place.file) say(`The draft has no file ${isolated(place.file)}.`);
    if (name === undefined) return;
    if ((await this.#open(name)) && place.line !== undefined) this.#editor.goTo(place.line, place.column);
  }

  /** Shows a file, unless another one is asked for while it is read. */
  async #open(name: string): Promise<boolean> {
    this.#asked = name;
    const isAsked = (): boolean => this.#asked === name;
    const file = await this.#bench.draft.load(name).catch((error: unknown) => {
      if (isAsked()) throw error;
    });
    if (file === undefined || !isAsked()) return false;
    const { text, base } = file;
    this.#name = name;
    this.#editor.show(name, text ?? base ?? "", text === null || this.#isInConflict(name));
    this.#mark();
    this.#drawHead();
    this.#tree.draw(name);
    this.#problems.draw(name);
    return true;
  }

  /** Files changed by something else than the keyboard: shows them as they are now. */
  async #reload(): Promise<void> {
    const { draft } = this.#bench;
    if (!draft.isOpen) return;
    const names = draft.files().map((file) => file.name);
    for (const name of names) {
      if (name === this.#asked || !this.#editor.has(name)) continue;
      const { text } = await draft.load(name);
      if (text === null) this.#editor.forget(name);
      else this.#editor.update(name, text);
    }
    if (this.#asked !== undefined && names.includes(this.#asked)) await this.#open(this.#asked);
    else await this.show({});
  }

  #mark(): void {
    const { latest, isCurrent } = this.#bench.checks;
    if (latest === undefined || !isCurrent) return;
    this.#editor.mark(latest.diagnostics.filter((one) => one.file === this.#name));
  }

  #drawHead(): void {
    const name = this.#name;
    if (name === undefined) {
      for (const part of [this.#title, this.#about, this.#tools, this.#notice]) fill(part);
      return;
    }
    const { draft } = this.#bench;
    const change = draft.files().find((file) => file.name === name)?.change ?? "unchanged";
    const isRemoved = change === "removed";
    const isInConflict = this.#isInConflict(name);
    const hadFocus = this.#tools.contains(document.activeElement);
    fill(this.#title, name);
    void draft.load(name).then(({ text }) => {
      if (this.#name === name) fill(this.#about, [CHANGES[change], ...describeText(splitText(text ?? ""))].filter(Boolean).join(", "));
    }, sayError);
    const undo = button(isRemoved ? "Bring it back" : "Undo all changes", () => void this.#undo(name));
    fill(
      this.#tools,
      !isInConflict && [
        !isRemoved && name.endsWith(".cedar") && button("Format", () => void this.#format().catch(sayError), { title: "Shift+Alt+F" }),
        change !== "unchanged" && change !== "added" && undo,
        !isRemoved && button("Rename", () => void this.#rename(name).catch(sayError)),
        !isRemoved && button("Delete", () => void this.#delete(name).catch(sayError)),
      ],
    );
    if (hadFocus) focusIfLost(this.#title);
    fill(this.#notice, isInConflict ? this.#decideFirst() : isRemoved && h("p", { class: "callout callout-warn" }, "The draft deletes this file. Its text in force is shown."));
  }

  /** What is typed here would be lost when the file is decided about. */
  #decideFirst(): HTMLElement {
    return h(
      "div",
      { class: "callout callout-warn" },
      h("p", {}, "You and somebody else changed this file. It cannot be edited here until you decided what it says."),
      h("div", { class: "actions" }, button("Decide about it", () => this.#bench.go("publish"))),
    );
  }

  #isInConflict(name: string): boolean {
    return this.#bench.draft.conflicts.some((conflict) => conflict.name === name);
  }

  async #undo(name: string): Promise<void> {
    try {
      await this.#bench.draft.undo(name);
      say(`${isolated(name)} is as it is in force.`);
    } catch (error) {
      sayError(error);
    }
  }

  async #format(): Promise<void> {
    const name = this.#name;
    if (name === undefined || this.#isInConflict(name)) return;
    const { draft } = this.#bench;
    await draft.flush();
    const before = (await draft.load(name)).text;
    const { text } = await draft.call<{ text: string }>("format", { method: "POST", json: { file: name } });
    if ((await draft.load(name)).text !== before) return; // typed on meanwhile
    if (text === before) return announce("It is formatted already");
    await draft.change({ [name]: text });
    announce("Formatted");
  }

  async #create(): Promise<void> {
    const { draft } = this.#bench;
    const taken = draft.files().map((file) => file.name);
    const name = await promptDialog("New file", "Name", "new.cedar", "Create", (text) => nameProblem(text, taken));
    if (name === undefined) return;
    await this.#bench.after(draft.change({ [name]: templateOf(name) }), () => this.#bench.openPlace({ file: name }));
  }

  async #rename(name: string): Promise<void> {
    const { draft } = this.#bench;
    const taken = draft.files().map((file) => file.name);
    const to = await promptDialog("Rename the file", "New name", name, "Rename", (text) => nameProblem(text, taken));
    if (to === undefined) return;
    const { text } = await draft.load(name);
    const renamed = draft.change({ [name]: null, [to]: text ?? "" });
    await this.#bench.after(renamed, () => this.#bench.openPlace({ file: to }));
  }

  async #delete(name: string): Promise<void> {
    const isNew = this.#bench.draft.files().some((file) => file.name === name && file.change === "added");
    const text = isNew
      ? "It is only in this draft: its text is gone then."
      : "The draft deletes it; in force it stays until the draft is published. You can bring it back.";
    if (!(await confirmDialog(`Delete ${isolated(name)}?`, text, "Delete"))) return;
    await this.#bench.draft.change({ [name]: null });
    say(`The draft deletes ${isolated(name)}.`);
  }
}

const CHANGES = { unchanged: "as in force", changed: "changed", added: "new", removed: "deleted" } as const;

function numberOf(text: string | null): number | undefined {
  const value = Number(text ?? NaN);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}

addView({
  id: "edit",
  label: "Edit",
  hint: "You edit a draft. Nothing is in force before it is published.",
  isCompact: true,
  order: 15,
  mount(root, bench) {
    const view = new EditView(root, bench);
    return {
      show(args) {
        const file = args.get("file");
        view
          .show({
            ...(file === null ? {} : { file }),
            line: numberOf(args.get("line")),
            column: numberOf(args.get("column")),
          })
          .catch(sayError);
      },
    };
  },
});
