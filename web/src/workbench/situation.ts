// Says a counterexample in one sentence: who may do what with which data, and by which policy.

/** A map, not an object: an author may call an action as the members of every object are called. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["read", "read"],
  ["discover", "know that there is"],
  ["administer", "administer"],
  ["share", "share"],
]);

function first(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1];
}

/** The sentence, or nothing if the text is not about a dataset and a caller as Cedargate knows them. */
export function situationSentence(text: string): string | undefined {
  const action = first(text, /^\s*action\s+Action::"([^"]+)"/m);
  const answer = first(text, /^\s*answer\s+(allow|deny)/m);
  const principal = first(text, /^\s*principal\s+(\S.*)$/m);
  const verb = ACTIONS.get(action ?? "");
  if (verb === undefined || answer === undefined || principal === undefined) return undefined;
  if (!/^\s*resource\s+Dataset::/m.test(text)) return undefined;
  const username = first(text, /^\s*(?:entity\s+User::"[^"]*"\s+)?username: "([^"]*)"/m);
  const who = principal.startsWith("Anonymous::")
    ? "Somebody who did not sign in"
    : `A user${username === undefined ? "" : ` (“${username}”)`}`;
  const words = [
    first(text, /visibility: Visibility::"([^"]+)"/),
    first(text, /record_status: RecordStatus::"([^"]+)"/),
  ].filter((word) => word !== undefined);
  const what = words.length === 0 ? "a dataset" : `a dataset that is ${words.join(" and ")}`;
  const by = first(text, /^\s*answer\s+\w+, determined by (.+)$/m);
  const reason = by === undefined ? "" : `, because of ${by}`;
  return `${who} ${answer === "allow" ? "may" : "may not"} ${verb} ${what}${reason}.`;
}
