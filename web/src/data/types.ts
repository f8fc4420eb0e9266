// What the data page reads: datasets, tokens, shares and who may read.

export interface Dataset {
  readonly id: string;
  readonly title: string;
  readonly visibility: "public" | "internal" | "restricted" | "private";
  readonly record_status: "published" | "draft";
  readonly tags: Readonly<Record<string, readonly string[]>>;
  readonly file?: { readonly name: string; readonly size?: number };
  readonly can_read: boolean;
  /** Absent from servers that do not say: then it is asked. */
  readonly can_share?: boolean;
}

export interface DatasetPage {
  readonly items: readonly Dataset[];
  readonly next?: string;
}

export interface Me {
  readonly user_id: string;
  readonly username: string;
  readonly display_name?: string;
}

export interface MintedToken {
  readonly token: string;
  readonly expires_in: number;
}

export interface Shares {
  readonly users: readonly string[];
  readonly roles: readonly string[];
  readonly users_until?: Readonly<Record<string, string>>;
  readonly roles_until?: Readonly<Record<string, string>>;
}

export interface Grant {
  readonly through: "owner" | "reader" | "role" | "policy" | "anonymous";
  readonly role?: string;
  readonly policy?: string;
  readonly reason?: string;
  readonly when?: readonly string[];
}

export interface Access {
  readonly is_always: boolean;
  readonly is_cut: boolean;
  readonly grants: readonly Grant[];
}

export interface PrincipalPage {
  readonly items: readonly {
    readonly user: { readonly id: string; readonly username: string };
    readonly access: Access;
    readonly until?: string;
  }[];
  readonly anonymous?: Access;
  readonly signed_in?: Access;
  readonly next?: string;
}
