//! `cedargate audit`: the audit records.

use std::io::{ErrorKind, Write};

use crate::config::Settings;
use crate::domain::audit::AuditFilter;
use crate::service::audit_reader::AuditRecordPages;

use super::local::open_existing_database;
use super::outcome::{CommandError, CommandResult, ExitStatus};
use super::print;

/// Prints all records as JSON Lines, the oldest first.
pub(super) async fn export(settings: &Settings) -> CommandResult {
    let database = open_existing_database(settings).await?;
    let mut output = print::data_writer();
    let pages = AuditRecordPages::new(database, AuditFilter::default());
    let exported = pages.for_each(|record| {
        serde_json::to_writer(&mut output, record)?;
        writeln!(output)
    });
    match exported.await?.and_then(|_| output.flush()) {
        // A reader that stops early has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::new(format!(
            "cannot write the audit records: {error}"
        ))),
        Ok(()) | Err(_) => Ok(ExitStatus::Success),
    }
}
