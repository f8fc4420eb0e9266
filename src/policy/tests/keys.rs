//! The scope of an API key in policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::fixtures::{
    ADA, bundle, context, dataset, folder, problem_lines, schema_of_texts, signed_in,
};
use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{ApiKeyId, DatasetId};
use crate::domain::resource::Resource;
use crate::policy::Bundle;

fn restricted_to(actions: Option<&[Action]>, datasets: Option<&[u128]>) -> DecisionContext {
    let ids = |all: &[u128]| {
        all.iter()
            .map(|id| DatasetId(Uuid::from_u128(*id)))
            .collect()
    };
    let actions = actions.map(|all| all.iter().copied().collect::<BTreeSet<_>>());
    DecisionContext {
        authentication: Authentication::ApiKey,
        key: Some(Arc::new(ApiKey {
            id: ApiKeyId(Uuid::new_v4()),
            user_id: ADA,
            name: KeyName::new("notebook").unwrap(),
            prefix: KeyPrefix::parse("0123456789").unwrap(),
            scope: KeyScope::new(actions, datasets.map(ids)).unwrap(),
            created_at: 0,
            expires_at: None,
            last_used: None,
        })),
        ..context()
    }
}

fn is_permitted(bundle: &Bundle, context: &DecisionContext) -> bool {
    let dataset = Arc::new(dataset(Visibility::Private, RecordStatus::Published));
    let decision = bundle.decide(
        &signed_in(ADA, &[]),
        Action::Read,
        &Resource::Dataset(Arc::clone(&dataset)),
        context,
    );
    assert_eq!(decision.errors, [""; 0]);
    decision.is_permitted
}

#[test]
fn policies_can_read_each_part_of_a_key_scope() {
    let password = context();
    let unrestricted = restricted_to(None, None);
    let read = restricted_to(Some(&[Action::Read]), None);
    let one = restricted_to(None, Some(&[0xda7a]));
    let both = restricted_to(Some(&[Action::Discover, Action::Read]), Some(&[1, 2]));
    let contexts = [&password, &unrestricted, &read, &one, &both];
    for (condition, expected) in [
        ("context has key", [false, true, true, true, true]),
        (
            r#"context.authentication == Authentication::"api_key""#,
            [false, true, true, true, true],
        ),
        ("context has key.actions", [false, false, true, false, true]),
        (
            r#"context has key.actions && context.key.actions == [KeyAction::"read"]"#,
            [false, false, true, false, false],
        ),
        (
            r#"context has key.datasets &&
               context.key.datasets.contains("00000000-0000-0000-0000-00000000da7a")"#,
            [false, false, false, true, false],
        ),
        (
            "context has key.datasets && context has key.actions",
            [false, false, false, false, true],
        ),
    ] {
        let policy = format!(
            "@id(\"p\") @reason(\"x\") permit (principal, action, resource) when {{ {condition} }};"
        );
        let bundle = bundle(&policy).unwrap();
        let found = contexts.map(|context| is_permitted(&bundle, context));
        assert_eq!(found, expected, "{condition}");
        // A second time from what is kept.
        let found = contexts.map(|context| is_permitted(&bundle, context));
        assert_eq!(found, expected, "{condition}");
    }
}

#[test]
fn the_shipped_policies_decide_the_same_with_and_without_a_key() {
    let bundle = Bundle::embedded().unwrap();
    assert!(is_permitted(&bundle, &context()));
    assert!(is_permitted(&bundle, &restricted_to(None, None)));
    assert!(is_permitted(&bundle, &restricted_to(None, Some(&[1]))));
}

#[test]
fn a_policy_that_reads_the_key_without_testing_for_it_is_rejected() {
    let policy = "@id(\"p\") @reason(\"x\") permit (principal, action, resource)\n\
                  when { context.key.actions.contains(KeyAction::\"read\") };";
    let lines = problem_lines(&folder(&[("p.cedar", policy)])).join("\n");
    assert!(lines.contains("key"), "{lines}");
}

#[test]
fn a_schema_that_declares_words_as_texts_decides_as_before() {
    let policy = "@id(\"p\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
        when { context.authentication == \"api_key\" && context has key.actions && \
        context.key.actions.contains(\"read\") };\n";
    let files = folder(&[("p.cedar", policy)]);
    std::fs::write(files.path().join("schema.cedarschema"), schema_of_texts()).unwrap();
    let bundle = Bundle::load(files.path()).unwrap();
    assert!(is_permitted(
        &bundle,
        &restricted_to(Some(&[Action::Read]), None)
    ));
    assert!(!is_permitted(
        &bundle,
        &restricted_to(Some(&[Action::Discover]), None)
    ));
    assert!(!is_permitted(&bundle, &restricted_to(None, None)));
    assert!(!is_permitted(&bundle, &context()));
}
