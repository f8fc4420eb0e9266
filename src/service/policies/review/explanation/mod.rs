//! Explanations: why the policies answer one question as they do, and what the mint would say.
//!
//! This module refuses to know who asks, and where bundles, users and datasets come from.

pub mod redaction;
mod report;

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::entity_file::EntityFileFacts;
use crate::policy::explain::{Explanation, PolicyExplanation, ValueVisibility};
use crate::service::access::Denial;

use super::comparison::ReviewContext;
use redaction::Redaction;
use report::format_time;

/// What is asked.
#[derive(Clone, Debug)]
pub struct DecisionQuery {
    /// Who would do something.
    pub principal: Principal,
    /// What it would do.
    pub action: Action,
    /// To which dataset.
    pub dataset: Arc<Dataset>,
    /// From where and when.
    pub context: ReviewContext,
}

/// What the policies answer to a question, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplanationReport {
    /// Who was asked about: `anonymous`, or Cedar's name of a user.
    pub principal: String,
    /// The name of the user.
    pub username: Option<String>,
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// What would be done.
    pub action: Action,
    /// The dataset's id.
    pub dataset_id: String,
    /// Its title.
    pub title: String,
    /// From which address.
    pub address: IpAddr,
    /// When, in milliseconds since 1970 UTC; written as a time of RFC 3339.
    #[serde(rename = "time", serialize_with = "serialize_time")]
    pub unix_millis: i64,
    /// How the principal would have authenticated. Nothing if that is withheld.
    pub authentication: Option<Authentication>,
    /// The bundle that answered.
    pub revision: Revision,
    /// Whether it is permitted.
    pub is_permitted: bool,
    /// How long a token may live, in seconds, if it is permitted.
    pub max_ttl: Option<u32>,
    /// What the mint would answer, for `read`. Nothing if that is withheld.
    pub mint: Option<PredictedMintResponse>,
    /// What went wrong; any error denies.
    pub errors: Vec<String>,
    /// What of all this is withheld.
    #[serde(skip)]
    pub redaction: Redaction,
    /// The policies that determined the answer.
    pub determining: Vec<PolicyExplanation>,
    /// Others for the same action, nearest to being satisfied first.
    pub others: Vec<PolicyExplanation>,
    /// How many more others there are.
    pub left_off: usize,
}

/// What the mint answers a caller, limits on how often it may ask aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PredictedMintResponse {
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub why: &'static str,
}

/// Explains what a bundle answers, to whoever sees no more than what is in sight.
#[must_use]
pub fn explain(
    bundle: &Bundle,
    question: &DecisionQuery,
    sight: ValueVisibility,
) -> ExplanationReport {
    let DecisionQuery {
        principal,
        action,
        dataset,
        context: circumstances,
    } = question;
    let context = circumstances.for_principal(principal);
    let resource = Resource::Dataset(Arc::clone(dataset));
    let told = bundle.explain(sight, principal, *action, &resource, &context);
    let is_permitted = told.decision.is_permitted;
    let mint = (*action == Action::Read).then(|| {
        let discovery = bundle.decide(principal, Action::Discover, &resource, &context);
        PredictedMintResponse::predict(principal, dataset, is_permitted, discovery.is_permitted)
    });
    let (named, user) = match principal {
        Principal::Anonymous => ("anonymous".to_owned(), None),
        Principal::User(user) => (format!("User::\"{}\"", user.id), Some(user)),
    };
    let subject = ExplanationSubject {
        principal: named,
        username: user.map(|user| user.username.to_string()),
        is_disabled: user.is_some_and(|user| user.is_disabled),
        dataset_id: dataset.id.to_string(),
        title: dataset.title.clone(),
    };
    ExplanationReport::new(subject, *action, &context, told, mint).redact(sight)
}

/// Explains what a bundle answers about a principal and a dataset of a file.
///
/// A file of entities does not say who is disabled and what has a file, so nobody is and the dataset has
/// one.
#[must_use]
pub fn explain_entities(
    bundle: &Bundle,
    written: &EntityFileFacts,
    action: Action,
    circumstances: ReviewContext,
) -> ExplanationReport {
    let context = circumstances.for_kind(written.is_anonymous, written.has_issuer);
    let told = bundle.explain_from_file(written, action, &context);
    let mint = (action == Action::Read).then(|| {
        let discovery = bundle.decide_from_file(written, Action::Discover, &context);
        let is_permitted = told.decision.is_permitted;
        PredictedMintResponse::predict_with_file(
            written.is_anonymous,
            is_permitted,
            discovery.is_permitted,
        )
    });
    let subject = ExplanationSubject {
        principal: written.principal.clone(),
        username: written.username.clone(),
        is_disabled: false,
        dataset_id: written.dataset_id.clone(),
        title: written.title.clone(),
    };
    ExplanationReport::new(subject, action, &context, told, mint)
}

