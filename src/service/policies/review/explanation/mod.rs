//! Explanations: why the policies decide one query as they do, and what the mint would respond.

mod literals;
mod mint_response;
mod names;
mod openings;
mod render;
mod report;
mod shares;

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::entity_file::EntityFileFacts;
use crate::policy::explain::{PolicyExplanation, ValueVisibility};
use crate::policy::new_case::NewCase;

use super::context::ReviewContext;

pub use mint_response::PredictedMintResponse;
pub use openings::Opening;
pub use report::{ExplanationReport, Redaction};
pub use shares::ExplainedShare;

use openings::find_openings;
use report::{ExplanationSubject, case_name};

/// The query to explain.
#[derive(Clone, Debug)]
pub struct DecisionQuery {
    /// The principal.
    pub principal: Principal,
    /// The action.
    pub action: Action,
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// The assumed address and time.
    pub context: ReviewContext,
}

impl DecisionQuery {
    /// The case that asks this and expects the answer of a bundle; or, in words, why there is none.
    pub fn new_case(&self, bundle: &Bundle) -> Result<NewCase, String> {
        let resource = Resource::Dataset(Arc::clone(&self.dataset));
        let context = self.context.for_principal(&self.principal);
        bundle.new_case("", &self.principal, self.action, &resource, &context)
    }

    /// The name of a case that expects a decision on it.
    #[must_use]
    pub fn case_name(&self, is_permitted: bool) -> String {
        let who = match &self.principal {
            Principal::Anonymous => "anonymous",
            Principal::User(user) => user.username.as_str(),
        };
        case_name(who, is_permitted, self.action, &self.dataset.title)
    }
}

/// The case that asks this about entities of a file and expects the answer of a bundle; or why there is none.
pub fn new_case_of_entities(
    bundle: &Bundle,
    facts: &EntityFileFacts,
    action: Action,
    context: &ReviewContext,
) -> Result<NewCase, String> {
    let context = context.for_kind(facts.is_anonymous, facts.has_issuer);
    bundle.new_case_from_file("", facts, action, &context)
}

/// Explains the decision of a bundle, without the values that are not visible.
#[must_use]
pub fn explain(
    bundle: &Bundle,
    query: &DecisionQuery,
    visibility: ValueVisibility,
) -> ExplanationReport {
    let DecisionQuery {
        principal,
        action,
        dataset,
        context,
    } = query;
    let context = context.for_principal(principal);
    explain_in(bundle, (principal, *action, dataset), &context, visibility)
}

/// Explains the decision of a bundle in a context of its own, such as that of an audit record.
#[must_use]
pub fn explain_in(
    bundle: &Bundle,
    (principal, action, dataset): (&Principal, Action, &Arc<Dataset>),
    context: &DecisionContext,
    visibility: ValueVisibility,
) -> ExplanationReport {
    let resource = Resource::Dataset(Arc::clone(dataset));
    let explanation = bundle.explain(visibility, principal, action, &resource, context);
    let mint = (action == Action::Read).then(|| {
        let is_within = |action| key_refusal(context, action, dataset).is_none();
        let may_read = explanation.decision.is_permitted && is_within(Action::Read);
        let discovery = bundle.decide(principal, Action::Discover, &resource, context);
        let may_discover = discovery.is_permitted && is_within(Action::Discover);
        if is_key_expired(context) {
            PredictedMintResponse::EXPIRED_KEY
        } else {
            PredictedMintResponse::predict(principal, dataset, may_read, may_discover)
        }
    });
    let (name, user) = match principal {
        Principal::Anonymous => ("anonymous".to_owned(), None),
        Principal::User(user) => (format!("User::\"{}\"", user.id), Some(user)),
    };
    let subject = ExplanationSubject {
        principal: name,
        username: user.map(|user| user.username.to_string()),
        is_disabled: user.is_some_and(|user| user.is_disabled),
        dataset_id: dataset.id.to_string(),
        title: dataset.title.clone(),
    };
    let explained: Vec<&PolicyExplanation> = explanation
        .determining
        .iter()
        .chain(&explanation.others)
        .collect();
    let second = context.unix_millis.div_euclid(1_000);
    // What would permit it says something about both.
    let refusal = key_refusal(context, action, dataset);
    let is_denied = !explanation.decision.is_permitted || refusal.is_some();
    let is_told = is_denied && visibility.is_unrestricted();
    let openings =
        is_told.then(|| find_openings(bundle, (principal, action, dataset), context, &explained));
    let report = ExplanationReport::new(subject, action, context, explanation, mint);
    ExplanationReport {
        key_refusal: refusal,
        openings,
        shares: ExplainedShare::of(principal, dataset, second),
        ..report
    }
    .redact(visibility)
}

