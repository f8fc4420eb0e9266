//! Audit records: what happened, who asked, and why the answer was what it was.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::action::Action;
use super::caller::{Authentication, Caller};
use super::decision::Revision;
use super::id::{ApiKeyId, DatasetId, RecordId, UserId};
use super::rfc3339;
use super::text_enum::{TextEnum, UnknownVariant};

/// What was asked for.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditEvent {
    /// A download token.
    Mint,
    /// A dataset's file, or a span of it.
    Download,
    /// A dataset's file that another server has and asks about.
    Verify,
    /// A session.
    Login,
    /// A session's next tokens, for its refresh token.
    Refresh,
    /// The end of a session.
    Logout,
    /// A new API key.
    ApiKeyCreate,
    /// The end of an API key.
    ApiKeyRevoke,
    /// Administration: what exactly, the action and the reason say.
    Administer,
    /// An edit of the policies: `granted` came into force, `refused` did not.
    PolicyReload,
    /// The removal of old audit records.
    AuditPrune,
    /// A signing key is published, before it signs.
    KeyPublish,
    /// Another signing key signs from now on, or that is requested.
    KeyRotate,
    /// The tokens that a signing key signs may live longer than before.
    KeyExtend,
    /// A signing key is published no more: the last token it signed is dead.
    KeyRetire,
    /// A signing key is revoked.
    KeyRevoke,
    /// The signing keys are sealed with another sealing key.
    KeyReseal,
    /// A decision that a service asked for.
    Evaluate,
    /// A search for what decisions are positive about.
    Search,
}

impl TextEnum for AuditEvent {
    const NOUN: &'static str = "event";
}

/// How it was answered.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was given.
    Granted,
    /// Policies denied it.
    Denied,
    /// It never came to a decision: bad credentials, no such dataset, no file.
    Refused,
}

impl TextEnum for AuditOutcome {
    const NOUN: &'static str = "outcome";
}

/// How the caller of a mint had authenticated; a download with the token is decided with the same context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintContext {
    /// How the caller had authenticated.
    pub authentication: Authentication,
    /// The API key that the caller used.
    pub key_id: Option<ApiKeyId>,
}

/// One durable record of one mint, download, login, refresh or logout, of a change to API keys, of
/// administration, or of a refusal.
///
/// It serialises as one line of `cedargate audit export`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The record's id; for a granted mint also the token's `jti`.
    pub id: RecordId,
    /// When, in milliseconds since 1970 UTC; serialised as `time`, in the form of RFC 3339.
    #[serde(rename = "time", with = "rfc3339::serde_millis")]
    pub unix_millis: i64,
    /// What was asked for.
    pub event: AuditEvent,
    /// How it was answered.
    pub outcome: AuditOutcome,
    /// The user who asked; none for anonymous callers and credentials that do not resolve.
    pub user_id: Option<UserId>,
    /// The user name that a login tried, whether or not there is such a user. A text that cannot be a user
    /// name is not kept: it may be a password in the wrong field.
    pub username: Option<String>,
    /// How the caller authenticated.
    pub authentication: Authentication,
    /// The API key that the caller used, or that the download token was minted with.
    pub key_id: Option<ApiKeyId>,
    /// The client's address; none if it is unknown.
    pub address: Option<IpAddr>,
    /// The dataset that was asked for.
    pub dataset_id: Option<DatasetId>,
    /// The user that was administered.
    pub resource_user_id: Option<UserId>,
    /// The action that was decided.
    pub action: Option<Action>,
    /// The ids of the policies that determined the decision.
    pub determining_policies: Vec<String>,
    /// What went wrong in evaluating policies.
    pub errors: Vec<String>,
    /// The bundle that decided.
    pub revision: Option<Revision>,
    /// The download token this is about: minted now, or used now.
    pub jti: Option<RecordId>,
    /// How many requests the record stands for, if it may be more than one; the totals follow within seconds.
    pub requests: Option<u64>,
    /// How many bytes of a file were sent to the client for these requests.
    pub bytes: Option<u64>,
    /// Why it was refused, or what was created, changed or removed, in one sentence for auditors.
    pub reason: Option<String>,
    /// The request's id, as in the log: our own, or that of a trusted proxy.
    pub request_id: Option<String>,
    /// The `X-Request-Id` that a client sent; anybody may send anything.
    pub client_request_id: Option<String>,
    /// The subject that a service asked about, as Cedar writes it, such as `User::"..."`; `type::*` if it searched.
    #[serde(default)]
    pub asked_principal: Option<String>,
    /// The action that a service asked about.
    #[serde(default)]
    pub asked_action: Option<String>,
    /// The resource that a service asked about.
    #[serde(default)]
    pub asked_resource: Option<String>,
}

impl AuditRecord {
    /// Sets who the caller is and how it authenticated.
    pub fn set_caller(&mut self, caller: &Caller) {
        self.user_id = caller.principal.user_id();
        self.authentication = caller.authentication;
        self.key_id = caller.key.as_ref().map(|key| key.id);
    }
}

/// Which records to list; a field that is `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only records of this user.
    pub user_id: Option<UserId>,
    /// About this dataset.
    pub dataset_id: Option<DatasetId>,
    /// About this user.
    pub resource_user_id: Option<UserId>,
    /// Only records with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Of this event.
    pub event: Option<AuditEvent>,
    /// In which this action was decided.
    pub action: Option<Action>,
    /// Of logins with this user name.
    pub username: Option<String>,
    /// About the download token with this id: its mint, and the downloads with it.
    pub jti: Option<RecordId>,
    /// Of the request with this id.
    pub request_id: Option<String>,
    /// Of requests that came with this id.
    pub client_request_id: Option<String>,
    /// Of questions about this subject.
    pub asked_principal: Option<String>,
    /// Of questions about this resource.
    pub asked_resource: Option<String>,
    /// From this time on, in milliseconds since 1970 UTC.
    pub since: Option<i64>,
    /// Before this time, in milliseconds since 1970 UTC.
    pub until: Option<i64>,
}
