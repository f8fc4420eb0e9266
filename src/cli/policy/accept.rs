//! `cedargate policy accept`: accepts an edit that loses or changes invariants or cases in force.

use clap::Args;

use crate::cli::local::open_existing_stores;
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data};
use crate::cli::print;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::policies::reload::EditReview;

use super::load_folder;

/// The arguments of `policy accept`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AcceptArguments {
    /// The folder revision that the refusal names; it covers policies, cases and invariants
    revision: String,
}

/// Accepts the edit in the policy folder, if it is the one that is named.
pub(in crate::cli) async fn run(settings: &Settings, arguments: AcceptArguments) -> CommandResult {
    let folder = load_folder(settings, None)?;
    let label = folder.label();
    let Some(review) = EditReview::of_folder(settings, folder).map_err(CommandError::new)? else {
        let error = "no policies were ever in force on this data directory";
        return Err(CommandError::new(error).with_hint(
            "set CEDARGATE_DATA_DIR to the server's; a first start needs no acceptance",
        ));
    };
    let found = &review.edit.to;
    let named = arguments.revision.trim().to_ascii_lowercase();
    if *found != named {
        if named == review.revision.to_string() {
            let error = format!("{named} is the revision of the policies alone");
            return Err(CommandError::new(error).with_hint(format!(
                "an acceptance is for policies, cases and invariants: name the folder revision, {found}"
            )));
        }
        let error = format!("{label} is not at {}; it is at {found}", arguments.revision);
        return Err(CommandError::new(error).with_hint(format!(
            "review the folder as it is now: cedargate policy diff --to {label}"
        )));
    }
    let lines = review.changes.lines();
    if !review.is_weaker() {
        print::note("nothing to accept: the folder keeps the invariants and cases in force");
        return Ok(ExitStatus::Success);
    }
    let stores = open_existing_stores(settings).await?;
    let accepted = review.accept(&stores.database, &Clock::system()).await;
    stores.database.close().await;
    accepted?;
    for line in lines {
        print_data(line)?;
    }
    print_data(format!("accepted {found}"))?;
    print::note("a running server checks the folder again within a few seconds");
    Ok(ExitStatus::Success)
}
