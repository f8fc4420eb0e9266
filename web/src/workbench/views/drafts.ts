// The drafts that the user left open: go on with one, or discard it.

import { confirmDialog } from "../../lib/dialog";
import { button, h, type Child } from "../../lib/dom";
import { ago, count, dateTime } from "../../lib/format";
import { say, sayError } from "../../lib/live";
import type { DraftResponse } from "../../lib/types";
import type { Workbench } from "../workbench";

function changes(draft: DraftResponse): string[] {
  return draft.files.filter((file) => file.change !== "unchanged").map((file) => file.name);
}

function row(bench: Workbench, draft: DraftResponse, onDiscarded: () => void): HTMLElement {
  const names = changes(draft);
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  return h(
    "li",
    { class: "row" },
    h(
      "span",
      {},
      `${count(names.length, "changed file")} (`,
      h("span", { class: "mono", dir: "auto" }, shown),
      `), begun ${ago(draft.created_at)}, kept until ${dateTime(draft.expires_at)}`,
    ),
    button("Go on with it", () => {
      bench.after(bench.draft.open(draft.id), () => bench.go("edit")).catch(sayError);
    }),
    button(
      "Discard",
      () => {
        void confirmDialog("Discard this draft?", `Its changes of ${shown} are gone then.`, "Discard").then(async (yes) => {
          if (!yes) return;
          await bench.draft.discard(draft.id);
          say("The draft is discarded.");
          onDiscarded();
        }).catch(sayError);
      },
      { class: "quiet" },
    ),
  );
}

/** The user's drafts that have changes and are not the one that is open; `onDiscarded` draws them anew. */
export async function otherDrafts(bench: Workbench, onDiscarded: () => void): Promise<Child> {
  const drafts = (await bench.draft.list()).filter(
    (draft) => draft.id !== bench.draft.response?.id && changes(draft).length > 0,
  );
  if (drafts.length === 0) return null;
  return h(
    "section",
    { class: "callout", "aria-label": "Your drafts" },
    h("h2", { tabindex: "-1" }, "Your other drafts"),
    h("ul", { class: "plain-list" }, drafts.map((draft) => row(bench, draft, onDiscarded))),
  );
}
