// The view of the cases: run, failing ones with why, coverage, and a new one.

import { button, fill, h, type Child } from "../../lib/dom";
import { count } from "../../lib/format";
import { groupBy } from "../../lib/list";
import type { CaseResult, CasesResponse } from "../../lib/types";
import { Follower, type Following } from "../following";
import { addView } from "../views";
import type { Workbench } from "../workbench";
import { newCaseDialog } from "./case_form";
import { unready } from "./states";

const DECISIONS: Record<string, string> = { permit: "granted", allow: "granted", deny: "denied" };

function decision(word: string): string {
  return DECISIONS[word] ?? word;
}

function failing(bench: Workbench, one: CaseResult): HTMLElement {
  return h(
    "li",
    { class: "card effect-lost" },
    h("div", { class: "row" }, h("span", { class: "badge bad" }, "✕ fails"), h("strong", { dir: "auto" }, one.name)),
    h(
      "p",
      {},
      one.expected === one.decision
        ? `It is ${decision(one.decision)}, as expected, but not for the expected reason.`
        : `Expected: ${decision(one.expected)}. The draft decides: ${decision(one.decision)}.`,
      one.determining_policies.length > 0 && [
        " Decided by ",
        one.determining_policies.map((id, index) => [index > 0 && ", ", policyLink(bench, id)]),
        ".",
      ],
    ),
    one.failure !== undefined &&
      h("details", {}, h("summary", {}, "Why"), h("pre", { class: "sunken" }, one.failure)),
    h(
      "div",
      { class: "small" },
      button(`${one.file}, line ${one.line}`, () => bench.openPlace(one), { class: "link mono" }),
    ),
  );
}

function policyLink(bench: Workbench, id: string): Child {
  const policy = bench.checks.policy(id);
  if (policy === undefined) return h("code", {}, id);
  return button(id, () => bench.openPlace(policy), { class: "link mono" });
}

function passing(bench: Workbench, cases: readonly CaseResult[]): Child {
  return [...groupBy(cases, (one) => one.file)].map(([file, list]) =>
    h(
      "details",
      {},
      h("summary", {}, h("span", { class: "good" }, "✓ "), h("span", { class: "mono" }, file), ` (${count(list.length, "case")})`),
      h(
        "ul",
        { class: "plain-list small indented" },
        list.map((one) =>
          h(
            "li",
            {},
            h("span", { class: "badge" }, decision(one.decision)),
            " ",
            button(one.name, () => bench.openPlace(one), { class: "link", dir: "auto" }),
          ),
        ),
      ),
    ),
  );
}

function coverage(bench: Workbench, ids: readonly string[]): Child {
  if (ids.length === 0) {
    return h("p", { class: "good" }, "✓ Every policy decides at least one case.");
  }
  return [
    h("p", {}, `No case is decided by ${ids.length === 1 ? "this policy" : "these policies"}: a mistake there would not be noticed.`),
    h("ul", {}, ids.map((id) => h("li", {}, policyLink(bench, id)))),
  ];
}

function summary({ cases, passed, failed }: CasesResponse): { text: string; kind: string } {
  if (cases.length === 0) return { text: "The draft has no cases: nothing was checked.", kind: "warn" };
  if (failed === 0) return { text: `✓ All ${count(passed, "case")} pass.`, kind: "good" };
  return { text: `✕ ${count(failed, "case fails", "cases fail")}, ${count(passed, "passes", "pass")}.`, kind: "bad" };
}

function result(bench: Workbench, answer: CasesResponse): Child[] {
  const failed = answer.cases.filter((one) => !one.is_passed);
  const passed = answer.cases.filter((one) => one.is_passed);
  const { text, kind } = summary(answer);
  return [
    h("p", { class: `headline ${kind}`, role: "status" }, text),
    failed.length > 0 &&
      answer.failures !== undefined &&
      h(
        "details",
        {},
        h("summary", {}, "Why, by cause: as the command ", h("code", {}, "cedargate policy test"), " prints it"),
        h("pre", { class: "sunken" }, answer.failures.trim()),
      ),
    failed.length > 0 && h("ul", { class: "plain-list" }, failed.map((one) => failing(bench, one))),
    h("section", { class: "card" }, h("h2", {}, "Coverage"), coverage(bench, answer.uncovered_policies)),
    passed.length > 0 && h("section", { class: "card" }, h("h2", {}, "Cases that pass"), passing(bench, passed)),
  ];
}

addView({
  id: "cases",
  label: "Cases",
  hint: "Questions with the answer that you expect. An edit comes into force only if it gives these answers.",
  order: 40,
  mount(root, bench) {
    const content = h("div", { class: "view-root" });
    const follower: Follower<CasesResponse> = new Follower<CasesResponse>(
      bench,
      (signal) => bench.draft.call("cases", { signal }),
      (state: Following<CasesResponse>) => {
        content.setAttribute("aria-busy", String(state.kind === "loading"));
        if (state.kind === "ready") fill(content, result(bench, state.value));
        else if (state.kind !== "loading" || state.before === undefined) {
          fill(content, unready(bench, state, () => void follower.run()));
        }
      },
    );
    root.append(
      h(
        "div",
        { class: "actions" },
        button("New case", () => void newCaseDialog(bench), { class: "primary" }),
        button("Run again", () => void follower.run()),
      ),
      content,
    );
    return {
      show: () => follower.show(),
      hide: () => follower.hide(),
    };
  },
});
