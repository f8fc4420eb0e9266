// The draft that is open: its texts in this tab, and their copy on the server.
//
// The tab has every text that differs from the base, so that a draft which the server forgot is created anew.

import type { Api, CallOptions } from "../lib/api";
import type { ServerEvent } from "../lib/events";
import { Questions, type Question } from "../lib/latest";
import { Problem } from "../lib/problem";
import type { CreatedCase, DraftFileResponse, DraftResponse, RebaseResponse } from "../lib/types";
import { Conflicts, type Conflict } from "./conflicts";
import type { DraftEvent } from "./draft_event";
import { draftPath, filePath, RemoteDrafts, type FileTexts } from "./remote_drafts";
import { changesOf, textOf, type FileChange, type Text } from "./texts";

/** Edits are sent this long after the last key stroke. */
const SAVE_DELAY_MS = 250;

export class DraftStore {
  readonly #api: Api;
  readonly #drafts: RemoteDrafts;
  readonly #listeners = new Set<(event: DraftEvent) => void>();
  readonly #texts = new Map<string, Text>();
  readonly #unsaved = new Map<string, string | null>();
  #response: DraftResponse | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What changes the draft runs one after the other. */
  #saving: Promise<unknown> = Promise.resolve();
  #ensuring: Promise<void> | undefined;
  /** Of several openings at once the last one counts. */
  readonly #openings = new Questions();
  readonly #conflicts = new Conflicts();
  error: unknown;

  constructor(api: Api) {
    this.#api = api;
    this.#drafts = new RemoteDrafts(api);
  }

  get response(): DraftResponse | undefined {
    return this.#response;
  }

  #opened(): DraftResponse {
    if (this.#response === undefined) throw new Problem(404, { detail: "no draft is open" });
    return this.#response;
  }

  get isOpen(): boolean {
    return this.#response !== undefined;
  }

  get version(): number {
    return this.#response?.version ?? 0;
  }

  get isSaved(): boolean {
    return this.#unsaved.size === 0;
  }

  /** Files that both sides changed, until somebody decided about them. */
  get conflicts(): readonly Conflict[] {
    return this.#conflicts.list(this.#texts);
  }

  /** Remembers what was written to settle a conflict. */
  keepByHand(name: string, text: string | undefined): void {
    this.#conflicts.keepByHand(name, text);
  }

  /** The names of the files that the draft changes. */
  get changedFiles(): FileChange[] {
    return this.files().filter((file) => file.change !== "unchanged");
  }

