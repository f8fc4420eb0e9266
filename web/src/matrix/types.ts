// The access matrix, as `POST /admin/policies/drafts/{draft_id}/matrix` asks and answers it.

import type { Action } from "../explain/types";

export type PeopleBy = "class" | "role" | "person";
export type DatasetsBy = "visibility" | "record_status" | "owner" | "tag" | "dataset";
/** `signed_in`: as each user signs in, without an API key. */
export type Authentication = "none" | "password" | "api_key" | "issuer" | "signed_in";

/** A situation in which it is asked; what is absent is asked on all sides. */
export interface Situation {
  readonly address?: string;
  readonly time?: string;
  readonly authentication?: Authentication;
}

export interface MatrixRequest {
  readonly action: Action;
  readonly people: { readonly by: PeopleBy; readonly in?: readonly string[]; readonly after?: string };
  readonly datasets: {
    readonly by: DatasetsBy;
    readonly tag?: string;
    readonly in?: readonly string[];
    readonly after?: string;
  };
  readonly context?: Situation;
  readonly limit: number;
}

export interface Column {
  readonly key: string;
  readonly label: string;
  readonly detail?: string;
  readonly people: number;
  readonly is_anonymous: boolean;
  readonly user_id?: string;
}

export interface Row {
  readonly key: string;
  readonly label: string;
  readonly detail?: string;
  readonly datasets: number;
  readonly dataset_id?: string;
}

export interface Reach {
  readonly in_force: number;
  readonly draft: number;
  readonly gained: number;
  readonly lost: number;
}

/** A pair of the cell, and a situation in which it is as the cell shows it. */
export interface Example extends Situation {
  readonly principal: string;
  readonly principal_name?: string;
  readonly dataset_id: string;
  readonly dataset_title: string;
}

export interface Cell extends Reach {
  readonly pairs: number;
  readonly sometimes: number;
  readonly example?: Example;
}

export interface AskedContext extends Reach, Situation {
  readonly label: string;
  readonly caller?: string;
}

export interface MatrixResponse {
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly action: Action;
  readonly people: number;
  readonly datasets: number;
  readonly is_cut: boolean;
  readonly errors: readonly string[];
  readonly changes_token_lives: boolean;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  readonly cells: readonly (readonly Cell[])[];
  readonly totals: Reach & { readonly pairs: number };
  readonly contexts: readonly AskedContext[];
  readonly next_people?: string;
  readonly next_datasets?: string;
}
