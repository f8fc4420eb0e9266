//! Accepted policy edits: those that an operator lets pass although they lose or change invariants or cases.

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select};
use crate::domain::audit::AuditRecord;

/// How many accepted edits are kept, the newest ones.
const MAX_ACCEPTED_EDITS: i64 = 100;
const TABLE: &str = "accepted_policy_edits";

/// An edit: from one policy folder to another, each named by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyEdit {
    /// The fingerprint of the folder in force.
    pub from: String,
    /// The fingerprint of the edited folder.
    pub to: String,
}

impl Database {
    /// Stores an accepted edit together with its record; keeps the newest [`MAX_ACCEPTED_EDITS`].
    pub async fn accept_policy_edit(
        &self,
        edit: &PolicyEdit,
        unix_seconds: i64,
        record: &AuditRecord,
    ) -> Result<(), StorageError> {
        const INSERT: &str =
            "INSERT INTO accepted_policy_edits (from_folder, to_folder, accepted_at)
            VALUES ($1, $2, $3)
            ON CONFLICT (from_folder, to_folder) DO UPDATE SET accepted_at = excluded.accepted_at";
        const FORGET: &str = "DELETE FROM accepted_policy_edits WHERE accepted_at < (
            SELECT min(accepted_at) FROM (
                SELECT accepted_at FROM accepted_policy_edits ORDER BY accepted_at DESC LIMIT $1
            ) AS newest)";
        run(CALL_TIMEOUT, "accept a policy edit", TABLE, async {
            let mut transaction = self.begin_writing().await?;
            let writing = &mut transaction;
            let (from, to) = (edit.from.as_str(), edit.to.as_str());
            execute!(writing, INSERT, from, to, unix_seconds)?;
            execute!(writing, FORGET, MAX_ACCEPTED_EDITS)?;
            append(writing, std::slice::from_ref(record)).await?;
            transaction.commit().await
        })
        .await
    }

    /// Lists the accepted edits.
    pub async fn list_accepted_policy_edits(&self) -> Result<Vec<PolicyEdit>, StorageError> {
        const SQL: &str = "SELECT from_folder, to_folder FROM accepted_policy_edits";
        let operation = "list the accepted policy edits";
        let rows: Vec<(String, String)> = select!(self, operation, TABLE, fetch_all(SQL)).await?;
        let edits = rows.into_iter();
        Ok(edits.map(|(from, to)| PolicyEdit { from, to }).collect())
    }
}