fn is_key_expired(context: &DecisionContext) -> bool {
    let now = context.unix_millis.div_euclid(1000);
    context.key.as_ref().is_some_and(|key| key.is_expired(now))
}

/// Why the API key that is shown is refused, whatever the policies say.
fn key_refusal(
    context: &DecisionContext,
    action: Action,
    dataset: &Dataset,
) -> Option<&'static str> {
    if is_key_expired(context) {
        return Some("the API key has expired");
    }
    let key = context.key.as_ref()?;
    key.scope.violation(action, Some(dataset.id))
}

/// Explains the decision of a bundle about a principal and a dataset of an entity file.
///
/// An entity file does not say who is disabled and what has a file, so no user is, and the dataset has
/// one.
#[must_use]
pub fn explain_entities(
    bundle: &Bundle,
    facts: &EntityFileFacts,
    action: Action,
    context: &ReviewContext,
) -> ExplanationReport {
    let context = context.for_kind(facts.is_anonymous, facts.has_issuer);
    let explanation = bundle.explain_from_file(facts, action, &context);
    let mint = (action == Action::Read).then(|| {
        let may_read = explanation.decision.is_permitted;
        let discovery = bundle.decide_from_file(facts, Action::Discover, &context);
        PredictedMintResponse::predict_with_file(
            facts.is_anonymous,
            may_read,
            discovery.is_permitted,
        )
    });
    let subject = ExplanationSubject {
        principal: facts.principal.clone(),
        username: facts.username.clone(),
        is_disabled: false,
        dataset_id: facts.dataset_id.clone(),
        title: facts.title.clone(),
    };
    ExplanationReport::new(subject, action, &context, explanation, mint)
}

#[cfg(test)]
mod tests {
    use super::super::context::AssumedCaller;
    use super::*;
    use crate::domain::attributes::Attributes;
    use crate::domain::dataset::{DatasetFile, RecordStatus, StoredFile, Visibility};
    use crate::domain::id::{DatasetId, UserId};
    use crate::domain::principal::{Tags, User};

    fn user(is_disabled: bool) -> Principal {
        Principal::User(Arc::new(User {
            id: UserId(uuid::Uuid::from_u128(0xada)),
            username: "ada".parse().unwrap(),
            issuer: None,
            roles: ["hydrology".parse().unwrap()].into(),
            claims: Tags::new(),
            attributes: Attributes::new(),
            display_name: None,
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
        let query = DecisionQuery {
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
                share_ends: crate::domain::share_ends::ShareEnds::default(),
                tags: Tags::new(),
                attributes: Attributes::new(),
                file: has_file.then_some(DatasetFile::Stored(file)),
            }),
            context: ReviewContext {
                address: "192.0.2.7".parse().unwrap(),
                unix_millis: 1_772_366_400_123,
                caller: AssumedCaller::default(),
            },
        };
        explain(&Bundle::embedded().unwrap(), &query, ValueVisibility::ALL)
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
            let report = explanation_for(principal, visibility, has_file);
            let mint = report.mint.unwrap();
            assert_eq!(mint.status, status, "{visibility} {has_file}");
        }
        let discoverable = PredictedMintResponse::predict_with_file(true, false, true);
        assert_eq!(discoverable.status, 401);
    }

    #[test]
    fn an_explanation_renders_as_text() {
        let denied = explanation_for(user(false), Visibility::Restricted, true).render();
        let permitted = explanation_for(Principal::Anonymous, Visibility::Public, true).render();
        insta::assert_snapshot!([denied, permitted].join("=====\n"));
    }
}
