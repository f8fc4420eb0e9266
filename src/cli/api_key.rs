//! `cedargate api-key`: keys for scripts, made on the database itself.

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::api_key::{KeyName, KeyScope};
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::service::error::ServiceError;
use crate::service::identity::api_keys;
use crate::service::identity::api_keys::NewApiKey;

use super::{CommandError, ExitStatus, print, serve, user};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// What `api-key create` is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Whose key it is
    #[arg(long, value_name = "NAME")]
    user: Username,
    /// What to call it
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// In how many days it ends; left out, it lives until it is revoked
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_in: Option<u16>,
    /// Limit it to an action; may be given several times
    #[arg(long, value_name = "ACTION")]
    action: Vec<Action>,
    /// Limit it to a dataset; may be given several times
    #[arg(long, value_name = "ID")]
    dataset: Vec<DatasetId>,
}

/// Makes a key of a user and prints it, this once.
pub(super) async fn create(
    settings: &Settings,
    arguments: CreateArguments,
) -> Result<ExitStatus, CommandError> {
    let clock = Clock::system();
    let (actions, datasets) = (arguments.action, arguments.dataset);
    let limit = KeyScope::new(
        (!actions.is_empty()).then(|| actions.into_iter().collect()),
        (!datasets.is_empty()).then(|| datasets.into_iter().collect()),
    );
    let wish = NewApiKey {
        name: KeyName::new(&arguments.name).map_err(CommandError::new)?,
        scope: limit.map_err(CommandError::new)?,
        expires_at: arguments
            .expires_in
            .map(|days| clock.unix_seconds() + i64::from(days) * SECONDS_PER_DAY),
    };
    let username = arguments.user;
    let stores = Stores::open(settings).await.map_err(serve::app_error)?;
    let owner = user::find_user(&stores.database, &username).await?;
    let made = api_keys::create_locally(&stores.database, owner.id, wish, &clock);
    let made = made.await;
    stores.database.close().await;
    let made = made.map_err(|error| match error {
        ServiceError::TooManyApiKeys => CommandError::new(format!(
            "{username} has as many living API keys as a user can have"
        ))
        .with_hint("revoke one with DELETE /auth/api-keys/{id}"),
        other => CommandError::new(error_chain(&other)),
    })?;
    print::note(format!(
        "the API key {} of {username}, shown this once: send it as X-Api-Key",
        made.key.id
    ));
    super::print_data(made.text.reveal())
}
