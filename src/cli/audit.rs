//! `cedargate audit`: the audit records.

use std::io::{ErrorKind, Write};

use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::name::Username;
use crate::domain::normal_form::normalize_name;
use crate::domain::rfc3339::parse_millis;
use crate::service::audit_prune::{MIN_PRUNED_AGE, count_prunable, prune_audit_log};
use crate::service::audit_reader::AuditRecordPages;

use crate::storage::Database;

use super::local::{find_user, open_existing_database};
use super::outcome::{CommandError, CommandResult, ExitStatus, print_data};
use super::print;

/// The filters of `GET /admin/audit`, by the same names; a record has to match all that are given.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// Only records of requests by this user, an id or a user name
    #[arg(long, value_name = "USER")]
    user_id: Option<String>,
    /// Only records about this dataset
    #[arg(long, value_name = "ID")]
    dataset_id: Option<DatasetId>,
    /// Only records of operations on this user, an id or a user name
    #[arg(long, value_name = "USER")]
    resource_user_id: Option<String>,
    /// Only records with this outcome
    #[arg(long)]
    outcome: Option<AuditOutcome>,
    /// Only records of this event
    #[arg(long)]
    event: Option<AuditEvent>,
    /// Only records of decisions about this action
    #[arg(long)]
    action: Option<Action>,
    /// Only logins with this user name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Only the mint of the download token with this id, and the downloads with it
    #[arg(long, value_name = "ID")]
    jti: Option<RecordId>,
    /// Only the record of the request with this id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only records of requests that came with this X-Request-Id
    #[arg(long, value_name = "ID")]
    client_request_id: Option<String>,
    /// Only questions and searches about this subject, as Cedar writes it
    #[arg(long, value_name = "ENTITY")]
    asked_principal: Option<String>,
    /// Only questions and searches about this resource, as Cedar writes it
    #[arg(long, value_name = "ENTITY")]
    asked_resource: Option<String>,
    /// Only records from this time on, such as 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_millis)]
    since: Option<i64>,
    /// Only records before this time
    #[arg(long, value_name = "TIME", value_parser = parse_millis)]
    until: Option<i64>,
}

impl ExportArguments {
    async fn into_filter(self, database: &Database) -> Result<AuditFilter, CommandError> {
        Ok(AuditFilter {
            user_id: find_user_id(database, self.user_id).await?,
            dataset_id: self.dataset_id,
            resource_user_id: find_user_id(database, self.resource_user_id).await?,
            outcome: self.outcome,
            event: self.event,
            action: self.action,
            username: self.username.as_deref().map(normalize_name),
            jti: self.jti,
            request_id: self.request_id,
            client_request_id: self.client_request_id,
            asked_principal: self.asked_principal,
            asked_resource: self.asked_resource,
            since: self.since,
            until: self.until,
        })
    }
}

/// The id of a user; records outlive users, so that an id need not be anybody's.
async fn find_user_id(
    database: &Database,
    user: Option<String>,
) -> Result<Option<UserId>, CommandError> {
    let Some(user) = user else { return Ok(None) };
    if let Ok(id) = user.parse() {
        return Ok(Some(id));
    }
    let name: Username = user.parse().map_err(CommandError::usage)?;
    Ok(Some(find_user(database, &name).await?.id))
}

/// Prints the records that match as JSON Lines, the oldest first.
pub(super) async fn export(settings: &Settings, arguments: ExportArguments) -> CommandResult {
    let database = open_existing_database(settings).await?;
    let filter = arguments.into_filter(&database).await?;
    let mut output = print::data_writer();
    let pages = AuditRecordPages::new(database, filter);
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
