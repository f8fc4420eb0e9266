//! `cedargate policy diff`: what an edit changes over the whole live catalog.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::app::Stores;
use crate::cli::{CommandError, ExitStatus, print, serve};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::policy::Bundle;
use crate::service::policies::review::comparison::compare;
use crate::service::policies::review::context::ReviewContext;

/// How the policies in force are called.
const LIVE: &str = "live";

/// What `policy diff` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArguments {
    /// The policies before: a folder, `live` for those in force, or the revision of those
    #[arg(long, value_name = "DIR|REVISION|live", default_value = LIVE)]
    from: String,
    /// The policies after: a folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// From which address everybody asks
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// When everybody asks, as in 2026-03-01T12:00:00Z; now if left out
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// End with exit code 3 when a decision changes
    #[arg(long)]
    fail_on_change: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares, and prints what changes for whom.
pub(crate) async fn run(
    settings: &Settings,
    arguments: DiffArguments,
) -> Result<ExitStatus, CommandError> {
    let from = load_before(settings, &arguments.from)?;
    let to = Bundle::load(&arguments.to).map_err(|error| super::bundle_error(&error))?;
    let circumstances = ReviewContext {
        address: arguments.address,
        unix_millis: arguments.time.map_or_else(
            || Clock::system().unix_millis(),
            |time| time.timestamp_millis(),
        ),
    };
    let stores = Stores::open(settings).await.map_err(serve::app_error)?;
    let catalog = stores.database.read_catalog().await;
    stores.database.close().await;
    let catalog = catalog.map_err(CommandError::new)?;
    let progress = print::progress("comparing");
    progress.set_length(u64::try_from(catalog.datasets.len()).unwrap_or(u64::MAX));
    let comparison = compare(&from, &to, catalog, circumstances, || progress.inc(1));
    progress.finish_and_clear();
    if comparison.is_context_read {
        print::note(
            "note: policies read the context: --address and --time ask from elsewhere and at another time",
        );
    }
    if arguments.json {
        crate::cli::print_data(
            serde_json::to_string_pretty(&comparison).map_err(CommandError::new)?,
        )?;
    } else {
        crate::cli::print_data(comparison.render().trim_end())?;
    }
    Ok(if arguments.fail_on_change && comparison.has_changes() {
        ExitStatus::CheckFailed
    } else {
        ExitStatus::Success
    })
}

fn load_before(settings: &Settings, named: &str) -> Result<Bundle, CommandError> {
    let folder = Path::new(named);
    if named != LIVE && folder.is_dir() {
        return Bundle::load(folder).map_err(|error| super::bundle_error(&error));
    }
    let live = super::load_active(settings)?;
    let revision = live.revision();
    if named == LIVE || *revision.0 == *named {
        return Ok(live);
    }
    let error = format!("{named} is neither a folder nor the revision in force, {revision}");
    let hint = "check an older revision out into a folder of its own, and name that";
    Err(CommandError::new(error).with_hint(hint))
}
