// A place in a file as a link to the editor.

import { button } from "../../lib/dom";
import type { Place } from "../workbench";

export function placeLink({ file, line, column }: Place, open: (place: Place) => void): HTMLElement {
  return button(line === undefined ? file : `${file}, line ${line}`, () => open({ file, line, column }), {
    class: "link mono",
  });
}
