// Builds elements. Strings become text nodes and attributes, never markup.

export type Child = Node | string | number | null | undefined | false | readonly Child[];

type Listener = (event: never) => void;

export interface Attributes {
  readonly class?: string | undefined;
  readonly [name: string]: string | number | boolean | Listener | undefined;
}

const SVG = "http://www.w3.org/2000/svg";

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") {
      if (!name.startsWith("on")) throw new Error(`${name} is no listener`);
      element.addEventListener(name.slice(2), value as EventListener);
    } else if (name.startsWith("on") || name === "style" || name === "srcdoc") {
      throw new Error(`${name} must not be text`);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/** Appends children; strings and numbers as text. */
export function append(parent: Node, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) parent.appendChild(child);
    else if (Array.isArray(child)) append(parent, ...(child as readonly Child[]));
    else parent.appendChild(document.createTextNode(String(child)));
  }
}

/** An HTML element: `h("button", { type: "button", onclick: save }, "Save")`. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  setAttributes(element, attributes);
  append(element, ...children);
  return element;
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, name) as SVGElementTagNameMap[K];
  setAttributes(element, attributes);
  append(element, ...children);
  return element;
}

/**
 * Replaces what is in an element. Drawn anew, the same control keeps the focus, and what was unfolded stays unfolded.
 */
export function fill(parent: Element, ...children: Child[]): void {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const place = focused === null ? undefined : placeOf(parent, focused);
  const unfolded = [...parent.querySelectorAll("details[open]")].map((details) => placeOf(parent, details));
  parent.replaceChildren();
  append(parent, ...children);
  for (const one of unfolded) at(parent, one)?.setAttribute("open", "");
  if (place !== undefined && !parent.contains(document.activeElement)) at(parent, place)?.focus({ preventScroll: true });
}

/** Where an element is: among those of its kind and name, which outlive its being drawn anew. */
interface ElementPlace {
  readonly kind: string;
  readonly name: string;
  readonly index: number;
}

function nameOf(element: Element): string {
  const named = element.localName === "details" ? (element.querySelector("summary") ?? element) : element;
  return named.getAttribute("aria-label") ?? named.textContent ?? "";
}

function alike(parent: Element, kind: string, name: string): HTMLElement[] {
  return [...parent.querySelectorAll<HTMLElement>(kind)].filter((element) => nameOf(element) === name);
}

function placeOf(parent: Element, element: Element): ElementPlace {
  const [kind, name] = [element.localName, nameOf(element)];
  return { kind, name, index: alike(parent, kind, name).indexOf(element as HTMLElement) };
}

function at(parent: Element, { kind, name, index }: ElementPlace): HTMLElement | undefined {
  return alike(parent, kind, name)[index];
}

/** Moves the focus here if what had it is gone. */
export function focusIfLost(element: HTMLElement): void {
  const { activeElement } = document;
  if (activeElement === null || activeElement === document.body) element.focus({ preventScroll: true });
}

let ids = 0;

/** An id for `aria-labelledby` and the like, unique in the page. */
export function newId(prefix: string): string {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** What is written from right to left, or turns what stands beside it around. */
const TURNS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\ud802-\ud803\ud83a-\ud83b]/;

/** A name inside of a sentence that is text: it turns nothing beside it around. Elements have `<bdi>` instead. */
export function isolated(name: string): string {
  return TURNS.test(name) ? `\u2068${name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069` : name;
}

/** A button that does something. */
export function button(label: Child, onclick: () => void, attributes: Attributes = {}): HTMLButtonElement {
  return h("button", { type: "button", onclick, ...attributes }, label);
}
