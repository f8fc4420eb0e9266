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

#[path = "support/many_policies.rs"]
mod many_policies;

use std::hint::black_box;
use std::time::{Duration, Instant};

use cedargate::domain::action::Action;
use cedargate::domain::decision::Decision;

use many_policies::{ScopeKind, load_bundle, request};

/// How many policies are added to the shipped ones.
const SIZES: [usize; 4] = [0, 100, 1_000, 10_000];
/// How often each way is measured; the median is printed.
const ROUND_COUNT: usize = 11;
/// The least duration of one measurement.
const MIN_ROUND: Duration = Duration::from_millis(60);

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
            let (bundle, load) = load_bundle(&[kind], size);
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
