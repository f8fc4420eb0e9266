// Cedar policies and schemas for CodeMirror: tokens to colour, brackets, comments.

import { StreamLanguage, type StringStream } from "@codemirror/language";

const KEYWORDS = new Set(["permit", "forbid", "when", "unless", "if", "then", "else", "in", "is", "has", "like"]);
const VARIABLES = new Set(["principal", "action", "resource", "context"]);
const ATOMS = new Set(["true", "false"]);
const SCHEMA_KEYWORDS = new Set(["namespace", "entity", "action", "type", "in", "tags", "enum", "appliesTo"]);
const SCHEMA_TYPES = new Set(["Set", "String", "Long", "Bool", "Boolean", "ipaddr", "decimal", "datetime", "duration"]);

interface CedarState {
  /** The rest of a string that goes on in the next line. */
  isInString: boolean;
}

function readString(stream: StringStream, state: CedarState): string {
  let isEscaped = false;
  for (let next = stream.next(); next !== undefined; next = stream.next()) {
    if (next === '"' && !isEscaped) {
      state.isInString = false;
      return "string";
    }
    isEscaped = !isEscaped && next === "\\";
  }
  state.isInString = true;
  return "string";
}

function readWord(stream: StringStream, isSchema: boolean): string {
  stream.match(/^[A-Za-z_][A-Za-z0-9_]*/);
  const word = stream.current();
  const isPath = stream.match(/^\s*::/, false) !== null && stream.match(/^\s*::/, false) !== false;
  if (isPath) return "typeName";
  if (isSchema) {
    if (SCHEMA_KEYWORDS.has(word)) return "keyword";
    if (SCHEMA_TYPES.has(word) || /^[A-Z]/.test(word)) return "typeName";
    return "propertyName";
  }
  if (KEYWORDS.has(word)) return "keyword";
  if (VARIABLES.has(word)) return "variableName.special";
  if (ATOMS.has(word)) return "atom";
  if (/^[A-Z]/.test(word)) return "typeName";
  return stream.match(/^\s*\(/, false) ? "variableName.function" : "propertyName";
}

function tokenizer(isSchema: boolean): (stream: StringStream, state: CedarState) => string | null {
  return (stream, state) => {
    if (state.isInString) return readString(stream, state);
    if (stream.eatSpace()) return null;
    if (stream.match("//")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/^@[A-Za-z_][A-Za-z0-9_]*/)) return "meta";
    if (stream.match(/^\d+/)) return "number";
    if (stream.eat('"')) return readString(stream, state);
    if (stream.match(/^[A-Za-z_]/, false)) return readWord(stream, isSchema);
    if (stream.match(/^(&&|\|\||==|!=|<=|>=|[<>!+\-*])/)) return "operator";
    if (stream.match(/^\?(principal|resource)/)) return "variableName.special";
    stream.next();
    return "punctuation";
  };
}

function language(name: string, isSchema: boolean): StreamLanguage<CedarState> {
  return StreamLanguage.define<CedarState>({
    name,
    startState: () => ({ isInString: false }),
    token: tokenizer(isSchema),
    languageData: {
      commentTokens: { line: "//" },
      closeBrackets: { brackets: ["(", "[", "{", '"'] },
      indentOnInput: /^\s*[)\]}]$/,
    },
  });
}

export const CEDAR = language("cedar", false);
export const CEDAR_SCHEMA = language("cedarschema", true);
