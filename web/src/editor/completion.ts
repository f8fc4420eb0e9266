// Completion in policies, schemas and cases: words of the language and the schema, and names of the catalog.

import {
  pickedCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
} from "@codemirror/autocomplete";
import type { EditorView } from "@codemirror/view";

import type { AttributeType, FoundName, VocabularyResponse } from "../lib/types";

export interface Dictionary {
  vocabulary(): VocabularyResponse | undefined;
  /** Users, roles and datasets whose name contains the text. */
  findNames(text: string, signal: AbortSignal): Promise<readonly FoundName[]>;
}

/** Names are searched from this many characters on. */
const MIN_NAME_LENGTH = 2;

const LANGUAGE: readonly Completion[] = [
  { label: "permit", type: "keyword", detail: "grants, unless something forbids" },
  { label: "forbid", type: "keyword", detail: "denies, whatever permits" },
  { label: "when", type: "keyword", detail: "only if this is true" },
  { label: "unless", type: "keyword", detail: "only if this is false" },
  { label: "principal", type: "variable", detail: "who asks" },
  { label: "action", type: "variable", detail: "what is asked for" },
  { label: "resource", type: "variable", detail: "the dataset" },
  { label: "context", type: "variable", detail: "time, address, sign-in" },
  { label: "in", type: "keyword" },
  { label: "is", type: "keyword" },
  { label: "has", type: "keyword" },
  { label: "like", type: "keyword" },
  { label: "true", type: "constant" },
  { label: "false", type: "constant" },
  { label: "contains", type: "function", apply: "contains()" },
  { label: "containsAny", type: "function", apply: "containsAny()" },
  { label: "containsAll", type: "function", apply: "containsAll()" },
  { label: "hasTag", type: "function", apply: "hasTag()" },
  { label: "getTag", type: "function", apply: "getTag()" },
  { label: "isInRange", type: "function", apply: "isInRange()" },
  { label: "ip", type: "function", apply: 'ip("")' },
  { label: "datetime", type: "function", apply: 'datetime("")' },
  { label: "duration", type: "function", apply: 'duration("")' },
];

/** What is written in full needs no offer: Enter is a new line then. */
const WORDS = new Set(LANGUAGE.map((word) => word.label));

function attributeOptions(list: readonly AttributeType[]): Completion[] {
  return list.map((attribute) => ({
    label: attribute.name,
    type: "property",
    detail: attribute.is_optional ? `${attribute.type}, may be absent` : attribute.type,
  }));
}

/** The attributes of what `principal`, `resource` or `context` may be. */
function attributesOf(variable: string, vocabulary: VocabularyResponse): Completion[] {
  if (variable === "context") return attributeOptions(vocabulary.context);
  const types = new Set(
    vocabulary.actions.flatMap((action) => (variable === "principal" ? action.principals : action.resources)),
  );
  const found = new Map<string, Completion>();
  for (const type of vocabulary.entity_types) {
    if (!types.has(type.name)) continue;
    for (const option of attributeOptions(type.attributes)) found.set(option.label, option);
  }
  return [...found.values()];
}

/** Inserts a text that ends with a quote, over the quote that the editor may have closed already. */
function quoted(text: string): (view: EditorView, completion: Completion, from: number, to: number) => void {
  return (view, completion, from, to) => {
    const end = view.state.sliceDoc(to, to + 1) === '"' ? to + 1 : to;
    view.dispatch({
      changes: { from, to: end, insert: text },
      selection: { anchor: from + text.length },
      annotations: pickedCompletion.of(completion),
      userEvent: "input.complete",
    });
  };
}

function memberOptions(type: string, vocabulary: VocabularyResponse): Completion[] {
  if (type === "Action") {
    return vocabulary.actions.map((action) => ({ label: action.id, type: "constant", apply: quoted(`${action.id}"`) }));
  }
  const members = vocabulary.entity_types.find((known) => known.name === type)?.members ?? [];
  return members.map((member) => ({ label: member, type: "constant", apply: quoted(`${member}"`) }));
}

