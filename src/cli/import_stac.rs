//! `cedargate catalog import-stac`: datasets for the Items of a STAC document.

use std::path::PathBuf;

use serde::Serialize;

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::issuer::admin_issuers;
use crate::domain::name::Username;
use crate::domain::token_refusal::escape_invisible;
use crate::service::catalog::stac::{
    DEFAULT_MAX_ITEMS, PropertyMapping, SkippedItem, StacError, StacImport, StacOptions, StacSource,
};
use crate::service::catalog::{ApplyOptions, ApplyReport};

use super::catalog::{apply_until_interrupted, show_progress};
use super::local::{declared_attributes, find_user, open_existing_stores};
use super::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use super::print;

/// The most Items without an asset to import that are listed.
const MAX_LISTED_ITEMS: usize = 20;

/// The arguments of `catalog import-stac`.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct ImportStacArguments {
    /// An Item, a list or search of Items, a Collection or a Catalog: a file, or an https or http URL
    source: StacSource,
    /// Who new datasets are for: public, internal, restricted or private
    #[arg(long, value_name = "VISIBILITY")]
    visibility: Option<Visibility>,
    /// Whether new datasets are published or draft
    #[arg(long, value_name = "STATUS")]
    status: Option<RecordStatus>,
    /// The user who owns new datasets
    #[arg(long, value_name = "USER")]
    owner: Option<Username>,
    /// Give the visibility, the status and the owner to datasets that exist, too
    #[arg(long)]
    overwrite: bool,
    /// Import the asset with this key, instead of all that are COGs; may be repeated
    #[arg(long, value_name = "KEY")]
    asset: Vec<String>,
    /// Fill a tag from a property of the Item, such as platform=platform; may be repeated
    #[arg(long, value_name = "NAME=PROPERTY")]
    tag: Vec<PropertyMapping>,
    /// Fill an attribute that the policy schema declares from a property of the Item; may be repeated
    #[arg(long, value_name = "NAME=PROPERTY")]
    attribute: Vec<PropertyMapping>,
    /// Keep these Items apart from others whose Collection and id are the same
    #[arg(long, value_name = "TEXT", default_value = "")]
    namespace: String,
    /// The folder in which the files of a document on disk may be; by default that of the document
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    /// The most Items
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ITEMS)]
    max_items: usize,
    /// Take over datasets, and an owner, that somebody else than the operator created
    #[arg(long)]
    adopt: bool,
    /// Change nothing; list what would change
    #[arg(long)]
    dry_run: bool,
    /// Print a line for each dataset, and for each Item that is not imported
    #[arg(long)]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What an import did, in JSON.
#[derive(Serialize)]
struct ImportReport<'a> {
    items: usize,
    datasets: usize,
    skipped: &'a [SkippedItem],
    kept: usize,
    #[serde(flatten)]
    report: &'a ApplyReport,
}

/// Reads a STAC document, and creates and updates its datasets.
pub(super) async fn import_stac(
    settings: &Settings,
    arguments: ImportStacArguments,
) -> CommandResult {
    let is_dry_run = arguments.dry_run;
    if arguments.overwrite && !arguments.has_values() {
        let error = "--overwrite needs at least one of --visibility, --status and --owner";
        return Err(CommandError::usage(error));
    }
    let options = arguments.options(settings);
    let bar = print::progress("reading STAC documents");
    let progress = |items, documents| {
        bar.set_message(format!("reading STAC documents: {documents} read"));
        bar.set_length(items as u64);
        bar.set_position(items as u64);
    };
    let imported = StacImport::read(arguments.source.clone(), &options, &progress).await;
    bar.finish_and_clear();
    let import = imported.map_err(|error| stac_error(&error))?;
    if import.datasets() == 0 && import.items > 0 {
        return Err(no_datasets(&import));
    }
    let stores = if is_dry_run {
        open_existing_stores(settings).await?
    } else {
        Stores::open_beside_servers(settings).await?
    };
    if let Some(owner) = &arguments.owner {
        find_user(&stores.database, owner).await?;
    }
    let report = apply(settings, &stores, &import, &arguments).await?;
    stores.database.close().await;
    arguments.print(&import, &report)
}

