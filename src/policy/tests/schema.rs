//! The requests that Cedargate makes, compared with the `appliesTo` of the schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use strum::VariantArray;

use crate::domain::action::Action;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::schema_check::is_applicable;

use super::fixtures::{ADA, BEA, bundle_with_schema, context, dataset, signed_in, user};

#[test]
fn actions_apply_as_the_schema_declares() {
    let bundle = Bundle::embedded().unwrap();
    let declared: BTreeSet<String> = bundle
        .schema
        .request_envs()
        .map(|env| {
            let action: &str = env.action().id().as_ref();
            format!("{} {action} {}", env.principal(), env.resource())
        })
        .collect();
    let principals = [
        ("Anonymous", Principal::Anonymous),
        ("User", signed_in(ADA, &[])),
    ];
    let dataset = dataset(Visibility::Public, RecordStatus::Published);
    let resources = [
        ("Dataset", Resource::Dataset(Arc::new(dataset))),
        ("User", Resource::User(Arc::new(user(BEA, &[])))),
        ("Role", Resource::Role("hydrology".parse().unwrap())),
        ("Server", Resource::Server),
    ];
    let mut applicable = BTreeSet::new();
    for (principal_type, principal) in &principals {
        for (resource_type, resource) in &resources {
            for action in Action::VARIANTS {
                if is_applicable(principal, *action, resource) {
                    applicable.insert(format!("{principal_type} {action} {resource_type}"));
                }
            }
        }
    }
    assert_eq!(applicable, declared);
}

/// Folders have been written before Cedargate had these actions.
#[test]
fn an_own_action_may_have_the_name_of_one_that_a_schema_may_lack() {
    let shipped = include_str!("../../../policies/schema.cedarschema");
    let (before, _) = shipped
        .split_once("\n// What other services may ask")
        .unwrap();
    let own =
        "action \"search\" appliesTo { principal: [User], resource: [Dataset], context: Context };";
    let policy = "@id(\"p\") @reason(\"x\") permit (principal is User, action == Action::\"search\", resource is Dataset);";
    let bundle = bundle_with_schema(&format!("{before}\n{own}\n"), policy).unwrap();
    assert!(!bundle.declares(Action::Search));
    assert!(!bundle.declares(Action::Evaluate));
    assert!(bundle.declares(Action::AssignRole));
    assert!(Bundle::embedded().unwrap().declares(Action::Search));
}

/// An author may have shared datasets of another service with it.
#[test]
fn an_own_action_share_stays_the_authors_unless_the_words_for_keys_have_it() {
    let shipped = include_str!("../../../policies/schema.cedarschema");
    let policy =
        "@id(\"p\") @reason(\"x\") permit (principal is User, action, resource is Dataset);";
    let decides = |schema: &str| {
        let bundle = bundle_with_schema(schema, policy).unwrap();
        let dataset = dataset(Visibility::Public, RecordStatus::Published);
        let resource = Resource::Dataset(Arc::new(dataset));
        let decision = bundle.decide(&signed_in(ADA, &[]), Action::Share, &resource, &context());
        assert_eq!(bundle.declares(Action::Share), decision.is_permitted);
        let warnings: Vec<String> = bundle.warnings().iter().map(ToString::to_string).collect();
        let is_told = warnings
            .iter()
            .any(|text| text.contains("an action `share` of its own"));
        (decision.is_permitted, is_told)
    };
    assert_eq!(decides(shipped), (true, false));
    let own = shipped.replace(", \"share\", \"edit_policies\"\n", "\n");
    assert_ne!(own, shipped);
    assert_eq!(decides(&own), (false, true));
    let none = own.replace("action \"share\" appliesTo", "action \"lend\" appliesTo");
    assert_ne!(none, own);
    assert_eq!(decides(&none), (false, false));
}
