// The view that publishes the draft, or downloads it as a patch; with what came into force beneath it.

import { button, fill, focusIfLost, h, newId } from "../../lib/dom";
import type { Progress } from "../../lib/events";
import { count } from "../../lib/format";
import { Questions } from "../../lib/latest";
import { say, sayError } from "../../lib/live";
import { isAbort, messageOf, Problem } from "../../lib/problem";
import type { PublishedEvent, RefusedEdit } from "../../lib/types";
import { addView } from "../views";
import type { Workbench } from "../workbench";
import { changesBeneath } from "./beneath";
import { ConflictList } from "./conflicts";
import { patchView } from "./patch";
import { ProgressBar } from "./progress";
import { reasons } from "./refusal";

class PublishView {
  readonly #bench: Workbench;
  readonly #beneath = h("div", {});
  readonly #conflicts: ConflictList;
  readonly #verdict = h("div", { "aria-live": "polite", tabindex: "-1" });
  readonly #progress = new ProgressBar("Progress of publishing");
  readonly #changes = h("div", { class: "stack", tabindex: "-1" });
  readonly #how = h("div", { class: "columns" });
  readonly #prefix: HTMLInputElement;
  readonly #giveUp = button("Give up", () => this.#running?.abort());
  #running: AbortController | undefined;
  readonly #drawings = new Questions();
  #isShown = false;
  /** What is drawn of how to publish. Drawn anew between the two halves of a click, a button would not get it. */
  #drawn = "";

