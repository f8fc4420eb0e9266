//! Local access: what commands need that work on the database itself.

use uuid::Uuid;

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::policy::attributes::DeclaredAttributes;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;
use crate::service::policies::reload::load_active_bundle;
use crate::storage::Database;

use super::outcome::CommandError;

/// Opens the database that exists; creates none.
pub(super) async fn open_existing_database(settings: &Settings) -> Result<Database, CommandError> {
    let url = settings.database_url.reveal();
    Database::open_existing(url, settings.database_connections)
        .await
        .map_err(|error| {
            CommandError::new(error).with_hint("cedargate config shows the database that is used")
        })
}

/// Opens the stores of a database that exists.
pub(super) async fn open_existing_stores(settings: &Settings) -> Result<Stores, CommandError> {
    open_existing_database(settings).await?.close().await;
    Ok(Stores::open_beside_servers(settings).await?)
}

/// Administration without the policies.
pub(super) fn administration(stores: Stores, settings: &Settings) -> Administration {
    let Stores {
        database,
        files,
        passwords,
    } = stores;
    let issuers = &settings.issuers;
    Administration::local(database, files, passwords, Clock::system(), issuers)
}

/// The attributes that the schema of the policies in force declares, or why it is not known.
pub(super) fn declared_attributes(settings: &Settings) -> Result<DeclaredAttributes, String> {
    match load_active_bundle(settings) {
        Ok(bundle) => Ok(bundle.declared_attributes().clone()),
        Err(error) => Err(format!(
            "the policies in force cannot be loaded: {}",
            error_chain(&error)
        )),
    }
}

/// All items of a filtered list.
pub(super) async fn load_all<T>(
    load_page: impl AsyncFn(Option<Uuid>) -> Result<Page<T>, ServiceError>,
    id_of: impl Fn(&T) -> Uuid,
) -> Result<Vec<T>, CommandError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = load_page(after).await?;
        after = page.next_id(&id_of);
        items.extend(page.items);
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// Finds a user by name; the error suggests a similar name.
pub(super) async fn find_user(database: &Database, name: &Username) -> Result<User, CommandError> {
    if let Some(record) = database.find_user_by_username(name).await? {
        return Ok(record.user);
    }
    let directory = database.read_directory().await?;
    let known = directory.users.iter();
    let known = known.map(|record| record.user.username.as_str());
    Err(
        CommandError::new(format!("there is no user {name}")).with_suggestion(
            name.as_str(),
            known,
            "cedargate user list shows all users",
        ),
    )
}

/// Checks that a role exists; the error suggests a similar name.
pub(super) async fn check_role(database: &Database, role: &RoleName) -> Result<(), CommandError> {
    if database.has_role(role).await? {
        return Ok(());
    }
    let directory = database.read_directory().await?;
    let known = directory.roles.iter().map(RoleName::as_str);
    Err(
        CommandError::new(format!("there is no role {role}")).with_suggestion(
            role.as_str(),
            known,
            "create roles with a catalog file or POST /admin/roles",
        ),
    )
}