/** Words of the language and of the schema. */
export function wordCompletion(dictionary: Dictionary): CompletionSource {
  return (context: CompletionContext): CompletionResult | null => {
    const vocabulary = dictionary.vocabulary();
    const annotation = context.matchBefore(/@\w*/);
    if (annotation !== null) {
      const options = (vocabulary?.annotations ?? []).map(({ name, description }) => ({
        label: `@${name}`,
        type: "keyword",
        info: description,
        apply: `@${name}("")`,
      }));
      return { from: annotation.from, options, validFor: /^@\w*$/ };
    }
    const member = context.matchBefore(/(?:[A-Z]\w*::)+"[^"\n]*/);
    if (member !== null) {
      const [path = "", typed = ""] = member.text.split('::"', 2);
      const options = vocabulary === undefined ? [] : memberOptions(path, vocabulary);
      return options.length === 0 ? null : { from: member.to - typed.length, options, validFor: /^[^"\n]*$/ };
    }
    if (context.matchBefore(/"[^"\n]*/) !== null && isInString(context)) return null;
    const attribute = context.matchBefore(/\b(principal|resource|context)\.\w*/);
    if (attribute !== null && vocabulary !== undefined) {
      const [variable = "", typed = ""] = attribute.text.split(".", 2);
      return {
        from: attribute.to - typed.length,
        options: attributesOf(variable, vocabulary),
        validFor: /^\w*$/,
      };
    }
    const has = context.matchBefore(/\b(principal|resource|context)\s+has\s+\w*/);
    if (has !== null && vocabulary !== undefined) {
      const typed = /\w*$/.exec(has.text)?.[0] ?? "";
      const variable = /^\w+/.exec(has.text)?.[0] ?? "";
      return { from: has.to - typed.length, options: attributesOf(variable, vocabulary), validFor: /^\w*$/ };
    }
    const word = context.matchBefore(/[A-Za-z_]\w*/);
    if (!context.explicit && (word === null || WORDS.has(word.text))) return null;
    const types = (vocabulary?.entity_types ?? []).map((type) => ({
      label: type.name,
      type: "type",
      apply: `${type.name}::"`,
    }));
    return {
      from: word?.from ?? context.pos,
      options: [...LANGUAGE, { label: "Action", type: "type", apply: 'Action::"' }, ...types],
      validFor: (text) => /^\w*$/.test(text) && !WORDS.has(text),
    };
  };
}

/** Whether the cursor is inside of a string of its line. */
function isInString(context: CompletionContext): boolean {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from).replace(/\\./g, "");
  return (before.match(/"/g)?.length ?? 0) % 2 === 1;
}

async function search(
  dictionary: Dictionary,
  context: CompletionContext,
  text: string,
): Promise<readonly FoundName[]> {
  const giveUp = new AbortController();
  context.addEventListener("abort", () => giveUp.abort(), { onDocChange: true });
  try {
    return await dictionary.findNames(text, giveUp.signal);
  } catch {
    return []; // completion is a convenience: what fails offers nothing
  }
}

/** Users, roles and datasets by name: `otto` offers `User::"a7696c08-..."`. */
export function nameCompletion(dictionary: Dictionary): CompletionSource {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const named = context.matchBefore(/\b(?:User|Dataset|Role)::"[^"\n]*/);
    const word = named ?? context.matchBefore(/[\p{L}\p{N}_.@-]+/u);
    if (word === null) return null;
    const [type, typed] = named === null ? ["", word.text] : word.text.split('::"', 2);
    if (typed === undefined || typed.length < MIN_NAME_LENGTH) return null;
    if (named === null && isInString(context)) return null;
    const found = await search(dictionary, context, typed);
    const options = found
      .filter((name) => type === "" || name.type === type)
      .map((name) => ({ label: name.cedar, detail: name.name, type: "class", apply: quoted(name.cedar), boost: 50 }));
    if (options.length === 0) return null;
    return { from: word.from, options, filter: false };
  };
}

/** Ids by name, in the strings of cases and situations. */
export function idCompletion(dictionary: Dictionary): CompletionSource {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const string = context.matchBefore(/"(?:[^"\\\n]|\\.)*/);
    if (string === null) return null;
    const prefix = /^"(?:(?:User|Dataset|Role)::\\")?/.exec(string.text)?.[0] ?? '"';
    const typed = string.text.slice(prefix.length);
    if (typed.length < MIN_NAME_LENGTH) return null;
    const found = await search(dictionary, context, typed);
    if (found.length === 0) return null;
    const options = found.map((name) => ({ label: name.id, detail: `${name.name} (${name.type})`, type: "class" }));
    return { from: string.from + prefix.length, options, filter: false };
  };
}
