// Tabs (WAI-ARIA pattern): arrow keys move, the panel follows.

import { h, newId } from "./dom";

export interface Tab {
  readonly label: string;
  readonly panel: HTMLElement;
  readonly onShow?: () => void;
}

/** A tab list with its panels; the first tab is shown. */
export function tabs(label: string, list: readonly Tab[]): { element: HTMLElement; show: (index: number) => void } {
  const id = newId("tabs");
  const buttons = list.map((tab, index) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-tab-${index}`,
        "aria-controls": `${id}-panel-${index}`,
        onclick: () => show(index),
      },
      tab.label,
    ),
  );
  list.forEach((tab, index) => {
    tab.panel.id = `${id}-panel-${index}`;
    tab.panel.setAttribute("role", "tabpanel");
    tab.panel.setAttribute("aria-labelledby", `${id}-tab-${index}`);
  });

  function show(index: number): void {
    buttons.forEach((element, at) => {
      element.setAttribute("aria-selected", String(at === index));
      element.tabIndex = at === index ? 0 : -1;
    });
    list.forEach((tab, at) => {
      tab.panel.hidden = at !== index;
    });
    list[index]?.onShow?.();
  }

  const strip = h("div", { role: "tablist", "aria-label": label, class: "tabs" }, buttons);
  strip.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    let to = step === undefined ? undefined : (at + step + list.length) % list.length;
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = list.length - 1;
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    show(to);
    buttons[to]?.focus();
  });
  show(0);
  return { element: h("div", { class: "tabbed" }, strip, list.map((tab) => tab.panel)), show };
}
