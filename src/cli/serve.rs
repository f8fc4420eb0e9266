//! `cedargate serve`: the server, and with `--demo` a catalog to try it with.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::catalog::demo;
use crate::service::policies::reload::PolicyReloader;

use super::outcome::{CommandError, CommandResult, ExitStatus};
use super::{demo as demo_page, file_descriptors, print};

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
        Some(demo::prepare(database, files, passwords, &settings.data_dir, &clock).await)
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
        policies = %settings
            .policy_dir
            .as_ref()
            .map_or("the bundle inside the program".into(), |folder| folder.to_string_lossy()),
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
        print::data(demo_page::render(demo, address))?;
    }
    reload_on_hangup(Arc::clone(app.policies()))?;
    let is_drained = app.serve(listener, stop_signal()?).await;
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

/// A token that the first SIGTERM or SIGINT cancels.
fn stop_signal() -> Result<CancellationToken, CommandError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; waiting for requests in flight");
        stopping.cancel();
    });
    Ok(stop)
}
