//! `cedargate policy diff`: compares the decisions of two policy folders over the whole catalog.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::app::Stores;
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::domain::client_address::AssumedAddress;
use crate::domain::clock::Clock;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::bundle_entities::EntityChanges;
use crate::policy::edited_attributes::EditedAttributes;
use crate::policy::folder::PolicyFolder;
use crate::policy::mentions::EntityMentions;
use crate::policy::safeguards::SafeguardChanges;
use crate::service::policies::reload::{CatalogFit, EditReview, load_active_folder};
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::catalog_names::find_catalog_names;
use crate::service::policies::review::comparison::{BundleComparison, ComparisonHints, compare};

use super::print_warnings;
use super::save_cases::{check_case_file_name, save_cases};

/// The most cases that are saved of one comparison.
const MAX_SAVED_CASES: usize = 100;
/// The name of the policies in force.
const LIVE: &str = "live";

/// The arguments of `policy diff`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DiffArguments {
    /// The policies before: a folder, `live` for those in force, or the revision of those
    #[arg(long, value_name = "DIR|REVISION|live", default_value = LIVE)]
    from: String,
    /// The policies after: a folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Ask from this client address alone, or `unknown`; default: from both sides of each network in the policies
    #[arg(long, value_name = "ADDRESS")]
    address: Option<AssumedAddress>,
    /// Ask at this time alone, such as 2026-03-01T12:00:00Z; default: before, at and after each time in the policies
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// Add a case for each group of changes to a case file, whose name must end in .cases.json
    #[arg(long, value_name = "FILE")]
    save_cases: Option<PathBuf>,
    /// Exit with code 3 if a decision or an entity changes, or an invariant is changed or removed
    #[arg(long)]
    fail_on_change: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares the policies, and prints the changes and whom they affect.
pub(in crate::cli) async fn run(settings: &Settings, arguments: DiffArguments) -> CommandResult {
    if let Some(file) = &arguments.save_cases {
        check_case_file_name(file)?;
    }
    let from_folder = load_before(settings, &arguments.from)?;
    let to_folder = PolicyFolder::load(&arguments.to)?;
    let (from, to) = (from_folder.bundle()?, to_folder.bundle()?);
    let mentions = EntityMentions::of_folder(&to_folder, &to);
    let literals = from_folder.invariant_literals(&from);
    let literals = literals.and(to_folder.invariant_literals(&to));
    let edited = EditedAttributes::new(to.declared_attributes(), Some(&from_folder));
    let review = EditReview::new(settings, from_folder, to_folder);
    let stores = Stores::open_beside_servers(settings).await?;
    let catalog = stores.database.read_catalog().await;
    let names = find_catalog_names(&stores.database, mentions.lookup()).await;
    stores.database.close().await;
    let (catalog, names) = (catalog?, names?);
    let mut warnings = to.warnings().to_vec();
    warnings.extend(mentions.warnings(Some(&names)));
    let scope = ContextScope {
        address: arguments.address,
        time: arguments.time.map(|time| time.timestamp()),
        authentication: None,
        now: Clock::system().unix_seconds(),
        literals,
    };
    let entities = EntityChanges::new(from.entities(), to.entities());
    let progress = print::progress("comparing");
    progress.set_length(u64::try_from(catalog.datasets.len()).unwrap_or(u64::MAX));
    let fit = CatalogFit::of_catalog(edited, &catalog);
    let comparison = compare(&from, &to, catalog, &scope, || progress.inc(1));
    progress.finish_and_clear();
    if let Some(file) = &arguments.save_cases {
        let cases = comparison.new_cases(&to, MAX_SAVED_CASES);
        let cases = cases
            .map_err(|reason| CommandError::new(format!("there is no case to save: {reason}")))?;
        if cases.is_empty() {
            print::note("note: no decision changes, so there is no case to save");
        } else {
            save_cases(&to, file, &cases)?;
        }
    }
    let is_unchanged = entities.is_empty()
        && fit.is_fit()
        && !comparison.has_changes()
        && !review.changes.touches_invariants();
    let is_passed = !arguments.fail_on_change || is_unchanged;
    if arguments.json {
        print_json(&DiffReport {
            comparison,
            warnings: &warnings,
            safeguards: &review.changes,
            entities: &entities,
            catalog: CatalogReport {
                misfits: fit.misfit_lines(),
                undeclared: fit.undeclared_lines(),
            },
            accept: review.needs_acceptance.then_some(&review.edit.to),
        })?;
    } else {
        // The summary is the last on the screen.
        print_warnings(&warnings);
        if !fit.is_fit() {
            print::note(
                "the policy gate refuses this edit, because the catalog does not fit its schema:",
            );
        }
        for line in fit.misfit_lines().into_iter().chain(fit.undeclared_lines()) {
            print::note(line);
        }
        if review.needs_acceptance {
            print::note(review.acceptance_note());
        }
        for line in review.changes.lines().into_iter().chain(entities.line()) {
            print_data(line)?;
        }
        print_data(comparison.render(ComparisonHints::COMMAND_LINE).trim_end())?;
    }
    Ok(ExitStatus::from_check(is_passed))
}

/// The comparison as JSON.
#[derive(Serialize)]
struct DiffReport<'a> {
    #[serde(flatten)]
    comparison: BundleComparison,
    /// What in the policies after can never match or is not in the catalog, so that nothing changes by it.
    warnings: &'a [SourceDiagnostic],
    safeguards: &'a SafeguardChanges,
    entities: &'a EntityChanges,
    catalog: CatalogReport,
    /// What has to be accepted, if the policy gate refuses the edit otherwise.
    accept: Option<&'a String>,
}

/// What of the catalog does not fit the schema after, and what that does not declare.
#[derive(Serialize)]
struct CatalogReport {
    misfits: Vec<String>,
    undeclared: Vec<String>,
}

fn load_before(settings: &Settings, name: &str) -> Result<PolicyFolder, CommandError> {
    let folder = Path::new(name);
    if name != LIVE && folder.is_dir() {
        return Ok(PolicyFolder::load(folder)?);
    }
    let live = load_active_folder(settings)?;
    let revision = live.revision();
    if name == LIVE || *revision.0 == *name {
        return Ok(live);
    }
    let error = format!("{name} is neither a folder nor the revision in force, {revision}");
    let hint = "check out the older revision into a folder, and name that folder";
    Err(CommandError::new(error).with_hint(hint))
}
