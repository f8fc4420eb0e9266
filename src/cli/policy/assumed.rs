//! The assumed client address, time and caller of decisions that no request asks for.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::cli::outcome::CommandError;
use crate::domain::api_key::ApiKey;
use crate::domain::caller::Authentication;
use crate::domain::client_address::AssumedAddress;
use crate::domain::clock::Clock;
use crate::domain::id::{ApiKeyId, UserId};
use crate::service::policies::review::context::{AssumedCaller, ReviewContext};
use crate::storage::Database;

#[derive(Debug, clap::Args)]
pub(super) struct AssumedContext {
    /// The client address to assume, or `unknown`
    #[arg(long, value_name = "ADDRESS", default_value_t = AssumedAddress(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))))]
    address: AssumedAddress,
    /// The time to assume, such as 2026-03-01T12:00:00Z; default: now
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// How the principal authenticates: none, password, issuer, or `api_key` for a key without restrictions
    #[arg(long, value_name = "WORD", value_parser = parse_authentication)]
    authentication: Option<Authentication>,
    /// Ask with this API key of the principal, by its id
    #[arg(long, value_name = "ID", conflicts_with_all = ["authentication", "entities"])]
    key: Option<Uuid>,
}

fn parse_authentication(text: &str) -> Result<Authentication, String> {
    match text.parse() {
        Ok(Authentication::CommandLine) => {
            Err("no request authenticates so; use none, password, issuer or api_key".to_owned())
        }
        Ok(authentication) => Ok(authentication),
        Err(error) => Err(format!("{error}")),
    }
}

impl AssumedContext {
    /// The context in which a principal asks that is anonymous, or a user with an id.
    pub(super) fn review_context(
        &self,
        user: Option<UserId>,
        key: Option<ApiKey>,
    ) -> Result<ReviewContext, CommandError> {
        Ok(ReviewContext {
            address: self.address,
            unix_millis: self.time.map_or_else(
                || Clock::system().unix_millis(),
                |time| time.timestamp_millis(),
            ),
            caller: self.caller(user, key)?,
        })
    }

    /// The key that is named, in the catalog.
    pub(super) async fn find_key(
        &self,
        database: &Database,
    ) -> Result<Option<ApiKey>, CommandError> {
        let Some(id) = self.key.map(ApiKeyId) else {
            return Ok(None);
        };
        let found = database.find_api_key_by_id(id).await?;
        let missing = || {
            CommandError::new(format!("there is no API key {}", id.0)).with_hint(
                "GET /auth/api-keys lists the keys of whoever asks, GET /admin/users/{id}/api-keys those of a user",
            )
        };
        found.map(Some).ok_or_else(missing)
    }

    fn caller(
        &self,
        user: Option<UserId>,
        key: Option<ApiKey>,
    ) -> Result<AssumedCaller, CommandError> {
        if let Some(key) = key {
            if user != Some(key.user_id) {
                let (id, owner) = (key.id.0, key.user_id);
                return Err(CommandError::usage(format!(
                    "the API key {id} is of the user {owner}, and not of the principal"
                ))
                .with_hint(format!("--principal {owner}")));
            }
            return Ok(AssumedCaller {
                authentication: Some(Authentication::ApiKey),
                key: Some(Arc::new(key)),
            });
        }
        let Some(authentication) = self.authentication else {
            return Ok(AssumedCaller::default());
        };
        AssumedCaller::authenticated(authentication, user)
            .map_err(|error| CommandError::usage(format!("--authentication: {error}")))
    }
}
