//! `cedargate catalog`: the catalog of datasets, users and roles.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::issuer::admin_issuers;
use crate::service::catalog::{
    self, ApplyError, ApplyOptions, ApplyProgress, ApplyReport, ApplyStep, CatalogFile,
    RemovalLimits, RemovalRefusal,
};

use super::local::{declared_attributes, open_existing_stores};
use super::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use super::print;

/// The arguments of `catalog apply`.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct ApplyArguments {
    /// The catalog file
    file: PathBuf,
    /// Delete what the file does not declare
    #[arg(long)]
    prune: bool,
    /// Take over users that somebody else created, renamed or gave a password
    #[arg(long)]
    adopt: bool,
    /// Change nothing; list what would change
    #[arg(long)]
    dry_run: bool,
    /// Delete all users, roles or datasets even if the file names none of them
    #[arg(long)]
    allow_empty: bool,
    /// Allow that most of what there is of a kind is removed, but no more than N removals of all kinds
    #[arg(long, value_name = "N")]
    allow_removing: Option<usize>,
    /// Print a line for each item
    #[arg(long)]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Creates and changes what a catalog file declares, and prints the changes.
pub(super) async fn apply(settings: &Settings, arguments: ApplyArguments) -> CommandResult {
    let file = CatalogFile::read(&arguments.file).map_err(CommandError::new)?;
    if file.names_nothing() {
        print::note("the catalog file names no role, no user and no dataset");
    }
    let stores = if arguments.dry_run {
        open_existing_stores(settings).await?
    } else {
        Stores::open_beside_servers(settings).await?
    };
    let bar = print::progress("");
    let progress = show_progress(&bar);
    let options = ApplyOptions {
        is_pruning: arguments.prune,
        is_adopting: arguments.adopt,
        is_dry_run: arguments.dry_run,
        removal_limits: RemovalLimits {
            is_empty_allowed: arguments.allow_empty,
            max_removals: arguments.allow_removing,
        },
        admin_issuers: admin_issuers(settings.issuers.iter()),
        declared: declared_attributes(settings),
        progress: &progress,
        ..ApplyOptions::new(Clock::system())
    };
    let applied = apply_until_interrupted(&stores, &file, &options).await;
    bar.finish_and_clear();
    let report = applied?;
    stores.database.close().await;
    if arguments.json {
        print_json(&report)?;
    } else {
        print_data(report.render(arguments.verbose).trim_end())?;
    }
    match report.refused {
        None => Ok(ExitStatus::Success),
        Some(refusal) => Err(too_many_removals(&refusal)),
    }
}

/// Applies the file; the first Ctrl-C or SIGTERM stops and cleans up, the second stops at once.
pub(super) async fn apply_until_interrupted(
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

/// Shows how far it has come, and says once that another one is waited for.
pub(super) fn show_progress(bar: &ProgressBar) -> impl Fn(ApplyProgress) + Send + Sync {
    let is_waiting = AtomicBool::new(false);
    move |progress| show(bar, &is_waiting, progress)
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
                "nothing was changed; if these are the users and datasets that are meant, run it again with --adopt",
            )
        }
        ApplyError::TooManyRemovals(refusal) => too_many_removals(&refusal),
        ApplyError::NoAdminLeft => CommandError::check(error).with_hint(
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

fn too_many_removals(refusal: &RemovalRefusal) -> CommandError {
    let flags = &refusal.flags;
    CommandError::check(refusal).with_hint(format!(
        "nothing was changed; --dry-run lists what would be removed, and if it is meant, {flags} applies it"
    ))
}
