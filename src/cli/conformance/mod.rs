//! `cedargate conformance`: good and bad download tokens for verifiers, as a file or against a running one.

mod attempt;
pub(super) mod check;
pub(super) mod check_arguments;
mod publisher;
mod report;
mod signer;
mod template;
mod waiting;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::token::TokenError;
use crate::token::conformance::{ConformanceCases, ForgedParties, TokenForge};

use super::outcome::{CommandError, CommandResult, print_json};

/// The version of the form of the file; it changes when a member changes its meaning.
const VERSION: u32 = 1;

const ABOUT: &str = "Download tokens, and whether a verifier accepts each for the dataset that is asked for. \
    The verifier has this issuer, this audience and this key set, and its clock says `now`: or the verifier reads \
    the set at once, and leaves out the tokens whose verdict holds no longer (`holds_until`).";

/// The arguments of `conformance`.
#[derive(Debug, clap::Args)]
pub(super) struct WriteArguments {
    /// The issuer of the good tokens; default: that of the settings
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The audience of the good tokens; default: that of the settings
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// The dataset that the good tokens open; default: a random id
    #[arg(long, value_name = "ID")]
    dataset_id: Option<DatasetId>,
    /// The time that the tokens are made for, in seconds since 1970 UTC; default: now
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..253_402_300_800))]
    now: Option<i64>,
}

/// The set as it is written.
#[derive(Serialize)]
struct ConformanceSet<'a> {
    version: u32,
    about: &'static str,
    issuer: &'a str,
    audience: &'a str,
    dataset_id: DatasetId,
    now: i64,
    leeway: u32,
    key_set: Box<RawValue>,
    tokens: Vec<WrittenToken<'a>>,
}

#[derive(Serialize)]
struct WrittenToken<'a> {
    name: &'a str,
    kind: &'a str,
    expected: &'static str,
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    dataset_id: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_until: Option<i64>,
}

/// Prints a set that is signed with keys made for it alone.
pub(super) fn write(settings: &Settings, arguments: WriteArguments) -> CommandResult {
    let parties = ForgedParties {
        issuer: arguments.issuer.unwrap_or_else(|| settings.issuer.clone()),
        audience: arguments
            .audience
            .unwrap_or_else(|| settings.audience.clone()),
        dataset_id: arguments.dataset_id.unwrap_or_else(DatasetId::random),
        user_id: Some(UserId::random()),
    };
    let now = arguments.now.unwrap_or(Clock::system().unix_seconds());
    let forge = TokenForge::with_throwaway_keys(parties.clone())?;
    let ConformanceCases { kinds, cases } = ConformanceCases::load()?;
    let mut tokens = Vec::with_capacity(cases.len());
    for case in &cases {
        let id = RecordId::generate_at(u64::try_from(now).unwrap_or_default() * 1000);
        let Some(made) = forge.make(case, now, id)? else {
            continue;
        };
        let kind = kinds.get(&case.kind);
        tokens.push(WrittenToken {
            name: &case.name,
            kind: &case.kind,
            expected: case.expected().as_str(),
            why: case
                .why
                .as_deref()
                .or(kind.map(|kind| kind.why.as_str()))
                .unwrap_or_default(),
            reference: kind.and_then(|kind| kind.reference.as_deref()),
            dataset_id: made.dataset_id,
            token: made.token.reveal().clone(),
            holds_until: made.holds_until,
        });
    }
    let key_set = forge.key_set()?.body();
    let key_set = serde_json::from_slice(&key_set).map_err(CommandError::new)?;
    print_json(&ConformanceSet {
        version: VERSION,
        about: ABOUT,
        issuer: &parties.issuer,
        audience: &parties.audience,
        dataset_id: parties.dataset_id,
        now,
        leeway: crate::token::DEFAULT_LEEWAY,
        key_set,
        tokens,
    })
}

impl From<TokenError> for CommandError {
    fn from(error: TokenError) -> Self {
        Self::new(error)
    }
}
