//! `cedargate serve`: the server, and with `--demo` a catalog to try it with.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, AppError, Stores};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::service::catalog::demo;
use crate::service::policies::reload::PolicyReloader;
use crate::service::tokens::sealing_key_file::SealingKeyFileError;

use super::{CommandError, ExitStatus, demo as demo_page, print};

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(settings: &Settings, is_demo: bool) -> Result<ExitStatus, CommandError> {
    let address = settings.listen;
    if is_demo && !address.ip().is_loopback() {
        return Err(
            CommandError::new(format!("the demo does not listen on {address}")).with_hint(
                "its passwords are printed and its people invented: set CEDARGATE_LISTEN to a \
             loopback address such as 127.0.0.1:8080",
            ),
        );
    }
    let clock = Clock::system();
    let stores = Stores::open(settings).await.map_err(app_error)?;
    let demo = if is_demo {
        let Stores {
            database,
            files,
            passwords,
        } = &stores;
        let now = clock.unix_seconds();
        Some(demo::prepare(database, files, passwords, &settings.data_dir, now).await)
    } else {
        None
    };
    let demo = demo.transpose().map_err(CommandError::new)?;
    let app = App::open(settings, stores, clock)
        .await
        .map_err(app_error)?;
    let listener = listen(address).await?;
    let address = listener.local_addr().map_err(CommandError::new)?;
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
            "nobody can reach this issuer: set CEDARGATE_ISSUER to the URL that clients use"
        );
    }
    if let Some(demo) = &demo {
        print::data(demo_page::render(demo, address)).map_err(CommandError::new)?;
    }
    reload_on_hangup(Arc::clone(app.policies()))?;
    let is_drained = app.serve(listener, stop_signal()?).await;
    if is_drained {
        tracing::info!("stopped");
        Ok(ExitStatus::Success)
    } else {
        Err(CommandError::new(
            "some requests were still in flight when the time to end them was over",
        ))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::new(format!("cannot listen on {address}: {error}"))
            .with_hint("set CEDARGATE_LISTEN to another address, such as 127.0.0.1:8081")
    })
}

/// Loads the policies anew at each SIGHUP; the log says what that came to.
fn reload_on_hangup(policies: Arc<PolicyReloader>) -> Result<(), CommandError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(CommandError::new)?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match policies.reload().await {
                Ok(Ok(reloaded)) => tracing::info!(
                    revision = %reloaded.revision,
                    is_changed = reloaded.is_changed,
                    has_folder = reloaded.has_folder,
                    "policies reloaded"
                ),
                Ok(Err(edit)) => tracing::error!(
                    reasons = ?edit.reason.lines(),
                    "policies not reloaded: the edit is refused"
                ),
                Err(error) => tracing::error!(%error, "policies not reloaded"),
            }
        }
    });
    Ok(())
}

/// Cancelled at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<CancellationToken, CommandError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::new)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::new)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: letting requests in flight end");
        stopping.cancel();
    });
    Ok(stop)
}

/// An error of the start, with its diagnostics in full where it has any.
pub(super) fn app_error(error: AppError) -> CommandError {
    let hint = match &error {
        AppError::Bundle(bundle) => return super::policy::bundle_error(bundle),
        AppError::Sealing(SealingKeyFileError::Exposed { path, .. }) => {
            Some(format!("chmod 600 {}", path.display()))
        }
        AppError::Keys(_) => Some(
            "the database's signing keys open with the sealing key they were made with: put that \
             file back, or point CEDARGATE_SEALING_KEY_FILE at it"
                .to_owned(),
        ),
        _ => None,
    };
    CommandError {
        hint,
        ..CommandError::new(error)
    }
}
