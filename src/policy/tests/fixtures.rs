//! Users, datasets and policy folders for tests.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use proptest::prelude::ProptestConfig;
use tempfile::TempDir;
use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::attributes::Attributes;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::decision::Decision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::policy::{Bundle, BundleError};

pub(in crate::policy) const ADA: UserId = UserId(Uuid::from_u128(0xada));
pub(in crate::policy) const BEA: UserId = UserId(Uuid::from_u128(0xbea));

pub(in crate::policy) fn user(id: UserId, roles: &[&str]) -> User {
    User {
        id,
        username: "somebody".parse().unwrap(),
        issuer: None,
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
        is_disabled: false,
    }
}

pub(in crate::policy) fn signed_in(id: UserId, roles: &[&str]) -> Principal {
    Principal::User(Arc::new(user(id, roles)))
}

pub(in crate::policy) fn dataset(visibility: Visibility, record_status: RecordStatus) -> Dataset {
    Dataset {
        id: DatasetId(Uuid::from_u128(0xda7a)),
        title: "Jacksboro fault: elevation".to_owned(),
        visibility,
        record_status,
        owner: Some(ADA),
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    }
}

pub(in crate::policy) fn context() -> DecisionContext {
    DecisionContext {
        address: Some("192.0.2.7".parse().unwrap()),
        unix_millis: 1_772_366_400_123,
        authentication: Authentication::Password,
        key: None,
    }
}

pub(in crate::policy) fn decide(
    bundle: &Bundle,
    principal: &Principal,
    action: Action,
) -> Decision {
    let dataset = Arc::new(dataset(Visibility::Public, RecordStatus::Published));
    bundle.decide(
        principal,
        action,
        &Resource::Dataset(Arc::clone(&dataset)),
        &context(),
    )
}

/// The configuration of a property that is slow: `cases`, or as many as `PROPTEST_CASES` says.
pub(in crate::policy) fn slow_property(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases, ..config },
    }
}

/// A folder with the shipped schema and these files.
pub(in crate::policy) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let schema = include_str!("../../../policies/schema.cedarschema");
    fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

pub(in crate::policy) fn bundle(policies: &str) -> Result<Bundle, BundleError> {
    Bundle::load(folder(&[("policies.cedar", policies)]).path())
}

/// A bundle with another schema than the shipped one.
pub(in crate::policy) fn bundle_with_schema(
    schema: &str,
    policies: &str,
) -> Result<Bundle, BundleError> {
    let files = [("schema.cedarschema", schema), ("policies.cedar", policies)];
    Bundle::load(folder(&files).path())
}

/// The problems of a folder, one line each, without the name of the folder.
pub(in crate::policy) fn problem_lines(folder: &TempDir) -> Vec<String> {
    let origin = format!("{}/", folder.path().display());
    let error = Bundle::load(folder.path()).unwrap_err();
    let lines = error.lines().into_iter();
    lines.map(|line| line.replace(&origin, "")).collect()
}

/// The schema that was shipped when the words of the context were texts.
pub(in crate::policy) fn schema_of_texts() -> String {
    let shipped = include_str!("../../../policies/schema.cedarschema");
    let old = shipped
        .replace(
            "\"authentication\": Authentication",
            "\"authentication\": String",
        )
        .replace("Set<KeyAction>", "Set<String>");
    assert_ne!(old, shipped);
    old
}
