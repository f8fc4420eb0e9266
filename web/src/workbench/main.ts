// The author's workbench: sign in, then views around one draft.

import { Api } from "../lib/api";
import { confirmDialog } from "../lib/dialog";
import { fill, h } from "../lib/dom";
import { count } from "../lib/format";
import { Questions } from "../lib/latest";
import { sayError } from "../lib/live";
import { messageOf } from "../lib/problem";
import { urlOf } from "../lib/base";
import { Session } from "../lib/session";
import { signIn } from "../lib/signin";
import type { PoliciesAnswer } from "../lib/types";
import { Checks } from "./checks";
import { DraftStore } from "./draft";
import { Shell } from "./shell";
import { Words } from "./words";
import type { Place, Workbench } from "./workbench";
import "./views/policies";
import "./views/edit";
import "./views/effect";
import "./views/cases";
import "./views/proofs";
import "./views/publish";
import "../matrix/view";
import "../history/view";

const page = h("div", { class: "page" });
document.body.prepend(page);

const session = new Session();
const api = new Api(session);
const draft = new DraftStore(api);
const checks = new Checks(draft);
const words = new Words(api, draft);

class Bench implements Workbench {
  readonly api = api;
  readonly draft = draft;
  readonly checks = checks;
  readonly words = words;
  readonly #listeners = new Set<(answer: PoliciesAnswer) => void>();
  readonly #questions = new Questions();
  inForce: PoliciesAnswer | undefined;

  async refresh(): Promise<PoliciesAnswer> {
    const question = this.#questions.ask();
    const answer = await api.json<PoliciesAnswer>("admin/policies");
    if (!question.take()) return this.inForce ?? answer;
    this.inForce = answer;
    for (const listener of [...this.#listeners]) listener(answer);
    return answer;
  }

  onInForce(listener: (answer: PoliciesAnswer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  go(view: string, args: Record<string, string> = {}): void {
    const query = new URLSearchParams(args).toString();
    const hash = `#/${view}${query === "" ? "" : `?${query}`}`;
    // Without an event, which would come later: what is told next is told in the new view.
    if (location.hash !== hash) history.pushState(null, "", hash);
    shell?.route();
  }

  async after<T>(work: Promise<T>, then: (value: T) => void): Promise<void> {
    const before = location.hash;
    const value = await work;
    if (location.hash === before) then(value);
  }

  async openDraft(from: string): Promise<boolean> {
    const changed = draft.changedFiles.length;
    const text = `It changes ${count(changed, "file")}. It is kept on the server for an hour, and another draft is opened.`;
    if (changed > 0 && !(await confirmDialog("Leave the draft that is open?", text, "Open the other draft"))) return false;
    await draft.create(from);
    return true;
  }

  openPlace(place: Place): void {
    this.go("edit", {
      file: place.file,
      ...(place.line === undefined ? {} : { line: String(place.line) }),
      ...(place.column === undefined ? {} : { column: String(place.column) }),
    });
  }
}

const bench = new Bench();
let shell: Shell | undefined;
let username: string | undefined;

window.addEventListener("hashchange", () => shell?.route());
document.addEventListener("visibilitychange", () => {
  // Back from another tab: what is in force may have changed meanwhile.
  if (document.visibilityState === "visible" && shell?.element.hidden === false) {
    bench.refresh().catch(() => {});
  }
});
window.addEventListener("beforeunload", (event) => {
  if (draft.isOpen && draft.changedFiles.length > 0) event.preventDefault();
});

function welcome(note?: string): void {
  shell?.element.setAttribute("hidden", "");
  const element = h(
    "main",
    { class: "welcome" },
    h("h1", {}, "Cedargate policy workbench"),
    h(
      "p",
      {},
      "Here you see which policies decide who may read which data, try a change, and see what it does to people and data before it is in force.",
    ),
    note === undefined ? null : h("p", { class: "callout callout-warn", role: "status" }, note),
    h("div", { class: "card" }, signIn(session, () => void start(element))),
    h(
      "p",
      { class: "small" },
      h("a", { href: urlOf("").href }, "Datasets"),
      " · ",
      h("a", { href: urlOf("docs").href }, "API reference"),
    ),
  );
  page.append(element);
  document.title = "Sign in - Cedargate workbench";
  element.querySelector("input")?.focus();
}

async function start(welcomeElement: HTMLElement): Promise<void> {
  let name: string;
  try {
    const me = await api.json<{ username?: string; name?: string }>("auth/me");
    name = me.username ?? me.name ?? "somebody";
    await bench.refresh();
    if (name !== username) draft.close();
    await draft.ensure();
  } catch (error) {
    await session.signOut();
    if (!welcomeElement.isConnected) return;
    const text = messageOf(error);
    welcomeElement.remove();
    welcome(`You cannot use the workbench: ${text}`);
    return;
  }
  document.querySelectorAll(".welcome").forEach((element) => element.remove());
  if (shell !== undefined && name === username) {
    // The session had ended; what was being edited is still in this tab.
    shell.element.removeAttribute("hidden");
    void draft.flush().catch(sayError);
    shell.route();
    return;
  }
  username = name;
  shell = new Shell(bench, name, () => void leave());
  fill(page, shell.element);
  shell.route();
}

/** Signs out and forgets everything that this page knows. */
async function leave(): Promise<void> {
  await session.signOut();
  draft.close();
  location.replace(urlOf("workbench"));
  location.reload();
}

session.onEnd = () => {
  if (document.querySelector(".welcome") !== null) return;
  welcome("Your session ended. Sign in again; what you were editing is still here.");
};

welcome();
