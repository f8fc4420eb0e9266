//! `cedargate user`: users, managed in the database itself, so that an admin cannot be locked out.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::strict_json::StrictValue;
use crate::service::administration::Administration;
use crate::service::administration::user_input::NewUser;
use crate::service::administration::users::UserAccount;
use crate::service::identity::request_context::RequestContext;
use crate::service::identity::sessions;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::storage::UserFilter;

use super::local::{
    administration, check_role, declared_attributes, find_user, load_all, open_existing_database,
};
use super::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use super::{password, print};

/// The arguments of `user add`.
#[derive(Debug, clap::Args)]
pub(super) struct AddArguments {
    /// The name to sign in with
    name: Username,
    /// Make the user an admin
    #[arg(long)]
    admin: bool,
    /// Make the user a member of a role; may be given several times
    #[arg(long, value_name = "ROLE")]
    role: Vec<RoleName>,
    /// Set no password: the user can only use API keys
    #[arg(long)]
    no_password: bool,
    /// Make the user one of this configured identity provider: of --subject, or of the first subject whose
    /// token shows the name as verified
    #[arg(long, value_name = "URL", conflicts_with = "no_password")]
    issuer: Option<String>,
    /// Give the user an attribute that the policy schema declares; may be given several times. The value is
    /// JSON, or text that is no JSON: clearance=3, department=tides
    #[arg(long, value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    /// The `sub` of the user's tokens
    #[arg(long, value_name = "TEXT", requires = "issuer")]
    subject: Option<String>,
}

/// Creates a user and prints its id.
pub(super) async fn add(settings: &Settings, arguments: AddArguments) -> CommandResult {
    let administration = open(settings).await?;
    let database = &administration.database;
    let mut roles: BTreeSet<RoleName> = arguments.role.into_iter().collect();
    if arguments.admin {
        roles.insert(ADMIN_ROLE.parse().map_err(CommandError::new)?);
    }
    let name = arguments.name;
    let attributes = read_attributes(settings, &arguments.attribute).await?;
    if let Some(issuer) = &arguments.issuer
        && !settings.issuers.iter().any(|one| one.issuer == *issuer)
    {
        let error = format!("identity provider {issuer} is not configured");
        let hint = "configure it in [[issuers]] of cedargate.toml or in CEDARGATE_ISSUERS";
        return Err(CommandError::new(error).with_hint(hint));
    }
    // Everything is checked before anybody types a password.
    for role in &roles {
        check_role(database, role).await?;
    }
    if database.find_user_by_username(&name).await?.is_some() {
        let error = format!("the user name {name} is taken");
        let hint = format!("cedargate user password {name} sets the password of that user");
        return Err(CommandError::new(error).with_hint(hint));
    }
    let password = if arguments.no_password || arguments.issuer.is_some() {
        None
    } else {
        Some(password::read_new_password(&name)?)
    };
    let new_user = NewUser {
        username: name.clone(),
        issuer: arguments.issuer,
        subject: arguments.subject,
        roles,
        claims: Tags::new(),
        attributes,
        is_disabled: false,
        password,
    };
    let created = administration
        .create_user(&RequestContext::local(), new_user)
        .await?;
    database.close().await;
    print::note(format!("created user {name} with the id"));
    print_data(created.user.id)
}

/// Lists all users, by name.
pub(super) async fn list(settings: &Settings, is_json: bool) -> CommandResult {
    let administration = open(settings).await?;
    let (context, filter) = (RequestContext::local(), UserFilter::default());
    let load_page = async |after: Option<Uuid>| {
        let page = administration.list_users(&context, &filter, after.map(UserId), MAX_PAGE_SIZE);
        page.await
    };
    let mut users = load_all(load_page, |account| account.user.id.0).await?;
    users.sort_by(|one, other| one.user.username.cmp(&other.user.username));
    administration.database.close().await;
    if is_json {
        let rows: Vec<_> = users.iter().map(user_json).collect();
        return print_json(&rows);
    }
    let mut table = print::table(["USER", "NAME", "ROLES", "STATE", "PASSWORD", "ID"]);
    for UserAccount {
        user, has_password, ..
    } in &users
    {
        let roles: Vec<_> = user.roles.iter().map(RoleName::as_str).collect();
        let state = if user.is_disabled {
            "disabled"
        } else {
            "enabled"
        };
        let password = if *has_password { "yes" } else { "no" };
        table.add_row([
            user.username.to_string(),
            user.display_name.clone().unwrap_or_default(),
            roles.join(", "),
            state.to_owned(),
            password.to_owned(),
            user.id.to_string(),
        ]);
    }
    print_data(table.trim_fmt())
}

