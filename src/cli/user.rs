//! `cedargate user`: users, made and changed on the database itself, so that nobody is locked out.

use std::collections::BTreeSet;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::suggest::did_you_mean;
use crate::service::administration::Administration;
use crate::service::administration::user_input::NewUser;
use crate::service::administration::users::UserAccount;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::storage::{Database, UserFilter};

use super::{CommandError, ExitStatus, password, print, serve};

/// What `user add` is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct AddArguments {
    /// The name to sign in with
    name: Username,
    /// Make it an admin
    #[arg(long)]
    admin: bool,
    /// Make it a member of a role; may be given several times
    #[arg(long, value_name = "ROLE")]
    role: Vec<RoleName>,
    /// Give it no password: it signs in with API keys alone
    #[arg(long)]
    no_password: bool,
    /// Keep the name for the first subject of this configured outside issuer that has it
    #[arg(long, value_name = "URL", conflicts_with = "no_password")]
    issuer: Option<String>,
}

/// Makes a user and prints its id.
pub(super) async fn add(
    settings: &Settings,
    arguments: AddArguments,
) -> Result<ExitStatus, CommandError> {
    let place = LocalAdministration::open(settings).await?;
    let mut roles: BTreeSet<RoleName> = arguments.role.into_iter().collect();
    if arguments.admin {
        roles.insert(ADMIN_ROLE.parse().map_err(CommandError::new)?);
    }
    let name = arguments.name;
    if let Some(issuer) = &arguments.issuer
        && !settings.issuers.iter().any(|one| one.issuer == *issuer)
    {
        let error = format!("no outside issuer {issuer} is configured");
        let hint = "[[issuers]] in cedargate.toml names them, and CEDARGATE_ISSUERS";
        return Err(CommandError::new(error).with_hint(hint));
    }
    // Before anybody types a password for nothing.
    place.check_roles(&roles).await?;
    let taken = place.database.find_user_by_username(&name).await;
    if taken.map_err(CommandError::new)?.is_some() {
        return Err(
            CommandError::new(format!("the user name {name} is taken")).with_hint(format!(
                "cedargate user password {name} gives it a password"
            )),
        );
    }
    let password = if arguments.no_password || arguments.issuer.is_some() {
        None
    } else {
        Some(password::read_new_password(&name)?)
    };
    let wish = NewUser {
        username: name.clone(),
        issuer: arguments.issuer,
        roles,
        claims: Tags::new(),
        is_disabled: false,
        password,
    };
    let visitor = RequestContext::local();
    let made = place.administration.create_user(&visitor, wish).await;
    let made = made.map_err(service_error)?;
    place.database.close().await;
    print::note(format!("made the user {name}, with this id:"));
    super::print_data(made.user.id)
}

/// Prints all users.
pub(super) async fn list(settings: &Settings, is_json: bool) -> Result<ExitStatus, CommandError> {
    let place = LocalAdministration::open(settings).await?;
    let users = place.all_users().await?;
    place.database.close().await;
    if is_json {
        let rows: Vec<_> = users.iter().map(user_json).collect();
        return super::print_data(serde_json::to_string_pretty(&rows).map_err(CommandError::new)?);
    }
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(["USER", "ROLES", "STATE", "PASSWORD", "ID"]);
    for known in &users {
        let roles: Vec<_> = known.user.roles.iter().map(RoleName::as_str).collect();
        let state = if known.user.is_disabled {
            "disabled"
        } else {
            "enabled"
        };
        let password = if known.has_password { "yes" } else { "no" };
        table.add_row([
            known.user.username.to_string(),
            roles.join(", "),
            state.to_owned(),
            password.to_owned(),
            known.user.id.to_string(),
        ]);
    }
    super::print_data(table.trim_fmt())
}

/// Disables a user, or enables it again.
pub(super) async fn set_disabled(
    settings: &Settings,
    name: &Username,
    is_disabled: bool,
) -> Result<ExitStatus, CommandError> {
    let place = LocalAdministration::open(settings).await?;
    let user = find_user(&place.database, name).await?;
    let visitor = RequestContext::local();
    let changed = place
        .administration
        .update_user(&visitor, user.id, &|_| true, |known| {
            Ok(User {
                is_disabled,
                ..(*known.user).clone()
            })
        });
    changed.await.map_err(service_error)?;
    place.database.close().await;
    print::note(if is_disabled {
        format!("{name} is disabled: what it shows opens nothing, within a second everywhere")
    } else {
        format!("{name} is enabled: its API keys open again, and it may sign in")
    });
    Ok(ExitStatus::Success)
}

