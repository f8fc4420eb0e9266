// Shows why a decision is as it is: the verdict, the policies that decided, and the parts that failed.

import { button, h, type Child, isolated } from "../lib/dom";
import { count, dateTime } from "../lib/format";
import type { Action, Explanation, ExplanationQuestion, PolicyAccount, PolicyPart, SeenValue } from "./types";

/** How many policies that did not apply are shown at once; the others are behind a disclosure. */
const SHOWN_OTHERS = 2;

export interface ExplanationOptions {
  /** Opens a policy in the editor; without it ids are text. */
  readonly onOpenPolicy?: ((id: string, file: string, line: number | undefined) => void) | undefined;
}

export interface ExplanationColumn {
  readonly heading: string;
  readonly answer: Explanation;
}

const ACTIONS: Record<Action, string> = {
  read: "read (download)",
  discover: "discover (know that it exists)",
  administer: "administer",
};

export function actionWords(action: Action): string {
  return ACTIONS[action];
}

/** The explanations beside each other; those that agree are one. */
export function explanationView(
  columns: readonly ExplanationColumn[],
  options: ExplanationOptions = {},
): HTMLElement {
  const [first, second] = columns;
  const isSame = first !== undefined && second !== undefined && alike(first.answer, second.answer);
  const shown = isSame ? [{ heading: "In force and under the draft alike", answer: first.answer }] : columns;
  return h(
    "div",
    { class: "explanation" },
    shown.length > 1 && comparison(shown),
    shown.map((column) => oneExplanation(column, options)),
  );
}

/** The verdicts beside each other. */
function comparison(columns: readonly ExplanationColumn[]): HTMLElement {
  return h(
    "div",
    { class: "comparison" },
    columns.map(({ heading, answer }) => h("div", {}, h("span", { class: "muted" }, heading), verdict(answer.is_permitted))),
  );
}

function alike(one: Explanation, other: Explanation): boolean {
  const { revision: _one, ...a } = one;
  const { revision: _other, ...b } = other;
  return JSON.stringify(a) === JSON.stringify(b);
}

/** `Allowed` or `Denied`, with a sign of its own shape. */
export function verdict(isPermitted: boolean): HTMLElement {
  return h(
    "span",
    { class: `verdict ${isPermitted ? "verdict-allowed" : "verdict-denied"}` },
    h("span", { class: "verdict-sign", "aria-hidden": "true" }, isPermitted ? "✓" : "✕"),
    isPermitted ? "Allowed" : "Denied",
  );
}

function oneExplanation(column: ExplanationColumn, options: ExplanationOptions): HTMLElement {
  const { answer } = column;
  const named = namer(answer);
  return h(
    "section",
    { class: "explanation-one", "aria-label": column.heading },
    h("h3", {}, column.heading),
    h("p", { class: "explanation-verdict" }, verdict(answer.is_permitted), " ", h("span", {}, inShort(answer))),
    situation(answer),
    answer.errors.map((error) => h("p", { class: "notice notice-error" }, error)),
    withheld(answer),
    decided(answer, named, options),
    others(answer, named, options),
    openings(answer),
    answer.shares.length > 0 && h("ul", {}, answer.shares.map((share) => h("li", {}, share))),
  );
}

function inShort(answer: Explanation): string {
  if (answer.is_disabled) return "The user is disabled: nothing is allowed, and no policy is asked.";
  const forbids = answer.determining.filter((policy) => policy.effect === "forbid");
  if (forbids.length > 0) return `${count(forbids.length, "policy forbids", "policies forbid")} it.`;
  if (!answer.is_permitted) return answer.errors.length > 0 ? "A policy could not be evaluated." : "No policy allows it.";
  const seconds = answer.max_ttl === undefined ? "" : ` A download token lasts ${answer.max_ttl} s at most.`;
  return `${count(answer.determining.length, "policy allows", "policies allow")} it.${seconds}`;
}

function situation(answer: Explanation): HTMLElement {
  const asked = [
    answer.address === "unknown" ? "from an unknown address" : `from ${answer.address}`,
    `at ${answer.time.replace("T", " ").replace("Z", " UTC")}`,
    answer.authentication === undefined ? "" : authenticationWords(answer.authentication),
  ];
  return h("p", { class: "muted" }, `Asked ${asked.filter(Boolean).join(", ")}.`);
}

/** How somebody signed in, in words. */
export function authenticationWords(authentication: string): string {
  const words: Record<string, string> = {
    none: "not signed in",
    password: "signed in with a password",
    api_key: "with an API key",
    issuer: "signed in with an identity provider",
  };
  return Object.hasOwn(words, authentication) ? (words[authentication] ?? authentication) : authentication;
}

function withheld(answer: Explanation): Child {
  const { principal, dataset, errors } = answer.withheld;
  const what = [
    principal && "values of the user",
    dataset && "values of the dataset",
    errors > 0 && count(errors, "error"),
  ].filter((text): text is string => typeof text === "string");
  if (what.length === 0) return null;
  return h("p", { class: "notice" }, `Withheld from you, because you may not see them: ${what.join(" and ")}.`);
}

type Namer = (text: string) => Child[];

