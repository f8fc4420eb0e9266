use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::fixtures::{ADA, bundle, context, dataset, signed_in};
use crate::domain::action::Action;
use crate::domain::dataset::{Dataset, MAX_READERS, RecordStatus, Visibility};
use crate::domain::id::UserId;
use crate::domain::resource::Resource;
use crate::policy::Bundle;

const MIB: u64 = 1024 * 1024;

/// Policies that read the context, so that each pair is decided with its entities.
fn admins_only() -> Bundle {
    bundle(
        r#"@id("a") @reason("x")
        permit (principal in Role::"admin", action in [Action::"read", Action::"administer"], resource)
        unless { context.authentication == Authentication::"none" };"#,
    )
    .unwrap()
}

fn widely_shared() -> Arc<Dataset> {
    let readers: BTreeSet<UserId> = (0..MAX_READERS as u128)
        .map(|number| UserId(Uuid::from_u128(number)))
        .collect();
    Arc::new(Dataset {
        reader_users: readers,
        ..dataset(Visibility::Private, RecordStatus::Draft)
    })
}

#[test]
fn nothing_that_came_with_a_request_is_cached() {
    let bundle = admins_only();
    let caller = signed_in(ADA, &[]);
    let [_, datasets, pairs] = bundle.entity_cache.sizes();
    for _ in 0..3 {
        let resource = Resource::DatasetCandidate(widely_shared());
        let decision = bundle.decide(&caller, Action::Administer, &resource, &context());
        assert!(!decision.is_permitted);
    }
    let [_, datasets_after, pairs_after] = bundle.entity_cache.sizes();
    assert_eq!((datasets_after, pairs_after), (datasets, pairs));
}

#[test]
fn the_caches_of_entities_are_bounded_in_bytes() {
    let bundle = admins_only();
    let caller = signed_in(ADA, &["admin"]);
    for _ in 0..300 {
        let resource = Resource::Dataset(widely_shared());
        let decision = bundle.decide(&caller, Action::Read, &resource, &context());
        assert!(decision.is_permitted, "{:?}", decision.errors);
    }
    let [users, datasets, pairs] = bundle.entity_cache.sizes();
    assert!(users < 24 * MIB && datasets <= 32 * MIB && pairs <= 64 * MIB);
    assert!(datasets > MIB && pairs > MIB, "{datasets} {pairs}");
}
