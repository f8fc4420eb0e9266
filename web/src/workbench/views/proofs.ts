// The view of the proofs of the invariants.

import { h } from "../../lib/dom";
import { addView } from "../views";

addView({
  id: "proofs",
  label: "Proofs",
  hint: "What must hold for every request that there can be.",
  order: 50,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
