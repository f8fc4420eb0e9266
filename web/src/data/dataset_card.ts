// One dataset of the list: what it is, its download, how to use it elsewhere, and who can read it.

import type { Api } from "../lib/api";
import { button, h, newId } from "../lib/dom";
import { bytes } from "../lib/format";
import { announce, sayError } from "../lib/live";
import { SharePanel } from "./share_panel";
import { downloadUrl } from "./snippets";
import { DownloadToken } from "./token";
import type { Dataset } from "./types";
import { UsePanel } from "./use_panel";
import { VISIBILITY, whyNot } from "./words";

/** A tag has at most so many values on the card. */
const MAX_VALUES = 6;

interface Panel {
  readonly element: HTMLElement;
  open(): Promise<void>;
  close?(): void;
}

export function datasetCard(api: Api, dataset: Dataset): HTMLElement {
  const token = new DownloadToken(api, dataset.id);
  const actions = h("div", { class: "actions" });
  const panels = h("div", { class: "stack" });
  if (dataset.can_read && dataset.file !== undefined) {
    actions.append(
      button("Download", () => void download(dataset, token), {
        class: "primary",
        "aria-label": `Download ${dataset.title}`,
      }),
    );
    disclosure("Use in a program", dataset, () => new UsePanel(dataset, token), actions, panels);
  }
  if (dataset.can_share === true) {
    disclosure("Who can read it", dataset, () => new SharePanel(api, dataset), actions, panels);
  }
  return h(
    "li",
    { class: "card dataset", "data-dataset": dataset.id },
    h("div", { class: "dataset-head" }, h("h2", { dir: "auto" }, dataset.title), badges(dataset)),
    facts(dataset),
    !dataset.can_read && h("p", {}, whyNot(api.session.isSignedIn)),
    actions,
    panels,
  );
}

function badges(dataset: Dataset): HTMLElement {
  return h(
    "div",
    { class: "row" },
    h("span", { class: "badge" }, VISIBILITY[dataset.visibility]),
    dataset.record_status === "draft" && h("span", { class: "badge warn" }, "not published yet"),
    !dataset.can_read && h("span", { class: "badge bad" }, "✕ not readable for you"),
  );
}

function facts(dataset: Dataset): HTMLElement {
  const { file } = dataset;
  const size = file?.size === undefined ? "" : `, ${bytes(file.size)}`;
  const tags = Object.entries(dataset.tags).map(([name, values]) => {
    const shown = values.slice(0, MAX_VALUES).join(", ");
    return `${name}: ${shown}${values.length > MAX_VALUES ? ", …" : ""}`;
  });
  const words = [file !== undefined && `${file.name}${size}`, dataset.can_read && file === undefined && "no file yet", ...tags];
  return h(
    "p",
    { class: "muted small facts" },
    words.filter(Boolean).map((text) => h("span", {}, text)),
    h("span", {}, "id ", h("code", {}, dataset.id)),
  );
}

/** A button that opens and closes a panel below the card's actions. */
function disclosure(
  label: string,
  dataset: Dataset,
  make: () => Panel,
  actions: HTMLElement,
  panels: HTMLElement,
): void {
  const id = newId("panel");
  const place = h("div", { id, hidden: true });
  let panel: Panel | undefined;
  const toggle = button(label, () => {
    const isOpen = place.hidden;
    place.hidden = !isOpen;
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (panel === undefined) {
      panel = make();
      place.append(panel.element);
    }
    if (isOpen) void panel.open();
    else panel.close?.();
  });
  toggle.setAttribute("aria-expanded", "false");
  toggle.setAttribute("aria-controls", id);
  toggle.setAttribute("aria-label", `${label}: ${dataset.title}`);
  actions.append(toggle);
  panels.append(place);
}

async function download(dataset: Dataset, token: DownloadToken): Promise<void> {
  try {
    const link = h("a", { href: downloadUrl(dataset.id, await token.fresh()), download: "" });
    link.click();
    announce(`The download of ${dataset.title} begins.`);
  } catch (error) {
    sayError(error);
  }
}
