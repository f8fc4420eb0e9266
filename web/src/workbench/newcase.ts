// Keeps a situation as a case: from a cell of the matrix, an example of the effect, or a counterexample.

import { isolated } from "../lib/dom";
import { say, sayError } from "../lib/live";
import type { CreatedCase, Situation } from "../lib/types";
import type { Workbench } from "./workbench";

export interface CaseOptions {
  readonly expected?: "permit" | "deny";
  readonly name?: string;
  readonly file?: string;
}

/** Adds a case to the draft; resolves to what was added, or to nothing if that failed (which is told). */
export async function keepCase(
  bench: Workbench,
  situation: Situation | { readonly invariant: string },
  options: CaseOptions = {},
): Promise<CreatedCase | undefined> {
  if (bench.draft.conflicts.some((conflict) => conflict.name.endsWith(".cases.json"))) {
    sayError(new Error("You and somebody else changed the cases. Decide about them first, under “Publish”."));
    return undefined;
  }
  try {
    const created = await bench.draft.addCase({ ...situation, ...options });
    say(
      created.is_added === false
        ? `The draft has this case already: “${isolated(created.name)}” in ${created.file}.`
        : `Added the case “${isolated(created.name)}” to ${created.file}.`,
    );
    return created;
  } catch (error) {
    sayError(error);
    return undefined;
  }
}
