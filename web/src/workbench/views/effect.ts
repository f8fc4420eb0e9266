// The view of the effect of the draft in sentences: who gains and who loses what.

import { explanationDialog } from "../../explain/dialog";
import { asAnswered } from "../../explain/view";
import type { Explanation, ExplanationQuestion } from "../../explain/types";
import { button, fill, h, newId, type Child } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { groupBy } from "../../lib/list";
import type { EffectGroup, EffectResponse } from "../../lib/types";
import { Follower, type Following } from "../following";
import { keepCase } from "../newcase";
import { addView } from "../views";
import type { Workbench } from "../workbench";
import { unready } from "./states";

/** How many names are shown at once. */
const MAX_NAMES = 8;

function names(list: readonly string[], total: number, what: string): HTMLElement {
  const shown = list.slice(0, MAX_NAMES);
  const rest = total - shown.length;
  return h(
    "div",
    { class: "row small" },
    h("span", { class: "muted" }, what),
    shown.map((name) => h("span", { class: "chip", dir: "auto" }, name)),
    rest > 0 && h("span", { class: "muted" }, `and ${number(rest)} more`),
  );
}

/** Explains the example of a group; `onAnswer` gets the question with the situation that was explained. */
async function explain(
  bench: Workbench,
  question: ExplanationQuestion,
  onAnswer: (asked: ExplanationQuestion) => void,
): Promise<void> {
  const ask = async () => {
    const answer = await bench.draft.call<{ in_force: Explanation; draft: Explanation }>("explain", {
      method: "POST",
      json: question,
    });
    onAnswer(asAnswered(question, answer.draft));
    return {
      answers: [
        { heading: "In force", answer: answer.in_force },
        { heading: "Under the draft", answer: answer.draft },
      ],
    };
  };
  await explanationDialog(bench, "Why this changes: one example", ask());
}

const CHANGES = {
  gained: { sign: "▲ gained", kind: "good", className: "effect-gained" },
  lost: { sign: "▼ lost", kind: "bad", className: "effect-lost" },
  lengthened: { sign: "△ longer", kind: "good", className: "" },
  shortened: { sign: "▽ shorter", kind: "bad", className: "" },
} as const;

function groupCard(bench: Workbench, group: EffectGroup): HTMLElement {
  const { sign, kind, className } = CHANGES[group.change];
  // Once it was explained, a case of it is about the situation that was shown.
  let question = group.example && { action: group.action, ...group.example };
  const why = (asked: ExplanationQuestion) => explain(bench, asked, (answered) => (question = answered));
  return h(
    "li",
    { class: `card ${className}` },
    h(
      "div",
      { class: "row" },
      h("span", { class: `badge ${kind}` }, sign),
      h("strong", {}, h("bdi", { dir: "ltr" }, group.sentence)),
    ),
    group.when !== undefined && h("p", {}, h("span", { class: "muted" }, "Only when: "), group.when),
    names(
      [...(group.is_anonymous ? ["anyone who did not sign in"] : []), ...group.users.map((user) => user.username)],
      group.user_count + (group.is_anonymous ? 1 : 0),
      "Who:",
    ),
    names(
      group.datasets.map((dataset) => dataset.title),
      group.dataset_count,
      "Datasets:",
    ),
    question !== undefined &&
      h(
        "div",
        { class: "actions" },
        button("Why?", () => question && void why(question), {
          "aria-label": `Why: ${group.sentence}`,
        }),
        button("Keep as a case", () => question && void keepCase(bench, question), {
          "aria-label": `Keep as a case: ${group.sentence}`,
        }),
      ),
  );
}

/** Nothing was compared, so that nothing is known. */
function nothingSeen(): Child {
  return h(
    "p",
    { class: "callout callout-warn", role: "status" },
    "You may see no users or datasets, so nothing could be compared. This does not say that the draft changes nothing: ask somebody who may see them.",
  );
}

/** What it was asked about: everything, or one address or time. */
type Asked = Readonly<Record<string, string>>;

function askedWords({ address, time }: Asked): string {
  return `${address === undefined ? "" : `, asked from ${address}`}${time === undefined ? "" : `, asked at ${time}`}`;
}

