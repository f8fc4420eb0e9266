// Dialogs on the platform's `<dialog>`: focus stays inside, Escape closes.

import { button, h, newId, type Child } from "./dom";

export interface Dialog {
  readonly element: HTMLDialogElement;
  readonly body: HTMLElement;
  close(): void;
  readonly closed: Promise<void>;
}

/** Opens a modal dialog. It is removed from the page when it closes, and focus returns to where it was. */
export function openDialog(title: string, ...children: Child[]): Dialog {
  const id = newId("dialog");
  const body = h("div", { class: "dialog-body" }, ...children);
  const element = h(
    "dialog",
    { "aria-labelledby": id },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      button("Close", () => element.close(), { class: "quiet" }),
    ),
    body,
  );
  const before = document.activeElement;
  document.body.append(element);
  const closed = new Promise<void>((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve();
    });
  });
  element.showModal();
  return { element, body, close: () => element.close(), closed };
}

/** Asks before something that cannot be undone. */
export async function confirmDialog(title: string, text: string, action: string): Promise<boolean> {
  let isConfirmed = false;
  const dialog = openDialog(
    title,
    h("p", {}, text),
    h(
      "div",
      { class: "actions" },
      button(
        action,
        () => {
          isConfirmed = true;
          dialog.close();
        },
        { class: "primary" },
      ),
      button("Cancel", () => dialog.close()),
    ),
  );
  await dialog.closed;
  return isConfirmed;
}

/** Asks for a line of text; `check` says what is wrong with it. */
export async function promptDialog(
  title: string,
  label: string,
  value: string,
  action: string,
  check: (text: string) => string | undefined,
): Promise<string | undefined> {
  const id = newId("prompt");
  const error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
  const input = h("input", { id, type: "text", value, spellcheck: "false", "aria-describedby": `${id}-error` });
  let answer: string | undefined;
  const form = h(
    "form",
    {
      class: "stack",
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        const problem = check(input.value.trim());
        error.textContent = problem ?? "";
        if (problem !== undefined) return;
        answer = input.value.trim();
        dialog.close();
      },
    },
    h("label", { for: id }, label),
    input,
    error,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, action),
      button("Cancel", () => dialog.close()),
    ),
  );
  const dialog = openDialog(title, form);
  input.select();
  await dialog.closed;
  return answer;
}
