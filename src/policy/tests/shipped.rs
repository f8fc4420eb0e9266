//! The decisions of the shipped bundle, row by row and as a property over all users and datasets.

use std::sync::Arc;

use proptest::prelude::*;
use strum::VariantArray;
use uuid::Uuid;

use super::fixtures::{ADA, BEA, context, dataset, signed_in, user};
use crate::domain::action::Action;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::UserId;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;

use Action::{Administer, Discover, Read};
use RecordStatus::{Draft, Published};
use Visibility::{Internal, Private, Public, Restricted};

#[test]
fn every_row_of_the_shipped_policies_holds() {
    let bundle = Bundle::embedded().unwrap();
    let anonymous = Principal::Anonymous;
    let owner = signed_in(ADA, &[]);
    let reader = signed_in(UserId(Uuid::from_u128(1)), &[]);
    let member = signed_in(UserId(Uuid::from_u128(2)), &["hydrology"]);
    let outsider = signed_in(BEA, &["geology"]);
    let admin = signed_in(UserId(Uuid::from_u128(3)), &["admin"]);
    let callers = [
        ("anonymous", &anonymous),
        ("owner", &owner),
        ("reader", &reader),
        ("member", &member),
        ("outsider", &outsider),
        ("admin", &admin),
    ];
    let everyone = "anonymous owner reader member outsider admin";
    let signed_in = "owner reader member outsider admin";
    let shared = "owner reader member admin";
    let rows = [
        (Public, Published, everyone, everyone),
        (Internal, Published, signed_in, signed_in),
        (Restricted, Published, shared, signed_in),
        (Private, Published, "owner admin", "owner admin"),
        (Public, Draft, "owner admin", "owner admin"),
        (Internal, Draft, "owner admin", "owner admin"),
        (Restricted, Draft, "owner admin", "owner admin"),
        (Private, Draft, "owner admin", "owner admin"),
    ];
    for (visibility, record_status, readers, discoverers) in rows {
        let mut dataset = dataset(visibility, record_status);
        dataset.reader_users.insert(UserId(Uuid::from_u128(1)));
        dataset.reader_roles.insert("hydrology".parse().unwrap());
        let dataset = Arc::new(dataset);
        for (action, expected) in [
            (Read, readers),
            (Discover, discoverers),
            (Administer, "admin"),
        ] {
            let permitted: Vec<&str> = callers
                .iter()
                .filter(|(_, principal)| {
                    let decision = bundle.decide(
                        principal,
                        action,
                        &Resource::Dataset(Arc::clone(&dataset)),
                        &context(),
                    );
                    assert_eq!(decision.errors, Vec::<String>::new());
                    decision.is_permitted
                })
                .map(|(name, _)| *name)
                .collect();
            let row = format!("{action} {visibility} {record_status}");
            assert_eq!(permitted.join(" "), expected, "{row}");
        }
    }
}

#[test]
fn a_decision_names_its_policies_and_its_bundle() {
    let bundle = Bundle::embedded().unwrap();
    let dataset = Arc::new(dataset(Public, Published));
    let admin = signed_in(ADA, &["admin"]);
    let decision = bundle.decide(
        &admin,
        Read,
        &Resource::Dataset(Arc::clone(&dataset)),
        &context(),
    );
    assert_eq!(decision.determining_policies, ["admin", "owner", "public"]);
    assert_eq!(decision.max_ttl, 120);
    assert_eq!(&decision.revision, bundle.revision());
}

#[test]
fn a_disabled_user_is_denied_what_everybody_may() {
    let bundle = Bundle::embedded().unwrap();
    let disabled = Principal::User(Arc::new(User {
        is_disabled: true,
        ..user(ADA, &["admin"])
    }));
    let dataset = Arc::new(dataset(Public, Published));
    let decision = bundle.decide(
        &disabled,
        Read,
        &Resource::Dataset(Arc::clone(&dataset)),
        &context(),
    );
    assert!(!decision.is_permitted);
    assert!(decision.errors[0].ends_with("is disabled"));
}

#[test]
fn a_changed_user_or_dataset_is_decided_anew() {
    let bundle = Bundle::embedded().unwrap();
    let reads = |roles: &[&str], visibility| {
        let dataset = Arc::new(dataset(visibility, Published));
        let principal = signed_in(BEA, roles);
        bundle
            .decide(
                &principal,
                Read,
                &Resource::Dataset(Arc::clone(&dataset)),
                &context(),
            )
            .is_permitted
    };
    // Values that come and go would meet each other's addresses, were they not held.
    for _ in 0..100 {
        assert!(reads(&["admin"], Private));
        assert!(!reads(&[], Private));
        assert!(reads(&[], Public));
    }
}

