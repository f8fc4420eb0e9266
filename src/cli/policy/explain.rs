//! `cedargate policy explain`: explains why the policies permit or deny an action.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::cli::local::{find_user, open_existing_stores};
use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::principal::Principal;
use crate::domain::principal_name::PrincipalName;
use crate::policy::Bundle;
use crate::policy::entity_file::{EntityFile, EntityFileError};
use crate::policy::explain::ValueVisibility;
use crate::policy::new_case::NewCase;
use crate::service::policies::reload::load_active_bundle;
use crate::service::policies::review::explanation::{
    DecisionQuery, ExplanationReport, explain, explain_entities, new_case_of_entities,
};
use crate::storage::Database;

use super::assumed::AssumedContext;
use super::explain_record::{RecordedQuestion, find_record};
use super::save_cases::{check_case_file_name, save_cases};

/// The arguments that name an audit record, in place of a principal, an action and a dataset.
const RECORD_ARGUMENTS: [&str; 2] = ["request_id", "record"];
/// The arguments that an audit record stands for.
const ASKED_ARGUMENTS: [&str; 8] = [
    "key",
    "authentication",
    "principal",
    "action",
    "dataset",
    "entities",
    "address",
    "time",
];

/// The most datasets whose ids are compared with an unknown one.
const MAX_SIMILAR: u32 = 10_000;

