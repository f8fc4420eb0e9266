//! `cedargate keys`: the signing keys, in the database itself; running servers follow within a second.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::signing_keys;
use crate::config::Settings;
use crate::domain::caller::Authentication;
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::rfc3339::format_seconds;
use crate::domain::text_enum::TextEnum as _;
use crate::service::administration::SigningKeyInfo;
use crate::service::tokens::sealing_key_file::{
    SealingKeyFileError, candidate_sealing_keys, next_sealing_key_file, open_sealing_key,
    replace_sealing_key_file,
};
use crate::service::tokens::signing_keys::{SigningKeys, SigningKeysError};
use crate::storage::{KeyState, StoredSigningKey};

use super::local::open_existing_stores;
use super::outcome::{CommandError, CommandResult, print_data, print_json};
use super::print;

/// The arguments of `keys reseal`.
#[derive(Debug, clap::Args)]
pub(super) struct ResealArguments {
    /// A file with the new sealing key, which takes the place of none; default: a new one takes the place of
    /// the sealing key file
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Lists the keys with their states and times, and what happens to each next.
pub(super) async fn list(settings: &Settings, is_json: bool) -> CommandResult {
    let keys = open(settings).await?;
    let stored = keys.list().await;
    keys.database.close().await;
    let told = SigningKeyInfo::of_all(&stored?, &keys.schedule);
    if is_json {
        return print_json(&told.iter().map(key_json).collect::<Vec<_>>());
    }
    let mut table = print::table(["KID", "STATE", "SINCE", "NEXT"]);
    for key in &told {
        table.add_row([
            key.kid.clone(),
            state_of(key).to_owned(),
            format_seconds(since(key)),
            next_of(key),
        ]);
    }
    print_data(table.trim_fmt())
}

/// Rotates now, or says when.
pub(super) async fn rotate(settings: &Settings) -> CommandResult {
    let keys = open(settings).await?;
    let before = keys.list().await?;
    let rotated = keys.rotate().await;
    let after = keys.list().await;
    keys.database.close().await;
    let is_new = rotated?;
    let after = after?;
    let signing = with_state(&after, KeyState::Current);
    let Some(signing) = signing else {
        return Err(CommandError::new("no signing key is current"));
    };
    if with_state(&before, KeyState::Current).is_none_or(|former| former.kid != signing.kid) {
        return print_data(format!("{} signs now{}", signing.kid, kept_of(&after)));
    }
    let next = keys
        .schedule
        .next_state(&after, signing)
        .and_then(|next| next.at);
    let verb = if is_new {
        "signs"
    } else {
        "was asked for before and signs"
    };
    let (Some(key), Some(at)) = (with_state(&after, KeyState::Next), next) else {
        return Err(CommandError::new("no signing key is next"));
    };
    print_data(format!(
        "{} {verb} from {}, when it has been published for {} s; a running server sees to it",
        key.kid,
        format_seconds(at),
        keys.schedule.publish_ahead,
    ))
}

/// Revokes a key.
pub(super) async fn revoke(settings: &Settings, kid: &str) -> CommandResult {
    let keys = open(settings).await?;
    let revoked = keys.revoke(kid).await;
    let after = keys.list().await;
    keys.database.close().await;
    let key = revoked?;
    let mut text = format!(
        "{kid} is revoked: it is out of the key set, and running servers refuse its tokens within a second\n\
         verifiers that have the key set in a cache may accept tokens of it for up to {} s",
        keys.schedule.cached_for()
    );
    if let (KeyState::Current, Some(signing)) = (key.state, with_state(&after?, KeyState::Current))
    {
        text = format!(
            "{text}\n{} signs now: clients refresh their sessions and mint download tokens anew",
            signing.kid
        );
    }
    print_data(text)
}

/// Seals the keys with another sealing key.
pub(super) async fn reseal(settings: &Settings, arguments: ResealArguments) -> CommandResult {
    let keys = open(settings).await?;
    let path = &keys.sealing_key_file;
    let (file, is_replacing) = match arguments.to {
        Some(file) => (file, false),
        None => (next_sealing_key_file(path), true),
    };
    // Nothing is made before the former key is there.
    candidate_sealing_keys(path).map_err(CommandError::new)?;
    let sealing_key = open_sealing_key(&file, is_replacing).map_err(|error| {
        let is_not_made = is_replacing && matches!(error, SealingKeyFileError::File { .. });
        let error = CommandError::new(&error);
        if is_not_made {
            error.with_hint(
                "make the new key where you can write, 32 random bytes in base64, and name it with --to",
            )
        } else {
            error
        }
    })?;
    let resealed = keys.reseal(&sealing_key).await;
    keys.database.close().await;
    let resealed = resealed?;
    if !is_replacing {
        print::hint(format!(
            "set CEDARGATE_SEALING_KEY_FILE to {} and restart the servers before the next rotation",
            file.display()
        ));
        return print_data(format!(
            "{resealed} signing keys are sealed with the key in {}",
            file.display()
        ));
    }
    replace_sealing_key_file(path).map_err(CommandError::new)?;
    print::hint(
        "servers on other machines need the new file too; \
         a copy of the database that is older than this needs the former one",
    );
    print_data(format!(
        "{resealed} signing keys are sealed with a new key, which is in {} now",
        path.display()
    ))
}

async fn open(settings: &Settings) -> Result<SigningKeys, CommandError> {
    let database = open_existing_stores(settings).await?.database;
    let by = Authentication::CommandLine;
    Ok(signing_keys(settings, database, Clock::system(), by))
}

fn with_state(keys: &[StoredSigningKey], state: KeyState) -> Option<&StoredSigningKey> {
    keys.iter().find(|key| key.state == state)
}

fn kept_of(keys: &[StoredSigningKey]) -> String {
    let former = keys.iter().filter(|key| key.state == KeyState::Previous);
    match former.max_by_key(|key| key.deactivated_at) {
        Some(former) => format!(
            "; {} stays published until {}",
            former.kid,
            format_seconds(former.retires_at.unwrap_or_default())
        ),
        None => String::new(),
    }
}

fn state_of(key: &SigningKeyInfo) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else {
        key.state.as_str()
    }
}

