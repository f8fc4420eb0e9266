-- Edits of the policies that an operator accepted although they lose or change invariants or cases: from one
-- policy folder in force to another one, each named by the SHA-256 over all its files.
CREATE TABLE accepted_policy_edits (
    from_folder TEXT NOT NULL,
    to_folder TEXT NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (from_folder, to_folder)
);
