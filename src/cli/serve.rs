//! `cedargate serve`: the server, and with `--demo` a catalog to try it with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, CLOSE_TIMEOUT, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::catalog::demo;
use crate::service::policies::reload::PolicyReloader;

use super::outcome::{CommandError, CommandResult, ExitStatus};
use super::{demo as demo_page, file_descriptors, policies_in_force, print};

/// How long after a signal another one counts as the same.
const REPEATED_SIGNAL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last line of the log may take.
const LAST_LINE_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(settings: &Settings, is_demo: bool) -> CommandResult {
    let address = settings.listen;
    if is_demo && !address.ip().is_loopback() {
        return Err(
            CommandError::new(format!("the demo does not listen on {address}")).with_hint(
                "it prints its passwords; set CEDARGATE_LISTEN to a loopback address such as \
                 127.0.0.1:8080",
            ),
        );
    }
    file_descriptors::raise_limit(settings)?;
    let clock = Clock::system();
    let stores = Stores::open(settings).await?;
    let demo = if is_demo {
        let Stores {
            database,
            files,
            passwords,
        } = &stores;
        let demo = demo::prepare(database, files, passwords, &settings.data_dir, &clock).await;
        // Most demos see few logins.
        passwords.free_memory();
        Some(demo)
    } else {
        None
    };
    let demo = demo.transpose().map_err(CommandError::new)?;
    let app = App::open(settings, stores, clock).await?;
    let listener = listen(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(
        %address,
        issuer = settings.issuer,
        database = app.database_kind(),
        policies = policies_in_force::origin(settings, &app.policies().status()),
        revision = %app.revision(),
        "listening"
    );
    if settings.is_issuer_unreachable() {
        tracing::warn!(
            issuer = settings.issuer,
            "clients cannot reach this issuer; set CEDARGATE_ISSUER to the URL that clients use"
        );
    }
    if let Some(demo) = &demo {
        let status = app.policies().status();
        let policies = policies_in_force::describe(settings, &status, &app.revision());
        print::data(demo_page::render(demo, address, &policies))?;
    }
    reload_on_hangup(Arc::clone(app.policies()))?;
    let stop = stop_signal(settings.shutdown_grace + CLOSE_TIMEOUT)?;
    let is_drained = app.serve(listener, stop).await;
    if is_drained {
        tracing::info!("stopped");
        Ok(ExitStatus::Success)
    } else {
        Err(CommandError::new(
            "requests were still in flight when the shutdown timeout ended",
        ))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::new(format!("cannot listen on {address}: {error}"))
            .with_hint("set CEDARGATE_LISTEN to another address, such as 127.0.0.1:8081")
    })
}

/// Reloads the policies at each SIGHUP, and logs the result.
fn reload_on_hangup(policies: Arc<PolicyReloader>) -> Result<(), CommandError> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match policies.reload().await {
                Ok(Ok(report)) => tracing::info!(
                    revision = %report.revision,
                    is_changed = report.is_changed,
                    has_folder = report.has_folder,
                    "policies reloaded"
                ),
                Ok(Err(rejected)) => tracing::error!(
                    reasons = ?rejected.reason.lines(),
                    "policies not reloaded: the edit is refused"
                ),
                Err(error) => tracing::error!(%error, "policies not reloaded"),
            }
        }
    });
    Ok(())
}

/// A token that the first SIGTERM or SIGINT cancels. A second one ends the process at once, and so does the
/// end of `limit`.
fn stop_signal(limit: Duration) -> Result<CancellationToken, CommandError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        next_of(&mut terminate, &mut interrupt).await;
        exit_after(limit);
        stopping.cancel();
        tracing::info!("stopping; waiting for requests in flight");
        let begun = Instant::now();
        // Some supervisors send one signal twice.
        while begun.elapsed() < REPEATED_SIGNAL_INTERVAL {
            next_of(&mut terminate, &mut interrupt).await;
        }
        exit_now("stopped by a second signal");
    });
    Ok(stop)
}

async fn next_of(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ends the process after a time, from a thread that nothing can hold up.
fn exit_after(limit: Duration) {
    let watchdog = thread::Builder::new().name("shutdown".to_owned());
    let started = watchdog.spawn(move || {
        thread::sleep(limit);
        exit_now("the shutdown did not end in time: the process ends now");
    });
    if let Err(error) = started {
        tracing::warn!(%error, "the time of the shutdown is not limited");
    }
}

/// Ends the process with a line in the log, unless the log does not take it soon.
fn exit_now(reason: &'static str) {
    let (written, is_written) = std::sync::mpsc::channel();
    let _ = thread::Builder::new().spawn(move || {
        tracing::error!("{reason}");
        let _ = written.send(());
    });
    let _ = is_written.recv_timeout(LAST_LINE_TIMEOUT);
    std::process::exit(1);
}
