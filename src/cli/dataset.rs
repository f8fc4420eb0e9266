//! `cedargate dataset` and `cedargate share`: datasets, looked at and shared on the database itself.

use std::fmt::Write;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::domain::suggest::did_you_mean;
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::storage::{Database, DatasetFilter, DatasetWithNames};

use super::{CommandError, ExitStatus, serve};

/// Whom a share is about.
#[derive(Debug, clap::Args)]
pub(super) struct ShareArguments {
    /// The dataset's id
    dataset: DatasetId,
    #[command(flatten)]
    reader: ReaderArguments,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ReaderArguments {
    /// One user
    #[arg(long, value_name = "NAME")]
    user: Option<Username>,
    /// Every member of a role
    #[arg(long, value_name = "NAME")]
    role: Option<RoleName>,
}

/// Prints all datasets.
pub(super) async fn list(settings: &Settings, is_json: bool) -> Result<ExitStatus, CommandError> {
    let administration = open_administration(settings).await?;
    let datasets = list_all(&administration).await;
    administration.database.close().await;
    let datasets = datasets?;
    if is_json {
        let rows: Vec<_> = datasets.iter().map(dataset_json).collect();
        return super::print_data(serde_json::to_string_pretty(&rows).map_err(CommandError::new)?);
    }
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(["ID", "VISIBILITY", "STATUS", "OWNER", "FILE", "TITLE"]);
    for named in &datasets {
        let dataset = &named.dataset;
        let file = dataset.file.as_ref().map_or("-", |file| file.name.as_str());
        table.add_row([
            dataset.id.to_string(),
            dataset.visibility.to_string(),
            dataset.record_status.to_string(),
            owner_name(named).to_owned(),
            file.to_owned(),
            dataset.title.clone(),
        ]);
    }
    super::print_data(table.trim_fmt())
}

/// Prints one dataset with its owner, its readers and its file.
pub(super) async fn show(
    settings: &Settings,
    id: DatasetId,
    is_json: bool,
) -> Result<ExitStatus, CommandError> {
    let administration = open_administration(settings).await?;
    let shown = administration
        .get_dataset(&RequestContext::local(), id)
        .await;
    administration.database.close().await;
    let named = shown.map_err(|error| service_error(error, id))?;
    if is_json {
        let text = serde_json::to_string_pretty(&dataset_json(&named));
        return super::print_data(text.map_err(CommandError::new)?);
    }
    super::print_data(render_dataset(&named).trim_end())
}

/// Makes or withdraws a share, and prints with whom the dataset is shared now.
pub(super) async fn share(
    settings: &Settings,
    arguments: ShareArguments,
    is_shared: bool,
) -> Result<ExitStatus, CommandError> {
    let id = arguments.dataset;
    let ReaderArguments { user, role } = arguments.reader;
    let reader = user.map(Reader::User).or(role.map(Reader::Role));
    let Some(reader) = reader else {
        return Err(CommandError::new("a share is of a user or of a role"));
    };
    let administration = open_administration(settings).await?;
    check_reader_exists(&administration.database, &reader).await?;
    let visitor = RequestContext::local();
    let is_wanted = |_: &DatasetWithNames| true;
    let changed = if is_shared {
        administration
            .create_share(&visitor, id, &reader, &is_wanted)
            .await
    } else {
        administration
            .delete_share(&visitor, id, &reader, &is_wanted)
            .await
    };
    administration.database.close().await;
    let named = changed.map_err(|error| service_error(error, id))?;
    super::print_data(render_readers(&named).trim_end())
}

/// Opens what is there; only looking makes no database.
async fn open_administration(settings: &Settings) -> Result<Administration, CommandError> {
    let url = settings.database_url.reveal();
    let there = Database::open_existing(url, 1).await.map_err(|error| {
        CommandError::new(error).with_hint("cedargate config tells which database it looked for")
    })?;
    there.close().await;
    let Stores {
        database,
        files,
        passwords,
    } = Stores::open(settings).await.map_err(serve::app_error)?;
    Ok(Administration::local(
        database,
        files,
        passwords,
        Clock::system(),
    ))
}

async fn list_all(administration: &Administration) -> Result<Vec<DatasetWithNames>, CommandError> {
    let (visitor, filter) = (RequestContext::local(), DatasetFilter::default());
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = administration.list_datasets(&visitor, &filter, after, MAX_PAGE_SIZE);
        let page = page
            .await
            .map_err(|error| CommandError::new(error_chain(&error)))?;
        after = page.next_cursor(|last| last.dataset.id);
        all.extend(page.items);
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// A name that nobody has is told with the closest one that somebody has; to withdraw a share of a
/// name that is misspelt would look as if it were done.
async fn check_reader_exists(database: &Database, reader: &Reader) -> Result<(), CommandError> {
    let catalog = database.read_catalog().await.map_err(CommandError::new)?;
    let (what, name, known): (_, _, Vec<&str>) = match reader {
        Reader::User(name) => {
            let users = catalog.users.iter().map(|record| &record.user.username);
            ("user", name.as_str(), users.map(Username::as_str).collect())
        }
        Reader::Role(name) => {
            let roles = catalog.roles.iter();
            ("role", name.as_str(), roles.map(RoleName::as_str).collect())
        }
    };
    if known.contains(&name) {
        return Ok(());
    }
    let failure = CommandError::new(format!("there is no {what} {name}"));
    Err(match did_you_mean(name, known) {
        Some(near) => failure.with_hint(near),
        None => failure,
    })
}

fn service_error(error: ServiceError, id: DatasetId) -> CommandError {
    match error {
        ServiceError::NotFound { what } => CommandError::new(format!("there is no {what} {id}"))
            .with_hint("cedargate dataset list shows what there is"),
        other => CommandError::new(error_chain(&other)),
    }
}

fn owner_name(named: &DatasetWithNames) -> &str {
    named.owner.as_ref().map_or("-", Username::as_str)
}

fn dataset_json(named: &DatasetWithNames) -> Value {
    let dataset = &named.dataset;
    json!({
        "id": dataset.id,
        "title": dataset.title,
        "visibility": dataset.visibility,
        "record_status": dataset.record_status,
        "owner": named.owner,
        "reader_users": named.reader_users.keys().collect::<Vec<_>>(),
        "reader_roles": dataset.reader_roles,
        "tags": dataset.tags,
        "file": dataset.file,
    })
}

fn render_dataset(named: &DatasetWithNames) -> String {
    let dataset = &named.dataset;
    let mut told = format!(
        "id             {}\ntitle          {}\nvisibility     {}\nrecord status  {}\nowner          {}\n",
        dataset.id,
        dataset.title,
        dataset.visibility,
        dataset.record_status,
        owner_name(named)
    );
    told += &render_readers(named);
    for (key, values) in &dataset.tags {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        // Writing to a String cannot fail.
        writeln!(told, "tag            {key}: {}", values.join(", ")).ok();
    }
    match &dataset.file {
        Some(file) => {
            let (name, size, sha256) = (&file.name, file.size, &file.sha256);
            writeln!(told, "file           {name}, {size} bytes, sha256 {sha256}").ok();
        }
        None => told.push_str("file           none\n"),
    }
    told
}

fn render_readers(named: &DatasetWithNames) -> String {
    let joined = |readers: Vec<&str>| match readers.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let users = named.reader_users.keys().map(Username::as_str).collect();
    let roles = named.dataset.reader_roles.iter();
    let roles = roles.map(RoleName::as_str).collect();
    format!(
        "reader users   {}\nreader roles   {}\n",
        joined(users),
        joined(roles)
    )
}
