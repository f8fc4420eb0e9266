// The files of the policy folder that are in force, by kind as the editor lists them.

import { h, type Child } from "../../lib/dom";
import { bytes, count } from "../../lib/format";
import type { CheckResponse, PoliciesAnswer } from "../../lib/types";
import { KINDS, kindOf } from "../files";
import type { Workbench } from "../workbench";
import { placeLink } from "./place";

interface ListedFile {
  readonly name: string;
  /** Not known of a file that is known by what is in it only. */
  readonly size: number | undefined;
}

/** What the server lists, what the draft began from, and what has cases and invariants. */
function filesInForce(bench: Workbench, answer: PoliciesAnswer, check: CheckResponse | undefined): ListedFile[] {
  const sizes = new Map<string, number | undefined>();
  for (const { file } of [...(check?.cases ?? []), ...(check?.invariants ?? [])]) sizes.set(file, undefined);
  const draft = bench.draft.response;
  if (draft?.base_revision === answer.in_force.folder_revision) {
    for (const { name, size, change } of draft.files) {
      if (change !== "added") sizes.set(name, change === "unchanged" ? size : undefined);
    }
  }
  for (const { name, size } of answer.in_force.files) sizes.set(name, size);
  return [...sizes].map(([name, size]) => ({ name, size })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function fileList(bench: Workbench, answer: PoliciesAnswer, check: CheckResponse | undefined): Child {
  const policies = new Map(answer.in_force.files.map((file) => [file.name, file.policies]));
  const numberIn = (list: readonly { readonly file: string }[] | undefined, name: string): number =>
    list?.filter((one) => one.file === name).length ?? 0;
  const words = ({ name, size }: ListedFile): string => {
    const [rules, invariants, cases] = [policies.get(name) ?? 0, numberIn(check?.invariants, name), numberIn(check?.cases, name)];
    return [
      rules > 0 && count(rules, "policy", "policies"),
      invariants > 0 && count(invariants, "invariant"),
      cases > 0 && count(cases, "case"),
      size !== undefined && bytes(size),
    ]
      .filter(Boolean)
      .join(", ");
  };
  const files = filesInForce(bench, answer, check);
  return KINDS.map((kind) => {
    const mine = files.filter((file) => kindOf(file.name) === kind);
    if (mine.length === 0) return null;
    return h(
      "section",
      {},
      h("p", { class: "muted small" }, kind.label),
      h(
        "ul",
        { class: "plain-list", "aria-label": `Files: ${kind.label}` },
        mine.map((file) =>
          h(
            "li",
            { class: "row" },
            placeLink({ file: file.name }, (place) => bench.openPlace(place)),
            h("span", { class: "muted small" }, words(file)),
          ),
        ),
      ),
    );
  });
}
