//! `cedargate catalog`: the catalog of datasets, users and roles.

use std::path::Path;

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::catalog::{self, ApplyError, CatalogFile};

use super::outcome::{CommandError, CommandResult, print_data, print_json};
use super::print;

/// Creates and changes what a catalog file declares, and prints the changes.
pub(super) async fn apply(
    settings: &Settings,
    path: &Path,
    is_pruning: bool,
    is_json: bool,
) -> CommandResult {
    let file = CatalogFile::read(path).map_err(CommandError::new)?;
    let Stores {
        database,
        files,
        passwords,
    } = Stores::open_beside_servers(settings).await?;
    let now = Clock::system().unix_seconds();
    let applied = catalog::apply(&database, &files, &passwords, &file, is_pruning, now).await;
    database.close().await;
    let report = applied.map_err(apply_error)?;
    if is_json {
        print_json(&report)
    } else {
        print_data(report.to_string().trim_end())
    }
}

fn apply_error(error: ApplyError) -> CommandError {
    match error {
        ApplyError::Invalid(diagnostics) => {
            CommandError::new(diagnostics.render(print::is_coloured()))
                .with_hint("nothing was changed; correct the file and apply it again")
        }
        other => CommandError::new(other),
    }
}
