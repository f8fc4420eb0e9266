//! `cedargate api-key`: API keys for scripts, created in the database itself.

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::api_key::{KeyName, KeyScope};
use crate::domain::clock::Clock;
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::service::error::ServiceError;
use crate::service::identity::api_keys::{self, NewApiKey};

use super::local::find_user;
use super::outcome::{CommandError, CommandResult, print_data};
use super::print;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// The arguments of `api-key create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// The user that the key belongs to
    #[arg(long, value_name = "NAME")]
    user: Username,
    /// A name for the key
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// Days until the key expires; default: it does not expire
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_in: Option<u16>,
    /// Restrict the key to an action; may be given several times
    #[arg(long, value_name = "ACTION")]
    action: Vec<Action>,
    /// Restrict the key to a dataset; may be given several times
    #[arg(long, value_name = "ID")]
    dataset: Vec<DatasetId>,
}

/// Creates an API key and prints it; it is not shown again.
pub(super) async fn create(settings: &Settings, arguments: CreateArguments) -> CommandResult {
    let clock = Clock::system();
    let (actions, datasets) = (arguments.action, arguments.dataset);
    let scope = KeyScope::new(
        (!actions.is_empty()).then(|| actions.into_iter().collect()),
        (!datasets.is_empty()).then(|| datasets.into_iter().collect()),
    );
    let new_key = NewApiKey {
        name: KeyName::new(&arguments.name).map_err(CommandError::new)?,
        scope: scope.map_err(CommandError::new)?,
        expires_at: arguments
            .expires_in
            .map(|days| clock.unix_seconds() + i64::from(days) * SECONDS_PER_DAY),
    };
    let username = arguments.user;
    let stores = Stores::open_beside_servers(settings).await?;
    let owner = find_user(&stores.database, &username).await?;
    let created = api_keys::create_locally(&stores.database, owner.id, new_key, &clock).await;
    stores.database.close().await;
    let created = created.map_err(|error| match error {
        ServiceError::TooManyApiKeys => {
            CommandError::new(format!("limit of active API keys of {username} reached"))
                .with_hint("revoke one with DELETE /auth/api-keys/{id}")
        }
        other => other.into(),
    })?;
    print::note(format!(
        "created API key {} of {username}; it is not shown again; send it as X-Api-Key",
        created.key.id
    ));
    print_data(created.text.text().reveal())
}
