// Who can read a dataset, by what and until when; and sharing it. For its owner and administrators.

import type { Api } from "../lib/api";
import { button, fill, focusIfLost, h, isolated, newId } from "../lib/dom";
import { confirmDialog } from "../lib/dialog";
import { count } from "../lib/format";
import { Questions } from "../lib/latest";
import { say } from "../lib/live";
import { messageOf, Problem } from "../lib/problem";
import type { Access, Dataset, PrincipalPage, Shares } from "./types";
import { accessWords, untilWords } from "./words";

type Kind = "users" | "roles";

/** People on one page of the list. */
const PAGE = 50;

export class SharePanel {
  readonly element = h("div", { class: "share stack" });
  readonly #api: Api;
  readonly #dataset: Dataset;
  readonly #readers = h("div", { class: "stack" });
  readonly #heading = h("h3", { tabindex: "-1" }, "Shared with");
  readonly #shares = h("div", { class: "stack" });
  readonly #error = h("p", { class: "error", role: "alert" });
  /** Who can read it is asked anew after each change. */
  readonly #questions = new Questions();
  #etag: string | undefined;

  constructor(api: Api, dataset: Dataset) {
    this.#api = api;
    this.#dataset = dataset;
    fill(
      this.element,
      h("section", { class: "stack" }, this.#heading, this.#shares, this.#form(), this.#error),
      h("section", { class: "stack" }, h("h3", {}, "Who can read it now"), this.#readers),
    );
  }

  async open(): Promise<void> {
    await Promise.all([this.#loadShares(), this.#loadReaders()]);
  }

  #path(rest: string): string {
    return `admin/datasets/${this.#dataset.id}/${rest}`;
  }

  async #loadShares(): Promise<void> {
    try {
      const { body, etag } = await this.#api.answer<Shares>(this.#path("shares"));
      this.#etag = etag;
      this.#drawShares(body);
    } catch (error) {
      fill(this.#shares, h("p", { class: "error" }, messageOf(error)));
    }
  }

  #drawShares(shares: Shares): void {
    const line = (kind: Kind, name: string, until: string | undefined) =>
      h(
        "tr",
        {},
        h("th", { scope: "row", dir: "auto" }, name),
        h("td", {}, kind === "users" ? "user" : "role"),
        h("td", {}, untilWords(until)),
        h("td", {}, button("Revoke", () => void this.#revoke(kind, name), { "aria-label": `Revoke the share with ${name}` })),
      );
    const lines = [
      ...shares.users.map((name) => line("users", name, endOf(shares.users_until, name))),
      ...shares.roles.map((name) => line("roles", name, endOf(shares.roles_until, name))),
    ];
    fill(
      this.#shares,
      lines.length === 0
        ? h("p", { class: "muted" }, "Nobody yet.")
        : h(
            "div",
            { class: "scroll" },
            h(
              "table",
              {},
              h("caption", { class: "visually-hidden" }, `Shares of ${this.#dataset.title}`),
              h("thead", {}, h("tr", {}, ["Name", "Kind", "Until"].map((name) => h("th", { scope: "col" }, name)), h("td", {}))),
              h("tbody", {}, lines),
            ),
          ),
    );
  }

  async #loadReaders(): Promise<void> {
    fill(this.#readers, h("p", { class: "muted" }, "Asking the policies…"));
    const question = this.#questions.ask();
    try {
      const page = await this.#page(undefined);
      if (!question.isLatest()) return;
      const list = h("ul", { class: "readers" });
      if (page.anonymous !== undefined) list.append(reader("Everybody, also without signing in", page.anonymous));
      if (page.signed_in !== undefined && page.signed_in.grants.length > 0) {
        list.append(reader("Whoever is signed in", page.signed_in));
      }
      fill(
        this.#readers,
        list,
        h("p", { class: "muted small" }, noteFor(page)),
      );
      this.#appendReaders(list, page);
    } catch (error) {
      if (!question.isLatest()) return;
      fill(this.#readers, h("p", { class: "error" }, messageOf(error)));
    }
  }

  #page(after: string | undefined): Promise<PrincipalPage> {
    return this.#api.json<PrincipalPage>(this.#path("principals"), { query: { action: "read", limit: PAGE, after } });
  }

  #appendReaders(list: HTMLElement, page: PrincipalPage): void {
    for (const { user, access, until } of page.items) list.append(reader(user.username, access, until));
    if (list.childElementCount === 0) {
      fill(this.#readers, h("p", { class: "muted" }, "Nobody whom you may see."));
      return;
    }
    const { next } = page;
    if (next === undefined) return;
    const more = button("More people", () => void this.#more(list, next, more));
    this.#readers.append(more);
  }

  async #more(list: HTMLElement, after: string, more: HTMLButtonElement): Promise<void> {
    more.disabled = true;
    const question = this.#questions.ask();
    try {
      const page = await this.#page(after);
      if (!question.isLatest()) return;
      more.remove();
      const shown = list.childElementCount;
      this.#appendReaders(list, page);
      const first = list.children[shown] ?? list.lastElementChild;
      if (first instanceof HTMLElement) focusIfLost(first);
    } catch (error) {
      fill(this.#error, messageOf(error));
      more.disabled = false;
    }
  }

  #form(): HTMLElement {
    const ids = { name: newId("share"), kind: newId("share"), until: newId("share") };
    const name = h("input", { id: ids.name, type: "text", required: true, autocapitalize: "none", spellcheck: "false", autocomplete: "off" });
    const kind = h("select", { id: ids.kind }, h("option", { value: "users" }, "user"), h("option", { value: "roles" }, "role"));
    const until = h("input", { id: ids.until, type: "datetime-local" });
    const field = (id: string, label: string, input: HTMLElement) => h("div", { class: "field" }, h("label", { for: id }, label), input);
    const onsubmit = async (event: SubmitEvent) => {
      event.preventDefault();
      const sent = name.value.trim();
      if (!(await this.#share(kind.value as Kind, sent, until.value))) return;
      if (name.value.trim() !== sent) return; // the next one is being typed already
      name.value = "";
      until.value = "";
      name.focus();
    };
    return h(
      "form",
      { class: "row share-form", onsubmit },
      field(ids.kind, "Share with a", kind),
      field(ids.name, "Name", name),
      field(ids.until, "Until (optional)", until),
      h("button", { type: "submit", class: "primary field-button" }, "Share"),
    );
  }

  async #share(kind: Kind, name: string, until: string): Promise<boolean> {
    const end = until === "" ? undefined : new Date(until);
    if (end !== undefined && end.valueOf() <= Date.now()) {
      fill(this.#error, "The end must be in the future.");
      return false;
    }
    // Whole seconds, as the server takes them.
    const text = end?.toISOString().replace(/\.\d+Z$/, "Z");
    const isDone = await this.#change("PUT", kind, name, text);
    if (isDone) say(`Shared with ${isolated(name)}, ${untilWords(text)}.`);
    return isDone;
  }

  async #revoke(kind: Kind, name: string): Promise<void> {
    const who = kind === "users" ? isolated(name) : `the role ${isolated(name)}`;
    const words = `${who} can read “${isolated(this.#dataset.title)}” no longer then, unless something else permits it. Downloads that have begun go on.`;
    if (!(await confirmDialog(`Revoke the share with ${isolated(name)}?`, words, "Revoke"))) return;
    if (await this.#change("DELETE", kind, name)) say(`No longer shared with ${isolated(name)}.`);
    focusIfLost(this.#heading);
  }

  async #change(method: "PUT" | "DELETE", kind: Kind, name: string, until?: string): Promise<boolean> {
    fill(this.#error);
    // A path would swallow these.
    if (name === "." || name === "..") {
      fill(this.#error, `There is no ${kind === "users" ? "user" : "role"} “${name}”.`);
      return false;
    }
    try {
      const headers: Record<string, string> = this.#etag === undefined ? {} : { "if-match": this.#etag };
      const { body, etag } = await this.#api.answer<Shares>(this.#path(`shares/${kind}/${encodeURIComponent(name)}`), {
        method,
        headers,
        query: { until },
      });
      this.#etag = etag;
      this.#drawShares(body);
      void this.#loadReaders();
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        await this.#loadShares();
        fill(this.#error, "Somebody else changed the shares meanwhile. They are shown as they are now: try again if you still want to.");
      } else fill(this.#error, messageOf(error));
      return false;
    }
  }
}

/** The end of a share. A name may be that of a member that every object has, such as `constructor`. */
function endOf(ends: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return ends !== undefined && Object.hasOwn(ends, name) ? ends[name] : undefined;
}

function reader(name: string, access: Access, until?: string): HTMLElement {
  return h(
    "li",
    { tabindex: "-1" },
    h("strong", {}, h("bdi", {}, name)),
    h("span", { class: "muted" }, ` ${accessWords(access)}`),
    until !== undefined && h("span", { class: "badge" }, untilWords(until)),
    reasons(access),
  );
}

/** What the list leaves out. Roles of others and the policies are not for everybody to see. */
function noteFor(page: PrincipalPage): string {
  const accesses = [...page.items.map((item) => item.access), page.anonymous, page.signed_in];
  const names = accesses.flatMap((access) => access?.grants ?? []).some((grant) => grant.policy === undefined)
    ? " Where no policy is named, it is told to those who may see the policies, and the role to those who may see the roles of the person."
    : "";
  return `Others may be able to read it too: listed are the people whom you may see.${names}`;
}

function reasons(access: Access): HTMLElement | null {
  // The reason of a policy that is named stands beside its name.
  const unnamed = access.grants.filter((grant) => grant.policy === undefined);
  const known = [...new Set(unnamed.flatMap((grant) => (grant.reason === undefined ? [] : [grant.reason])))];
  if (known.length === 0) return null;
  return h("details", {}, h("summary", {}, `Why (${count(known.length, "reason")})`), h("ul", {}, known.map((reason) => h("li", {}, reason))));
}
