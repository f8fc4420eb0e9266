//! Whatever goes wrong in a decision denies.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::fixtures::{ADA, bundle, decide, signed_in, slow_property};
use crate::domain::action::Action::Read;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

/// Strict validation cannot see an overflow coming: this fails at every evaluation.
const OVERFLOWS: &str = "9223372036854775807 + 1 > 0";

#[test]
fn a_failing_forbid_denies() {
    let bundle = bundle(&format!(
        r#"@id("all") permit (principal, action, resource);
           @id("broken") forbid (principal, action, resource) when {{ {OVERFLOWS} }};"#
    ))
    .unwrap();
    let decision = decide(&bundle, &Principal::Anonymous, Read);
    assert!(!decision.is_permitted);
    assert_eq!(decision.errors.len(), 1);
    assert!(
        decision.errors[0].contains("`broken`"),
        "{:?}",
        decision.errors
    );
}

#[test]
fn a_failing_permit_denies_though_another_permits() {
    let bundle = bundle(&format!(
        r#"@id("all") permit (principal, action, resource);
           @id("broken") permit (principal, action, resource) when {{ {OVERFLOWS} }};"#
    ))
    .unwrap();
    let decision = decide(&bundle, &Principal::Anonymous, Read);
    assert!(!decision.is_permitted);
    assert_eq!(decision.determining_policies, ["all"]);
    assert!(
        decision.errors[0].contains("overflow"),
        "{:?}",
        decision.errors
    );
}

#[test]
fn a_policy_that_fails_for_others_does_not_deny() {
    let bundle = bundle(&format!(
        r#"@id("all") permit (principal, action, resource);
           @id("broken") permit (principal is User, action, resource) when {{ {OVERFLOWS} }};"#
    ))
    .unwrap();
    assert!(decide(&bundle, &Principal::Anonymous, Read).is_permitted);
    assert!(!decide(&bundle, &signed_in(ADA, &[]), Read).is_permitted);
}

#[test]
fn a_time_that_cedar_cannot_say_denies() {
    let bundle = bundle(r#"@id("all") permit (principal, action, resource);"#).unwrap();
    let mut context = super::fixtures::context();
    context.unix_millis = i64::MAX;
    let dataset = std::sync::Arc::new(super::fixtures::dataset(
        crate::domain::dataset::Visibility::Public,
        crate::domain::dataset::RecordStatus::Published,
    ));
    let decision = bundle.decide(
        &Principal::Anonymous,
        Read,
        &Resource::Dataset(Arc::clone(&dataset)),
        &context,
    );
    assert!(!decision.is_permitted);
    assert_eq!(decision.errors.len(), 1);
}

#[test]
fn the_shortest_max_ttl_of_the_determining_permits_counts() {
    let bundle = bundle(
        r#"@id("a") @max_ttl("60") permit (principal, action, resource);
           @id("b") @max_ttl("30") permit (principal is User, action, resource);
           @id("c") permit (principal, action, resource);
           @id("d") @max_ttl("1") permit (principal in Role::"admin", action, resource);"#,
    )
    .unwrap();
    let max_ttl = |principal| decide(&bundle, &principal, Read).max_ttl;
    assert_eq!(max_ttl(Principal::Anonymous), 60);
    assert_eq!(max_ttl(signed_in(ADA, &[])), 30);
    assert_eq!(max_ttl(signed_in(ADA, &["admin"])), 1);
}

proptest! {
    #![proptest_config(slow_property(20))]

    #[test]
    fn no_set_of_policies_permits_when_one_of_them_fails(
        conditions in proptest::collection::vec(
            (
                any::<bool>(),
                proptest::sample::select(vec!["true", "false", "1 > 2 || context has address", OVERFLOWS]),
            ),
            1..6,
        ),
    ) {
        let mut policies = String::new();
        for (number, (is_permit, condition)) in conditions.iter().enumerate() {
            let effect = if *is_permit { "permit" } else { "forbid" };
            writeln!(
                policies,
                "@id(\"p{number}\") {effect} (principal, action, resource) \
                 when {{ context.time == datetime(\"1900-01-01\") || ({condition}) }};"
            )
            .unwrap();
        }
        let decision = decide(&bundle(&policies).unwrap(), &Principal::Anonymous, Read);
        let failing = conditions.iter().filter(|(_, c)| *c == OVERFLOWS).count();
        prop_assert_eq!(decision.errors.len(), failing);
        let holds = |(_, condition): &&(bool, &str)| *condition != "false" && *condition != OVERFLOWS;
        let is_permitted = failing == 0
            && conditions.iter().filter(holds).any(|(is_permit, _)| *is_permit)
            && conditions.iter().filter(holds).all(|(is_permit, _)| *is_permit);
        prop_assert_eq!(decision.is_permitted, is_permitted);
    }
}
