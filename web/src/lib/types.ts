// The answers of the server's API about policies and drafts.

export interface Diagnostic {
  readonly severity?: "error" | "warning";
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly end_line?: number;
  readonly end_column?: number;
  readonly message: string;
  readonly help?: string;
}

export interface PolicySummary {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  readonly reason?: string;
  readonly file: string;
  readonly line?: number;
  readonly template?: string;
  readonly max_ttl?: number;
}

export interface BundleAnswer {
  readonly revision: string;
  readonly folder_revision: string;
  readonly warnings: readonly Diagnostic[];
  readonly files: readonly { name: string; size: number; policies: number }[];
  readonly policies: readonly PolicySummary[];
}

export interface BrokenInvariant {
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly reason?: string;
  readonly is_violated: boolean;
  readonly policies: readonly string[];
  readonly suggestions: readonly string[];
  readonly counterexample?: string;
  readonly hint?: string;
}

export interface RefusedEdit {
  readonly revision?: string;
  readonly folder_revision?: string;
  readonly refused_at: string;
  readonly reason: string;
  readonly details: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  readonly invariants: readonly BrokenInvariant[];
}

export interface PoliciesAnswer {
  readonly in_force: BundleAnswer;
  readonly refused?: RefusedEdit;
  readonly unproved?: string;
  readonly in_force_since?: string;
  readonly in_force_by?: string;
  readonly origin?: "start" | "folder" | "publish";
  readonly can_publish?: boolean;
  readonly publish_refusal?: string;
}

export type Change = "unchanged" | "changed" | "added" | "removed";

export interface DraftFile {
  readonly name: string;
  readonly size: number;
  readonly change: Change;
}

export interface DraftResponse {
  readonly id: string;
  readonly version: number;
  readonly base_revision: string;
  readonly is_current: boolean;
  readonly folder_revision: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly files: readonly DraftFile[];
  /** Files that both sides of a rebase changed, until somebody decided about them. */
  readonly conflicts: readonly string[];
}

export interface DraftFileResponse {
  readonly name: string;
  /** Absent if the draft removes the file. */
  readonly text?: string;
  readonly base_text?: string;
  readonly change: Change;
}

export interface CheckResponse {
  readonly version: number;
  readonly is_valid: boolean;
  readonly revision?: string;
  readonly folder_revision: string;
  readonly counts: { policies?: number; templates?: number; cases?: number; invariants?: number };
  readonly diagnostics: readonly Diagnostic[];
  readonly policies: readonly PolicySummary[];
  readonly invariants: readonly { id: string; file: string; line: number; reason?: string }[];
  readonly cases: readonly { name: string; file: string; line: number }[];
}

export interface Named {
  readonly type: string;
  readonly id: string;
  readonly name: string;
}

export interface AttributeType {
  readonly name: string;
  readonly type: string;
  readonly is_optional: boolean;
}

export interface VocabularyResponse {
  readonly entity_types: readonly {
    name: string;
    members?: readonly string[];
    attributes: readonly AttributeType[];
    has_tags: boolean;
  }[];
  readonly actions: readonly {
    id: string;
    principals: readonly string[];
    resources: readonly string[];
    groups: readonly string[];
  }[];
  readonly context: readonly AttributeType[];
  readonly annotations: readonly { name: string; description: string }[];
  readonly names: readonly Named[];
}

export interface FoundName extends Named {
  readonly cedar: string;
}

export interface CaseResult {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly is_passed: boolean;
  readonly expected: string;
  readonly decision: string;
  readonly determining_policies: readonly string[];
  readonly failure?: string;
}

export interface CasesResponse {
  readonly version: number;
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly CaseResult[];
  readonly uncovered_policies: readonly string[];
  readonly failures?: string;
}

/** A situation that a case can be made of, as cells of the matrix and effects name it. */
export interface Situation {
  readonly principal: string;
  readonly action: string;
  readonly dataset_id: string;
  readonly address?: string;
  readonly time?: string;
  readonly authentication?: string;
}

export interface CreatedCase {
  readonly draft: DraftResponse;
  readonly file: string;
  readonly name: string;
  readonly text: string;
  readonly is_added?: boolean;
}

export interface ProofResult {
  readonly version: number;
  readonly is_complete: boolean;
  readonly seconds: number;
  readonly invariants: readonly {
    id: string;
    file: string;
    line: number;
    reason?: string;
    verdict: "holds" | "violated" | "unknown";
    policies: readonly string[];
    suggestions: readonly string[];
    /** What is not known, and why. */
    open: readonly string[];
    counterexample?: string;
    /** Whether the counterexample can be kept as a case. */
    can_be_kept: boolean;
    hint?: string;
  }[];
  readonly failing: readonly string[];
  readonly ineffective: readonly string[];
  readonly unanswered: number;
}

export interface EffectGroup {
  readonly action: "read" | "discover" | "administer";
  /** The last two: for how long tokens are valid. */
  readonly change: "gained" | "lost" | "shortened" | "lengthened";
  readonly sentence: string;
  readonly count: number;
  readonly users: readonly { id: string; username: string }[];
  readonly user_count: number;
  readonly is_anonymous: boolean;
  readonly datasets: readonly { id: string; title: string }[];
  readonly dataset_count: number;
  readonly when?: string;
  readonly example?: { principal: string; dataset_id: string; address?: string; time?: string; authentication?: string };
}

export interface EffectResponse {
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly changed: number;
  readonly decided: number;
  readonly text: string;
  readonly groups: readonly EffectGroup[];
  readonly ineffective: readonly { id: string; sentence: string }[];
  readonly errors: readonly string[];
  readonly is_cut: boolean;
}

export interface RebaseResponse {
  readonly draft: DraftResponse;
  readonly conflicts: readonly string[];
}

export interface PublishedEvent {
  readonly revision: string;
  readonly folder_revision: string;
}
