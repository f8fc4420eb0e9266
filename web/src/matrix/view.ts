// The view of the access matrix.

import { h } from "../lib/dom";
import { addView } from "../workbench/views";

addView({
  id: "matrix",
  label: "Access matrix",
  hint: "Who may read which data: in force, and under the draft.",
  order: 20,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
