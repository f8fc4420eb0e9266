//! `cedargate audit`: the audit records.

use std::io::{ErrorKind, Write};

use crate::config::Settings;
use crate::domain::audit::AuditFilter;
use crate::domain::clock::Clock;
use crate::domain::rfc3339::parse_millis;
use crate::service::audit_prune::{MIN_PRUNED_AGE, count_prunable, prune_audit_log};
use crate::service::audit_reader::AuditRecordPages;

use super::local::open_existing_database;
use super::outcome::{CommandError, CommandResult, ExitStatus, print_data};
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

/// Deletes the records before a time, or counts them.
pub(super) async fn prune(settings: &Settings, before: &str, is_dry_run: bool) -> CommandResult {
    let clock = Clock::system();
    let before = parse_millis(before).map_err(CommandError::usage)?;
    let min_age = i64::try_from(MIN_PRUNED_AGE.as_millis()).unwrap_or(i64::MAX);
    if before > clock.unix_millis().saturating_sub(min_age) {
        return Err(CommandError::usage("--before must be at least an hour ago").with_hint(
            "the records of tokens that are still valid and of downloads in progress are needed",
        ));
    }
    let database = open_existing_database(settings).await?;
    if is_dry_run {
        let count = count_prunable(&database, before).await?;
        return print_data(format!("{count} audit records would be deleted\n"));
    }
    let by = format!("the system user {}", rustix::process::getuid().as_raw());
    let pruned = prune_audit_log(&database, &clock, before, &by).await?;
    database.close().await;
    print_data(format!("{pruned} audit records deleted\n"))
}
