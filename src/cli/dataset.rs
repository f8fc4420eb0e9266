//! `cedargate dataset` and `cedargate share`: datasets, shown and shared in the database itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Settings;
use crate::domain::dataset::DatasetFile;
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::domain::rfc3339::{format_seconds, parse_day_or_seconds};
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::storage::{DatasetFilter, DatasetWithNames};

use super::local::{administration, check_role, find_user, load_all, open_existing_stores};
use super::outcome::{CommandError, CommandResult, print_data, print_json};
use super::print;

/// The arguments of `share add`.
#[derive(Debug, clap::Args)]
pub(super) struct ShareAddArguments {
    #[command(flatten)]
    share: ShareArguments,
    /// The end of the share, such as 2027-01-01 (the beginning of that day, UTC) or 2027-01-01T12:00:00Z; without it the
    /// share has no end
    #[arg(long, value_name = "TIME", value_parser = parse_day_or_seconds)]
    until: Option<i64>,
}

/// The arguments of `share remove`.
#[derive(Debug, clap::Args)]
pub(super) struct ShareArguments {
    /// The id of the dataset
    dataset: DatasetId,
    #[command(flatten)]
    reader: ReaderArguments,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ReaderArguments {
    /// A user
    #[arg(long, value_name = "NAME")]
    user: Option<Username>,
    /// A role: every member of it
    #[arg(long, value_name = "NAME")]
    role: Option<RoleName>,
}

/// Lists all datasets.
pub(super) async fn list(settings: &Settings, is_json: bool) -> CommandResult {
    let administration = open(settings).await?;
    let (context, filter) = (RequestContext::local(), DatasetFilter::default());
    let load_page = async |after: Option<Uuid>| {
        let page =
            administration.list_datasets(&context, &filter, after.map(DatasetId), MAX_PAGE_SIZE);
        page.await
    };
    let datasets = load_all(load_page, |row| row.dataset.id.0).await;
    administration.database.close().await;
    let datasets = datasets?;
    if is_json {
        let rows: Vec<_> = datasets.iter().map(dataset_json).collect();
        return print_json(&rows);
    }
    let mut table = print::table(["ID", "VISIBILITY", "STATUS", "OWNER", "FILE", "TITLE"]);
    for row in &datasets {
        let dataset = &row.dataset;
        let file = match &dataset.file {
            Some(DatasetFile::Stored(file)) => file.name.clone(),
            Some(DatasetFile::Remote(file)) => file.to_string(),
            None => "-".to_owned(),
        };
        table.add_row([
            dataset.id.to_string(),
            dataset.visibility.to_string(),
            dataset.record_status.to_string(),
            owner_name(row).to_owned(),
            file,
            dataset.title.clone(),
        ]);
    }
    print_data(table.trim_fmt())
}

/// Shows one dataset with its owner, its readers and its file.
pub(super) async fn show(settings: &Settings, id: DatasetId, is_json: bool) -> CommandResult {
    let administration = open(settings).await?;
    let found = administration
        .get_dataset(&RequestContext::local(), id)
        .await;
    administration.database.close().await;
    let dataset = found.map_err(|error| dataset_error(error, id))?;
    if is_json {
        return print_json(&dataset_json(&dataset));
    }
    print_data(render_dataset(&dataset).trim_end())
}

/// Adds a share, and prints the readers of the dataset.
pub(super) async fn add_share(settings: &Settings, arguments: ShareAddArguments) -> CommandResult {
    share(settings, arguments.share, true, arguments.until).await
}

/// Removes a share, and prints the readers of the dataset.
pub(super) async fn remove_share(settings: &Settings, arguments: ShareArguments) -> CommandResult {
    share(settings, arguments, false, None).await
}

async fn share(
    settings: &Settings,
    arguments: ShareArguments,
    is_added: bool,
    until: Option<i64>,
) -> CommandResult {
    let id = arguments.dataset;
    let ReaderArguments { user, role } = arguments.reader;
    let reader = user.map(Reader::User).or(role.map(Reader::Role));
    let Some(reader) = reader else {
        return Err(CommandError::usage("name a user or a role"));
    };
    let administration = open(settings).await?;
    // Removing the share of a misspelt name would look like success.
    match &reader {
        Reader::User(name) => drop(find_user(&administration.database, name).await?),
        Reader::Role(role) => check_role(&administration.database, role).await?,
    }
    let context = RequestContext::local();
    let is_wanted = |_: &DatasetWithNames| Ok(());
    let changed = if is_added {
        administration
            .create_share(&context, id, (&reader, until), &is_wanted)
            .await
    } else {
        administration
            .delete_share(&context, id, &reader, &is_wanted)
            .await
    };
    administration.database.close().await;
    let dataset = changed.map_err(|error| dataset_error(error, id))?;
    print_data(render_readers(&dataset).trim_end())
}

async fn open(settings: &Settings) -> Result<Administration, CommandError> {
    Ok(administration(
        open_existing_stores(settings).await?,
        settings,
    ))
}

fn dataset_error(error: ServiceError, id: DatasetId) -> CommandError {
    match error {
        ServiceError::NotFound { what } => CommandError::new(format!("there is no {what} {id}"))
            .with_hint("cedargate dataset list shows all datasets"),
        other => other.into(),
    }
}

fn owner_name(row: &DatasetWithNames) -> &str {
    row.owner.as_ref().map_or("-", Username::as_str)
}

fn dataset_json(row: &DatasetWithNames) -> Value {
    let dataset = &row.dataset;
    json!({
        "id": dataset.id,
        "title": dataset.title,
        "visibility": dataset.visibility,
        "record_status": dataset.record_status,
        "owner": row.owner,
        "reader_users": row.reader_users.keys().collect::<Vec<_>>(),
        "reader_roles": dataset.reader_roles,
        "reader_users_until": ends_by_name(row),
        "reader_roles_until": dataset.share_ends.roles.iter().map(|(role, until)| (role.to_string(), format_seconds(*until))).collect::<BTreeMap<_, _>>(),
        "tags": dataset.tags,
        "attributes": dataset.attributes,
        "file": dataset.file.as_ref().and_then(DatasetFile::stored),
        "remote_file": dataset.file.as_ref().and_then(DatasetFile::remote),
    })
}

fn ends_by_name(row: &DatasetWithNames) -> BTreeMap<String, String> {
    let ends = &row.dataset.share_ends.users;
    let users = row.reader_users.iter();
    users
        .filter_map(|(name, id)| Some((name.to_string(), format_seconds(*ends.get(id)?))))
        .collect()
}

fn render_dataset(row: &DatasetWithNames) -> String {
    let dataset = &row.dataset;
    let mut text = format!(
        "id             {}\ntitle          {}\nvisibility     {}\nrecord status  {}\nowner          {}\n",
        dataset.id,
        dataset.title,
        dataset.visibility,
        dataset.record_status,
        owner_name(row)
    );
    text += &render_readers(row);
    for (key, values) in &dataset.tags {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        // Writing to a String cannot fail.
        writeln!(text, "tag            {key}: {}", values.join(", ")).ok();
    }
    for (name, value) in &dataset.attributes {
        writeln!(text, "attribute      {name}: {value}").ok();
    }
    match &dataset.file {
        Some(DatasetFile::Remote(file)) => {
            writeln!(text, "file           {file}").ok();
        }
        Some(DatasetFile::Stored(file)) => {
            let (name, size, sha256) = (&file.name, file.size, &file.sha256);
            writeln!(text, "file           {name}, {size} bytes, sha256 {sha256}").ok();
        }
        None => text.push_str("file           none\n"),
    }
    text
}

fn render_readers(row: &DatasetWithNames) -> String {
    let joined = |readers: Vec<String>| match readers.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let ends = &row.dataset.share_ends;
    let with_end = |name: &str, until: Option<&i64>| match until {
        Some(until) => format!("{name} (until {})", format_seconds(*until)),
        None => name.to_owned(),
    };
    let users = row.reader_users.iter();
    let users = users
        .map(|(name, id)| with_end(name.as_str(), ends.users.get(id)))
        .collect();
    let roles = row.dataset.reader_roles.iter();
    let roles = roles
        .map(|role| with_end(role.as_str(), ends.roles.get(role)))
        .collect();
    format!(
        "reader users   {}\nreader roles   {}\n",
        joined(users),
        joined(roles)
    )
}
