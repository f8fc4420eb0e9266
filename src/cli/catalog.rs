//! `cedargate catalog`: the catalog of datasets, users and roles.

use std::path::Path;

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::catalog::{self, ApplyError, CatalogFile};

use super::{CommandError, ExitStatus, print, serve};

/// Makes the catalog what a file says, and prints what that changed.
pub(super) async fn apply(
    settings: &Settings,
    path: &Path,
    is_pruning: bool,
    is_json: bool,
) -> Result<ExitStatus, CommandError> {
    let file = CatalogFile::read(path).map_err(CommandError::new)?;
    let Stores {
        database,
        files,
        passwords,
    } = Stores::open(settings).await.map_err(serve::app_error)?;
    let now = Clock::system().unix_seconds();
    let applied = catalog::apply(&database, &files, &passwords, &file, is_pruning, now).await;
    database.close().await;
    let report = applied.map_err(apply_error)?;
    if is_json {
        super::print_data(serde_json::to_string_pretty(&report).map_err(CommandError::new)?)
    } else {
        super::print_data(report.to_string().trim_end())
    }
}

fn apply_error(error: ApplyError) -> CommandError {
    match error {
        ApplyError::Invalid(problems) => CommandError::new(problems.render(print::is_coloured()))
            .with_hint("nothing was changed: mend the file and apply it again"),
        other => CommandError::new(other),
    }
}
