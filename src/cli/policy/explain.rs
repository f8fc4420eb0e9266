//! `cedargate policy explain`: why the policies answer one question as they do.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::app::Stores;
use crate::cli::{CommandError, ExitStatus, print, serve};
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::clock::Clock;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::principal::Principal;
use crate::domain::principal_name::PrincipalName;
use crate::domain::suggest::did_you_mean;
use crate::policy::Bundle;
use crate::policy::entity_file::{EntityFile, EntityFileError};
use crate::policy::explain::ValueVisibility;
use crate::service::policies::review::comparison::ReviewContext;
use crate::service::policies::review::explanation::{
    DecisionQuery, ExplanationReport, explain, explain_entities,
};
use crate::storage::Database;

/// What `policy explain` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    /// Who asks: anonymous, a user's name, or its id, plain or as Cedar writes it
    #[arg(long, value_name = "WHO")]
    principal: String,
    /// What it would do: read, discover or administer
    #[arg(long, value_parser = parse_action)]
    action: Action,
    /// The dataset's id
    #[arg(long, value_name = "ID")]
    dataset: String,
    /// Ask about the entities of this file (JSON, as the Cedar command line has them), not about the catalog
    #[arg(long, value_name = "FILE")]
    entities: Option<PathBuf>,
    /// The policy folder; the policies in force if left out
    #[arg(long)]
    dir: Option<PathBuf>,
    /// From which address it asks
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// When it asks, as in 2026-03-01T12:00:00Z; now if left out
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_action(text: &str) -> Result<Action, String> {
    match text.parse() {
        Ok(action) if Action::DATASET_ACTIONS.contains(&action) => Ok(action),
        Ok(_) => Err("it is not asked of datasets: read, discover and administer are".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Asks the policies, and prints what they answer and why.
pub(crate) async fn run(
    settings: &Settings,
    arguments: ExplainArguments,
) -> Result<ExitStatus, CommandError> {
    let bundle = match &arguments.dir {
        Some(folder) => Bundle::load(folder).map_err(|error| super::bundle_error(&error))?,
        None => super::load_active(settings)?,
    };
    let explained = match &arguments.entities {
        Some(file) => explain_from_file(&bundle, file, &arguments)?,
        None => explain_from_catalog(&bundle, settings, &arguments).await?,
    };
    if arguments.json {
        crate::cli::print_data(serde_json::to_string_pretty(&explained).map_err(CommandError::new)?)
    } else {
        crate::cli::print_data(explained.render().trim_end())
    }
}

impl ExplainArguments {
    fn context(&self) -> ReviewContext {
        ReviewContext {
            address: self.address,
            unix_millis: self.time.map_or_else(
                || Clock::system().unix_millis(),
                |time| time.timestamp_millis(),
            ),
        }
    }
}

async fn explain_from_catalog(
    bundle: &Bundle,
    settings: &Settings,
    arguments: &ExplainArguments,
) -> Result<ExplanationReport, CommandError> {
    let who: PrincipalName = parse_argument("principal", &arguments.principal)?;
    let which: DatasetId = parse_argument("dataset", &arguments.dataset)?;
    let database = open_database(settings).await?;
    let found = find_principal_and_dataset(&database, who, which).await;
    database.close().await;
    let (principal, dataset) = found?;
    let question = DecisionQuery {
        principal,
        action: arguments.action,
        dataset,
        context: arguments.context(),
    };
    Ok(explain(bundle, &question, ValueVisibility::ALL))
}

/// Reads an argument of which only now is known what it may be.
fn parse_argument<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Result<T, CommandError> {
    text.parse().map_err(|error| CommandError {
        exit_code: 2,
        ..CommandError::new(format!("--{name} {text:?}: {error}"))
    })
}

fn explain_from_file(
    bundle: &Bundle,
    file: &Path,
    arguments: &ExplainArguments,
) -> Result<ExplanationReport, CommandError> {
    let entities = EntityFile::load(file, bundle).map_err(|error| {
        CommandError::new(error.render(print::is_coloured()).trim_end())
            .with_hint("--entities takes a JSON list of entities, as a case has them")
    })?;
    let written = entities
        .facts(&arguments.principal, &arguments.dataset)
        .map_err(|error| entity_error(&entities, &error))?;
    let circumstances = arguments.context();
    Ok(explain_entities(
        bundle,
        &written,
        arguments.action,
        circumstances,
    ))
}

fn entity_error(entities: &EntityFile, error: &EntityFileError) -> CommandError {
    let failure = CommandError::new(error);
    let EntityFileError::NotFound { name, .. } = error else {
        return failure;
    };
    let known: Vec<String> = entities.names().collect();
    match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(hint) => failure.with_hint(hint),
        None => failure.with_hint("the file must have whoever asks and what is asked for"),
    }
}

/// Opens the database that is there; only looking makes none.
async fn open_database(settings: &Settings) -> Result<Database, CommandError> {
    let url = settings.database_url.reveal();
    let there = Database::open_existing(url, 1).await.map_err(|error| {
        CommandError::new(error).with_hint("cedargate config tells which database it looked for")
    })?;
    there.close().await;
    let stores = Stores::open(settings).await.map_err(serve::app_error)?;
    Ok(stores.database)
}

async fn find_principal_and_dataset(
    database: &Database,
    who: PrincipalName,
    which: DatasetId,
) -> Result<(Principal, Arc<Dataset>), CommandError> {
    let dataset = database
        .find_dataset(which)
        .await
        .map_err(CommandError::new)?;
    let dataset = dataset.ok_or_else(|| {
        CommandError::new(format!("there is no dataset {which}"))
            .with_hint("cedargate dataset list tells which there are")
    })?;
    let id = match &who {
        PrincipalName::Anonymous => return Ok((Principal::Anonymous, Arc::new(dataset))),
        PrincipalName::Id(id) => Some(*id),
        PrincipalName::Username(name) => database
            .find_user_id(name)
            .await
            .map_err(CommandError::new)?,
    };
    let user = match id {
        Some(id) => database.find_user(id).await.map_err(CommandError::new)?,
        None => None,
    };
    match user {
        Some(user) => Ok((Principal::User(Arc::new(user)), Arc::new(dataset))),
        None => Err(no_such_user(database, &who).await),
    }
}

async fn no_such_user(database: &Database, who: &PrincipalName) -> CommandError {
    let failure = CommandError::new(format!("there is no user {who}"));
    let hint = match (who, database.read_catalog().await) {
        (PrincipalName::Username(name), Ok(catalog)) => {
            let known = catalog.users.iter();
            let known = known.map(|record| record.user.username.as_str());
            did_you_mean(name.as_str(), known)
        }
        _ => None,
    };
    failure.with_hint(hint.unwrap_or_else(|| "cedargate user list tells who there is".to_owned()))
}
