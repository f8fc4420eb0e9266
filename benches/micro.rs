//! Criterion benches of the parts of a mint: `cargo bench --bench micro [-- FILTER]`.
//!
//! A warm decision, the facts of callers and datasets that are new, the signature and the verification of a download
//! token, and the key set. `make bench` prints their medians in its table.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench fails by panicking"
)]

#[path = "support/many_policies.rs"]
#[allow(dead_code, reason = "the bench of decisions measures each kind alone")]
mod many_policies;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cedargate::domain::action::Action;
use cedargate::domain::id::{DatasetId, RecordId};
use cedargate::domain::principal::Principal;
use cedargate::domain::resource::Resource;
use cedargate::token::{DownloadClaims, ExpectedClaims, KeySet, SigningKey};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use uuid::Uuid;

use many_policies::{ScopeKind, load_bundle, request};

const ISSUER: &str = "https://gate.example";
const AUDIENCE: &str = "https://files.example";
const NOW: i64 = 1_772_366_400;
/// How many policies are added to the shipped ones.
const SIZES: [usize; 2] = [0, 10_000];
/// How many keys are in a key set while keys rotate: previous, current and next.
const KEY_COUNT: usize = 3;

/// Decisions about facts that were decided on before, and about facts that are new.
fn decide(criterion: &mut Criterion) {
    let (principal, resource, context) = request();
    for size in SIZES {
        let (bundle, _) = load_bundle(&[ScopeKind::Dataset, ScopeKind::Role], size);
        let count = bundle.policies().len();
        assert!(
            bundle
                .decide(&principal, Action::Read, &resource, &context)
                .is_permitted
        );
        criterion.bench_function(&format!("decide/warm, {count} policies"), |bencher| {
            bencher.iter(|| {
                bundle.decide(
                    black_box(&principal),
                    Action::Read,
                    black_box(&resource),
                    &context,
                )
            });
        });
        criterion.bench_function(&format!("facts/new, {count} policies"), |bencher| {
            bencher.iter_batched_ref(
                || copies(&principal, &resource),
                |(principal, resource)| bundle.decide(principal, Action::Read, resource, &context),
                BatchSize::SmallInput,
            );
        });
    }
}

/// The same user and dataset, as if they had just been read from the database.
fn copies(principal: &Principal, resource: &Resource) -> (Principal, Resource) {
    let (Principal::User(user), Resource::Dataset(dataset)) = (principal, resource) else {
        return (principal.clone(), resource.clone());
    };
    (
        Principal::User(Arc::new(user.as_ref().clone())),
        Resource::Dataset(Arc::new(dataset.as_ref().clone())),
    )
}

fn claims() -> DownloadClaims {
    DownloadClaims {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: None,
        dataset_id: DatasetId(Uuid::from_u128(0xda7a)),
        id: RecordId(Uuid::from_u128(0x5ec0)),
        issued_at: NOW,
        expires_at: NOW + 120,
    }
}

/// The signature of a download token and its verification.
fn tokens(criterion: &mut Criterion) {
    let key = SigningKey::generate().unwrap();
    let keys = KeySet::new(&[key.public_key().clone()]).unwrap();
    let claims = claims();
    criterion.bench_function("mint/claims signed", |bencher| {
        bencher.iter(|| black_box(&claims).sign(&key).unwrap());
    });
    let token = claims.sign(&key).unwrap();
    let expected = ExpectedClaims {
        issuer: ISSUER,
        audience: AUDIENCE,
        now: NOW + 1,
    };
    criterion.bench_function("verify/download token", |bencher| {
        bencher
            .iter(|| DownloadClaims::verify(black_box(token.reveal()), &keys, &expected).unwrap());
    });
}

/// The key set, as it is made once for each rotation and as each request gets it.
fn key_set(criterion: &mut Criterion) {
    let keys: Vec<_> = (0..KEY_COUNT)
        .map(|_| SigningKey::generate().unwrap().public_key().clone())
        .collect();
    let published = KeySet::new(&keys).unwrap();
    criterion.bench_function("key set/made", |bencher| {
        bencher.iter(|| KeySet::new(black_box(&keys)).unwrap());
    });
    criterion.bench_function("key set/body", |bencher| bencher.iter(|| published.body()));
}

criterion_group! {
    name = parts;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    targets = decide, tokens, key_set
}
criterion_main!(parts);
