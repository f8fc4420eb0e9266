//! `cedargate policy check`: checks whether a policy folder is valid.

use std::path::PathBuf;

use crate::cli::local::open_existing_database;
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::diagnostic_report::render_diagnostics;
use crate::policy::check::PolicyCheck;
use crate::policy::edited_attributes::EditedAttributes;
use crate::policy::folder::PolicyFolder;
use crate::service::policies::reload::{CatalogFit, EditReview, load_active_folder};

use super::catalog_names::catalog_names;
use super::load_folder;

/// The arguments of `policy check`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArguments {
    /// The policy folder; default: the one in the settings
    dir: Option<PathBuf>,
    /// Exit with code 3 if there are warnings
    #[arg(long)]
    deny_warnings: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks a folder, and prints its revision or its errors.
pub(in crate::cli) async fn run(settings: &Settings, arguments: CheckArguments) -> CommandResult {
    let loaded = load_folder(settings, arguments.dir.as_deref());
    let edited = loaded.as_ref().ok().cloned();
    let mut check = PolicyCheck::run(loaded)?;
    if let Some(edited) = edited.filter(|_| check.is_passed()) {
        add_misfits(settings, &edited, &mut check).await;
        add_changes(settings, edited, &mut check);
    }
    if let Some(names) = catalog_names(settings, check.catalog_lookup()).await {
        check.compare_with_catalog(&names);
    }
    if arguments.json {
        print_json(&check)?;
    } else {
        print_report(&check)?;
    }
    let is_denied = arguments.deny_warnings && !check.warnings.is_empty();
    Ok(ExitStatus::from_check(check.is_passed() && !is_denied))
}

/// Adds what of the catalog does not fit the schema, or is not seen by policies any more, if there is a catalog.
async fn add_misfits(settings: &Settings, edited: &PolicyFolder, check: &mut PolicyCheck) {
    let declared = edited.declared_attributes().unwrap_or_default();
    let in_force = load_active_folder(settings).ok();
    let edit = EditedAttributes::new(&declared, in_force.as_ref());
    if edit.is_unchanged() && edit.is_empty() {
        return;
    }
    let Ok(database) = open_existing_database(settings).await else {
        return;
    };
    let fit = CatalogFit::scan(&database, edit).await;
    database.close().await;
    let label = edited.label();
    let of_folder = |line| SourceDiagnostic::for_file(&label, line);
    match fit {
        Ok(fit) => {
            let misfits = fit.misfits().into_iter();
            let misfits = misfits.map(|line| of_folder(line).with_help(CatalogFit::HINT));
            check.problems.extend(misfits);
            let undeclared = fit.undeclared_lines().into_iter();
            let undeclared = undeclared.map(|line| of_folder(line).into_warning());
            check.warnings.extend(undeclared);
        }
        Err(error) => print::note(format!(
            "note: the attributes of the schema are not compared with the catalog: {error}"
        )),
    }
}

/// Adds what the policy gate of a server on this data directory would say of changed invariants and cases.
fn add_changes(settings: &Settings, edited: PolicyFolder, check: &mut PolicyCheck) {
    let label = edited.label();
    let review = match EditReview::of_folder(settings, edited) {
        Ok(Some(review)) => review,
        Ok(None) => return,
        Err(error) => {
            let note = "note: the folder is not compared with the policies in force";
            return print::note(format!("{note}: {error}"));
        }
    };
    let changes = review.problems(&label).into_iter();
    if review.needs_acceptance {
        check.problems.extend(changes);
    } else {
        check
            .warnings
            .extend(changes.map(SourceDiagnostic::into_warning));
    }
}

fn print_report(check: &PolicyCheck) -> Result<(), CommandError> {
    let is_coloured = print::is_coloured();
    if !check.problems.is_empty() {
        print::error(render_diagnostics(&check.problems, is_coloured).trim_end());
    }
    if !check.warnings.is_empty() {
        print::note(render_diagnostics(&check.warnings, is_coloured).trim_end());
    }
    if let Some(summary) = check.summary() {
        print_data(summary)?;
    }
    Ok(())
}
