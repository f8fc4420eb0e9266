// The sign-in form: a password, or a token of an identity provider.

import { fill, h, newId } from "./dom";
import { messageOf } from "./problem";
import type { Session } from "./session";
import { tabs } from "./tabs";

function field(label: string, attributes: Record<string, string>): { row: HTMLElement; input: HTMLInputElement } {
  const id = newId("field");
  const input = h("input", { id, required: true, autocapitalize: "none", spellcheck: "false", ...attributes });
  return { row: h("div", { class: "field" }, h("label", { for: id }, label), input), input };
}

function signInForm(
  fields: HTMLElement[],
  submit: () => Promise<void>,
  onSignedIn: () => void,
  note: string,
): HTMLFormElement {
  const error = h("p", { class: "error", role: "alert" });
  const send = h("button", { type: "submit", class: "primary" }, "Sign in");
  return h(
    "form",
    {
      class: "stack",
      onsubmit: async (event: SubmitEvent) => {
        event.preventDefault();
        send.disabled = true;
        fill(error);
        try {
          await submit();
          onSignedIn();
        } catch (reason) {
          fill(error, messageOf(reason));
        } finally {
          send.disabled = false;
        }
      },
    },
    fields,
    error,
    h("div", { class: "actions" }, send),
    h("p", { class: "muted small" }, note),
  );
}

/** Two ways to sign in, as tabs. `onSignedIn` is called when the session has a token. */
export function signIn(session: Session, onSignedIn: () => void): HTMLElement {
  const name = field("User name", { type: "text", autocomplete: "username" });
  const password = field("Password", { type: "password", autocomplete: "current-password" });
  const token = field("Token", { type: "password", autocomplete: "off" });
  const byPassword = signInForm(
    [name.row, password.row],
    async () => {
      await session.signIn(name.input.value, password.input.value);
      password.input.value = "";
    },
    onSignedIn,
    "You stay signed in in this tab only. Closing or reloading it signs you out.",
  );
  const byToken = signInForm(
    [token.row],
    async () => {
      session.useToken(token.input.value);
      token.input.value = "";
    },
    onSignedIn,
    "Paste an access token of your organization's identity provider. It is kept in this tab only.",
  );
  return tabs("How to sign in", [
    { label: "With a password", panel: h("div", {}, byPassword) },
    { label: "With a token", panel: h("div", {}, byToken) },
  ]).element;
}
