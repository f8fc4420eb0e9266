// The kinds of files that a policy folder has, and what a new one may be called.

export interface Kind {
  readonly label: string;
  readonly matches: (name: string) => boolean;
}

export const KINDS: readonly Kind[] = [
  { label: "Policies", matches: (name) => name.endsWith(".cedar") && !name.startsWith("invariants/") },
  { label: "Invariants", matches: (name) => name.startsWith("invariants/") },
  { label: "Cases", matches: (name) => name.endsWith(".cases.json") || name === "situation.json" },
  { label: "Schema", matches: (name) => name.endsWith(".cedarschema") },
  { label: "Data", matches: () => true },
];

export function kindOf(name: string): Kind | undefined {
  return KINDS.find((kind) => kind.matches(name));
}

const NAMES =
  /^(?:(?:invariants\/)?[^/\s][^/]*\.cedar|[^/]+\.(?:cases|entities|links)\.json|situation\.json|networks\.toml|schema\.cedarschema)$/;

/** What is wrong with the name of a new file; the server has the last word. */
export function nameProblem(name: string, taken: readonly string[]): string | undefined {
  if (name === "") return "Enter a name.";
  if (taken.includes(name)) return "There is a file with this name.";
  if (NAMES.test(name)) return undefined;
  return "A name ends with .cedar (policies; in invariants/ for invariants), .cases.json, .links.json or .entities.json; others are situation.json, networks.toml and schema.cedarschema.";
}

const POLICY = `@id("new-policy")
@reason("Why this is so, for people.")
permit (
  principal in Role::"some-role",
  action == Action::"read",
  resource
)
when
{
  resource.visibility == Visibility::"public" &&
  resource.record_status == RecordStatus::"published"
};
`;

/** What a new file begins with. */
export function templateOf(name: string): string {
  if (name.startsWith("invariants/")) return "// What must hold for every request.\n";
  if (name.endsWith(".cedar")) return POLICY;
  if (name.endsWith(".json")) return "[]\n";
  if (name.endsWith(".toml")) return '# Names of networks, and their ranges.\noffice = ["198.51.100.0/24"]\n';
  return "";
}
