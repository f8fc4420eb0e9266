//! `cedargate dataset` and `cedargate share`: datasets, looked at and shared on the database itself.

use std::fmt::Write;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::app::{self, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::service::catalog::did_you_mean;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::LONGEST_PAGE;
use crate::storage::{Database, DatasetFilter, NamedDataset};

use super::{Ending, Failure, serve};

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
pub(super) async fn list(settings: &Settings, is_json: bool) -> Result<Ending, Failure> {
    let administration = open(settings).await?;
    let datasets = all(&administration).await;
    administration.database.close().await;
    let datasets = datasets?;
    if is_json {
        let rows: Vec<_> = datasets.iter().map(described).collect();
        return super::show(serde_json::to_string_pretty(&rows).map_err(Failure::new)?);
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
            owner(named).to_owned(),
            file.to_owned(),
            dataset.title.clone(),
        ]);
    }
    super::show(table.trim_fmt())
}

/// Prints one dataset with its owner, its readers and its file.
pub(super) async fn show(
    settings: &Settings,
    id: DatasetId,
    is_json: bool,
) -> Result<Ending, Failure> {
    let administration = open(settings).await?;
    let shown = administration
        .show_dataset(&Visitor::at_command_line(), id)
        .await;
    administration.database.close().await;
    let named = shown.map_err(|error| failed(error, id))?;
    if is_json {
        let text = serde_json::to_string_pretty(&described(&named));
        return super::show(text.map_err(Failure::new)?);
    }
    super::show(told(&named).trim_end())
}

/// Makes or withdraws a share, and prints with whom the dataset is shared now.
pub(super) async fn share(
    settings: &Settings,
    arguments: ShareArguments,
    is_shared: bool,
) -> Result<Ending, Failure> {
    let id = arguments.dataset;
    let ReaderArguments { user, role } = arguments.reader;
    let reader = user.map(Reader::User).or(role.map(Reader::Role));
    let Some(reader) = reader else {
        return Err(Failure::new("a share is of a user or of a role"));
    };
    let administration = open(settings).await?;
    check(&administration.database, &reader).await?;
    let visitor = Visitor::at_command_line();
    let is_wanted = |_: &NamedDataset| true;
    let changed = if is_shared {
        administration
            .share(&visitor, id, &reader, &is_wanted)
            .await
    } else {
        administration
            .withdraw(&visitor, id, &reader, &is_wanted)
            .await
    };
    administration.database.close().await;
    let named = changed.map_err(|error| failed(error, id))?;
    super::show(told_shares(&named).trim_end())
}

/// Opens what is there; only looking makes no database.
async fn open(settings: &Settings) -> Result<Administration, Failure> {
    let url = settings.database_url.reveal();
    let there = Database::open_existing(url, 1).await.map_err(|error| {
        Failure::new(error).with_hint("cedargate config tells which database it looked for")
    })?;
    there.close().await;
    let Stores {
        database,
        files,
        passwords,
    } = Stores::open(settings).await.map_err(serve::explain)?;
    Ok(Administration::at_command_line(
        database,
        files,
        passwords,
        Clock::system(),
    ))
}

async fn all(administration: &Administration) -> Result<Vec<NamedDataset>, Failure> {
    let (visitor, filter) = (Visitor::at_command_line(), DatasetFilter::default());
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = administration.list_datasets(&visitor, &filter, after, LONGEST_PAGE);
        let page = page
            .await
            .map_err(|error| Failure::new(app::tell(&error)))?;
        after = page.next(|last| last.dataset.id);
        all.extend(page.items);
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// A name that nobody has is told with the closest one that somebody has; to withdraw a share of a
/// name that is misspelt would look as if it were done.
async fn check(database: &Database, reader: &Reader) -> Result<(), Failure> {
    let catalog = database.read_catalog().await.map_err(Failure::new)?;
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
    let failure = Failure::new(format!("there is no {what} {name}"));
    Err(match did_you_mean(name, known) {
        Some(near) => failure.with_hint(near),
        None => failure,
    })
}

fn failed(error: ServiceError, id: DatasetId) -> Failure {
    match error {
        ServiceError::NotFound { what } => Failure::new(format!("there is no {what} {id}"))
            .with_hint("cedargate dataset list shows what there is"),
        other => Failure::new(app::tell(&other)),
    }
}

fn owner(named: &NamedDataset) -> &str {
    named.owner.as_ref().map_or("-", Username::as_str)
}

fn described(named: &NamedDataset) -> Value {
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

fn told(named: &NamedDataset) -> String {
    let dataset = &named.dataset;
    let mut told = format!(
        "id             {}\ntitle          {}\nvisibility     {}\nrecord status  {}\nowner          {}\n",
        dataset.id,
        dataset.title,
        dataset.visibility,
        dataset.record_status,
        owner(named)
    );
    told += &told_shares(named);
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

fn told_shares(named: &NamedDataset) -> String {
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