/// Who and what is asked about, as a person reads it.
struct ExplanationSubject {
    principal: String,
    username: Option<String>,
    is_disabled: bool,
    dataset_id: String,
    title: String,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn serialize_time<S: Serializer>(unix_millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_time(*unix_millis))
}

impl PredictedMintResponse {
    fn predict(
        principal: &Principal,
        dataset: &Dataset,
        may_read: bool,
        may_discover: bool,
    ) -> Self {
        match principal {
            Principal::User(user) if user.is_disabled => Self {
                status: 401,
                why: "the user is disabled, so that no credential of it counts",
            },
            _ if may_read && dataset.file.is_none() => Self {
                status: 404,
                why: "the dataset has no file",
            },
            _ => Self::predict_with_file(principal.is_anonymous(), may_read, may_discover),
        }
    }

    fn predict_with_file(is_anonymous: bool, may_read: bool, may_discover: bool) -> Self {
        let (status, why) = match (may_read, Denial::new(may_discover, is_anonymous)) {
            (true, _) => (200, "a download token"),
            (false, Denial::SignInRequired) => {
                (401, "it may discover the dataset: it is told to sign in")
            }
            (false, Denial::Forbidden) => (403, "it may discover the dataset, and not read it"),
            (false, Denial::Hidden) => (
                404,
                "it may not discover the dataset: it is told that there is none",
            ),
        };
        Self { status, why }
    }
}

impl ExplanationReport {
    fn new(
        subject: ExplanationSubject,
        action: Action,
        context: &DecisionContext,
        told: Explanation,
        mint: Option<PredictedMintResponse>,
    ) -> Self {
        let is_permitted = told.decision.is_permitted;
        Self {
            principal: subject.principal,
            username: subject.username,
            is_disabled: subject.is_disabled,
            action,
            dataset_id: subject.dataset_id,
            title: subject.title,
            address: context.address,
            unix_millis: context.unix_millis,
            authentication: Some(context.authentication),
            revision: told.decision.revision,
            is_permitted,
            max_ttl: is_permitted.then_some(told.decision.max_ttl),
            mint,
            errors: told.decision.errors,
            redaction: Redaction::default(),
            determining: told.determining,
            others: told.others,
            left_off: told.omitted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dataset::{RecordStatus, StoredFile, Visibility};
    use crate::domain::id::{DatasetId, UserId};
    use crate::domain::principal::{Tags, User};

    fn user(is_disabled: bool) -> Principal {
        Principal::User(Arc::new(User {
            id: UserId(uuid::Uuid::from_u128(0xada)),
            username: "ada".parse().unwrap(),
            issuer: None,
            roles: ["hydrology".parse().unwrap()].into(),
            claims: Tags::new(),
            is_disabled,
        }))
    }

    fn explanation_for(
        principal: Principal,
        visibility: Visibility,
        has_file: bool,
    ) -> ExplanationReport {
        let file = StoredFile {
            name: "a.tif".to_owned(),
            modified: 0,
            size: 1,
            sha256: "0".repeat(64),
        };
        let question = DecisionQuery {
            principal,
            action: Action::Read,
            dataset: Arc::new(Dataset {
                id: DatasetId(uuid::Uuid::from_u128(0xda7a)),
                title: "Salish Sea".to_owned(),
                visibility,
                record_status: RecordStatus::Published,
                owner: None,
                reader_users: [].into(),
                reader_roles: ["geology".parse().unwrap()].into(),
                tags: Tags::new(),
                file: has_file.then_some(file),
            }),
            context: ReviewContext {
                address: "192.0.2.7".parse().unwrap(),
                unix_millis: 1_772_366_400_123,
            },
        };
        explain(
            &Bundle::embedded().unwrap(),
            &question,
            ValueVisibility::ALL,
        )
    }

    #[test]
    fn the_response_of_the_mint_is_predicted() {
        use Visibility::{Private, Public, Restricted};
        for (principal, visibility, has_file, status) in [
            (Principal::Anonymous, Public, true, 200),
            (Principal::Anonymous, Public, false, 404),
            (Principal::Anonymous, Restricted, true, 404),
            (user(false), Restricted, true, 403),
            (user(false), Private, true, 404),
            (user(true), Public, true, 401),
        ] {
            let told = explanation_for(principal, visibility, has_file);
            assert_eq!(told.mint.unwrap().status, status, "{visibility} {has_file}");
        }
        assert_eq!(Denial::new(true, true), Denial::SignInRequired);
    }

    #[test]
    fn an_explanation_renders_as_text() {
        let denied = explanation_for(user(false), Visibility::Restricted, true).render();
        let permitted = explanation_for(Principal::Anonymous, Visibility::Public, true).render();
        insta::assert_snapshot!([denied, permitted].join("=====\n"));
    }
}
