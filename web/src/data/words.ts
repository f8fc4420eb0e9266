// Datasets and who may read them, in plain words.

import type { Access, Dataset, Grant } from "./types";

export const VISIBILITY: Record<Dataset["visibility"], string> = {
  public: "public",
  internal: "for whoever is signed in",
  restricted: "for some people",
  private: "private",
};

/** Why a dataset that is listed cannot be read. */
export function whyNot(isSignedIn: boolean): string {
  return isSignedIn
    ? "You may know of this dataset, but not read it. Ask its owner to share it with you."
    : "Sign in to see whether you may read this dataset.";
}

/** ``by role hydrology, by policy `shared-with-role`: reason``, as far as it is told. */
export function grantWords(grant: Grant): string {
  const how: Record<Grant["through"], string> = {
    owner: "as the owner",
    reader: "shared with them by name",
    role: `by role ${grant.role ?? ""}`.trim(),
    policy: "by a policy",
    anonymous: grant.policy === undefined ? "by a policy for everyone" : "for everyone",
  };
  const policy = grant.policy === undefined ? "" : policyWords(grant.policy, grant.reason);
  const when = grant.when !== undefined && grant.when.length > 0 ? `, only ${grant.when.join("; or ")}` : "";
  if (grant.policy !== undefined && grant.through === "policy") return `${policy}${when}`;
  return `${how[grant.through]}${policy === "" ? "" : `, ${policy}`}${when}`;
}

function policyWords(policy: string, reason: string | undefined): string {
  return `by policy \`${policy}\`${reason === undefined ? "" : `: ${reason.replace(/\.$/, "")}`}`;
}

export function accessWords(access: Access): string {
  const words = [...new Set(access.grants.map(grantWords))].join("; ");
  const sometimes = access.is_always ? "" : " (not in every situation)";
  return `${words}${sometimes}`;
}

/** The end of a share in this machine's time, or that there is none. */
export function untilWords(until: string | undefined): string {
  if (until === undefined) return "no end";
  const time = new Date(until);
  const words = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" }).format(time);
  return time.valueOf() <= Date.now() ? `ended ${words}` : `until ${words}`;
}
