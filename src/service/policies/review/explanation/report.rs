//! The report of an explanation, and what is redacted from it.
//!
//! Whoever may ask for explanations need not be allowed to see users, or a dataset whole. The decision,
//! and which parts of the policies hold, are never redacted. Anything else about the principal or the
//! dataset requires the right to view it: the values that policies observed, which the policy engine
//! leaves out itself, and what is redacted here.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::client_address::AssumedAddress;
use crate::domain::decision::Revision;
use crate::domain::rfc3339;
use crate::policy::explain::{Explanation, PolicyExplanation, ValueVisibility};

use super::mint_response::PredictedMintResponse;
use super::openings::Opening;
use super::shares::ExplainedShare;

/// The answer of the policies to a query, and the reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplanationReport {
    /// The principal: `anonymous`, or the entity UID of a user.
    pub principal: String,
    /// The name of the user.
    pub username: Option<String>,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// The action.
    pub action: Action,
    /// The dataset's id.
    pub dataset_id: String,
    /// Its title.
    pub title: String,
    /// The client address.
    pub address: AssumedAddress,
    /// The time, in milliseconds since 1970 UTC; serialized as a time of RFC 3339.
    #[serde(rename = "time", serialize_with = "serialize_time")]
    pub unix_millis: i64,
    /// How the principal is assumed to authenticate. `None` if redacted.
    pub authentication: Option<Authentication>,
    /// Why the API key that is shown is refused, whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_refusal: Option<&'static str>,
    /// The revision of the bundle that decided.
    pub revision: Revision,
    /// Whether it is permitted.
    pub is_permitted: bool,
    /// The longest life of a token, in seconds, if it is permitted.
    pub max_ttl: Option<u32>,
    /// What the mint would respond, for `read`. `None` if redacted.
    pub mint: Option<PredictedMintResponse>,
    /// The shares with an end that the principal has. None are shown if the principal or the dataset is redacted.
    pub shares: Vec<ExplainedShare>,
    /// Evaluation errors; any error denies.
    pub errors: Vec<String>,
    /// What would permit it if it is denied, each tried; none if that is redacted or was not tried.
    pub openings: Option<Vec<Opening>>,
    /// The names of the users and datasets that the values and the policies name, by entity UID.
    pub names: BTreeMap<String, String>,
    /// What has to be known to read it.
    pub notes: Vec<String>,
    /// What is redacted.
    #[serde(skip)]
    pub redaction: Redaction,
    /// The determining policies.
    pub determining: Vec<PolicyExplanation>,
    /// Other policies for the action, the nearest to being satisfied first.
    pub others: Vec<PolicyExplanation>,
    /// How many more others there are.
    pub left_off: usize,
}

/// What is redacted from an explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Whether the principal is: its values, its name, and how it authenticates.
    pub is_principal_redacted: bool,
    /// Whether the dataset is: its values, and what follows from whether it has a file.
    pub is_dataset_redacted: bool,
    /// How many texts of errors are; they repeat values.
    pub redacted_errors: usize,
}

/// The principal and the dataset of an explanation, as a person reads them.
pub(super) struct ExplanationSubject {
    pub(super) principal: String,
    pub(super) username: Option<String>,
    pub(super) is_disabled: bool,
    pub(super) dataset_id: String,
    pub(super) title: String,
}

impl ExplanationReport {
    pub(super) fn new(
        subject: ExplanationSubject,
        action: Action,
        context: &DecisionContext,
        explanation: Explanation,
        mint: Option<PredictedMintResponse>,
    ) -> Self {
        let decision = explanation.decision;
        Self {
            principal: subject.principal,
            username: subject.username,
            is_disabled: subject.is_disabled,
            action,
            dataset_id: subject.dataset_id,
            title: subject.title,
            address: AssumedAddress(context.address),
            unix_millis: context.unix_millis,
            authentication: Some(context.authentication),
            key_refusal: None,
            revision: decision.revision,
            is_permitted: decision.is_permitted,
            max_ttl: decision.is_permitted.then_some(decision.max_ttl),
            mint,
            shares: Vec::new(),
            errors: decision.errors,
            openings: None,
            names: BTreeMap::new(),
            notes: Vec::new(),
            redaction: Redaction::default(),
            determining: explanation.determining,
            others: explanation.others,
            left_off: explanation.omitted,
        }
    }

    /// The name of a case that expects this decision.
    #[must_use]
    pub fn case_name(&self) -> String {
        let who = self.username.as_deref().unwrap_or(&self.principal);
        case_name(who, self.is_permitted, self.action, &self.title)
    }

    /// The report without what is not visible.
    #[must_use]
    pub(super) fn redact(self, visibility: ValueVisibility) -> Self {
        let is_unrestricted = visibility.is_unrestricted();
        Self {
            username: self.username.filter(|_| visibility.shows_principal),
            authentication: self.authentication.filter(|_| visibility.shows_principal),
            mint: self.mint.filter(|_| visibility.shows_resource),
            shares: if visibility.shows_principal && visibility.shows_resource {
                self.shares
            } else {
                Vec::new()
            },
            redaction: Redaction {
                is_principal_redacted: !visibility.shows_principal,
                is_dataset_redacted: !visibility.shows_resource,
                redacted_errors: if is_unrestricted {
                    0
                } else {
                    self.errors.len()
                },
            },
            errors: if is_unrestricted {
                self.errors
            } else {
                Vec::new()
            },
            ..self
        }
    }
}

/// The name of a case that expects a decision.
pub(super) fn case_name(who: &str, is_permitted: bool, action: Action, title: &str) -> String {
    let may = if is_permitted { "may" } else { "may not" };
    format!("{who} {may} {action}: {title}")
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn serialize_time<S: Serializer>(unix_millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*unix_millis))
}

/// The time of an explanation, to the second.
pub(super) fn format_time(unix_millis: i64) -> String {
    rfc3339::format_seconds(unix_millis.div_euclid(1000))
}
