// The data page: the datasets that the visitor may see, signed in or not.

import { Api } from "../lib/api";
import { urlOf } from "../lib/base";
import { openDialog } from "../lib/dialog";
import { button, fill, focusIfLost, h } from "../lib/dom";
import { Questions } from "../lib/latest";
import { say } from "../lib/live";
import { Session } from "../lib/session";
import { signIn } from "../lib/signin";
import { DatasetList } from "./list";
import type { Me } from "./types";

const session = new Session();
const api = new Api(session);
const list = new DatasetList(api);
const questions = new Questions();
const account = h("div", { class: "row account" });
const intro = h("p", { class: "muted" });

document.body.prepend(
  h(
    "div",
    { class: "page" },
    h("a", { class: "skip", href: "#main" }, "Skip to the datasets"),
    h(
      "header",
      { class: "bench-head" },
      h("span", { class: "brand" }, "Cedargate"),
      h(
        "nav",
        { class: "others", "aria-label": "Other pages" },
        h("a", { href: urlOf("docs").href }, "API reference"),
        h("a", { href: urlOf("workbench").href }, "Policy workbench"),
      ),
      account,
    ),
    h("main", { class: "data-main", id: "main", tabindex: "-1" }, h("h1", {}, "Datasets"), intro, list.element),
  ),
);

session.onEnd = () => {
  say("Your session has ended. You see what is public.");
  void show();
};

/** Shows who is signed in, and the datasets for them. */
async function show(): Promise<void> {
  const question = questions.ask();
  const me = await whoIsIt();
  if (!question.isLatest()) return;
  const name = me?.display_name ?? me?.username;
  fill(
    account,
    name === undefined
      ? button("Sign in", openSignIn, { class: "primary" })
      : [h("span", { class: "muted" }, `Signed in as ${name}`), button("Sign out", () => void signOut())],
  );
  fill(
    intro,
    name === undefined
      ? "You see what is public. Sign in to see what is for you."
      : "You see what you may know of. What you may read has a download.",
  );
  await list.load();
}

async function whoIsIt(): Promise<Me | undefined> {
  if (!session.isSignedIn) return undefined;
  return api.json<Me>("auth/me").catch(() => undefined);
}

function openSignIn(): void {
  const dialog = openDialog(
    "Sign in",
    signIn(session, () => {
      dialog.close();
      void show();
    }),
  );
}

async function signOut(): Promise<void> {
  await session.signOut();
  await show();
  const shown = account.querySelector("button");
  if (shown !== null) focusIfLost(shown);
}

void show();
