// The view of what is in force: since when and by whom, what is refused, and everything in the bundle.

import { button, fill, focusIfLost, h, type Child } from "../../lib/dom";
import { ago, count, dateTime, shortRevision } from "../../lib/format";
import { Questions } from "../../lib/latest";
import { groupBy } from "../../lib/list";
import { sayError } from "../../lib/live";
import { messageOf } from "../../lib/problem";
import type { CheckResponse, PoliciesAnswer } from "../../lib/types";
import { addView } from "../views";
import type { Workbench } from "../workbench";
import { fileList } from "./file_list";
import { placeLink } from "./place";
import { refusal } from "./refusal";
import { otherDrafts } from "./drafts";

const ORIGINS = {
  start: "read from the policy folder when the server started",
  folder: "read from the policy folder",
  publish: "published in the workbench",
} as const;

function fact(label: string, ...value: Child[]): HTMLElement {
  return h("div", {}, h("dt", {}, label), h("dd", {}, ...value));
}

function facts(answer: PoliciesAnswer, check: CheckResponse | undefined): HTMLElement {
  const bundle = answer.in_force;
  const since = answer.in_force_since;
  const origin = answer.origin === undefined ? "" : ORIGINS[answer.origin];
  return h(
    "dl",
    { class: "facts" },
    since !== undefined &&
      fact("In force since", h("time", { datetime: since }, `${dateTime(since)} (${ago(since)})`)),
    fact("Brought into force by", answer.in_force_by ?? "the server's operator", h("div", { class: "muted small" }, origin)),
    fact(
      "Contains",
      [
        count(bundle.policies.length, "policy", "policies"),
        check?.counts.cases !== undefined && count(check.counts.cases, "case"),
        check?.counts.invariants !== undefined && count(check.counts.invariants, "invariant"),
      ]
        .filter(Boolean)
        .join(", "),
    ),
    fact("Revision", h("code", { title: bundle.revision }, shortRevision(bundle.revision))),
  );
}

function place(bench: Workbench, file: string, line?: number, column?: number): HTMLElement {
  return placeLink({ file, line, column }, (place) => bench.openPlace(place));
}

function policyTable(bench: Workbench, answer: PoliciesAnswer, check: CheckResponse | undefined): HTMLElement {
  const lines = new Map(check?.policies.map((policy) => [policy.id, policy.line]));
  const rows = answer.in_force.policies.map((policy) =>
    h(
      "tr",
      {},
      h(
        "td",
        {},
        h("span", { class: `badge ${policy.effect === "permit" ? "good" : "bad"}` }, policy.effect === "permit" ? "✓ permits" : "✕ forbids"),
      ),
      h("th", { scope: "row" }, h("span", { class: "mono" }, policy.id)),
      h("td", {}, policy.reason ?? h("span", { class: "muted" }, "no reason given")),
      h("td", {}, place(bench, policy.file, policy.line ?? lines.get(policy.id))),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Policies" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ["Effect", "Policy", "Reason", "Where"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows),
    ),
  );
}

function group(title: string, hint: string, ...content: Child[]): HTMLElement {
  return h("section", { class: "card" }, h("h2", {}, title), h("p", { class: "muted small" }, hint), ...content);
}

function invariantList(bench: Workbench, check: CheckResponse): HTMLElement {
  return h(
    "ul",
    { class: "plain-list" },
    check.invariants.map((one) =>
      h(
        "li",
        {},
        h("div", {}, h("strong", { class: "mono" }, one.id)),
        one.reason !== undefined && h("div", {}, one.reason),
        h("div", { class: "small" }, place(bench, one.file, one.line)),
      ),
    ),
  );
}

function caseList(bench: Workbench, check: CheckResponse): HTMLElement {
  const files = groupBy(check.cases, (one) => one.file);
  return h(
    "div",
    { class: "stack" },
    [...files].map(([file, cases]) =>
      h(
        "details",
        {},
        h("summary", {}, h("span", { class: "mono" }, file), ` (${count(cases.length, "case")})`),
        h(
          "ul",
          { class: "plain-list small indented" },
          cases.map((one) => h("li", {}, button(one.name, () => bench.openPlace(one), { class: "link", dir: "auto" }))),
        ),
      ),
    ),
  );
}

/** The check of what is in force, while the open draft is the same. */
function checkInForce(bench: Workbench, known: CheckResponse | undefined): CheckResponse | undefined {
  const { latest, ofBase } = bench.checks;
  const inForce = bench.inForce?.in_force.folder_revision;
  return [latest, ofBase, known].find((check) => check !== undefined && check.folder_revision === inForce);
}

function content(bench: Workbench, check: CheckResponse | undefined, drafts: HTMLElement): Child[] {
  const answer = bench.inForce;
  if (answer === undefined) return [h("p", { class: "muted" }, "Reading…")];
  return [
    answer.refused !== undefined && refusal(bench, answer.refused),
    answer.unproved !== undefined &&
      h(
        "section",
        { class: "callout callout-warn" },
        h("h2", {}, "The invariants of the policies in force are not proved"),
        h("p", {}, answer.unproved),
      ),
    drafts,
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row spread" },
        h("h2", { tabindex: "-1" }, "In force now"),
        h(
          "div",
          { class: "actions" },
          button("Read again", () => void bench.refresh().catch(sayError)),
          button("Edit the policies", () => bench.go("edit"), { class: "primary" }),
        ),
      ),
      facts(answer, check),
    ),
    group(
      "Policies",
      "A request is granted if a policy permits it and none forbids it.",
      policyTable(bench, answer, check),
    ),
    answer.in_force.warnings.length > 0 &&
      group(
        "Warnings",
        "Nothing is broken, but it may not be what was meant.",
        h(
          "ul",
          { class: "plain-list" },
          answer.in_force.warnings.map((one) =>
            h("li", {}, place(bench, one.file, one.line, one.column), " ", one.message, one.help !== undefined && ` (${one.help})`),
          ),
        ),
      ),
    h(
      "div",
      { class: "columns" },
      check !== undefined &&
        group("Invariants", "What must hold for every request that there can be; proved for each edit.", invariantList(bench, check)),
      check !== undefined &&
        group("Cases", "Questions with the expected answer; checked for each edit.", caseList(bench, check)),
      group("Files", "What the policy folder contains.", fileList(bench, answer, check)),
    ),
  ];
}

addView({
  id: "policies",
  label: "In force",
  hint: "The policies that decide now, and what was refused.",
  order: 10,
  mount(root, bench) {
    let check: CheckResponse | undefined;
    const drafts = h("div", { class: "stack" });
    const questions = new Questions();
    function draw(): void {
      check = checkInForce(bench, check);
      fill(root, ...content(bench, check, drafts));
    }
    async function drawDrafts(): Promise<void> {
      const question = questions.ask();
      const shown = await otherDrafts(bench, () => void drawDrafts().then(refocus)).catch((error: unknown) =>
        h("p", { class: "error" }, messageOf(error)),
      );
      if (question.isLatest()) fill(drafts, shown);
    }
    function refocus(): void {
      const heading = (drafts.firstElementChild === null ? root : drafts).querySelector("h2");
      if (heading !== null) focusIfLost(heading);
    }
    bench.onInForce(draw);
    bench.checks.on(() => {
      if (checkInForce(bench, undefined) !== undefined && check?.folder_revision !== bench.checks.latest?.folder_revision) draw();
    });
    return {
      show() {
        draw();
        void drawDrafts();
      },
    };
  },
});
