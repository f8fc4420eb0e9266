//! The limit of open files: raised to what the system allows, and checked against the settings.
//!
//! A server without file descriptors fails in the wrong places: downloads, policy edits and proofs,
//! long before connections run out.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;
use crate::config::limits::MAX_WAITING_CONNECTIONS;
use crate::files::MAX_OPEN_FILES;
use crate::http::server::ServerLimits;

use super::outcome::CommandError;

/// A download has the socket and the file, an upload as well.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// SQLite has a database, a log and an index file.
const DESCRIPTORS_PER_DATABASE_CONNECTION: u64 = 3;
/// The log, the listener, policy folders, solvers and identity providers.
const OTHER_DESCRIPTORS: u64 = 128;

/// Raises the limit as far as the system allows; fails if the settings need more.
pub(super) fn raise_limit(settings: &Settings) -> Result<(), CommandError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            current
        }
    };
    check_limit(
        limit,
        settings.max_connections,
        settings.database_connections,
    )
}

/// Checks a limit of open files; none is no limit.
fn check_limit(
    limit: Option<u64>,
    max_connections: usize,
    database_connections: u32,
) -> Result<(), CommandError> {
    let others = u64::from(database_connections) * DESCRIPTORS_PER_DATABASE_CONNECTION
        + MAX_OPEN_FILES as u64
        + OTHER_DESCRIPTORS;
    let needed_for = |connections: usize| {
        let open = ServerLimits::max_open_connections(connections) as u64;
        let waiting = connections.min(MAX_WAITING_CONNECTIONS) as u64;
        open * DESCRIPTORS_PER_CONNECTION + waiting + others
    };
    let needed = needed_for(max_connections);
    let Some(limit) = limit.filter(|limit| *limit < needed) else {
        return Ok(());
    };
    // One more descriptor is for a connection that waits for its turn.
    let affordable = limit.saturating_sub(needed_for(0)) / (DESCRIPTORS_PER_CONNECTION + 1);
    let error = CommandError::new(format!(
        "the setting max_connections is {max_connections}: it needs {needed} open files, and the \
         system allows this process {limit}"
    ));
    Err(error.with_hint(match affordable {
        0 => format!("raise the limit (ulimit -n {needed}, or LimitNOFILE={needed})"),
        affordable => format!(
            "raise the limit (ulimit -n {needed}, or LimitNOFILE={needed}), or set \
             CEDARGATE_MAX_CONNECTIONS to at most {affordable}"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_may_be_open_are_refused_with_what_fits() {
        assert!(check_limit(None, 65_535, 1000).is_ok());
        assert!(check_limit(Some(4096), 1024, 8).is_ok());
        let error = check_limit(Some(1024), 1024, 8).unwrap_err();
        assert!(
            error.message.contains("max_connections is 1024"),
            "{}",
            error.message
        );
        let hint = error.hint.unwrap();
        let affordable = hint.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(affordable > 0, "{hint}");
        assert!(check_limit(Some(1024), affordable, 8).is_ok());
        assert!(check_limit(Some(1024), affordable + 1, 8).is_err());
        let hint = check_limit(Some(256), 1, 8).unwrap_err().hint.unwrap();
        assert!(!hint.contains("MAX_CONNECTIONS"), "{hint}");
    }
}
