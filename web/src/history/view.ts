// The view of the history of revisions and decisions.

import { h } from "../lib/dom";
import { addView } from "../workbench/views";

addView({
  id: "history",
  label: "History",
  hint: "What changed when, and what the policies decided.",
  order: 60,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
