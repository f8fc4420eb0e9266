// Revisions of the policies, and how the policies were used.

import type { Change } from "../lib/types";

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
  /** Counts beyond those that are listed. */
  readonly more_files?: number;
  readonly more_policies?: number;
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
  /** Absent for callers who are not signed in. */
  readonly principal?: { readonly id: string; readonly username?: string };
  readonly action: string;
  readonly dataset_id?: string;
  readonly dataset_title?: string;
  /** What a service asked about, if it is no dataset. */
  readonly resource?: string;
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
  readonly never_used_count?: number;
  readonly denials: readonly Denial[];
}