/// Gives a user a password.
pub(super) async fn set_password(
    settings: &Settings,
    name: &Username,
) -> Result<ExitStatus, CommandError> {
    let place = LocalAdministration::open(settings).await?;
    let user = find_user(&place.database, name).await?;
    let password = password::read_new_password(name)?;
    let visitor = RequestContext::local();
    let set = place
        .administration
        .set_password(&visitor, user.id, Some(password));
    set.await.map_err(service_error)?;
    place.database.close().await;
    print::note(format!(
        "{name} has a new password, and its sessions have ended"
    ));
    Ok(ExitStatus::Success)
}

/// The user of a name, or a failure that says who may be meant.
pub(super) async fn find_user(database: &Database, name: &Username) -> Result<User, CommandError> {
    let found = database
        .find_user_by_username(name)
        .await
        .map_err(CommandError::new)?;
    if let Some(login) = found {
        return Ok(login.user);
    }
    let catalog = database.read_catalog().await.map_err(CommandError::new)?;
    let known = catalog.users.iter();
    let known = known.map(|record| record.user.username.as_str());
    let failure = CommandError::new(format!("there is no user {name}"));
    Err(match did_you_mean(name.as_str(), known) {
        Some(advice) => failure.with_hint(advice),
        None => failure.with_hint("cedargate user list tells who there is"),
    })
}

/// The database, and administration without a guard.
struct LocalAdministration {
    database: Database,
    administration: Administration,
}

impl LocalAdministration {
    async fn open(settings: &Settings) -> Result<Self, CommandError> {
        let Stores {
            database,
            files,
            passwords,
        } = Stores::open(settings).await.map_err(serve::app_error)?;
        let administration =
            Administration::local(database.clone(), files, passwords, Clock::system());
        Ok(Self {
            database,
            administration,
        })
    }

    /// All users, by name.
    async fn all_users(&self) -> Result<Vec<UserAccount>, CommandError> {
        let visitor = RequestContext::local();
        let filter = UserFilter::default();
        let mut users = Vec::new();
        let mut after: Option<UserId> = None;
        loop {
            let page = self
                .administration
                .list_users(&visitor, &filter, after, MAX_PAGE_SIZE);
            let page = page.await.map_err(service_error)?;
            after = page.next_cursor(|known| known.user.id);
            users.extend(page.items);
            if after.is_none() {
                users.sort_by(|one, other| one.user.username.cmp(&other.user.username));
                return Ok(users);
            }
        }
    }

    async fn check_roles(&self, roles: &BTreeSet<RoleName>) -> Result<(), CommandError> {
        for role in roles {
            if self
                .database
                .has_role(role)
                .await
                .map_err(CommandError::new)?
            {
                continue;
            }
            let catalog = self
                .database
                .read_catalog()
                .await
                .map_err(CommandError::new)?;
            let failure = CommandError::new(format!("there is no role {role}"));
            let known = catalog.roles.iter().map(RoleName::as_str);
            return Err(match did_you_mean(role.as_str(), known) {
                Some(advice) => failure.with_hint(advice),
                None => {
                    failure.with_hint("roles are made with a catalog file or POST /admin/roles")
                }
            });
        }
        Ok(())
    }
}

fn user_json(known: &UserAccount) -> Value {
    json!({
        "id": known.user.id,
        "username": known.user.username,
        "issuer": known.user.issuer,
        "roles": known.user.roles,
        "is_disabled": known.user.is_disabled,
        "has_password": known.has_password,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn service_error(error: ServiceError) -> CommandError {
    let failure = CommandError::new(error_chain(&error));
    match error {
        ServiceError::Conflict {
            field: "is_disabled",
            ..
        } => failure.with_hint("cedargate user add NAME --admin makes another admin"),
        _ => failure,
    }
}
