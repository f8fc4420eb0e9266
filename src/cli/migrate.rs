//! `cedargate migrate`: brings the tables of the database up to date.

use crate::app::open_database;
use crate::config::Settings;
use crate::storage::SchemaVersion;

use super::outcome::{CommandResult, ExitStatus};
use super::print;

/// Migrates the database; one that is up to date stays as it is.
pub(super) async fn run(settings: &Settings) -> CommandResult {
    let database = open_database(settings).await?;
    let before = database.schema_version().await?;
    database.migrate().await?;
    database.close().await;
    print::note(match before {
        SchemaVersion::Current => "the database is up to date".to_owned(),
        SchemaVersion::Empty => "the tables of the database were created".to_owned(),
        SchemaVersion::Older { found, known } => {
            format!("the database was migrated from migration {found} to {known}")
        }
    });
    Ok(ExitStatus::Success)
}
