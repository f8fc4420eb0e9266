// The view of the effect of the draft in sentences.

import { h } from "../../lib/dom";
import { addView } from "../views";

addView({
  id: "effect",
  label: "Effect",
  hint: "What the draft would change for people and data, in sentences.",
  order: 30,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
