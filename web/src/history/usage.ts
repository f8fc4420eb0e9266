// How the policies were used: decisions over time, by policy, policies that nobody needed, denials people hit most.

import { button, fill, h, newId, type Child } from "../lib/dom";
import { ago, count, dateTime, number } from "../lib/format";
import { Questions } from "../lib/latest";
import { messageOf } from "../lib/problem";
import { explanationDialog } from "../explain/dialog";
import type { Explanation, ExplanationQuestion } from "../explain/types";
import { questionTitle } from "../explain/view";
import type { Workbench } from "../workbench/workbench";
import { decisionsChart } from "./chart";
import type { Denial, PolicyUse, Usage } from "./types";

const SPANS = [
  { label: "the last hour", seconds: 3600, buckets: 30 },
  { label: "the last day", seconds: 86_400, buckets: 24 },
  { label: "the last 7 days", seconds: 7 * 86_400, buckets: 28 },
  { label: "the last 30 days", seconds: 30 * 86_400, buckets: 30 },
] as const;

const DEFAULT_SPAN = 2;

export class UsageSection {
  readonly element: HTMLElement;
  readonly #bench: Workbench;
  readonly #span: HTMLSelectElement;
  readonly #body = h("div", { class: "stack" });
  readonly #questions = new Questions();