/// Starts a session of a user and prints its refresh token.
pub(super) async fn start_session(settings: &Settings, name: &Username) -> CommandResult {
    let administration = open(settings).await?;
    let database = &administration.database;
    let user = find_user(database, name).await?;
    if let Some(issuer) = &user.issuer {
        let error = format!("the user {name} signs in with the identity provider {issuer}");
        return Err(CommandError::new(error));
    }
    if user.is_disabled {
        let hint = format!("cedargate user enable {name} enables it");
        return Err(CommandError::new(format!("the user {name} is disabled")).with_hint(hint));
    }
    let lifetime = u32::try_from(settings.refresh_lifetime.as_secs()).unwrap_or(u32::MAX);
    let started = sessions::start_locally(database, user.id, lifetime, &administration.clock).await;
    database.close().await;
    print::note(format!(
        "started a session of {name}; POST /auth/refresh takes this refresh token once"
    ));
    print_data(started?.reveal())
}

/// Disables or enables a user.
pub(super) async fn set_disabled(
    settings: &Settings,
    name: &Username,
    is_disabled: bool,
) -> CommandResult {
    let administration = open(settings).await?;
    let user = find_user(&administration.database, name).await?;
    let update = |account: &UserAccount| {
        Ok(User {
            is_disabled,
            ..(*account.user).clone()
        })
    };
    administration
        .update_user(&RequestContext::local(), user.id, &|_| Ok(()), update)
        .await?;
    administration.database.close().await;
    print::note(if is_disabled {
        format!("disabled user {name}; its credentials stop working within one second")
    } else {
        format!("enabled user {name}; it may sign in, and its API keys work again")
    });
    Ok(ExitStatus::Success)
}

/// Sets the password of a user.
pub(super) async fn set_password(settings: &Settings, name: &Username) -> CommandResult {
    let administration = open(settings).await?;
    let user = find_user(&administration.database, name).await?;
    let password = password::read_new_password(name)?;
    administration
        .set_password(&RequestContext::local(), user.id, Some(password))
        .await?;
    administration.database.close().await;
    print::note(format!(
        "changed the password of user {name} and ended its sessions"
    ));
    Ok(ExitStatus::Success)
}

/// The attributes of a new user, checked with the schema of the policies in force.
async fn read_attributes(
    settings: &Settings,
    given: &[String],
) -> Result<Attributes, CommandError> {
    let mut attributes = Attributes::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            let error = format!("--attribute {text:?}: write NAME=VALUE");
            return Err(CommandError::usage(error));
        };
        let parsed: Result<StrictValue, _> = serde_json::from_str(value);
        let value = parsed.map_or_else(|_| Value::from(value), |value| value.0);
        if attributes.insert(name.to_owned(), value).is_some() {
            let error = format!("--attribute {name} is given twice");
            return Err(CommandError::usage(error));
        }
    }
    match declared_attributes(settings) {
        Ok(declared) => {
            let names = declared.references(AttributeOwner::User, &attributes);
            let names = names.usernames.iter().collect::<BTreeSet<_>>();
            if !names.is_empty() {
                let database = open_existing_database(settings).await?;
                let ids = database.find_user_ids(&names).await;
                database.close().await;
                attributes = declared.with_user_ids(AttributeOwner::User, &attributes, &ids?);
            }
            declared
                .check(AttributeOwner::User, &attributes, None)
                .map_err(|errors| CommandError::new(format!("attribute {errors}")))
        }
        // Somebody has to be able to come in when the policies are broken.
        Err(_) if attributes.is_empty() => Ok(attributes),
        Err(reason) => Err(CommandError::new(format!(
            "attributes cannot be checked: {reason}"
        ))),
    }
}

async fn open(settings: &Settings) -> Result<Administration, CommandError> {
    let stores = Stores::open_beside_servers(settings).await?;
    Ok(administration(stores, settings))
}

fn user_json(account: &UserAccount) -> Value {
    json!({
        "id": account.user.id,
        "username": account.user.username,
        "display_name": account.user.display_name,
        "issuer": account.user.issuer,
        "roles": account.user.roles,
        "attributes": account.user.attributes,
        "is_disabled": account.user.is_disabled,
        "has_password": account.has_password,
    })
}