async fn apply(
    settings: &Settings,
    stores: &Stores,
    import: &StacImport,
    arguments: &ImportStacArguments,
) -> Result<ApplyReport, CommandError> {
    let bar = print::progress("");
    let progress = show_progress(&bar);
    let options = ApplyOptions {
        is_adopting: arguments.adopt,
        is_dry_run: arguments.dry_run,
        admin_issuers: admin_issuers(settings.issuers.iter()),
        declared: declared_attributes(settings),
        progress: &progress,
        ..ApplyOptions::new(Clock::system())
    };
    let applied = apply_until_interrupted(stores, &import.file, &options).await;
    bar.finish_and_clear();
    // The document does not speak of the rest of the catalog.
    Ok(ApplyReport {
        not_named: 0,
        ..applied?
    })
}

impl ImportStacArguments {
    /// Whether it has values for datasets.
    fn has_values(&self) -> bool {
        self.visibility.is_some() || self.status.is_some() || self.owner.is_some()
    }

    fn options(&self, settings: &Settings) -> StacOptions {
        StacOptions {
            visibility: self.visibility,
            record_status: self.status,
            owner: self.owner.clone(),
            is_overwriting: self.overwrite,
            assets: self.asset.clone(),
            tags: self.tag.clone(),
            attributes: self.attribute.clone(),
            namespace: self.namespace.clone(),
            files: self.files.clone(),
            stores: settings.stores.clone(),
            max_items: self.max_items,
        }
    }

    fn print(&self, import: &StacImport, report: &ApplyReport) -> CommandResult {
        if self.json {
            print_json(&ImportReport {
                items: import.items,
                datasets: import.datasets(),
                skipped: &import.skipped,
                kept: report.kept,
                report,
            })?;
        } else {
            for skipped in self.listed(&import.skipped) {
                print_data(format!(
                    "skipped    item     {}  ({})",
                    escape_invisible(&skipped.item),
                    escape_invisible(&skipped.reason)
                ))?;
            }
            print_data(report.render(self.verbose).trim_end())?;
            let (items, datasets) = (
                counted(import.items, "item"),
                counted(import.datasets(), "dataset"),
            );
            print_data(format!(
                "{items} read, {datasets}, {} skipped",
                counted(import.skipped.len(), "item")
            ))?;
        }
        if report.kept > 0 {
            print::note(format!(
                "{} kept another visibility, record status or owner than you gave; --overwrite replaces them",
                counted(report.kept, "dataset")
            ));
        }
        Ok(ExitStatus::Success)
    }

    /// The skipped Items that are printed.
    fn listed<'a>(&self, skipped: &'a [SkippedItem]) -> impl Iterator<Item = &'a SkippedItem> {
        let most = if self.verbose {
            usize::MAX
        } else {
            MAX_LISTED_ITEMS
        };
        skipped.iter().take(most)
    }
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

fn no_datasets(import: &StacImport) -> CommandError {
    let reason = import
        .skipped
        .first()
        .map_or("", |item| item.reason.as_str());
    CommandError::new(format!(
        "there is nothing to import in {}: {}",
        counted(import.items, "item"),
        escape_invisible(reason)
    ))
    .with_hint("a COG is known by its media type, or as a TIFF by the role data; --asset KEY names one by its key")
}

fn stac_error(error: &StacError) -> CommandError {
    let unchanged = "nothing was changed";
    let hint = match error {
        StacError::FileNotAllowed { .. } => {
            "nothing was changed; --files FOLDER allows files of another folder"
        }
        StacError::TooManyItems { .. } => {
            "nothing was changed; narrow the search, or allow more with --max-items N"
        }
        StacError::InvalidUrl { .. }
        | StacError::Unreadable { .. }
        | StacError::TooLarge { .. }
        | StacError::NotJson { .. }
        | StacError::NotStac { .. }
        | StacError::Member { .. }
        | StacError::NextIsNoGet { .. }
        | StacError::TooManyDocuments { .. } => unchanged,
    };
    // Ids and references in it are somebody else's.
    CommandError::new(escape_invisible(&error.to_string())).with_hint(hint)
}
