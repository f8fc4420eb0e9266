// A bar of progress with the step that is done now.

import { fill, h, newId } from "../../lib/dom";
import type { Progress } from "../../lib/events";

export class ProgressBar {
  readonly element: HTMLElement;
  readonly #bar: HTMLProgressElement;
  readonly #step: HTMLElement;

  constructor(label: string) {
    const id = newId("step");
    this.#step = h("p", { class: "small", id });
    this.#bar = h("progress", { "aria-label": label, "aria-describedby": id });
    this.element = h("div", { class: "stack", hidden: true }, this.#bar, this.#step);
  }

  start(step: string): void {
    this.element.hidden = false;
    this.#bar.removeAttribute("value");
    fill(this.#step, step);
  }

  update({ done, total, step }: Progress): void {
    if (total > 0) {
      this.#bar.max = total;
      this.#bar.value = done;
    }
    fill(this.#step, total > 0 ? `${step} (${done} of ${total})` : step);
  }

  stop(): void {
    this.element.hidden = true;
  }
}
