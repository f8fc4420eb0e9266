// Revisions of the policies, and how the policies were used.

import type { Change } from "../lib/types";
import type { Action } from "../explain/types";

export interface Revision {
  readonly id: number;
  readonly folder_revision: string;
  readonly revision: string;
  readonly in_force_at: string;
  readonly origin: "start" | "folder" | "publish";
  readonly user?: { readonly id: string; readonly username?: string };
  readonly summary: string;
  readonly files: readonly { readonly name: string; readonly change: Change }[];
  readonly policies: readonly { readonly id: string; readonly change: "added" | "changed" | "removed" }[];
  readonly has_texts: boolean;
}

export interface RevisionWithPatch extends Revision {
  readonly patch?: string;
}

export interface RevisionPage {
  readonly items: readonly Revision[];
  readonly next?: number;
}

export interface Bucket {
  readonly start: string;
  readonly granted: number;
  readonly denied: number;
  readonly failed: number;
}

export interface PolicyUse {
  readonly id: string;
  readonly granted: number;
  readonly denied: number;
  readonly last_used?: string;
}

export interface Denial {
  readonly principal?: { readonly id: string; readonly username?: string } | null;
  readonly action: Action;
  readonly dataset_id: string;
  readonly dataset_title?: string;
  readonly count: number;
  readonly last_at: string;
}

export interface Usage {
  readonly from: string;
  readonly to: string;
  readonly is_cut: boolean;
  readonly records: number;
  readonly buckets: readonly Bucket[];
  readonly policies: readonly PolicyUse[];
  readonly never_used: readonly string[];
  readonly denials: readonly Denial[];
}