/** Puts names beside the ids of users and datasets in a text. */
function namer(answer: Explanation): Namer {
  const names = new Map(answer.names.map(({ entity, name }) => [entity, name]));
  return (text) => {
    const pieces: Child[] = [h("code", {}, text)];
    for (const [entity, name] of names) {
      if (text.includes(entity)) pieces.push(h("span", { class: "entity-name" }, " (", h("bdi", {}, name), ")"));
    }
    return pieces;
  };
}

function decided(answer: Explanation, named: Namer, options: ExplanationOptions): Child {
  if (answer.determining.length === 0) return null;
  return [
    h("h4", {}, "Decided by"),
    h("ul", { class: "policies" }, answer.determining.map((policy) => account(policy, named, options))),
  ];
}

function others(answer: Explanation, named: Namer, options: ExplanationOptions): Child {
  if (answer.others.length === 0) return null;
  const shown = answer.is_permitted ? 0 : SHOWN_OTHERS;
  const list = (policies: readonly PolicyAccount[]) =>
    h("ul", { class: "policies" }, policies.map((policy) => account(policy, named, options)));
  const rest = answer.others.slice(shown);
  const more = answer.left_off > 0 ? ` Of ${count(answer.left_off, "further policy", "further policies")} nothing is told.` : "";
  return [
    shown > 0 && [h("h4", {}, "Closest to allowing it"), list(answer.others.slice(0, shown))],
    rest.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, `${count(rest.length, "other policy does", "other policies do")} not apply`),
        list(rest),
        more !== "" && h("p", { class: "muted" }, more),
      ),
  ];
}

function account(policy: PolicyAccount, named: Namer, options: ExplanationOptions): HTMLElement {
  const { onOpenPolicy } = options;
  const place = `${policy.file}${policy.line === undefined ? "" : `, line ${policy.line}`}`;
  const id = onOpenPolicy
    ? button(policy.id, () => onOpenPolicy(policy.id, policy.file, policy.line), { class: "link", title: `Open ${place}` })
    : h("strong", {}, policy.id);
  const sign = policy.is_satisfied ? (policy.effect === "permit" ? "✓" : "⊘") : "–";
  const failed = policy.parts.filter((part) => !part.is_met);
  return h(
    "li",
    { class: policy.is_satisfied ? "policy applies" : "policy" },
    h(
      "p",
      {},
      h("span", { class: "policy-sign", "aria-hidden": "true" }, sign),
      id,
      " ",
      h("span", { class: "muted" }, `${policy.effect === "permit" ? "allows" : "forbids"}; ${place}`),
    ),
    policy.reason !== undefined && h("p", { class: "reason" }, policy.reason),
    policy.is_satisfied
      ? allParts(policy, named)
      : [h("p", { class: "muted" }, "It does not apply, because:"), failed.map((item) => part(item, named))],
  );
}

function allParts(policy: PolicyAccount, named: Namer): HTMLElement {
  return h(
    "details",
    {},
    h("summary", {}, `All ${count(policy.part_count, "part is", "parts are")} met`),
    policy.parts.map((item) => part(item, named)),
  );
}

function part(item: PolicyPart, named: Namer): HTMLElement {
  return h(
    "div",
    { class: item.is_met ? "part part-met" : "part part-failed" },
    h(
      "p",
      {},
      h("span", { class: "part-sign", "aria-hidden": "true" }, item.is_met ? "✓" : "✕"),
      h("span", { class: "visually-hidden" }, item.is_met ? "met: " : "not met: "),
      h("code", {}, item.text),
      item.line !== undefined && h("span", { class: "muted" }, ` line ${item.line}`),
    ),
    !item.is_met && h("p", { class: "muted" }, `${item.value}: ${item.meaning}`),
    item.error !== undefined && h("p", { class: "error" }, item.error),
    item.seen.length > 0 && h("ul", { class: "seen" }, item.seen.map((value) => seen(value, named))),
  );
}

function seen(value: SeenValue, named: Namer): HTMLElement {
  return h(
    "li",
    {},
    h("code", {}, value.name),
    value.is_withheld ? h("em", {}, " is withheld from you") : [" is ", named(value.value ?? "absent")],
  );
}

function openings(answer: Explanation): Child {
  if (answer.openings === undefined || answer.openings.length === 0) return null;
  return [
    h("h4", {}, "What would allow it"),
    h(
      "ul",
      {},
      answer.openings.map((opening) =>
        h("li", {}, opening.change, opening.command !== undefined && [h("br"), h("code", {}, opening.command)]),
      ),
    ),
  ];
}

/** The question in the situation that the answer is about: asked later or from elsewhere, the answer may be another. */
export function asAnswered(question: ExplanationQuestion, { address, time, authentication }: Explanation): ExplanationQuestion {
  return { ...question, address, time, ...(authentication !== undefined && { authentication }) };
}

/** Who asks for what, as a heading. */
export function questionTitle(who: string, action: Action, title: string): string {
  return `May ${isolated(who)} ${action} “${isolated(title)}”?`;
}

/** When something was, short and whole. */
export function timeElement(text: string): HTMLElement {
  return h("time", { datetime: text, title: text }, dateTime(text));
}
