//! Property: a question about the catalog is decided as [`Bundle::decide`] decides it, whoever says what about the context.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use strum::VariantArray;

use super::fixtures::slow_property;
use super::kept_decisions::{datasets, policies, principals, valid_bundle};
use crate::domain::access_question::AskedAction;
use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::domain::text_enum::TextEnum;
use crate::policy::Bundle;
use crate::policy::questions::{QuestionCircumstances, QuestionEntity};

/// The questions that each bundle is asked, in turn, some of them again.
const QUESTIONS: usize = 120;
const NOW: i64 = 1_772_366_400_123;

/// What the caller says about the context, and what a caller is believed that is believed.
type Said = (Value, Option<&'static str>, i64, Option<Authentication>);

fn contexts() -> impl Strategy<Value = Said> {
    let usual = (json!({}), None, NOW, None);
    select(vec![
        usual.clone(),
        usual,
        (
            json!({"time": "2026-03-01T11:59-00:00", "soft": true, "networks": ["office"]}),
            None,
            1_772_366_340_000,
            None,
        ),
        (
            json!({"address": "192.0.2.7", "authentication": "password"}),
            Some("192.0.2.7"),
            NOW,
            Some(Authentication::Password),
        ),
        (
            json!({"address": "::ffff:192.0.2.7", "time": null, "authentication": "none"}),
            Some("192.0.2.7"),
            NOW,
            Some(Authentication::None),
        ),
        (
            json!({"address": "2001:db8::1", "authentication": "issuer"}),
            Some("2001:db8::1"),
            NOW,
            Some(Authentication::Issuer),
        ),
    ])
}

fn resources() -> Vec<(QuestionEntity, Resource)> {
    let server = QuestionEntity::Own {
        kind: "Server".parse().unwrap(),
        id: "cedargate".to_owned(),
        properties: Map::new().into(),
    };
    let role: crate::domain::name::RoleName = "hydrology".parse().unwrap();
    let mut all = vec![
        (server, Resource::Server),
        (QuestionEntity::Role(role.clone()), Resource::Role(role)),
    ];
    for dataset in datasets() {
        if let Resource::Dataset(dataset) = dataset {
            let asked = QuestionEntity::Dataset(Arc::clone(&dataset));
            all.push((asked, Resource::Dataset(dataset)));
        }
    }
    for principal in principals() {
        if let Principal::User(user) = &principal {
            let resource = Resource::User(Arc::clone(user));
            all.push((QuestionEntity::Principal(principal), resource));
        }
    }
    all
}

fn ask(
    bundle: &Bundle,
    principal: &Principal,
    action: Action,
    (resource, of_catalog): &(QuestionEntity, Resource),
    (context, address, unix_millis, authentication): &Said,
    is_believed: bool,
) -> Result<(), TestCaseError> {
    let asked = AskedAction {
        name: action.as_str().to_owned(),
        // What users, datasets and their actions do not declare changes nothing.
        properties: json!({"username": "admin", "roles": ["admin"]})
            .as_object()
            .unwrap()
            .clone(),
    };
    let circumstances = QuestionCircumstances {
        unix_millis: NOW,
        is_context_believed: is_believed,
    };
    let subject = QuestionEntity::Principal(principal.clone());
    let said = context.as_object().unwrap();
    let answer = bundle.decide_question(&subject, &asked, resource, said, &circumstances);
    let usual = match principal {
        Principal::Anonymous => Authentication::None,
        Principal::User(_) => Authentication::Password,
    };
    let address = address.filter(|_| is_believed);
    let expected = DecisionContext {
        address: address.map(|address| address.parse().unwrap()),
        unix_millis: if is_believed { *unix_millis } else { NOW },
        authentication: authentication.filter(|_| is_believed).unwrap_or(usual),
        key: None,
    };
    let decided = bundle.decide(principal, action, of_catalog, &expected);
    if let Some(refusal) = answer.refusal {
        // Nobody's alarm: the action does not apply, or the user is disabled.
        prop_assert!(!answer.decision.is_permitted && answer.decision.errors.is_empty());
        prop_assert!(refusal.status.is_none(), "{}", refusal.message);
        prop_assert!(
            !decided.is_permitted && !decided.errors.is_empty(),
            "{}",
            refusal.message
        );
    } else {
        prop_assert_eq!(answer.decision, decided, "{} {:?}", action, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(slow_property(8))]

    #[test]
    fn a_question_about_the_catalog_is_decided_as_every_other_request(
        policies in policies(),
        questions in prop::collection::vec(
            (any::<Index>(), any::<Index>(), select(Action::VARIANTS), contexts(), any::<bool>()),
            QUESTIONS,
        ),
    ) {
        let Some(bundle) = valid_bundle(&policies) else { return Ok(()) };
        let (principals, resources) = (principals(), resources());
        for (principal, resource, action, context, is_believed) in &questions {
            let (principal, resource) = (principal.get(&principals), resource.get(&resources));
            ask(&bundle, principal, *action, resource, context, *is_believed)?;
        }
        // Every pair of a principal and a dataset, from the caches too.
        for _ in 0..2 {
            for principal in &principals {
                for resource in &resources {
                    let (_, _, _, context, is_believed) = &questions[0];
                    ask(&bundle, principal, Action::Read, resource, context, *is_believed)?;
                }
            }
        }
    }
}
