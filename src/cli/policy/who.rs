//! `cedargate policy who`: lists who may do something with a dataset of the catalog, and why.

use std::sync::Arc;

use crate::cli::local::open_existing_stores;
use crate::cli::outcome::{CommandResult, ExitStatus, print_data, print_json};
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::id::DatasetId;
use crate::service::policies::review::access_lists::{PrincipalsQuery, list_principals};

use super::access_arguments::AccessArguments;
use super::explain::{find_dataset, parse_action};

/// The arguments of `policy who`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WhoArguments {
    /// The action: read, discover or administer
    #[arg(long, value_parser = parse_action)]
    action: Action,
    /// The id of the dataset
    #[arg(long, value_name = "ID")]
    dataset: DatasetId,
    #[command(flatten)]
    access: AccessArguments,
}

/// Prints who is permitted.
pub(in crate::cli) async fn run(settings: &Settings, arguments: WhoArguments) -> CommandResult {
    let access = &arguments.access;
    let bundle = access.load_bundle(settings)?;
    let database = open_existing_stores(settings).await?.database;
    let dataset = find_dataset(&database, arguments.dataset).await?;
    let directory = database.read_directory().await?;
    database.close().await;
    let users = directory.users.into_iter();
    let users = users.map(|record| Arc::new(record.user)).collect();
    let query = PrincipalsQuery {
        action: arguments.action,
        dataset,
        scope: access.scope(),
    };
    let report = list_principals(&bundle, &query, users);
    if access.json {
        print_json(&report)?;
    } else {
        print_data(report.render().trim_end())?;
    }
    Ok(ExitStatus::Success)
}
