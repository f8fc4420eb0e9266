// The registry of views: a view registers itself with `addView` when its module is imported in main.ts.

import type { Workbench } from "./workbench";

export interface MountedView {
  /** The view is shown; `args` are those of the address, `#/matrix?action=read`. */
  show?(args: URLSearchParams): void;
  hide?(): void;
}

export interface View {
  /** In the address: `#/matrix`. */
  readonly id: string;
  readonly label: string;
  /** One sentence under the heading: what one sees here. */
  readonly hint: string;
  /** Heading and hint are told to screen readers only, where space is dear. */
  readonly isCompact?: boolean;
  /** The place in the navigation, from low to high. */
  readonly order: number;
  /** Called once, when the view is first shown, with an empty element below the heading. */
  mount(root: HTMLElement, bench: Workbench): MountedView;
}

const registered: View[] = [];

export function addView(view: View): void {
  registered.push(view);
  registered.sort((a, b) => a.order - b.order);
}

export function allViews(): readonly View[] {
  return registered;
}