fn since(key: &SigningKeyInfo) -> i64 {
    let times = [key.retired_at, key.deactivated_at, key.activated_at];
    times.into_iter().flatten().next().unwrap_or(key.created_at)
}

fn next_of(key: &SigningKeyInfo) -> String {
    let Some(next) = key.next_state else {
        return String::from("-");
    };
    match next.at {
        Some(at) => format!("{} from {}", next.state, format_seconds(at)),
        None => format!("{} after cedargate keys rotate", next.state),
    }
}

fn key_json(key: &SigningKeyInfo) -> Value {
    let time = |at: Option<i64>| at.map(format_seconds);
    json!({
        "kid": key.kid,
        "state": key.state.as_str(),
        "created_at": format_seconds(key.created_at),
        "activated_at": time(key.activated_at),
        "deactivated_at": time(key.deactivated_at),
        "retired_at": time(key.retired_at),
        "revoked_at": time(key.revoked_at),
        "next_state": key.next_state.map(|next| next.state.as_str()),
        "next_state_at": time(key.next_state.and_then(|next| next.at)),
    })
}

impl From<SigningKeysError> for CommandError {
    fn from(error: SigningKeysError) -> Self {
        let hint = match &error {
            SigningKeysError::NotPublished { kid, published } => {
                let known = published.iter().map(String::as_str);
                return Self::new(&error).with_suggestion(
                    kid,
                    known,
                    "cedargate keys list shows all signing keys",
                );
            }
            SigningKeysError::TooManyPublished { .. } => {
                Some("keys revoke takes a key out of the key set at once")
            }
            SigningKeysError::SealingKeyFile(_) | SigningKeysError::Service(_) => None,
        };
        Self {
            hint: hint.map(str::to_owned),
            ..Self::new(error_chain(&error))
        }
    }
}
