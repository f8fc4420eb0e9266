// What came into force since the draft began: who did it, when, and what it changes.

import { button, fill, h } from "../../lib/dom";
import { ago, dateTime } from "../../lib/format";
import { messageOf, Problem } from "../../lib/problem";
import type { Workbench } from "../workbench";
import { patchView } from "./patch";

interface Revision {
  readonly folder_revision: string;
  readonly in_force_at: string;
  readonly origin: string;
  readonly user?: { readonly username?: string } | null;
  readonly summary: string;
  readonly patch?: string;
}

/** How many revisions are looked through for the one that the draft began from. */
const MAX_REVISIONS = 50;

async function revisionsSince(bench: Workbench, base: string): Promise<Revision[]> {
  const { items } = await bench.api.json<{ items: Revision[] }>("admin/policies/revisions", {
    query: { limit: MAX_REVISIONS },
  });
  const at = items.findIndex((revision) => revision.folder_revision === base);
  const since = at < 0 ? items.slice(0, 1) : items.slice(0, at);
  return Promise.all(
    since.map((revision) =>
      bench.api.json<Revision>(`admin/policies/revisions/${revision.folder_revision}`).then(
        (full) => ({ ...revision, ...full }),
        () => revision,
      ),
    ),
  );
}

function author(revision: Revision): string {
  if (revision.user?.username !== undefined) return revision.user.username;
  return revision.origin === "publish" ? "another author" : "an edit of the policy folder";
}

function revisionElement(revision: Revision): HTMLElement {
  return h(
    "li",
    {},
    h(
      "p",
      {},
      h("strong", {}, author(revision)),
      `, ${dateTime(revision.in_force_at)} (${ago(revision.in_force_at)}): ${revision.summary}`,
    ),
    revision.patch !== undefined &&
      revision.patch !== "" &&
      h("details", { open: true }, h("summary", {}, "What it changed"), patchView(revision.patch)),
  );
}

export function changesBeneath(bench: Workbench, rebase: () => void): HTMLElement {
  const list = h("ul", { class: "plain-list" }, h("li", { class: "muted" }, "Reading what changed…"));
  const base = bench.draft.response?.base_revision ?? "";
  revisionsSince(bench, base).then(
    (revisions) => fill(list, revisions.map(revisionElement)),
    (error: unknown) => {
      const isHidden = error instanceof Problem && (error.status === 403 || error.status === 404);
      fill(list, h("li", {}, isHidden ? "What changed is not shown to you." : messageOf(error)));
    },
  );
  return h(
    "section",
    { class: "callout callout-warn", "aria-label": "Changed beneath the draft" },
    h("h2", {}, "Something else came into force since you began"),
    h("p", {}, "Nothing of yours is lost. Bring your draft up to date: then it contains both. Where both changed the same file, you decide."),
    list,
    h("div", { class: "actions" }, button("Bring my draft up to date", rebase, { class: "primary" })),
  );
}
