//! Explanations: why the policies answer one question as they do, and what the mint would say.
//!
//! This module refuses to know who asks, and where bundles, users and datasets come from.

pub mod redaction;
mod report;

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::action::Action;
use crate::domain::caller::{Authentication, Context};
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::entity_file::WrittenFacts;
use crate::policy::explain::{Account, Explanation, Sight};
use crate::service::access::Denial;

use super::comparison::Circumstances;
use redaction::Withheld;
use report::written;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who would do something.
    pub principal: Principal,
    /// What it would do.
    pub action: Action,
    /// To which dataset.
    pub dataset: Arc<Dataset>,
    /// From where and when.
    pub circumstances: Circumstances,
}

/// What the policies answer to a question, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
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
    #[serde(rename = "time", serialize_with = "as_time")]
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
    pub mint: Option<MintAnswer>,
    /// What went wrong; any error denies.
    pub errors: Vec<String>,
    /// What of all this is withheld.
    #[serde(skip)]
    pub withheld: Withheld,
    /// The policies that determined the answer.
    pub determining: Vec<Account>,
    /// Others for the same action, nearest to being satisfied first.
    pub others: Vec<Account>,
    /// How many more others there are.
    pub left_off: usize,
}

/// What the mint answers a caller, limits on how often it may ask aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MintAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub why: &'static str,
}

/// Explains what a bundle answers, to whoever sees no more than what is in sight.
#[must_use]
pub fn explain(bundle: &Bundle, question: &Question, sight: Sight) -> Explained {
    let Question {
        principal,
        action,
        dataset,
        circumstances,
    } = question;
    let context = circumstances.context_of(principal);
    let resource = Resource::Dataset(Arc::clone(dataset));
    let told = bundle.explain(sight, principal, *action, &resource, &context);
    let is_permitted = told.decision.is_permitted;
    let mint = (*action == Action::Read).then(|| {
        let discovery = bundle.decide(principal, Action::Discover, &resource, &context);
        MintAnswer::of(principal, dataset, is_permitted, discovery.is_permitted)
    });
    let (named, user) = match principal {
        Principal::Anonymous => ("anonymous".to_owned(), None),
        Principal::User(user) => (format!("User::\"{}\"", user.id), Some(user)),
    };
    let subject = Subject {
        principal: named,
        username: user.map(|user| user.username.to_string()),
        is_disabled: user.is_some_and(|user| user.is_disabled),
        dataset_id: dataset.id.to_string(),
        title: dataset.title.clone(),
    };
    Explained::of(subject, *action, &context, told, mint).within(sight)
}

/// Explains what a bundle answers about a principal and a dataset of a file.
///
/// A file of entities does not say who is disabled and what has a file, so nobody is and the dataset has
/// one.
#[must_use]
pub fn explain_written(
    bundle: &Bundle,
    written: &WrittenFacts,
    action: Action,
    circumstances: Circumstances,
) -> Explained {
    let context = circumstances.context_for(written.is_anonymous, written.has_issuer);
    let told = bundle.explain_written(written, action, &context);
    let mint = (action == Action::Read).then(|| {
        let discovery = bundle.decide_written(written, Action::Discover, &context);
        let is_permitted = told.decision.is_permitted;
        MintAnswer::where_there_is_a_file(
            written.is_anonymous,
            is_permitted,
            discovery.is_permitted,
        )
    });
    let subject = Subject {
        principal: written.principal.clone(),
        username: written.username.clone(),
        is_disabled: false,
        dataset_id: written.dataset_id.clone(),
        title: written.title.clone(),
    };
    Explained::of(subject, action, &context, told, mint)
}

/// Who and what is asked about, as a person reads it.
struct Subject {
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
fn as_time<S: Serializer>(unix_millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&written(*unix_millis))
}

impl MintAnswer {
    fn of(principal: &Principal, dataset: &Dataset, may_read: bool, may_discover: bool) -> Self {
        match principal {
            Principal::User(user) if user.is_disabled => Self {
                status: 401,
                why: "the user is disabled, so that no credential of it counts",
            },
            _ if may_read && dataset.file.is_none() => Self {
                status: 404,
                why: "the dataset has no file",
            },
            _ => Self::where_there_is_a_file(principal.is_anonymous(), may_read, may_discover),
        }
    }

    fn where_there_is_a_file(is_anonymous: bool, may_read: bool, may_discover: bool) -> Self {
        let (status, why) = match (may_read, Denial::of(may_discover, is_anonymous)) {
            (true, _) => (200, "a download token"),
            (false, Denial::SignIn) => (401, "it may discover the dataset: it is told to sign in"),
            (false, Denial::Refused) => (403, "it may discover the dataset, and not read it"),
            (false, Denial::Hidden) => (
                404,
                "it may not discover the dataset: it is told that there is none",
            ),
        };
        Self { status, why }
    }
}

impl Explained {
    fn of(
        subject: Subject,
        action: Action,
        context: &Context,
        told: Explanation,
        mint: Option<MintAnswer>,
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
            withheld: Withheld::default(),
            determining: told.determining,
            others: told.others,
            left_off: told.left_off,
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

    fn explained(principal: Principal, visibility: Visibility, has_file: bool) -> Explained {
        let file = StoredFile {
            name: "a.tif".to_owned(),
            modified: 0,
            size: 1,
            sha256: "0".repeat(64),
        };
        let question = Question {
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
            circumstances: Circumstances {
                address: "192.0.2.7".parse().unwrap(),
                unix_millis: 1_772_366_400_123,
            },
        };
        explain(&Bundle::embedded().unwrap(), &question, Sight::WHOLE)
    }

    #[test]
    fn what_the_mint_would_answer_is_told() {
        use Visibility::{Private, Public, Restricted};
        for (principal, visibility, has_file, status) in [
            (Principal::Anonymous, Public, true, 200),
            (Principal::Anonymous, Public, false, 404),
            (Principal::Anonymous, Restricted, true, 404),
            (user(false), Restricted, true, 403),
            (user(false), Private, true, 404),
            (user(true), Public, true, 401),
        ] {
            let told = explained(principal, visibility, has_file);
            assert_eq!(told.mint.unwrap().status, status, "{visibility} {has_file}");
        }
        assert_eq!(Denial::of(true, true), Denial::SignIn);
    }

    #[test]
    fn an_explanation_is_read_as_sentences() {
        let denied = explained(user(false), Visibility::Restricted, true).render();
        let permitted = explained(Principal::Anonymous, Visibility::Public, true).render();
        insta::assert_snapshot!([denied, permitted].join("=====\n"));
    }
}
