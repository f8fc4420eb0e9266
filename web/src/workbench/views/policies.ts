// The view of the policies: what is in force, and the editor of the draft.

import { h } from "../../lib/dom";
import { addView } from "../views";

addView({
  id: "policies",
  label: "Policies",
  hint: "The files that decide, what is in force, and the draft that you edit.",
  order: 10,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
