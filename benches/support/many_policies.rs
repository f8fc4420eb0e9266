//! Bundles of the shipped policies and many more, and a request to decide with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedargate::domain::caller::{Authentication, DecisionContext};
use cedargate::domain::dataset::{Dataset, RecordStatus, Visibility};
use cedargate::domain::id::{DatasetId, UserId};
use cedargate::domain::principal::{Principal, User};
use cedargate::domain::resource::Resource;
use cedargate::policy::Bundle;
use uuid::Uuid;

/// The scope of the added policies.
#[derive(Clone, Copy)]
pub(crate) enum ScopeKind {
    Dataset,
    Role,
    Unscoped,
}

impl ScopeKind {
    pub(crate) const ALL: [(Self, &str); 3] = [
        (Self::Dataset, "a dataset"),
        (Self::Role, "a role"),
        (Self::Unscoped, "nothing"),
    ];

    fn policy(self, number: usize) -> String {
        let (principal, resource) = match self {
            Self::Dataset => {
                let id = Uuid::from_u128(0xf00_0000 + number as u128);
                (
                    "principal".to_owned(),
                    format!("resource == Dataset::\"{id}\""),
                )
            }
            Self::Role => (
                format!("principal in Role::\"role-{number}\""),
                "resource".to_owned(),
            ),
            Self::Unscoped => ("principal".to_owned(), "resource".to_owned()),
        };
        format!(
            "@id(\"policy-{number}\") @reason(\"A bench.\")\n\
             permit ({principal}, action == Action::\"read\", {resource})\n\
             when {{ resource.title like \"{number} *\" }};\n"
        )
    }
}

/// The shipped policies with `size` more, whose scopes are of these kinds in turn, and how long it took to load them.
pub(crate) fn load_bundle(kinds: &[ScopeKind], size: usize) -> (Bundle, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    // The size of a file is limited.
    let numbers: Vec<usize> = (0..size).collect();
    for (file, numbers) in numbers.chunks(1_000).enumerate() {
        let mut text = String::new();
        for (number, kind) in numbers.iter().zip(kinds.iter().cycle()) {
            text.write_str(&kind.policy(*number)).unwrap();
        }
        std::fs::write(folder.path().join(format!("many-{file}.cedar")), text).unwrap();
    }
    let started = Instant::now();
    let bundle = Bundle::load(folder.path()).unwrap();
    (bundle, started.elapsed())
}

/// A request of a signed-in user that one of the shipped policies permits, and none of the others.
pub(crate) fn request() -> (Principal, Resource, DecisionContext) {
    let user = User {
        id: UserId(Uuid::from_u128(0xada)),
        username: "ada".parse().unwrap(),
        issuer: None,
        roles: ["hydrology", "role-7"]
            .map(|role| role.parse().unwrap())
            .into(),
        claims: BTreeMap::new(),
        attributes: BTreeMap::new(),
        display_name: None,
        is_disabled: false,
    };
    let dataset = Dataset {
        id: DatasetId(Uuid::from_u128(0xf00_0007)),
        title: "Jacksboro fault: elevation".to_owned(),
        visibility: Visibility::Internal,
        record_status: RecordStatus::Published,
        owner: None,
        reader_users: [].into(),
        reader_roles: [].into(),
        share_ends: cedargate::domain::share_ends::ShareEnds::default(),
        tags: BTreeMap::new(),
        attributes: BTreeMap::new(),
        file: None,
    };
    let context = DecisionContext {
        address: Some("192.0.2.7".parse().unwrap()),
        unix_millis: 1_772_366_400_000,
        authentication: Authentication::Password,
        key: None,
    };
    (
        Principal::User(Arc::new(user)),
        Resource::Dataset(Arc::new(dataset)),
        context,
    )
}
