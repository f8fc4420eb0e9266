// The revisions of the policies: when each came into force, by whom, what it changed, and the way back.

import { button, fill, h, newId, s, type Child } from "../lib/dom";
import { ago, count, dateTime, shortRevision } from "../lib/format";
import { Questions } from "../lib/latest";
import { say, sayError } from "../lib/live";
import { messageOf } from "../lib/problem";
import type { Workbench } from "../workbench/workbench";
import { patchView } from "./patch_view";
import type { Revision, RevisionPage, RevisionWithPatch } from "./types";

/** Revisions that are shown at once. */
const PAGE = 5;

const ORIGINS: Record<Revision["origin"], string> = {
  start: "at a start of the server",
  folder: "from the policy folder",
  publish: "published here",
};

const SIGNS = { added: "+", changed: "±", removed: "−" } as const;

export class Revisions {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #timeline = h("div", { class: "timeline" });
  readonly #list = h("ol", { class: "revisions plain-list" });
  readonly #more = h("div", { class: "row" });
  readonly #questions = new Questions();
  #shown: Revision[] = [];

  constructor(bench: Workbench) {
    this.#bench = bench;
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "revisions-title" },
      h("h2", { id: "revisions-title" }, "Revisions"),
      this.#timeline,
      this.#list,
      this.#more,
    );
  }

  async load(): Promise<void> {
    this.#shown = [];
    fill(this.#list);
    fill(this.#more); // older ones follow those that are read now
    await this.#read(undefined);
  }

  async #read(before: number | undefined): Promise<void> {
    const question = this.#questions.ask();
    try {
      const page = await this.#bench.api.json<RevisionPage>("admin/policies/revisions", { query: { limit: PAGE, before } });
      if (!question.isLatest()) return;
      const hadFocus = this.#more.contains(document.activeElement);
      const first = this.#shown.length === 0;
      this.#shown.push(...page.items);
      this.#list.append(...page.items.map((revision, index) => this.#item(revision, first && index === 0)));
      const { next } = page;
      fill(this.#more, next !== undefined && button("Older revisions", () => void this.#read(next)));
      const added = this.#list.children[this.#shown.length - page.items.length];
      if (!first && hadFocus) added?.querySelector("button")?.focus();
      if (this.#shown.length === 0) fill(this.#more, h("p", { class: "muted" }, "Nothing is on record yet."));
      fill(this.#timeline, timeline(this.#shown));
    } catch (error) {
      if (!question.isLatest()) return;
      fill(this.#more, h("p", { class: "error", role: "alert" }, messageOf(error)), button("Try again", () => void this.#read(before)));
    }
  }

  #item(revision: Revision, isInForce: boolean): HTMLElement {
    const id = newId("revision");
    const patch = h("div", { id, hidden: true });
    const toggle = button("What changed", () => void this.#togglePatch(revision, toggle, patch), {
      "aria-expanded": "false",
      "aria-controls": id,
    });
    const who = revision.user === undefined ? "" : ` by ${revision.user.username ?? "somebody whom you may not see"}`;
    return h(
      "li",
      { class: isInForce ? "revision is-in-force" : "revision" },
      h(
        "div",
        { class: "row" },
        h("time", { datetime: revision.in_force_at }, dateTime(revision.in_force_at)),
        h("span", { class: "muted" }, ago(revision.in_force_at)),
        isInForce && h("span", { class: "badge good" }, "✓ in force"),
      ),
      h("p", {}, h("strong", {}, withCode(revision.summary)), h("span", { class: "muted" }, ` · ${ORIGINS[revision.origin]}${who} · `), h("code", { title: revision.folder_revision }, shortRevision(revision.folder_revision))),
      revision.policies.length > 0 &&
        h(
          "ul",
          { class: "changes", "aria-label": "Policies changed" },
          revision.policies.map((policy) =>
            h(
              "li",
              { class: `badge change-badge-${policy.change}` },
              h("span", { "aria-hidden": "true" }, SIGNS[policy.change]),
              h("span", { class: "visually-hidden" }, `${policy.change}: `),
              policy.id,
            ),
          ),
          (revision.more_policies ?? 0) > 0 && h("li", { class: "muted" }, `and ${count(revision.more_policies ?? 0, "more", "more")}`),
        ),
      h(
        "div",
        { class: "actions" },
        toggle,
        revision.has_texts
          ? button(isInForce ? "Open as a draft" : "Go back to this: open as a draft", () => void this.#openAsDraft(revision))
          : h("span", { class: "muted small" }, "Its texts are no longer kept."),
      ),
      patch,
    );
  }

  async #togglePatch(revision: Revision, toggle: HTMLElement, place: HTMLElement): Promise<void> {
    const isOpen = place.hidden;
    place.hidden = !isOpen;
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen || place.childElementCount > 0) return;
    try {
      const full = await this.#bench.api.json<RevisionWithPatch>(`admin/policies/revisions/${revision.folder_revision}`);
      const files = count(revision.files.length, "file");
      fill(
        place,
        full.patch === undefined || full.patch === ""
          ? h("p", { class: "muted" }, revision.files.length === 0 ? "It changed nothing." : `It changed ${files}; the lines are no longer kept.`)
          : patchView(full.patch),
      );
    } catch (error) {
      fill(place, h("p", { class: "error" }, messageOf(error)));
    }
  }

  async #openAsDraft(revision: Revision): Promise<void> {
    try {
      await this.#bench.after(this.#bench.openDraft(revision.folder_revision), (isOpen) => {
        if (!isOpen) return;
        this.#bench.go("effect");
        say("The draft has the texts of that revision. Look at its effect, then publish it to go back.");
      });
    } catch (error) {
      sayError(error);
    }
  }
}

/** A sentence in which names stand in backticks, with the names as code. */
function withCode(text: string): Child[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? h("code", {}, part) : part));
}

const WIDTH = 600;

/** When revisions came into force: a dot each on a line from the oldest that is shown to now. */
function timeline(revisions: readonly Revision[]): SVGElement | null {
  const times = revisions.map((revision) => new Date(revision.in_force_at).valueOf());
  const [newest, oldest] = [Date.now(), Math.min(...times)];
  if (revisions.length < 2 || !(newest > oldest)) return null;
  const x = (time: number) => 8 + ((WIDTH - 16) * (time - oldest)) / (newest - oldest);
  const shape = (revision: Revision, at: number, index: number) => {
    const name = index === 0 ? "mark is-in-force" : "mark";
    const title = s("title", {}, `${dateTime(revision.in_force_at)}: ${revision.summary}`);
    // What was published here is a square, what came from the folder a circle.
    if (revision.origin === "publish") return s("rect", { class: name, x: at - 5, y: 11, width: 10, height: 10 }, title);
    return s("circle", { class: name, cx: at, cy: 16, r: 5 }, title);
  };
  return s(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} 44`,
      role: "img",
      "aria-label": `${count(revisions.length, "revision")} from ${dateTime(new Date(oldest).toISOString())} to now; the list below has each of them`,
    },
    s("line", { x1: 8, x2: WIDTH - 8, y1: 16, y2: 16, class: "axis" }),
    revisions.map((revision, index) => shape(revision, x(times[index] ?? oldest), index)).reverse(),
    s("text", { x: WIDTH / 2, y: 40, class: "tick", "text-anchor": "middle" }, "■ published here   ● from the policy folder"),
    s("text", { x: 4, y: 40, class: "tick" }, dateTime(new Date(oldest).toISOString())),
    s("text", { x: WIDTH - 4, y: 40, class: "tick", "text-anchor": "end" }, "now"),
  );
}
