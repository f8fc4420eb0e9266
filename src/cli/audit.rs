//! `cedargate audit`: the audit records.

use std::io::{self, ErrorKind, Write};

use crate::config::Settings;
use crate::service::audit_trail::AuditTrail;
use crate::storage::Database;

use super::{CommandError, ExitStatus, print};

/// Prints all records as JSON Lines, oldest first.
pub(super) async fn export(settings: &Settings) -> Result<ExitStatus, CommandError> {
    let Settings {
        database_url,
        database_connections,
        ..
    } = settings;
    let database = Database::open_existing(database_url.reveal(), *database_connections)
        .await
        .map_err(|error| {
            CommandError::new(error)
                .with_hint("cedargate config tells which database it looked for")
        })?;
    let mut to = print::data_writer();
    let exported = AuditTrail::export(&database, |record| {
        serde_json::to_writer(&mut to, record)?;
        writeln!(to)
    });
    let printed = exported
        .await
        .map_err(CommandError::new)?
        .and_then(|_| to.flush());
    match printed {
        // Whoever went away has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(output_error(&error)),
        Ok(()) | Err(_) => Ok(ExitStatus::Success),
    }
}

fn output_error(error: &io::Error) -> CommandError {
    CommandError::new(format!("the records cannot be printed: {error}"))
}
