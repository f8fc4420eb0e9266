// A dialog that explains a decision. It opens at once: an answer does not open over what the user went on to.

import { openDialog } from "../lib/dialog";
import { fill, h } from "../lib/dom";
import { messageOf } from "../lib/problem";
import type { Workbench } from "../workbench/workbench";
import { explanationView } from "./view";

interface Explained {
  readonly note?: string;
  readonly answers: Parameters<typeof explanationView>[0];
}

/** Shows the explanation when it is there, or why there is none; resolves when either is shown. */
export async function explanationDialog(bench: Workbench, title: string, explained: Promise<Explained>): Promise<void> {
  const dialog = openDialog(title, h("p", { class: "muted" }, "Asking the policies…"));
  try {
    const { note, answers } = await explained;
    dialog.element.classList.toggle("wide", answers.length > 1);
    fill(
      dialog.body,
      note !== undefined && h("p", { class: "muted" }, note),
      explanationView(answers, {
        onOpenPolicy: (_id, file, line) => {
          dialog.close();
          bench.openPlace({ file, line });
        },
      }),
    );
  } catch (error) {
    fill(dialog.body, h("p", { class: "error", role: "alert" }, messageOf(error)));
  }
}