  on(listener: (event: DraftEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #emit(event: DraftEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** The files, with what this tab knows that the server does not know yet. */
  files(): FileChange[] {
    return changesOf(this.#response?.files ?? [], this.#texts);
  }

  create(from: string, opening = this.#openings.ask()): Promise<void> {
    return this.#open(() => this.#drafts.create(from, {}), opening);
  }

  /** Opens a draft that the server has. */
  open(id: string): Promise<void> {
    return this.#open(() => this.#drafts.get(id), this.#openings.ask());
  }

  async #open(read: () => Promise<DraftResponse>, opening: Question): Promise<void> {
    await this.#flushQuietly();
    await this.#adopt(await read(), opening);
  }

  /** Opens a draft without changes, if none is open. */
  ensure(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    this.#ensuring ??= this.#begin().finally(() => (this.#ensuring = undefined));
    return this.#ensuring;
  }

  /** A draft of this tab alone. One without changes makes room: a tab that still has it goes on with a new one. */
  async #begin(): Promise<void> {
    const opening = this.#openings.ask();
    const unchanged = (await this.list()).filter((draft) => draft.files.every((file) => file.change === "unchanged"));
    await Promise.all(unchanged.map((draft) => this.#drafts.remove(draft.id)));
    if (!this.isOpen) await this.create("in_force", opening);
    if (!this.isOpen) await this.#begin(); // it was closed meanwhile
  }

  list(): Promise<readonly DraftResponse[]> {
    return this.#drafts.list();
  }

  /** Gives the draft up, here and on the server. */
  async discard(id = this.#response?.id): Promise<void> {
    if (id === undefined) return;
    if (id === this.#response?.id) this.close();
    this.#conflicts.forget(id);
    await this.#drafts.remove(id);
  }

  /** Forgets the draft in this tab. */
  close(): void {
    clearTimeout(this.#timer);
    this.#openings.ask().take();
    this.#response = undefined;
    this.#texts.clear();
    this.#unsaved.clear();
    this.#conflicts.open(undefined);
    this.#emit("opened");
  }

  /** What texts are read of. */
  get #source(): string {
    return `${this.#response?.id} ${this.#response?.base_revision}`;
  }

  /** The text of a file, and that of the base. */
  async load(name: string): Promise<Readonly<Text>> {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const source = this.#source;
    const read = textOf(await this.call<DraftFileResponse>(filePath(name)));
    if (source !== this.#source) return this.load(name); // read of another draft, or with another base
    const text = this.#texts.get(name) ?? read; // typed into meanwhile
    this.#texts.set(name, text);
    return text;
  }

  /** Takes what was typed into a file that was loaded before. It is sent shortly after. */
  edit(name: string, text: string): void {
    const base = this.#texts.get(name)?.base ?? null;
    this.#texts.set(name, { base, text });
    this.#unsaved.set(name, text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#flushQuietly(), SAVE_DELAY_MS);
    this.#emit("edited");
  }

  /** Writes files at once, all or none: what the server refuses leaves the draft as it was. null removes a file. */
  async change(files: FileTexts, onWritten = (): void => {}): Promise<void> {
    for (const name of Object.keys(files)) if (this.files().some((file) => file.name === name)) await this.load(name);
    await this.flush();
    const before = this.#response?.base_revision;
    await this.#queue(() => this.#patch(files));
    const isMoved = this.#response?.base_revision !== before;
    for (const [name, text] of Object.entries(files)) {
      if (this.#unsaved.has(name)) continue; // typed into meanwhile: that is sent next
      if (isMoved && !this.#texts.has(name)) continue; // as it is in force now
      this.#texts.set(name, { text, base: this.#texts.get(name)?.base ?? null });
    }
    onWritten();
    this.#emit("reloaded");
    this.#emit("saved");
  }

  /** Takes a file back to what it is in force. */
  async undo(name: string): Promise<void> {
    await this.change({ [name]: (await this.load(name)).base });
  }

  /** Sends what is not sent yet. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#queue(() => this.#send());
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#saving.catch(() => {}).then(run);
    this.#saving = done;
    return done;
  }

  async #flushQuietly(): Promise<void> {
    await this.flush().catch((error: unknown) => {
      this.error = error;
      this.#emit("failed");
    });
  }

  async #send(): Promise<void> {
    const draft = this.#response;
    if (draft === undefined || this.#unsaved.size === 0) return;
    const sent = new Map(this.#unsaved);
    await this.#patch(Object.fromEntries(sent));
    for (const [name, text] of sent) if (this.#unsaved.get(name) === text) this.#unsaved.delete(name);
    this.error = undefined;
    this.#emit("saved");
  }

  /** Writes files in the version that this tab has seen. */
  async #patch(files: FileTexts): Promise<void> {
    const draft = this.#opened();
    try {
      const written = await this.#drafts.write(draft, files);
      if (this.#response?.id === draft.id) this.#response = written; // else another one was opened meanwhile
    } catch (error) {
      // 404: the server forgot it; 412: another tab changed it. This tab goes on with a draft of its own.
      if (!(error instanceof Problem) || (error.status !== 404 && error.status !== 412)) throw error;
      if (this.#response?.id === draft.id) await this.#recreate(files);
    }
  }

  /**
   * Calls an operation of the draft, `call("check")`, after what was edited is sent. A draft that the server does not
   * know any more is created anew.
   */
  async call<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#withDraft((draft) => this.#api.json<T>(draftPath(draft, path), options));
  }

  async stream<T>(
    path: string,
    last: readonly string[],
    onEvent: (event: ServerEvent) => void,
    options: CallOptions = {},
  ): Promise<{ name: string; data: T }> {
    return this.#withDraft((draft) => this.#api.stream<T>(draftPath(draft, path), last, onEvent, options));
  }

  /** The response of an operation that answers no JSON. */
  async fetch(path: string, options: CallOptions = {}): Promise<Response> {
    return this.#withDraft((draft) => this.#api.fetch(draftPath(draft, path), options));
  }

  async #withDraft<T>(run: (id: string) => Promise<T>): Promise<T> {
    await this.flush();
    const draft = this.#opened();
    try {
      return await run(draft.id);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404 || (await this.#drafts.isKnown(draft.id))) throw error;
      await this.#queue(async () => {
        if (this.#response?.id === draft.id) await this.#recreate();
      });
      this.#emit("saved");
      return run((this.#response ?? draft).id);
    }
  }

  /** Lets the draft start from what is in force now. Files that both changed are in `conflicts`. */
  async rebase(): Promise<void> {
    await this.#alter<RebaseResponse>("rebase", undefined, ({ conflicts }, mine) => {
      for (const name of conflicts) this.#conflicts.add(name, mine.get(name)?.base ?? null);
    });
  }

  /** Adds a case to what this tab shows. */
  addCase(json: unknown): Promise<CreatedCase> {
    return this.#alter<CreatedCase>("cases", json);
  }

  /**
   * Lets the server change the draft, and takes what it is then. Nothing is sent meanwhile: it would be about the
   * version before. `onAltered` gets the texts as they were.
   */
  async #alter<T extends { readonly draft: DraftResponse }>(
    operation: string,
    json?: unknown,
    onAltered = (_answer: T, _before: ReadonlyMap<string, Text>): void => {},
  ): Promise<T> {
    await this.reread();
    const answer = await this.#queue(async () => {
      await this.#send();
      const before = new Map(this.#texts);
      const altered = await this.#api.json<T>(draftPath(this.#opened().id, operation), { method: "POST", json });
      if (await this.#adopt(altered.draft)) onAltered(altered, before);
      return altered;
    });
    this.#emit("reloaded");
    this.#emit("saved");
    return answer;
  }

  /** Writes what was decided about a file that both sides changed. */
  async settle(name: string, text: string | null): Promise<void> {
    const theirs = this.#texts.get(name)?.base;
    await this.change({ [name]: text }, () => {
      if (this.#texts.get(name)?.base === theirs) this.#conflicts.settle(name); // else something newer is in force
    });
  }

  /**
   * Asks the server how the draft is, above all whether its base is still in force. If another tab changed it, this
   * one goes on with a draft of its own, of the texts that it shows.
   */
  async reread(): Promise<void> {
    const response = await this.call<DraftResponse>("");
    let isOther = false;
    await this.#queue(async () => {
      if (response.id !== this.#response?.id) return;
      isOther = response.version > this.version;
      if (isOther) await this.#recreate();
      else if (response.version === this.version) this.#response = response;
    });
    if (isOther) this.#emit("saved");
  }

  /** The texts as they are now, to tell later what changed since. */
  texts(): ReadonlyMap<string, string | null> {
    return new Map([...this.#texts].map(([name, { text }]) => [name, text]));
  }

  /** After these texts of the draft came into force: goes on from them, with what changed in this tab meanwhile. */
  async published(id: string, texts: ReadonlyMap<string, string | null>): Promise<void> {
    let isOpen = false;
    await this.#queue(async () => {
      isOpen = this.#response?.id === id;
      if (!isOpen) return; // another one was opened meanwhile
      for (const [name, now] of this.#texts) {
        const published = texts.get(name);
        if (published !== undefined) this.#texts.set(name, { text: now.text, base: published });
      }
      this.#conflicts.clear();
      await this.#recreate();
    });
    await this.#drafts.remove(id);
    if (isOpen) this.#emit("saved");
  }

  /** Goes on with what the server answered about the open draft, or opens another; tells whether it did. */
  async #adopt(response: DraftResponse, opening?: Question): Promise<boolean> {
    const isNew = opening !== undefined;
    const names = response.files
      .filter((file) => file.change !== "unchanged" || (!isNew && this.#texts.has(file.name)))
      .map((file) => file.name);
    const texts = await Promise.all(names.map((name) => this.#drafts.text(response.id, name)));
    if (isNew) await this.#flushQuietly(); // what was typed into the draft before while this one was read
    if (isNew ? !opening.take() : response.id !== this.#response?.id) return false; // another one is open
    this.#response = response;
    this.#texts.clear();
    names.forEach((name, at) => this.#texts.set(name, texts[at] ?? { text: null, base: null }));
    if (isNew) {
      this.#unsaved.clear();
      this.#conflicts.open(response.id);
      // What both began from is known to the tab alone that was told first.
      for (const name of response.conflicts) this.#conflicts.add(name, null);
    }
    // What was typed while the server answered is sent next.
    for (const [name, text] of this.#unsaved) this.#texts.set(name, { text, base: this.#texts.get(name)?.base ?? null });
    this.error = undefined;
    if (isNew) this.#emit("opened");
    return true;
  }

  /** Creates the draft anew from the texts of this tab, and files that are to be written. */
  async #recreate(more: FileTexts = {}): Promise<void> {
    const old = this.#response;
    const mine = new Map(this.#texts);
    for (const [name, text] of Object.entries(more)) mine.set(name, { text, base: mine.get(name)?.base ?? null });
    const kept = [...mine].filter(([, { text, base }]) => text !== base);
    const files = Object.fromEntries(kept.map(([name, { text }]) => [name, text]));
    const response = await this.#drafts.create("in_force", files);
    if (this.#response?.id !== old?.id) return; // another one was opened meanwhile
    this.#response = response;
    this.#conflicts.rename(response.id);
    if (old === undefined || old.base_revision === response.base_revision) return;
    // Something else came into force meanwhile: what both changed is told, as after a rebase.
    const bases = await Promise.all(
      kept.map(([name]) => this.#drafts.text(response.id, name).then(({ base }) => base, () => null)),
    );
    this.#texts.clear();
    kept.forEach(([name, mine], at) => {
      const base = bases[at] ?? null;
      this.#texts.set(name, { text: mine.text, base });
      if (base !== mine.base && base !== mine.text) this.#conflicts.add(name, mine.base);
    });
    for (const [name, text] of this.#unsaved) this.#texts.set(name, { text, base: this.#texts.get(name)?.base ?? null });
    this.#emit("reloaded");
  }
}