function headline(effect: EffectResponse, asked: Asked): string {
  const isSame = effect.groups.length === 0 && effect.changed === 0;
  const where = askedWords(asked);
  if (!isSame) return `${count(effect.changed, "decision changes", "decisions change")}${where}.`;
  if (effect.is_cut) return `No decision changes in the part that was compared${where}.`;
  return `No decision changes${where}: everybody whom you may see may do the same as now with the data that you may see.`;
}

function result(bench: Workbench, effect: EffectResponse, asked: Asked): Child[] {
  if (effect.decided === 0) return [nothingSeen()];
  const groups = groupBy(effect.groups, (group) => group.change);
  const part = (title: string, list: readonly EffectGroup[] = []): Child =>
    list.length > 0 && [
      h("h2", {}, title),
      h("ul", { class: "plain-list" }, list.map((group) => groupCard(bench, group))),
    ];
  return [
    h("p", { class: "headline", role: "status" }, headline(effect, asked)),
    effect.is_cut &&
      h("p", { class: "callout callout-warn" }, "There is too much to ask for everything: this is a part of it."),
    part("Access that the draft takes away", groups.get("lost")),
    part("Access that the draft grants", groups.get("gained")),
    part("Download tokens that are valid for less time", groups.get("shortened")),
    part("Download tokens that are valid for longer", groups.get("lengthened")),
    effect.ineffective.length > 0 && [
      h("h2", {}, "Policies that make no difference"),
      h("ul", {}, effect.ineffective.map((one) => h("li", {}, one.sentence))),
    ],
    effect.errors.length > 0 && [
      h("h2", {}, "Decisions that fail"),
      h("ul", { class: "bad" }, effect.errors.map((text) => h("li", {}, text))),
    ],
    h(
      "details",
      {},
      h("summary", {}, "As text, as the command ", h("code", {}, "cedargate policy diff"), " prints it"),
      h("pre", { class: "sunken" }, effect.text),
    ),
    h(
      "p",
      { class: "muted small" },
      `Compared: ${count(effect.decided, "decision")} about the people and datasets that you may see.`,
    ),
  ];
}

/** Asks from one address or at one time alone; empty: on both sides of each that the policies name. */
function situationForm(onChange: (address: string, time: string) => void): HTMLElement {
  const [addressId, timeId] = [newId("address"), newId("time")];
  const address = h("input", { id: addressId, type: "text", placeholder: "192.0.2.7 or unknown", spellcheck: "false" });
  const time = h("input", { id: timeId, type: "text", placeholder: "2026-03-01T12:00:00Z", spellcheck: "false" });
  return h(
    "details",
    {},
    h("summary", {}, "Ask about one address or one time only"),
    h(
      "form",
      {
        class: "row indented",
        onsubmit: (event: Event) => {
          event.preventDefault();
          onChange(address.value.trim(), time.value.trim());
        },
      },
      h("label", { for: addressId }, "Address"),
      address,
      h("label", { for: timeId }, "Time"),
      time,
      h("button", { type: "submit" }, "Ask"),
    ),
  );
}

addView({
  id: "effect",
  label: "Effect",
  hint: "What the draft would change for people and data, in sentences.",
  order: 30,
  mount(root, bench) {
    const content = h("div", { class: "view-root" });
    let json: Record<string, string> = {};
    const follower: Follower<EffectResponse> = new Follower<EffectResponse>(
      bench,
      (signal) => bench.draft.call("effect", { method: "POST", json, signal }),
      draw,
    );
    function draw(state: Following<EffectResponse>): void {
      content.setAttribute("aria-busy", String(state.kind === "loading"));
      if (state.kind === "ready") fill(content, result(bench, state.value, json));
      else if (state.kind !== "loading" || state.before === undefined) {
        fill(content, unready(bench, state, () => void follower.run()));
      }
    }
    const form = situationForm((address, time) => {
      json = { ...(address === "" ? {} : { address }), ...(time === "" ? {} : { time }) };
      void follower.run();
    });
    root.append(form, content);
    return {
      show: () => follower.show(),
      hide: () => follower.hide(),
    };
  },
});

