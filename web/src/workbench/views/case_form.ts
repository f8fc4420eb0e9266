// The form of a new case: who does what with which dataset, and what is expected.

import { openDialog } from "../../lib/dialog";
import { button, fill, h, newId, type Child } from "../../lib/dom";
import { messageOf } from "../../lib/problem";
import type { FoundName, Situation } from "../../lib/types";
import { keepCase } from "../newcase";
import type { Workbench } from "../workbench";

/** Names are searched this long after the last key stroke. */
const SEARCH_DELAY_MS = 150;

interface Field {
  readonly row: HTMLElement;
  readonly input: HTMLInputElement | HTMLSelectElement;
}

function field(label: string, input: HTMLInputElement | HTMLSelectElement, hint?: string): Field {
  const id = newId("case");
  input.id = id;
  const hintId = `${id}-hint`;
  if (hint !== undefined) input.setAttribute("aria-describedby", hintId);
  return {
    row: h(
      "div",
      { class: "field" },
      h("label", { for: id }, label),
      input,
      hint !== undefined && h("span", { class: "muted small", id: hintId }, hint),
    ),
    input,
  };
}

/** A text field that offers names of the catalog while one types. */
function nameField(bench: Workbench, type: string, label: string, hint: string): Field & { find(): string } {
  const list = h("datalist", { id: newId("names") });
  const input = h("input", { type: "text", list: list.id, required: true, spellcheck: "false", autocomplete: "off" });
  let found: readonly FoundName[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const text = input.value.trim();
    if (text.length < 2) return;
    timer = setTimeout(() => {
      void bench.words.findNames(text).then(
        (names) => {
          if (input.value.trim() !== text) return; // typed on meanwhile
          found = names.filter((name) => name.type === type);
          fill(list, found.map((name) => h("option", { value: name.name }, name.id)));
        },
        () => {},
      );
    }, SEARCH_DELAY_MS);
  });
  const made = field(label, input, hint);
  made.row.append(list);
  return {
    ...made,
    find() {
      const text = input.value.trim();
      return found.find((name) => name.name === text || name.id === text)?.id ?? text;
    },
  };
}

function choice(options: readonly (readonly [string, string])[]): HTMLSelectElement {
  return h("select", {}, options.map(([value, label]) => h("option", { value }, label)));
}

/** Asks for a situation and adds it to the draft as a case. */
export async function newCaseDialog(bench: Workbench): Promise<void> {
  const who = nameField(bench, "User", "Who", "A user name, or “anonymous” for somebody who did not sign in.");
  const what = nameField(bench, "Dataset", "Dataset", "Its title or id.");
  const action = field(
    "Does what",
    choice([
      ["read", "read it"],
      ["discover", "find it"],
      ["administer", "administer it"],
    ]),
  );
  const expected = field(
    "Expected answer",
    choice([
      ["", "what the draft decides now"],
      ["permit", "granted"],
      ["deny", "denied"],
    ]),
  );
  const address = field("From the address", h("input", { type: "text", spellcheck: "false" }), "Empty: yours.");
  const time = field("At the time", h("input", { type: "text", placeholder: "2026-03-01T12:00:00Z" }), "Empty: now.");
  const name = field("Name of the case", h("input", { type: "text" }), "Empty: a sentence that says it.");
  const error = h("p", { class: "error", role: "alert" });
  const optional = (key: string, one: Field): Record<string, string> =>
    one.input.value.trim() === "" ? {} : { [key]: one.input.value.trim() };

  async function submit(): Promise<void> {
    const situation: Situation = {
      principal: who.find(),
      action: action.input.value,
      dataset_id: what.find(),
      ...optional("address", address),
      ...optional("time", time),
    };
    try {
      const created = await keepCase(bench, situation, { ...optional("expected", expected), ...optional("name", name) });
      if (created !== undefined) dialog.close();
    } catch (reason) {
      fill(error, messageOf(reason));
    }
  }

  const rows: Child[] = [who.row, action.row, what.row, expected.row, address.row, time.row, name.row];
  const dialog = openDialog(
    "New case",
    h(
      "form",
      {
        class: "stack",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void submit();
        },
      },
      rows,
      error,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "submit", class: "primary" }, "Add the case"),
        button("Cancel", () => dialog.close()),
      ),
    ),
  );
  who.input.focus();
  await dialog.closed;
}