/// The arguments of `policy explain`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExplainArguments {
    /// The principal: anonymous, a user name, or a user id, plain or as a Cedar entity UID
    #[arg(long, value_name = "WHO", required_unless_present_any = RECORD_ARGUMENTS)]
    principal: Option<String>,
    /// The action: read, discover or administer
    #[arg(long, value_parser = parse_action, required_unless_present_any = RECORD_ARGUMENTS)]
    action: Option<Action>,
    /// The id of the dataset
    #[arg(long, value_name = "ID", required_unless_present_any = RECORD_ARGUMENTS)]
    dataset: Option<String>,
    /// Explain what was decided about a request: its X-Request-Id, which answers and the audit log have
    #[arg(long, value_name = "ID", conflicts_with_all = ASKED_ARGUMENTS)]
    request_id: Option<String>,
    /// Explain what an audit record says was decided: its id, or the jti of a download token
    #[arg(long, value_name = "ID", conflicts_with_all = ASKED_ARGUMENTS, conflicts_with = "request_id")]
    record: Option<RecordId>,
    /// Take the principal and the dataset from a JSON file of Cedar entities, not from the catalog
    #[arg(long, value_name = "FILE")]
    entities: Option<PathBuf>,
    /// The policy folder; default: the policies in force
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    context: AssumedContext,
    /// Add the request with its decision to a case file, whose name must end in .cases.json
    #[arg(long, value_name = "FILE")]
    save_case: Option<PathBuf>,
    /// The name of the saved case; default: who may or may not do what
    #[arg(long, value_name = "NAME", requires = "save_case")]
    case_name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn parse_action(text: &str) -> Result<Action, String> {
    match text.parse() {
        Ok(action) if Action::DATASET_ACTIONS.contains(&action) => Ok(action),
        Ok(_) => Err("not an action on datasets; use read, discover or administer".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Prints the decision and the reasons.
pub(in crate::cli) async fn run(settings: &Settings, arguments: ExplainArguments) -> CommandResult {
    if let Some(file) = &arguments.save_case {
        check_case_file_name(file)?;
    }
    let bundle = match &arguments.dir {
        Some(folder) => Bundle::load(folder)?,
        None => load_active_bundle(settings)?,
    };
    let explained = match (&arguments.entities, asked(&arguments)) {
        (Some(file), Some(asked)) => explain_from_file(&bundle, file, &asked)?,
        (None, Some(asked)) => explain_from_catalog(&bundle, settings, asked).await?,
        (_, None) => explain_recorded(&bundle, settings, &arguments).await?,
    };
    let report = &explained.report;
    if arguments.json {
        print_json(report)?;
    } else {
        print_data(report.render().trim_end())?;
    }
    if let Some(file) = &arguments.save_case {
        let case = explained.case.map_err(|reason| {
            CommandError::new(format!("there is no case to save: {reason}"))
                .with_hint("a case is decided by policies alone")
        })?;
        let name = arguments.case_name.clone();
        let case = case.renamed(&name.unwrap_or_else(|| report.case_name()));
        save_cases(&bundle, file, &[case])?;
    }
    Ok(ExitStatus::Success)
}

/// What is asked for, without an audit record.
struct Asked<'a> {
    principal: &'a str,
    action: Action,
    dataset: &'a str,
    context: &'a AssumedContext,
}

/// What the arguments ask for; none if they name an audit record.
fn asked(arguments: &ExplainArguments) -> Option<Asked<'_>> {
    Some(Asked {
        principal: arguments.principal.as_deref()?,
        action: arguments.action?,
        dataset: arguments.dataset.as_deref()?,
        context: &arguments.context,
    })
}

/// An explanation, and the case that expects its decision.
struct Explained {
    report: ExplanationReport,
    /// Why there is no case, if there is none.
    case: Result<NewCase, String>,
}

async fn explain_from_catalog(
    bundle: &Bundle,
    settings: &Settings,
    asked: Asked<'_>,
) -> Result<Explained, CommandError> {
    let principal = parse_argument("principal", asked.principal)?;
    let dataset_id = parse_argument("dataset", asked.dataset)?;
    let database = open_existing_stores(settings).await?.database;
    let dataset = find_dataset(&database, dataset_id).await?;
    let principal = find_principal(&database, principal).await?;
    let key = asked.context.find_key(&database).await?;
    let query = DecisionQuery {
        context: asked.context.review_context(principal.user_id(), key)?,
        principal,
        action: asked.action,
        dataset: Arc::new(dataset),
    };
    let mut report = explain(bundle, &query, ValueVisibility::ALL);
    add_names(&mut report, &database).await?;
    database.close().await;
    Ok(Explained {
        report,
        case: query.new_case(bundle),
    })
}

/// Explains what was decided, as an audit record has it.
async fn explain_recorded(
    bundle: &Bundle,
    settings: &Settings,
    arguments: &ExplainArguments,
) -> Result<Explained, CommandError> {
    let database = open_existing_stores(settings).await?.database;
    let record = find_record(&database, arguments.request_id.as_deref(), arguments.record).await?;
    let recorded = RecordedQuestion::load(&database, &record).await?;
    let mut report = recorded.explain(bundle);
    add_names(&mut report, &database).await?;
    database.close().await;
    Ok(Explained {
        report,
        case: recorded.new_case(bundle),
    })
}

/// Adds the names of the users and datasets that an explanation mentions.
async fn add_names(
    report: &mut ExplanationReport,
    database: &Database,
) -> Result<(), CommandError> {
    for id in report.mentioned_users() {
        if let Some(user) = database.find_user(id).await? {
            report.add_name("User", id.0, user.username.as_str());
        }
    }
    for id in report.mentioned_datasets() {
        if let Some(dataset) = database.find_dataset(id).await? {
            report.add_name("Dataset", id.0, &dataset.title);
        }
    }
    Ok(())
}

/// Parses an argument whose type depends on another argument.
fn parse_argument<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Result<T, CommandError> {
    text.parse()
        .map_err(|error| CommandError::usage(format!("--{name} {text:?}: {error}")))
}

fn explain_from_file(
    bundle: &Bundle,
    file: &Path,
    asked: &Asked<'_>,
) -> Result<Explained, CommandError> {
    let entities = EntityFile::load(file, bundle).map_err(|error| {
        CommandError::new(error.render(print::is_coloured()).trim_end())
            .with_hint("--entities takes a JSON list of entities, like the one in a case")
    })?;
    let facts = entities
        .facts(asked.principal, asked.dataset)
        .map_err(|error| entity_error(&entities, &error))?;
    // The id in a file need not be one; the policies see nothing of whose key it is.
    let user = (!facts.is_anonymous).then_some(UserId(uuid::Uuid::nil()));
    let context = &asked.context.review_context(user, None)?;
    let action = asked.action;
    Ok(Explained {
        report: explain_entities(bundle, &facts, action, context),
        case: new_case_of_entities(bundle, &facts, action, context),
    })
}

fn entity_error(entities: &EntityFile, error: &EntityFileError) -> CommandError {
    let EntityFileError::NotFound { name, .. } = error else {
        return CommandError::new(error);
    };
    let known: Vec<String> = entities.names().collect();
    CommandError::new(error).with_suggestion(
        name,
        known.iter().map(String::as_str),
        "the file must contain the principal and the dataset",
    )
}

pub(super) async fn find_principal(
    database: &Database,
    principal: PrincipalName,
) -> Result<Principal, CommandError> {
    let user = match principal {
        PrincipalName::Anonymous => return Ok(Principal::Anonymous),
        PrincipalName::Username(name) => find_user(database, &name).await?,
        PrincipalName::Id(id) => database.find_user(id).await?.ok_or_else(|| {
            CommandError::new(format!("there is no user {id}"))
                .with_hint("cedargate user list shows all users")
        })?,
    };
    Ok(Principal::User(Arc::new(user)))
}

pub(super) async fn find_dataset(
    database: &Database,
    id: DatasetId,
) -> Result<Dataset, CommandError> {
    if let Some(dataset) = database.find_dataset(id).await? {
        return Ok(dataset);
    }
    let titles = database.list_titles(MAX_SIMILAR).await?;
    let known: Vec<String> = titles.iter().map(|(id, _)| id.to_string()).collect();
    Err(
        CommandError::new(format!("there is no dataset {id}")).with_suggestion(
            &id.to_string(),
            known.iter().map(String::as_str),
            "cedargate dataset list shows all datasets",
        ),
    )
}
