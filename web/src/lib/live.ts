// Tells people what happened: notes at the edge of the page, and a live region for screen readers.

import { button, h } from "./dom";
import { isAbort, messageOf } from "./problem";

/** How long a note that is no error stays. */
const NOTE_MS = 8000;

const region = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
const notes = h("div", { class: "notes", role: "region", "aria-label": "Messages" });
document.body.append(region, notes);

/** Says something to screen readers only. */
export function announce(text: string): void {
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}

function note(kind: "info" | "error", text: string): HTMLElement {
  const element: HTMLElement = h(
    "div",
    { class: `note note-${kind}`, role: kind === "error" ? "alert" : undefined },
    h("p", {}, text),
    button("Close", () => element.remove(), { class: "quiet", "aria-label": "Close this message" }),
  );
  notes.append(element);
  while (notes.childElementCount > 4) notes.firstElementChild?.remove();
  return element;
}

/** Takes away the notes about what was done before. */
export function clearNotes(): void {
  notes.replaceChildren();
}

/** A note that goes away by itself. */
export function say(text: string): void {
  announce(text);
  const element = note("info", text);
  setTimeout(() => element.remove(), NOTE_MS);
}

/** A note about what went wrong; stays until it is closed. What the user gave up is no error. */
export function sayError(error: unknown): void {
  if (isAbort(error)) return;
  note("error", messageOf(error));
}
