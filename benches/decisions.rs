//! The cost of a decision by the size of the bundle: `cargo bench --bench decisions`.
//!
//! Bundles of several sizes consist of the shipped policies and many more, each scoped to a dataset, to a
//! role, or to nothing. One request with cached facts is decided repeatedly with each, by turns through
//! the index and by evaluating every policy. The time to load a bundle (read, parse, validate, index) is
//! printed too. No figure is asserted.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench prints, fails by panicking, and measures"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedargate::domain::action::Action;
use cedargate::domain::caller::{Authentication, DecisionContext};
use cedargate::domain::dataset::{Dataset, RecordStatus, Visibility};
use cedargate::domain::decision::Decision;
use cedargate::domain::id::{DatasetId, UserId};
use cedargate::domain::principal::{Principal, User};
use cedargate::domain::resource::Resource;
use cedargate::policy::Bundle;
use uuid::Uuid;

/// How many policies are added to the shipped ones.
const SIZES: [usize; 4] = [0, 100, 1_000, 10_000];
/// How often each way is measured; the median is printed.
const ROUND_COUNT: usize = 11;
/// The least duration of one measurement.
const MIN_ROUND: Duration = Duration::from_millis(60);

/// The scope of the added policies.
#[derive(Clone, Copy)]
enum ScopeKind {
    Dataset,
    Role,
    Unscoped,
}

impl ScopeKind {
    const ALL: [(Self, &str); 3] = [
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

fn bundle(kind: ScopeKind, size: usize) -> (Bundle, Duration) {
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
        for number in numbers {
            text.write_str(&kind.policy(*number)).unwrap();
        }
        std::fs::write(folder.path().join(format!("many-{file}.cedar")), text).unwrap();
    }
    let started = Instant::now();
    let bundle = Bundle::load(folder.path()).unwrap();
    (bundle, started.elapsed())
}

fn request() -> (Principal, Resource, DecisionContext) {
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

/// Microseconds for one decision.
fn measure(decide: impl Fn() -> Decision) -> f64 {
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < MIN_ROUND {
        black_box(decide());
        count += 1;
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    *figures.get(figures.len() / 2).unwrap()
}

fn main() {
    let (principal, resource, context) = request();
    println!("policies  scoped to     load ms  indexed us  unindexed us  ratio");
    for (kind, name) in ScopeKind::ALL {
        for size in SIZES {
            let (bundle, load) = bundle(kind, size);
            let indexed = || bundle.decide(&principal, Action::Read, &resource, &context);
            let unindexed =
                || bundle.decide_unindexed(&principal, Action::Read, &resource, &context);
            assert_eq!(indexed(), unindexed());
            let turns = (0..ROUND_COUNT).map(|_| (measure(indexed), measure(unindexed)));
            let (index, all): (Vec<f64>, Vec<f64>) = turns.unzip();
            let (index, all) = (median(index), median(all));
            println!(
                "{:>8}  {name:<10}  {:>9.1}  {index:>11.2}  {all:>9.2}  {:>9.1}",
                bundle.policies().len(),
                load.as_secs_f64() * 1e3,
                all / index,
            );
        }
    }
}
