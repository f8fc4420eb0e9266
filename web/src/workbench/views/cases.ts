// The view of the cases: run, failing ones with why, coverage.

import { h } from "../../lib/dom";
import { addView } from "../views";

addView({
  id: "cases",
  label: "Cases",
  hint: "Questions with the answer that you expect: the draft has to give it.",
  order: 40,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