#[test]
fn shipped_policies_have_reasons_and_no_warnings() {
    let bundle = Bundle::embedded().unwrap();
    assert!(bundle.warnings().is_empty());
    for policy in bundle.policies().values() {
        let reason = policy.reason.as_deref().unwrap_or_default();
        assert!(!reason.is_empty(), "{} has no @reason", policy.id);
    }
}

#[test]
fn shipped_cases_pass_and_demonstrate_every_policy() {
    let shipped = PolicyFolder::embedded().unwrap();
    let report = shipped
        .cases()
        .unwrap()
        .run(&Bundle::embedded().unwrap())
        .unwrap();
    assert!(
        report.is_passed() && report.is_complete(),
        "{}",
        report.render()
    );
}

#[test]
fn shipped_cases_pass_with_only_the_policy_file_beside_them() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let files = std::fs::read_dir(shipped).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut count = 0;
    for policies in files.filter(|path| path.extension().is_some_and(|e| e == "cedar")) {
        let cases = policies.with_extension("cases.json");
        let folder = super::fixtures::folder(&[
            ("one.cedar", &std::fs::read_to_string(&policies).unwrap()),
            ("one.cases.json", &std::fs::read_to_string(&cases).unwrap()),
        ]);
        let folder = PolicyFolder::load(folder.path()).unwrap();
        let bundle = folder.bundle().unwrap();
        let report = folder.cases().unwrap().run(&bundle).unwrap();
        assert!(
            report.is_passed() && report.is_complete(),
            "{}",
            report.render()
        );
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_shipped_bundle_and_its_folder_have_one_revision() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let loaded = Bundle::load(shipped.as_ref()).unwrap();
    assert_eq!(Bundle::embedded().unwrap().revision(), loaded.revision());
    assert_eq!(loaded.revision().0.len(), 64);
}

/// The decisions that the design describes, in plain Rust.
fn oracle(principal: &Principal, action: Action, dataset: &Dataset) -> bool {
    let is_public = dataset.visibility == Public;
    let Principal::User(user) = principal else {
        return action != Administer && dataset.record_status == Published && is_public;
    };
    if user.is_disabled {
        return false;
    }
    if user.roles.iter().any(|role| role.as_str() == "admin") {
        return true;
    }
    if action == Administer {
        return false;
    }
    if dataset.owner == Some(user.id) {
        return true;
    }
    let is_reader =
        dataset.reader_users.contains(&user.id) || !dataset.reader_roles.is_disjoint(&user.roles);
    dataset.record_status == Published
        && match dataset.visibility {
            Public | Internal => true,
            Restricted => action == Discover || is_reader,
            Private => false,
        }
}

fn some_user() -> impl Strategy<Value = UserId> {
    (0..4_u128).prop_map(|number| UserId(Uuid::from_u128(number)))
}

fn some_roles() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["admin", "geology", "hydrology", "soil"], 0..=4)
}

fn some_principal() -> impl Strategy<Value = Principal> {
    let user = (some_user(), some_roles(), prop::bool::weighted(0.1)).prop_map(
        |(id, roles, is_disabled)| {
            Principal::User(Arc::new(User {
                is_disabled,
                ..user(id, &roles)
            }))
        },
    );
    prop_oneof![1 => Just(Principal::Anonymous), 5 => user]
}

fn some_dataset() -> impl Strategy<Value = Arc<Dataset>> {
    (
        proptest::sample::select(Visibility::VARIANTS),
        proptest::sample::select(RecordStatus::VARIANTS),
        proptest::option::of(some_user()),
        proptest::collection::btree_set(some_user(), 0..3),
        some_roles(),
    )
        .prop_map(|(visibility, record_status, owner, reader_users, roles)| {
            Arc::new(Dataset {
                owner,
                reader_users,
                reader_roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
                share_ends: crate::domain::share_ends::ShareEnds::default(),
                ..dataset(visibility, record_status)
            })
        })
}

proptest! {
    #[test]
    fn the_shipped_bundle_decides_as_the_design_says(
        principal in some_principal(),
        dataset in some_dataset(),
    ) {
        static BUNDLE: std::sync::LazyLock<Bundle> =
            std::sync::LazyLock::new(|| Bundle::embedded().unwrap());
        for action in &[Read, Discover, Administer] {
            let decision = BUNDLE.decide(&principal, *action, &Resource::Dataset(Arc::clone(&dataset)), &context());
            prop_assert_eq!(decision.is_permitted, oracle(&principal, *action, &dataset));
            prop_assert!(decision.errors.is_empty() || !decision.is_permitted);
        }
    }
}
