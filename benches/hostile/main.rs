//! What one hostile caller costs the others: `cargo bench --bench hostile [-- NAME...]`.
//!
//! The server runs in its own process, with a catalog of hidden datasets and a long audit log. While each
//! attack runs, one client mints at a constant rate, one asks `/health/live` on a new connection each time, and
//! an administrator changes the catalog. The attackers run on threads of the lowest priority: over a real
//! network they would not take the server's cores. It prints figures and asserts none; with
//! `CEDARGATE_BENCH_PROGRAM` it measures another build.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

mod attacks;
mod measure;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use measure::Measurement;
use world::World;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Attack = fn(Arc<World>) -> Running;

/// Every attack: its name, and what an attacker does until it is stopped.
const ATTACKS: &[(&str, Attack)] = &[
    ("denied dataset changes", |w| {
        Box::pin(attacks::denied_datasets(w))
    }),
    ("lists of hidden datasets", |w| {
        Box::pin(attacks::hidden_lists(w))
    }),
    ("audit searches", |w| Box::pin(attacks::audit_searches(w))),
    ("spent refresh tokens", |w| {
        Box::pin(attacks::spent_refresh_tokens(w))
    }),
    ("bad credentials", |w| Box::pin(attacks::bad_credentials(w))),
    ("unknown datasets", |w| {
        Box::pin(attacks::unknown_datasets(w))
    }),
    ("spans of one token", |w| Box::pin(attacks::spans(w))),
    ("silent connections", |w| {
        Box::pin(attacks::silent_connections(w))
    }),
    ("slow readers", |w| Box::pin(attacks::slow_readers(w))),
    ("slow uploads", |w| Box::pin(attacks::slow_uploads(w))),
    ("abandoned reloads", |w| {
        Box::pin(attacks::abandoned_reloads(w))
    }),
    ("catalog apply", |w| Box::pin(attacks::catalog_apply(w))),
];

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let attackers = attacker_runtime();
    let world = runtime.block_on(World::start());
    // The first round warms up.
    runtime.block_on(measure::measure(&world, measure::WARM_UP));
    let quiet = runtime.block_on(measure::measure(&world, measure::ROUND));
    Measurement::print_heading();
    quiet.print("quiet", &quiet);
    for (name, attack) in ATTACKS {
        if !chosen.is_empty() && !chosen.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let records = runtime.block_on(world.audit_record_count());
        let attacking = attackers.spawn(attack(Arc::clone(&world)));
        let under_attack = runtime.block_on(async {
            tokio::time::sleep(measure::ATTACK_LEAD).await;
            measure::measure(&world, measure::ROUND).await
        });
        attacking.abort();
        under_attack.print(name, &quiet);
        let new_records = runtime.block_on(world.audit_record_count()) - records;
        println!("{:<26} {new_records} new audit records", "");
        runtime.block_on(world.settle());
    }
}

/// Threads of the lowest priority.
fn attacker_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(cedargate::thread_priority::set_low_priority)
        .build()
        .unwrap()
}