  constructor(bench: Workbench) {
    this.#bench = bench;
    const id = newId("span");
    this.#span = h(
      "select",
      { id, onchange: () => void this.load() },
      SPANS.map((span, index) => h("option", { value: index, selected: index === DEFAULT_SPAN }, span.label)),
    );
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "usage-title" },
      h("div", { class: "row usage-head" }, h("h2", { id: "usage-title" }, "Decisions"), h("label", { for: id, class: "visually-hidden" }, "Time span"), this.#span),
      this.#body,
    );
  }

  async load(): Promise<void> {
    const span = SPANS[Number(this.#span.value)] ?? SPANS[DEFAULT_SPAN];
    const question = this.#questions.ask();
    this.#body.setAttribute("aria-busy", "true");
    const to = Math.floor(Date.now() / 1000) + 1;
    const text = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    try {
      const usage = await this.#bench.api.json<Usage>("admin/policies/usage", {
        query: { from: text(to - span.seconds), to: text(to), buckets: span.buckets },
      });
      if (!question.isLatest()) return;
      this.#draw(usage, span.label);
    } catch (error) {
      if (!question.isLatest()) return;
      fill(this.#body, h("p", { class: "error", role: "alert" }, messageOf(error)), h("div", {}, button("Try again", () => void this.load())));
    }
    this.#body.removeAttribute("aria-busy");
  }

  #draw(usage: Usage, label: string): void {
    fill(
      this.#body,
      h(
        "p",
        { class: "muted" },
        `Tokens, downloads and questions of other services on record in ${label}: ${count(usage.records, "decision")}.`,
        usage.is_cut && " There are more; only the newest were read.",
      ),
      usage.records === 0 ? h("p", {}, "Nobody asked for data in this time.") : decisionsChart(usage),
      h("div", { class: "usage-columns" }, this.#policies(usage), this.#denials(usage)),
    );
  }

  #policies(usage: Usage): HTMLElement {
    const most = Math.max(1, ...usage.policies.map((policy) => policy.granted + policy.denied));
    return h(
      "section",
      { class: "stack" },
      h("h3", {}, "Which policies decided"),
      h("p", { class: "muted small" }, "Administration is counted here too, such as looking at this page; above are tokens, downloads and questions of other services only."),
      usage.policies.length === 0
        ? h("p", { class: "muted" }, "None decided anything in this time.")
        : h(
            "div",
            { class: "scroll" },
            h(
              "table",
              {},
              h("caption", { class: "visually-hidden" }, "Decisions by policy"),
              h("thead", {}, h("tr", {}, ["Policy", "Allowed", "Denied", "Last"].map((name) => h("th", { scope: "col" }, name)))),
              h("tbody", {}, usage.policies.map((policy) => this.#policy(policy, most))),
            ),
          ),
      h("h3", {}, "Policies that nobody needed"),
      usage.never_used.length === 0
        ? h("p", { class: "muted" }, "Every policy decided something, be it about data or about administration.")
        : [
            h("p", { class: "muted" }, usage.is_cut ? "In force, but they decided nothing of what was read: there is more on record." : "In force, but they decided nothing in this time, not about administration either."),
            h("ul", { class: "changes" }, usage.never_used.map((id) => h("li", {}, this.#policyLink(id)))),
            moreThan(usage.never_used.length, usage.never_used_count),
          ],
    );
  }

  #policy(policy: PolicyUse, most: number): HTMLElement {
    const bar = h("span", { class: "use-bar", "aria-hidden": "true" });
    bar.style.setProperty("--part", `${(100 * (policy.granted + policy.denied)) / most}%`);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, this.#policyLink(policy.id), bar),
      h("td", {}, number(policy.granted)),
      h("td", {}, number(policy.denied)),
      h("td", {}, policy.last_used === undefined ? "" : h("time", { datetime: policy.last_used, title: dateTime(policy.last_used) }, ago(policy.last_used))),
    );
  }

  /** Opens the policy in the editor, if it is still in force. */
  #policyLink(id: string): HTMLElement {
    const known = this.#bench.inForce?.in_force.policies.find((policy) => policy.id === id);
    if (known === undefined) return h("span", {}, id, h("span", { class: "muted" }, " (no longer there)"));
    return button(id, () => this.#bench.openPlace({ file: known.file, line: known.line }), { class: "link" });
  }

  #denials(usage: Usage): HTMLElement {
    return h(
      "section",
      { class: "stack" },
      h("h3", {}, "Denials that people hit most"),
      usage.denials.length === 0
        ? h("p", { class: "muted" }, "Nobody was denied anything in this time.")
        : h(
            "div",
            { class: "scroll" },
            h(
              "table",
              {},
              h("caption", { class: "visually-hidden" }, "Denials by caller and dataset"),
              h("thead", {}, h("tr", {}, ["Who", "What", "Times", "Last"].map((name) => h("th", { scope: "col" }, name)), h("td", {}))),
              h("tbody", {}, usage.denials.map((denial) => this.#denial(denial))),
            ),
          ),
    );
  }

  #denial(denial: Denial): HTMLElement {
    const title = whatWords(denial);
    const who = whoWords(denial);
    const question = questionOf(denial);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, h("bdi", {}, who)),
      h("td", {}, `${denial.action} “`, h("bdi", {}, title), "”"),
      h("td", {}, number(denial.count)),
      h("td", {}, h("time", { datetime: denial.last_at, title: dateTime(denial.last_at) }, ago(denial.last_at))),
      h(
        "td",
        {},
        question !== undefined &&
          button("Why?", () => void this.#explain(denial, question), { "aria-label": `Why may ${who} not ${denial.action} ${title}?` }),
      ),
    );
  }

  async #explain(denial: Denial, question: ExplanationQuestion): Promise<void> {
    const title = questionTitle(whoWords(denial), question.action, whatWords(denial));
    const ask = async () => {
      const answer = await this.#bench.api.json<Explanation>("admin/policies/explain", {
        method: "POST",
        json: question,
      });
      const note = answer.is_permitted
        ? "It is allowed now: the policies or the dataset have changed since, or it was asked in another situation."
        : "As the policies in force decide it now.";
      return { note, answers: [{ heading: "In force", answer }] };
    };
    await explanationDialog(this.#bench, title, ask());
  }
}

function moreThan(shown: number, all = shown): Child {
  return all > shown && h("p", { class: "muted" }, `and ${number(all - shown)} more`);
}

function whatWords(denial: Denial): string {
  return denial.dataset_title ?? denial.dataset_id ?? denial.resource ?? "something";
}

/** What to ask the policies, if it was about a dataset. */
function questionOf(denial: Denial): ExplanationQuestion | undefined {
  const action = (["read", "discover", "administer"] as const).find((known) => known === denial.action);
  if (action === undefined || denial.dataset_id === undefined) return undefined;
  return { principal: denial.principal?.id ?? "anonymous", action, dataset_id: denial.dataset_id };
}

function whoWords(denial: Denial): string {
  if (!denial.principal) return "somebody not signed in";
  return denial.principal.username ?? denial.principal.id;
}
