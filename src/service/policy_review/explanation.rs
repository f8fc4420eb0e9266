//! Explanations: why the policies answer one question as they do, and what the mint would say.
//!
//! This module refuses to know who asks, and where bundles, users and datasets come from.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::DatasetId;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::explain::Account;
use crate::service::access::Denial;

use super::comparison::Circumstances;

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
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its title.
    pub title: String,
    /// From which address.
    pub address: IpAddr,
    /// When, UTC.
    pub time: String,
    /// How the principal would have authenticated.
    pub authentication: Authentication,
    /// The bundle that answered.
    pub revision: Revision,
    /// Whether it is permitted.
    pub is_permitted: bool,
    /// How long a token may live, in seconds, if it is permitted.
    pub max_ttl: Option<u32>,
    /// What the mint would answer, for `read`.
    pub mint: Option<MintAnswer>,
    /// What went wrong; any error denies.
    pub errors: Vec<String>,
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

/// Explains what a bundle answers.
#[must_use]
pub fn explain(bundle: &Bundle, question: &Question) -> Explained {
    let Question {
        principal,
        action,
        dataset,
        circumstances,
    } = question;
    let context = circumstances.context_of(principal);
    let resource = Resource::Dataset(Arc::clone(dataset));
    let told = bundle.explain(principal, *action, &resource, &context);
    let is_permitted = told.decision.is_permitted;
    let mint = (*action == Action::Read).then(|| {
        let discovery = bundle.decide(principal, Action::Discover, &resource, &context);
        MintAnswer::of(principal, dataset, is_permitted, discovery.is_permitted)
    });
    let (named, user) = match principal {
        Principal::Anonymous => ("anonymous".to_owned(), None),
        Principal::User(user) => (format!("User::\"{}\"", user.id), Some(user)),
    };
    Explained {
        principal: named,
        username: user.map(|user| user.username.to_string()),
        is_disabled: user.is_some_and(|user| user.is_disabled),
        action: *action,
        dataset_id: dataset.id,
        title: dataset.title.clone(),
        address: circumstances.address,
        time: written(circumstances.unix_millis),
        authentication: context.authentication,
        revision: told.decision.revision,
        is_permitted,
        max_ttl: is_permitted.then_some(told.decision.max_ttl),
        mint,
        errors: told.decision.errors,
        determining: told.determining,
        others: told.others,
        left_off: told.left_off,
    }
}

fn written(unix_millis: i64) -> String {
    DateTime::from_timestamp_millis(unix_millis).map_or_else(
        || format!("{unix_millis} milliseconds since 1970"),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

impl MintAnswer {
    fn of(principal: &Principal, dataset: &Dataset, may_read: bool, may_discover: bool) -> Self {
        let is_disabled = matches!(principal, Principal::User(user) if user.is_disabled);
        let (status, why) = if is_disabled {
            (
                401,
                "the user is disabled, so that no credential of it counts",
            )
        } else if may_read && dataset.file.is_some() {
            (200, "a download token")
        } else if may_read {
            (404, "the dataset has no file")
        } else {
            match Denial::of(may_discover, principal.is_anonymous()) {
                Denial::SignIn => (401, "it may discover the dataset: it is told to sign in"),
                Denial::Refused => (403, "it may discover the dataset, and not read it"),
                Denial::Hidden => (
                    404,
                    "it may not discover the dataset: it is told that there is none",
                ),
            }
        };
        Self { status, why }
    }
}

impl Explained {
    /// The explanation for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write(&mut text).ok();
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let answer = if self.is_permitted {
            "PERMITTED"
        } else {
            "DENIED"
        };
        let who = match &self.username {
            Some(username) => format!("{username} ({})", self.principal),
            None => self.principal.clone(),
        };
        let (action, id, title) = (self.action, self.dataset_id, &self.title);
        writeln!(text, "{answer}: {who}, {action}, {id} ({title})")?;
        let (address, time) = (self.address, &self.time);
        writeln!(
            text,
            "asked from {address} at {time}, authentication {}",
            self.authentication
        )?;
        if self.is_disabled {
            writeln!(
                text,
                "The user is disabled: it is denied whatever policies say."
            )?;
        }
        if let Some(seconds) = self.max_ttl.filter(|_| self.action == Action::Read) {
            writeln!(
                text,
                "A token lives {seconds} seconds at most, as far as policies say."
            )?;
        }
        if let Some(mint) = &self.mint {
            writeln!(text, "The mint would answer {}: {}.", mint.status, mint.why)?;
        }
        for error in self.errors.iter().filter(|_| !self.is_disabled) {
            writeln!(text, "error, which denies: {error}")?;
        }
        if self.determining.is_empty() && self.errors.is_empty() {
            writeln!(text, "\nNo policy permits it.")?;
        }
        if !self.determining.is_empty() {
            writeln!(text, "\nDetermined by")?;
        }
        for policy in &self.determining {
            write_determining(text, policy)?;
        }
        if !self.others.is_empty() {
            writeln!(text, "\nOther policies for this action, the nearest first")?;
        }
        for policy in &self.others {
            write!(text, "\n{}", policy.render())?;
            if policy.is_satisfied {
                writeln!(text, "    overruled")?;
            }
        }
        if self.left_off > 0 {
            writeln!(
                text,
                "\n{} more policies are for this action.",
                self.left_off
            )?;
        }
        Ok(())
    }
}

fn write_determining(text: &mut String, policy: &Account) -> std::fmt::Result {
    write!(text, "\n{}", policy.render())?;
    if let Some(reason) = &policy.reason {
        writeln!(text, "    reason: {reason}")?;
    }
    if let Some(seconds) = policy.max_ttl {
        writeln!(text, "    @max_ttl: {seconds} seconds")?;
    }
    for (number, line) in (policy.line.unwrap_or(1)..).zip(policy.text.lines()) {
        writeln!(text, "    {number:>5} | {line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dataset::{RecordStatus, StoredFile, Visibility};
    use crate::domain::id::UserId;
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
        explain(&Bundle::embedded().unwrap(), &question)
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
