// Sliders for time, network and kind of key, with a picture of the reach at each of their stops.

import { button, fill, h, newId, s } from "../lib/dom";
import { number } from "../lib/format";
import { authenticationWords } from "../explain/view";
import type { AskedContext, Authentication, Reach, Situation } from "./types";
import { changeWords } from "./words";

/** A moved slider is followed after this pause. */
const FOLLOW_DELAY_MS = 150;

const CHART_HEIGHT = 48;

type Name = "time" | "address" | "authentication";

interface Dimension {
  readonly name: Name;
  readonly label: string;
  readonly stops: readonly string[];
}

const DIMENSIONS: readonly { readonly name: Name; readonly label: string }[] = [
  { name: "time", label: "Time" },
  { name: "address", label: "Network address" },
  { name: "authentication", label: "Kind of key" },
];

/** What the policies tell apart about when, where and how somebody asks. */
function dimensionsOf(contexts: readonly AskedContext[]): Dimension[] {
  return DIMENSIONS.map(({ name, label }) => {
    const stops = new Set<string>();
    for (const context of contexts) {
      const value = context[name];
      if (value !== undefined) stops.add(value);
    }
    const sorted = [...stops];
    if (name === "time") sorted.sort();
    return { name, label, stops: sorted };
  }).filter((dimension) => dimension.stops.length > 1);
}

export class Situations {
  readonly element = h("section", { class: "card situations", "aria-label": "When, where and how" });
  readonly #onChange: (situation: Situation | undefined) => void;
  #contexts: readonly AskedContext[] = [];
  #situation: Situation = {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shape = "";
  #redraws: (() => void)[] = [];
  #sliders = 0;

  constructor(onChange: (situation: Situation | undefined) => void) {
    this.#onChange = onChange;
    this.element.hidden = true;
  }

  /** Shows the contexts of an answer about all situations. */
  show(contexts: readonly AskedContext[]): void {
    this.#contexts = contexts;
    const dimensions = dimensionsOf(contexts);
    const shape = JSON.stringify(dimensions);
    this.element.hidden = false;
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#build(dimensions);
    }
    for (const redraw of this.#redraws) redraw();
  }

  #build(dimensions: readonly Dimension[]): void {
    this.#redraws = [];
    this.#sliders = dimensions.length;
    const kept = Object.entries(this.#situation).filter(([name, value]) =>
      dimensions.some((dimension) => dimension.name === name && dimension.stops.includes(value)),
    );
    const isKept = kept.length === Object.keys(this.#situation).length;
    this.#situation = Object.fromEntries(kept) as Situation;
    const heading = h("h2", {}, "When, where and how");
    if (dimensions.length === 0) {
      fill(
        this.element,
        heading,
        h("p", { class: "muted" }, "The policies look neither at the time, nor at the address, nor at the kind of key: what is shown is so always."),
      );
    } else {
      const reset = button("Every situation", () => this.#reset(), { class: "quiet" });
      const now = h("p", { class: "muted", role: "status" });
      this.#redraws.push(() => {
        fill(now, this.#words());
        reset.disabled = Object.keys(this.#situation).length === 0;
      });
      fill(
        this.element,
        h("div", { class: "row situations-head" }, heading, reset),
        now,
        h("div", { class: "situations-list" }, dimensions.map((dimension) => this.#slider(dimension))),
      );
    }
    if (!isKept) this.#later();
  }

  #words(): string {
    const { time, address, authentication } = this.#situation;
    const chosen = DIMENSIONS.flatMap(({ name }) => {
      const value = { time, address, authentication }[name];
      return value === undefined ? [] : [stopWords(name, value)];
    });
    if (chosen.length === 0) return "Shown is what is allowed in at least one situation.";
    const isOne = chosen.length === this.#sliders;
    return `Shown is what is allowed ${chosen.join(", ")}${isOne ? "" : ", in at least one such situation"}.`;
  }

  #slider(dimension: Dimension): HTMLElement {
    const id = newId("situation");
    const output = h("output", { for: id });
    const chart = h("div", { class: "situation-chart" });
    const input = h("input", {
      id,
      type: "range",
      min: 0,
      max: dimension.stops.length,
      step: 1,
      value: 0,
      oninput: () => this.#set(dimension, dimension.stops[Number(input.value) - 1]),
    });
    const element = h(
      "div",
      { class: "situation" },
      h("div", { class: "row" }, h("label", { for: id }, dimension.label), output),
      chart,
      input,
    );
    element.style.setProperty("--stops", String(dimension.stops.length + 1));
    this.#redraws.push(() => {
      const value = this.#situation[dimension.name];
      const at = value === undefined ? 0 : dimension.stops.indexOf(value) + 1;
      input.value = String(at);
      const reaches = [undefined, ...dimension.stops].map((stop) => this.#reach(dimension.name, stop));
      const words = value === undefined ? "any" : stopWords(dimension.name, value);
      fill(output, `${words} · ${number(reaches[at]?.draft ?? 0)} pairs`);
      input.setAttribute("aria-valuetext", `${words}: ${reachWords(reaches[at])}`);
      fill(chart, reachChart(dimension, reaches, at));
    });
    return element;
  }

