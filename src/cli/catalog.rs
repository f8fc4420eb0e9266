//! `cedargate catalog`: the catalog of datasets, users and roles.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::issuer::admin_issuers;
use crate::service::catalog::{
    self, ApplyError, ApplyOptions, ApplyProgress, ApplyReport, ApplyStep, CatalogFile,
};

use super::outcome::{CommandError, CommandResult, print_data, print_json};
use super::print;

/// Creates and changes what a catalog file declares, and prints the changes.
pub(super) async fn apply(
    settings: &Settings,
    path: &Path,
    is_pruning: bool,
    is_adopting: bool,
    is_json: bool,
) -> CommandResult {
    let file = CatalogFile::read(path).map_err(CommandError::new)?;
    let stores = Stores::open_beside_servers(settings).await?;
    let bar = print::progress("");
    let is_waiting = AtomicBool::new(false);
    let progress = |progress| show(&bar, &is_waiting, progress);
    let options = ApplyOptions {
        is_pruning,
        is_adopting,
        admin_issuers: admin_issuers(settings.issuers.iter()),
        progress: &progress,
        ..ApplyOptions::new(Clock::system())
    };
    let applied = apply_until_interrupted(&stores, &file, &options).await;
    bar.finish_and_clear();
    let report = applied?;
    stores.database.close().await;
    if is_json {
        print_json(&report)
    } else {
        print_data(report.to_string().trim_end())
    }
}

/// Applies the file; the first Ctrl-C or SIGTERM stops and cleans up, the second stops at once.
async fn apply_until_interrupted(
    stores: &Stores,
    file: &CatalogFile,
    options: &ApplyOptions<'_>,
) -> Result<ApplyReport, CommandError> {
    let Stores {
        database,
        files,
        passwords,
    } = stores;
    let (mut interrupts, mut terminations) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let applying = catalog::apply(database, files, passwords, file, options);
    tokio::pin!(applying);
    loop {
        tokio::select! {
            applied = &mut applying => return applied.map_err(apply_error),
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        if options.stop.is_cancelled() {
            return Err(CommandError::new("interrupted").with_hint(
                "apply the file again: it says what was applied, and cleans up what was not",
            ));
        }
        options.stop.cancel();
    }
}

fn show(bar: &ProgressBar, is_waiting: &AtomicBool, progress: ApplyProgress) {
    let ApplyProgress { step, done, total } = progress;
    if step == ApplyStep::WaitingForAnother && !is_waiting.swap(true, Ordering::Relaxed) {
        bar.suspend(|| print::note("another catalog apply is running; waiting until it ends"));
    }
    bar.set_message(step.to_string());
    bar.set_length(total.max(done) as u64);
    bar.set_position(done as u64);
}

fn apply_error(error: ApplyError) -> CommandError {
    let unchanged = "nothing was changed; correct the file and apply it again";
    match error {
        ApplyError::Invalid(diagnostics) => {
            CommandError::new(diagnostics.render(print::is_coloured())).with_hint(unchanged)
        }
        ApplyError::NeedsAdoption(diagnostics) => {
            CommandError::new(diagnostics.render(print::is_coloured())).with_hint(
                "nothing was changed; if these are the users that the file means, apply it with --adopt",
            )
        }
        ApplyError::NoAdminLeft => CommandError::new(error).with_hint(
            "nothing was changed; give the role admin to an enabled user who has a password",
        ),
        ApplyError::Interrupted => {
            CommandError::new(error).with_hint("nothing was changed; apply the file again")
        }
        ApplyError::AnotherIsRunning => {
            CommandError::new(error).with_hint("nothing was changed; wait until it ends")
        }
        other => CommandError::new(other),
    }
}
