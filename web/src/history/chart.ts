// Decisions over time by outcome: stacked bars with patterns of their own, and a table of the same numbers.

import { h, s } from "../lib/dom";
import { number } from "../lib/format";
import type { Bucket, Usage } from "./types";

const WIDTH = 720;
const HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 24;

const OUTCOMES = [
  { name: "granted", label: "allowed" },
  { name: "denied", label: "denied" },
  { name: "failed", label: "failed" },
] as const;

/** The picture, its legend, and the table behind a disclosure. */
export function decisionsChart(usage: Usage): HTMLElement {
  return h(
    "figure",
    { class: "stack" },
    h(
      "ul",
      { class: "chart-legend", "aria-label": "Legend" },
      OUTCOMES.map(({ name, label }) => h("li", {}, swatch(name), label)),
    ),
    h("div", { class: "scroll" }, picture(usage)),
    h("details", {}, h("summary", {}, "The same as a table"), h("div", { class: "scroll chart-table", role: "region", tabindex: "0", "aria-label": "Decisions over time" }, table(usage))),
  );
}

/** Lines across the bars of what was denied, and dots on what failed. */
function patterns(): SVGElement {
  return s(
    "defs",
    {},
    s(
      "pattern",
      { id: "fill-denied", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { width: 5, height: 5, class: "pattern-denied-back" }),
      s("rect", { width: 2.4, height: 5, class: "pattern-denied-line" }),
    ),
    s(
      "pattern",
      { id: "fill-failed", width: 5, height: 5, patternUnits: "userSpaceOnUse" },
      s("rect", { width: 5, height: 5, class: "pattern-failed-back" }),
      s("circle", { cx: 2.5, cy: 2.5, r: 1.3, class: "pattern-failed-dot" }),
    ),
  );
}

function swatch(name: string): SVGElement {
  return s("svg", { class: "swatch", viewBox: "0 0 14 14", "aria-hidden": "true" }, s("rect", { class: `bar-${name}`, x: 0.5, y: 0.5, width: 13, height: 13 }));
}

function total(bucket: Bucket): number {
  return bucket.granted + bucket.denied + bucket.failed;
}

/** A round number that is not below the value. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * unit).find((step) => step >= value) ?? value;
}

function picture(usage: Usage): SVGElement {
  const { buckets } = usage;
  const most = roundUp(Math.max(1, ...buckets.map(total)));
  const step = (WIDTH - LEFT) / Math.max(1, buckets.length);
  const y = (value: number) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - 10);
  const bars = buckets.map((bucket, index) => {
    let below = 0;
    const x = LEFT + index * step + step * 0.12;
    const parts = OUTCOMES.map(({ name }) => {
      const [from, to] = [y(below), y(below + bucket[name])];
      below += bucket[name];
      return from - to > 0 && s("rect", { class: `bar-${name}`, x, y: to, width: step * 0.76, height: from - to });
    });
    return s("g", {}, s("title", {}, bucketWords(bucket)), parts);
  });
  const sums = OUTCOMES.map(({ name, label }) => `${number(sum(buckets, name))} ${label}`).join(", ");
  const grid = [0, most / 2, most].map((value) => [
    s("line", { class: "grid-line", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    s("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const ticks = [0, Math.floor(buckets.length / 2), buckets.length - 1].map((at) => {
    const bucket = buckets[at];
    return bucket && s("text", { class: "tick", x: LEFT + (at + 0.5) * step, y: HEIGHT - 6, "text-anchor": at === 0 ? "start" : at === buckets.length - 1 ? "end" : "middle" }, shortTime(bucket.start, usage));
  });
  return s(
    "svg",
    { class: "decisions", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Decisions over time: ${sums}. The table below has the numbers.` },
    patterns(),
    grid,
    bars,
    ticks,
  );
}

function sum(buckets: readonly Bucket[], name: "granted" | "denied" | "failed"): number {
  return buckets.reduce((all, bucket) => all + bucket[name], 0);
}

function shortTime(text: string, usage: Usage): string {
  const days = (new Date(usage.to).valueOf() - new Date(usage.from).valueOf()) / 86_400_000;
  const options: Intl.DateTimeFormatOptions = days > 2 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat("en", options).format(new Date(text));
}

function bucketWords(bucket: Bucket): string {
  const time = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" }).format(new Date(bucket.start));
  return `${time}: ${OUTCOMES.map(({ name, label }) => `${number(bucket[name])} ${label}`).join(", ")}`;
}

function table(usage: Usage): HTMLElement {
  const time = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
  return h(
    "table",
    {},
    h("caption", { class: "visually-hidden" }, "Decisions over time by outcome"),
    h("thead", {}, h("tr", {}, ["From", "Allowed", "Denied", "Failed"].map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      usage.buckets.map((bucket) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, time.format(new Date(bucket.start))),
          OUTCOMES.map(({ name }) => h("td", {}, number(bucket[name]))),
        ),
      ),
    ),
  );
}
