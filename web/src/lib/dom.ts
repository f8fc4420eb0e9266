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

/** Replaces what is in an element. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, ...children);
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
