// The view that publishes the draft or downloads it as a patch.

import { h } from "../../lib/dom";
import { addView } from "../views";

addView({
  id: "publish",
  label: "Publish",
  hint: "Bring the draft into force, or take it along as a patch.",
  order: 70,
  mount(root) {
    root.append(h("p", { class: "muted" }, "Nothing here yet."));
    return {};
  },
});
