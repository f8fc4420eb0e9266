// An explanation of one decision, as `POST /admin/policies/explain` gives it.

export type Action = "read" | "discover" | "administer";

export interface SeenValue {
  readonly name: string;
  readonly value?: string;
  readonly is_withheld: boolean;
}

export interface PolicyPart {
  readonly text: string;
  readonly line?: number;
  readonly is_negated: boolean;
  readonly value: "true" | "false" | "unknown" | "error";
  readonly is_met: boolean;
  readonly meaning: string;
  readonly error?: string;
  readonly seen: readonly SeenValue[];
}

export interface PolicyAccount {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  readonly reason?: string;
  readonly max_ttl?: number;
  readonly template?: string;
  readonly file: string;
  readonly line?: number;
  readonly text: string;
  readonly is_satisfied: boolean;
  readonly held: number;
  readonly part_count: number;
  readonly parts: readonly PolicyPart[];
}

export interface Explanation {
  readonly principal: string;
  readonly username?: string;
  readonly is_disabled: boolean;
  readonly action: Action;
  readonly dataset_id: string;
  readonly title: string;
  readonly address: string;
  readonly time: string;
  readonly authentication?: string;
  readonly revision: string;
  readonly is_permitted: boolean;
  readonly max_ttl?: number;
  readonly mint?: { readonly status: number; readonly why: string };
  readonly shares: readonly string[];
  readonly errors: readonly string[];
  readonly openings?: readonly { readonly change: string; readonly command?: string }[];
  readonly names: readonly { readonly entity: string; readonly name: string }[];
  readonly withheld: { readonly principal: boolean; readonly dataset: boolean; readonly errors: number };
  readonly determining: readonly PolicyAccount[];
  readonly others: readonly PolicyAccount[];
  readonly left_off: number;
}

/** What is asked: who may do what with which dataset, and in which situation. */
export interface ExplanationQuestion {
  readonly principal: string;
  readonly action: Action;
  readonly dataset_id: string;
  readonly address?: string;
  readonly time?: string;
  readonly authentication?: string;
}
