// The view of history: how the policies changed, and how they were used.

import { h } from "../lib/dom";
import { addView } from "../workbench/views";
import { Revisions } from "./revisions";
import { UsageSection } from "./usage";

addView({
  id: "history",
  label: "History",
  hint: "How the policies changed over time, and what they decided.",
  order: 60,
  mount(root, bench) {
    const usage = new UsageSection(bench);
    const revisions = new Revisions(bench);
    root.append(h("div", { class: "history" }, revisions.element, usage.element));
    return {
      show: () => {
        void usage.load();
        void revisions.load();
      },
    };
  },
});
