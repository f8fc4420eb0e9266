//! `cedargate policy diff`: compares the decisions of two policy folders over the whole catalog.

use std::path::{Path, PathBuf};

use crate::app::Stores;
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::policy::Bundle;
use crate::service::policies::reload::load_active_bundle;
use crate::service::policies::review::comparison::compare;

use super::assumed::AssumedContext;

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
    #[command(flatten)]
    context: AssumedContext,
    /// Exit with code 3 if a decision changes
    #[arg(long)]
    fail_on_change: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares the policies, and prints the changes and whom they affect.
pub(in crate::cli) async fn run(settings: &Settings, arguments: DiffArguments) -> CommandResult {
    let from = load_before(settings, &arguments.from)?;
    let to = Bundle::load(&arguments.to)?;
    let stores = Stores::open_beside_servers(settings).await?;
    let catalog = stores.database.read_catalog().await;
    stores.database.close().await;
    let catalog = catalog?;
    let context = arguments.context.review_context();
    let progress = print::progress("comparing");
    progress.set_length(u64::try_from(catalog.datasets.len()).unwrap_or(u64::MAX));
    let comparison = compare(&from, &to, catalog, context, || progress.inc(1));
    progress.finish_and_clear();
    if comparison.is_context_read {
        print::note(
            "note: the policies read the context; --address and --time assume another address and time",
        );
    }
    if arguments.json {
        print_json(&comparison)?;
    } else {
        print_data(comparison.render().trim_end())?;
    }
    let is_passed = !arguments.fail_on_change || !comparison.has_changes();
    Ok(ExitStatus::from_check(is_passed))
}

fn load_before(settings: &Settings, name: &str) -> Result<Bundle, CommandError> {
    let folder = Path::new(name);
    if name != LIVE && folder.is_dir() {
        return Ok(Bundle::load(folder)?);
    }
    let live = load_active_bundle(settings)?;
    let revision = live.revision();
    if name == LIVE || *revision.0 == *name {
        return Ok(live);
    }
    let error = format!("{name} is neither a folder nor the revision in force, {revision}");
    let hint = "check out the older revision into a folder, and name that folder";
    Err(CommandError::new(error).with_hint(hint))
}
