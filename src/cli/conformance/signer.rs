//! What signs the tokens of a check: the gate's own key, or one that is made for the check and published.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::getuid;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::name::Username;
use crate::service::tokens::conformance_signer::{
    ConformanceMint, current_signing_key, record_conformance_tokens,
};
use crate::service::tokens::sealing_key_file::candidate_sealing_keys;
use crate::storage::Database;
use crate::token::conformance::{ConformanceCase, ForgedParties, TokenForge};

use crate::app::AppError;
use crate::cli::local::{find_user, open_existing_database};
use crate::cli::outcome::CommandError;
use crate::cli::print;

use super::check_arguments::ConformanceCheckArguments;
use super::publisher;

/// A forge with the ids that its tokens are on record by.
pub(super) struct Signer {
    pub(super) forge: TokenForge,
    pub(super) parties: ForgedParties,
    /// Publishes the key set as long as it is kept.
    pub(super) publisher: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    database: Option<Database>,
    clock: Clock,
}

impl Signer {
    /// Opens the signer that the arguments name.
    pub(super) async fn open(
        settings: &Settings,
        arguments: &ConformanceCheckArguments,
        dataset_id: DatasetId,
    ) -> Result<Self, CommandError> {
        match arguments.listen {
            Some(address) => Self::publish(settings, arguments, address, dataset_id).await,
            None => Self::of_gate(settings, arguments, dataset_id).await,
        }
    }

    /// With a key that is made for this check; the verifier has to fetch it from here.
    async fn publish(
        settings: &Settings,
        arguments: &ConformanceCheckArguments,
        address: SocketAddr,
        dataset_id: DatasetId,
    ) -> Result<Self, CommandError> {
        let publisher = publisher::listen(address).await?;
        let issuer = match &arguments.issuer {
            Some(issuer) => issuer.clone(),
            None if address.ip().is_unspecified() => {
                let error = format!("no verifier can fetch a key set from {}", address.ip());
                let hint = "name the issuer with --issuer, as the verifier reaches this address";
                return Err(CommandError::usage(error).with_hint(hint));
            }
            None => publisher.issuer.clone(),
        };
        let parties = ForgedParties {
            issuer: issuer.clone(),
            audience: audience_of(settings, arguments),
            dataset_id,
            user_id: Some(UserId::random()),
        };
        let forge = TokenForge::with_throwaway_keys(parties.clone())?;
        print::note(format!(
            "publishing {}/.well-known/jwks.json for the issuer {issuer}",
            publisher.issuer
        ));
        let publisher = publisher.publish(&issuer, forge.key_set()?.body());
        Ok(Self {
            forge,
            parties,
            publisher: Some(publisher),
            database: None,
            clock: Clock::system(),
        })
    }

    /// With the key that signs for the gate of the settings.
    async fn of_gate(
        settings: &Settings,
        arguments: &ConformanceCheckArguments,
        dataset_id: DatasetId,
    ) -> Result<Self, CommandError> {
        const HINT: &str = "run it with the settings of the gate whose tokens the verifier accepts, \
            or with --listen, which publishes a key set of its own";
        let database = open_existing_database(settings);
        let database = database.await.map_err(|error| error.with_hint(HINT))?;
        let sealing_keys = candidate_sealing_keys(&settings.sealing_key_file)
            .map_err(|error| CommandError::from(AppError::Sealing(error)).with_hint(HINT))?;
        let key = current_signing_key(&database, &sealing_keys).await?;
        let key = key.ok_or_else(|| {
            CommandError::new("the database has no signing key yet").with_hint(HINT)
        })?;
        let parties = ForgedParties {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            dataset_id,
            user_id: find_user_id(&database, arguments.user.as_ref()).await?,
        };
        Ok(Self {
            forge: TokenForge::with_trusted_key(key, parties.clone())?,
            parties,
            publisher: None,
            database: Some(database),
            clock: Clock::system(),
        })
    }

    /// The ids of the tokens of these cases. What a key signs that verifiers trust is on record from here on.
    pub(super) async fn ids(
        &self,
        cases: &[&ConformanceCase],
    ) -> Result<Vec<RecordId>, CommandError> {
        let now = u64::try_from(self.clock.unix_millis()).unwrap_or_default();
        let mut ids: Vec<RecordId> = cases.iter().map(|_| RecordId::generate_at(now)).collect();
        let Some(database) = &self.database else {
            return Ok(ids);
        };
        let is_signed = |case: &ConformanceCase| {
            case.is_signed_with_published_key() && !case.needs_throwaway_key
        };
        let (mints, places): (Vec<ConformanceMint<'_>>, Vec<&mut RecordId>) = cases
            .iter()
            .zip(&mut ids)
            .filter(|(case, _)| is_signed(case))
            .map(|(case, id)| (self.mint_of(case), id))
            .unzip();
        let by = format!("the system user {}", getuid().as_raw());
        let dataset_id = self.parties.dataset_id;
        let recorded = record_conformance_tokens(database, &self.clock, dataset_id, &mints, &by);
        for (place, id) in places.into_iter().zip(recorded.await?) {
            *place = id;
        }
        Ok(ids)
    }

    fn mint_of<'c>(&self, case: &'c ConformanceCase) -> ConformanceMint<'c> {
        ConformanceMint {
            name: &case.name,
            user_id: self.parties.user_id.filter(|_| case.is_of_user()),
        }
    }

    /// The time in seconds since 1970 UTC.
    pub(super) fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }

    /// Ends the publishing, and closes the database.
    pub(super) async fn close(self) {
        if let Some(publisher) = self.publisher {
            publisher.abort();
        }
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// How long a verifier that had no such key yet may take to fetch it.
pub(super) const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// How often a token is sent until the verifier has the key.
pub(super) const MAX_FETCH_ATTEMPTS: u32 = 8;

fn audience_of(settings: &Settings, arguments: &ConformanceCheckArguments) -> String {
    let audience = arguments.audience.clone();
    audience.unwrap_or_else(|| settings.audience.clone())
}

async fn find_user_id(
    database: &Database,
    name: Option<&Username>,
) -> Result<Option<UserId>, CommandError> {
    match name {
        Some(name) => Ok(Some(find_user(database, name).await?.id)),
        None => Ok(None),
    }
}
