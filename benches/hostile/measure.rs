//! What honest callers notice: latencies of minting, of health and of an administrator, and memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::world::{PUBLIC_DATASET, World};

pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
/// How long each attack is measured.
pub(crate) const ROUND: Duration = Duration::from_secs(10);
/// How long an attack runs before it is measured.
pub(crate) const ATTACK_LEAD: Duration = Duration::from_secs(2);
const MINTS_PER_SECOND: u32 = 50;
const PROBES_PER_SECOND: u32 = 5;
/// What a client waits for; what takes longer counts with this.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What was measured in one round.
pub(crate) struct Measurement {
    mints: Samples,
    health: Samples,
    changes: Samples,
    memory_mib: f64,
}

/// The latencies of one kind of request, sorted, and how many were not answered with success.
#[derive(Default)]
struct Samples {
    millis: Vec<f64>,
    failures: usize,
}

impl Samples {
    fn collect(results: &[(Duration, bool)]) -> Self {
        let failures = results.iter().filter(|(_, is_success)| !is_success).count();
        let mut millis: Vec<f64> = results
            .iter()
            .map(|(latency, _)| latency.as_secs_f64() * 1000.0)
            .collect();
        millis.sort_by(f64::total_cmp);
        Self { millis, failures }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let last = self.millis.len().saturating_sub(1);
        let at = (self.millis.len() * percent / 100).min(last);
        self.millis.get(at).copied().unwrap_or(f64::NAN)
    }
}

impl Measurement {
    pub(crate) fn print_heading() {
        println!(
            "{:<26} {:>8} {:>8} {:>6} {:>7} {:>9} {:>5} {:>9} {:>5} {:>9}",
            "under this attack",
            "mint p50",
            "mint p99",
            "ratio",
            "failed",
            "live max",
            "fail",
            "admin max",
            "fail",
            "RSS MiB"
        );
    }

    pub(crate) fn print(&self, name: &str, quiet: &Self) {
        println!(
            "{name:<26} {:>8.1} {:>8.1} {:>6.1} {:>7} {:>9.1} {:>5} {:>9.1} {:>5} {:>+9.1}",
            self.mints.percentile(50),
            self.mints.percentile(99),
            self.mints.percentile(99) / quiet.mints.percentile(99),
            format!("{}/{}", self.mints.failures, self.mints.millis.len()),
            self.health.percentile(100),
            self.health.failures,
            self.changes.percentile(100),
            self.changes.failures,
            self.memory_mib - quiet.memory_mib,
        );
    }
}

/// Mints, probes and administers for so long; a latency counts from the time when a request was due.
pub(crate) async fn measure(world: &Arc<World>, duration: Duration) -> Measurement {
    let mint = |world: Arc<World>| async move { world.mint(PUBLIC_DATASET).await };
    let probe = |world: Arc<World>| async move { world.probe().await };
    let change = |world: Arc<World>| async move { world.change_catalog().await };
    let (mints, health, changes) = tokio::join!(
        at_rate(world, duration, MINTS_PER_SECOND, mint),
        at_rate(world, duration, PROBES_PER_SECOND, probe),
        at_rate(world, duration, 1, change),
    );
    Measurement {
        mints: Samples::collect(&mints),
        health: Samples::collect(&health),
        changes: Samples::collect(&changes),
        memory_mib: world.memory_mib(),
    }
}

async fn at_rate<F>(
    world: &Arc<World>,
    duration: Duration,
    per_second: u32,
    request: impl Fn(Arc<World>) -> F,
) -> Vec<(Duration, bool)>
where
    F: Future<Output = bool> + Send + 'static,
{
    let pace = Duration::from_secs(1) / per_second;
    let end = Instant::now() + duration;
    let mut due = Instant::now();
    let mut requests = JoinSet::new();
    while due < end {
        tokio::time::sleep_until(due).await;
        let asked = request(Arc::clone(world));
        requests.spawn(async move {
            let result = tokio::time::timeout(CLIENT_TIMEOUT, asked).await;
            (due.elapsed(), result.unwrap_or(false))
        });
        due += pace;
    }
    requests.join_all().await
}