  constructor(root: HTMLElement, bench: Workbench) {
    this.#bench = bench;
    this.#conflicts = new ConflictList(bench, () => {
      this.#draw(true);
      focusIfLost(this.#conflicts.element.querySelector("h2") ?? this.#changes);
    });
    this.#prefix = h("input", { id: newId("prefix"), type: "text", value: "policies", spellcheck: "false" });
    root.append(this.#beneath, this.#conflicts.element, this.#verdict, this.#progress.element, this.#how, this.#changes);
    bench.draft.on((event) => {
      if (event !== "saved" && this.#running === undefined) fill(this.#verdict);
      if (this.#isShown) this.#draw(event !== "edited");
    });
    bench.checks.on(() => this.#isShown && this.#draw(false));
    bench.onInForce(() => this.#isShown && this.#draw(false));
  }

  async show(): Promise<void> {
    this.#isShown = true;
    this.#draw(true);
    await this.#bench.draft.reread();
    this.#draw(false);
  }

  hide(): void {
    this.#isShown = false;
  }

  #draw(withPatch: boolean): void {
    const { draft } = this.#bench;
    const isOld = draft.response?.is_current === false;
    fill(this.#beneath, isOld && changesBeneath(this.#bench, () => void this.#rebase().catch(sayError)));
    this.#conflicts.draw();
    this.#drawHow(isOld);
    if (withPatch) void this.#drawChanges().catch(sayError);
  }

  #drawHow(isOld: boolean): void {
    const { draft, inForce } = this.#bench;
    const changed = draft.changedFiles.length;
    const conflicts = draft.conflicts.length;
    const canPublish = inForce?.can_publish === true;
    let refusal: string | null = null;
    if (!canPublish) refusal = inForce?.publish_refusal ?? "This server does not take edits over the network.";
    else if (changed === 0) refusal = "The draft has no changes yet.";
    else if (this.#bench.checks.errors().length > 0) refusal = "The draft has errors.";
    else if (isOld) refusal = "Bring the draft up to date first.";
    else if (conflicts > 0) refusal = `Decide about ${count(conflicts, "file")} first.`;
    const isBusy = this.#running !== undefined;
    const drawn = JSON.stringify([refusal, changed === 0, canPublish, isBusy]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    fill(
      this.#how,
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Take it along as a patch"),
        h(
          "p",
          {},
          "Download the changes and commit them in the repository that has your policies: ",
          h("code", {}, "git apply policies.patch"),
        ),
        h(
          "div",
          { class: "field" },
          h("label", { for: this.#prefix.id }, "Folder of the policies in the repository"),
          this.#prefix,
        ),
        h(
          "div",
          { class: "actions" },
          button("Download the patch", () => void this.#download().catch(sayError), {
            class: canPublish ? "" : "primary",
            disabled: changed === 0,
          }),
        ),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Publish on this server"),
        h(
          "p",
          {},
          "The server checks the draft as every edit: no errors, all cases pass, all invariants hold. Then it is in force, and it is on record that you did it.",
        ),
        refusal !== null && h("p", { class: "muted" }, `Not possible now: `, refusal),
        h(
          "div",
          { class: "actions" },
          button("Publish now", () => void this.#publish(), {
            class: canPublish ? "primary" : "",
            disabled: refusal !== null || isBusy,
          }),
          isBusy && this.#giveUp,
        ),
      ),
    );
  }

  async #drawChanges(): Promise<void> {
    const { draft } = this.#bench;
    const drawing = this.#drawings.ask();
    if (draft.changedFiles.length === 0) {
      fill(this.#changes, h("p", { class: "muted" }, "The draft says the same as what is in force."));
      return;
    }
    const patch = await (await draft.fetch("patch", { query: { prefix: this.#prefix.value } })).text();
    if (!drawing.isLatest()) return;
    fill(this.#changes, h("h2", {}, "What the draft changes"), patchView(patch));
  }

  async #download(): Promise<void> {
    const prefix = this.#prefix.value.trim();
    const response = await this.#bench.draft.fetch("patch", { query: prefix === "" ? {} : { prefix } });
    const url = URL.createObjectURL(await response.blob());
    const link = h("a", { href: url, download: "policies.patch" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    say("The patch is downloaded.");
  }

  async #rebase(): Promise<void> {
    const { draft } = this.#bench;
    await draft.rebase();
    await this.#bench.refresh();
    this.#draw(true);
    if (draft.conflicts.length === 0) say("The draft starts from what is in force now. Both changes are in it.");
  }

  async #publish(): Promise<void> {
    const { draft } = this.#bench;
    const running = new AbortController();
    this.#running = running;
    fill(this.#verdict);
    this.#draw(false);
    focusIfLost(this.#giveUp);
    this.#progress.start("Asking the server…");
    try {
      await draft.reread();
      const { id, version, base_revision: base } = draft.response ?? {};
      const texts = draft.texts();
      const { name, data } = await draft.stream<PublishedEvent | RefusedEdit>(
        "publish",
        ["published", "refused"],
        (event) => {
          if (event.name === "progress") this.#progress.update(event.data as Progress);
        },
        { signal: running.signal, query: { version }, headers: { "if-match": `"${base ?? ""}"` } },
      );
      if (name === "published") await this.#published(base, () => draft.published(id ?? "", texts));
      else fill(this.#verdict, refused(this.#bench, data as RefusedEdit));
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#running = undefined;
      this.#progress.stop();
      this.#draw(false);
      if (this.#isShown) focusIfLost(this.#verdict);
    }
  }

  /** What was typed meanwhile stays: the draft goes on from what came into force. */
  async #published(before: string | undefined, goOn: () => Promise<void>): Promise<void> {
    await Promise.all([this.#bench.refresh(), goOn()]);
    await this.#bench.draft.ensure();
    const isNewer = this.#bench.draft.changedFiles.length > 0;
    fill(
      this.#verdict,
      h(
        "section",
        { class: "callout callout-good" },
        h("h2", {}, "✓ Published: your draft is in force"),
        h("p", {}, "Every request from now on is decided by it."),
        isNewer && h("p", {}, "What you changed since you published is not in force: it is your draft now."),
        h(
          "div",
          { class: "actions" },
          button("See what is in force", () => this.#bench.go("policies")),
          before !== undefined &&
            button("Undo: open the revision before as a draft", () => void this.#undo(before).catch(sayError)),
        ),
      ),
    );
  }

  async #undo(revision: string): Promise<void> {
    await this.#bench.after(this.#bench.openDraft(revision), (isOpen) => {
      if (!isOpen) return;
      this.#bench.go("publish");
      say("The draft is the revision before. Publish it to undo.");
    });
  }

  async #failed(error: unknown): Promise<void> {
    if (isAbort(error)) {
      await this.#bench.refresh().catch(() => undefined);
      await this.#bench.draft.reread().catch(() => undefined);
      fill(this.#verdict, h("p", { class: "callout" }, "You gave up. If the draft came into force nevertheless, “In force” shows it."));
      return;
    }
    if (error instanceof Problem && error.status === 412) {
      await this.#bench.refresh().catch(() => undefined);
      await this.#bench.draft.reread().catch(() => undefined);
      if (this.#bench.draft.response?.is_current === false) return; // what changed beneath is shown above
    }
    fill(this.#verdict, h("p", { class: "callout callout-bad", role: "alert" }, messageOf(error)));
  }
}

function refused(bench: Workbench, edit: RefusedEdit): HTMLElement {
  return h(
    "section",
    { class: "callout callout-bad", role: "alert" },
    h("h2", {}, "✕ Not published: what was in force stays in force"),
    ...reasons(edit, (place) => bench.openPlace(place)),
    h("p", {}, "Your draft is as you left it."),
  );
}


addView({
  id: "publish",
  label: "Publish",
  hint: "Bring the draft into force, or take it along as a patch.",
  order: 70,
  mount(root, bench) {
    const view = new PublishView(root, bench);
    return {
      show: () => void view.show().catch(sayError),
      hide: () => view.hide(),
    };
  },
});