  /** The reach where the sliders are; of several situations the widest. */
  get reach(): Reach {
    return this.#reachIn(this.#situation);
  }

  /** The reach at a stop with the other sliders where they are. */
  #reach(name: Name, stop: string | undefined): Reach {
    const { [name]: _old, ...others } = this.#situation;
    return this.#reachIn(stop === undefined ? others : { ...others, [name]: stop });
  }

  #reachIn(wanted: Situation): Reach {
    const matching = this.#contexts.filter((context) =>
      DIMENSIONS.every((dimension) => wanted[dimension.name] === undefined || context[dimension.name] === wanted[dimension.name]),
    );
    const most = (part: keyof Reach) => Math.max(0, ...matching.map((context) => context[part]));
    return { in_force: most("in_force"), draft: most("draft"), gained: most("gained"), lost: most("lost") };
  }

  #set(dimension: Dimension, stop: string | undefined): void {
    const { [dimension.name]: _old, ...others } = this.#situation;
    this.#situation = stop === undefined ? others : { ...others, [dimension.name]: stop };
    for (const redraw of this.#redraws) redraw();
    this.#later();
  }

  #reset(): void {
    this.#situation = {};
    for (const redraw of this.#redraws) redraw();
    this.element.querySelector("input")?.focus();
    this.#later();
  }

  #later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#onChange(Object.keys(this.#situation).length === 0 ? undefined : this.#situation);
    }, FOLLOW_DELAY_MS);
  }
}

function stopWords(name: Name, value: string): string {
  if (name === "time") return `at ${value.replace("T", " ").replace(/(:00)?Z$/, " UTC")}`;
  if (name === "address") return value === "unknown" ? "from an unknown address" : `from ${value}`;
  return value === "signed_in" ? "without an API key" : authenticationWords(value as Authentication);
}

function reachWords(reach: Reach | undefined): string {
  if (reach === undefined) return "";
  const change = changeWords(reach);
  return `${number(reach.draft)} pairs${change === "" ? "" : `, ${change}`}`;
}

/** Bars of the reach under the draft, with a line at the reach in force; gains and losses have patterns of their own. */
function reachChart(dimension: Dimension, reaches: readonly Reach[], at: number): SVGElement {
  const most = Math.max(1, ...reaches.map((reach) => Math.max(reach.draft, reach.in_force)));
  const height = (value: number) => (value / most) * (CHART_HEIGHT - 6);
  const bars = reaches.map((reach, index) => {
    const x = index * 10 + 1.5;
    const kept = height(Math.min(reach.draft, reach.in_force));
    const beyond = height(Math.abs(reach.draft - reach.in_force));
    const isMore = reach.draft > reach.in_force;
    return s(
      "g",
      { class: index === at ? "bar is-current" : "bar" },
      s("rect", { class: "bar-kept", x, width: 7, y: CHART_HEIGHT - kept, height: kept }),
      beyond > 0 &&
        s("rect", {
          class: isMore ? "bar-gained" : "bar-lost",
          x,
          width: 7,
          y: CHART_HEIGHT - kept - beyond,
          height: Math.max(1.5, beyond),
        }),
      index === at && s("rect", { class: "bar-mark", x, width: 7, y: CHART_HEIGHT - 1.5, height: 1.5 }),
    );
  });
  const words = reaches.map((reach, index) => {
    const stop = dimension.stops[index - 1];
    return `${stop === undefined ? "any" : stopWords(dimension.name, stop)}: ${reachWords(reach)}`;
  });
  return s(
    "svg",
    {
      viewBox: `0 0 ${reaches.length * 10} ${CHART_HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Reach by ${dimension.label.toLowerCase()}. ${words.join("; ")}`,
    },
    bars,
  );
}
