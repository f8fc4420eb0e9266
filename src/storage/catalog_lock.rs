//! The lock of the catalog: the row of its version, which every change of the catalog updates.

use super::database::{Transaction, on_either};
use super::statements::execute;

/// Makes other changes of the catalog wait for the end of this transaction, without a change of the version.
///
/// Another column is written: an update of the version draws another epoch, whatever the version becomes, and
/// every cache would be emptied.
pub(super) async fn lock_catalog(transaction: &mut Transaction) -> Result<(), sqlx::Error> {
    const SQL: &str = "UPDATE catalog_version SET only_row = only_row";
    execute!(transaction, SQL).map(drop)
}

/// Increments the version, whatever it is: cached facts are out of date from now on, and on PostgreSQL other
/// changes wait for the end of this one.
pub(super) async fn bump_version(transaction: &mut Transaction) -> Result<(), sqlx::Error> {
    const SQL: &str = "UPDATE catalog_version SET version = version + 1";
    execute!(transaction, SQL).map(drop)
}
