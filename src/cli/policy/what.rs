//! `cedargate policy what`: lists with which datasets of the catalog a principal may do something, and why.

use crate::cli::local::open_existing_stores;
use crate::cli::outcome::{CommandResult, ExitStatus, print_data, print_json};
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::principal_name::PrincipalName;
use crate::service::policies::review::access_lists::{DatasetsQuery, columns_read, list_datasets};

use super::access_arguments::AccessArguments;
use super::explain::{find_principal, parse_action};

/// The arguments of `policy what`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WhatArguments {
    /// The principal: anonymous, a user name, or a user id, plain or as a Cedar entity UID
    #[arg(long, value_name = "WHO")]
    principal: PrincipalName,
    /// The action: read, discover or administer; default: each of them
    #[arg(long, value_parser = parse_action)]
    action: Option<Action>,
    #[command(flatten)]
    access: AccessArguments,
}

/// Prints what is permitted.
pub(in crate::cli) async fn run(settings: &Settings, arguments: WhatArguments) -> CommandResult {
    let access = &arguments.access;
    let bundle = access.load_bundle(settings)?;
    let database = open_existing_stores(settings).await?.database;
    let query = DatasetsQuery {
        actions: match arguments.action {
            Some(action) => vec![action],
            None => Action::DATASET_ACTIONS.to_vec(),
        },
        principal: find_principal(&database, arguments.principal).await?,
        scope: access.scope(),
    };
    let columns = columns_read(&bundle, &query.actions);
    let datasets = database.read_dataset_facts(columns).await;
    database.close().await;
    let report = list_datasets(&bundle, &query, datasets?);
    if access.json {
        print_json(&report)?;
    } else {
        print_data(report.render().trim_end())?;
    }
    Ok(ExitStatus::Success)
}
