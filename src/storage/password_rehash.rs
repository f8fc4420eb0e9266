//! Replacing the hash of a password by another of the same password.

use super::catalog_changes::name_no_changed_dataset;
use super::catalog_lock::bump_version;
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::execute;
use crate::domain::id::UserId;
use crate::domain::secret::Secret;

impl Database {
    /// Replaces a user's password hash `old` by `new`, which is of the same password, so that no session ends;
    /// `false` if the hash is another by now.
    ///
    /// It is a change of the catalog: whoever has read the old hash, to write it back with the user, has to read
    /// again.
    pub async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "UPDATE users SET password_hash = $1, rehashes = rehashes + 1
            WHERE id = $2 AND password_hash = $3";
        run(CALL_TIMEOUT, "replace a password hash", "users", async {
            let mut transaction = self.begin_catalog_change().await?;
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let (old, new) = (old.reveal().as_str(), new.reveal().as_str());
            let replaced = execute!(&mut transaction, SQL, new, user_id.0, old)?;
            if replaced == 0 {
                transaction.rollback().await?;
            } else {
                transaction.commit().await?;
            }
            Ok(replaced > 0)
        })
        .await
    }
}
