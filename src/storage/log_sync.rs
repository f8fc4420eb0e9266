//! The sync of SQLite's write-ahead log apart from the commits: what was committed before it began is durable
//! when it ends.
//!
//! The audit writer commits without a sync (`synchronous = NORMAL`) and waits for this one, so that the next
//! group is inserted while the log of the last is being synced; all who wait share a sync. This is sound:
//!
//! - What a commit wrote is in the log, which is synced here, or a checkpoint has moved it into the database:
//!   SQLite syncs the log before a checkpoint and the database after it, and only then begins the log anew.
//!   It syncs the header of a log that begins anew, and the folder of a new log, before the first commit in it.
//! - The log has a checksum from frame to frame: after a power failure it ends at the first frame that is not on
//!   the disk, which was written after all that was synced.
//! - A failed sync is not tried again: the kernel may have given up the pages, and a later sync would succeed
//!   without them. All writers are refused until the log has been moved into the database as a whole
//!   ([`LogSync::is_broken`]). The log is kept open, because a file that is opened after another descriptor was
//!   told of the failure is told nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::sqlite_file::SqliteFile;

/// Syncs the log of one SQLite file; clones share the syncs.
#[derive(Clone)]
pub(super) struct LogSync(Arc<Shared>);

struct Shared {
    file: SqliteFile,
    path: PathBuf,
    /// The log when it was synced last. Locked by the thread that syncs.
    log: Mutex<Option<File>>,
    waiting: Mutex<Waiting>,
    is_broken: AtomicBool,
}

type Reply = oneshot::Sender<Result<(), Arc<io::Error>>>;

#[derive(Default)]
struct Waiting {
    replies: Vec<Reply>,
    /// Whether a thread syncs; it looks here again before it ends, so that never more than one hangs.
    is_syncing: bool,
}

impl LogSync {
    /// The sync of the log beside the database file at `path`, which a connection has opened.
    pub(super) fn new(path: &Path, file: SqliteFile) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let path = PathBuf::from(log);
        Self(Arc::new(Shared {
            file,
            log: Mutex::new(File::open(&path).ok()),
            path,
            waiting: Mutex::default(),
            is_broken: AtomicBool::new(false),
        }))
    }

    /// Whether a sync has failed: what was committed is not durable, and nothing may be committed after it.
    pub(super) fn is_broken(&self) -> bool {
        self.0.is_broken.load(Ordering::Acquire)
    }

    /// To be called when all that is in the log has been moved into the database, and the log begins anew.
    pub(super) fn mark_whole(&self) {
        self.0.is_broken.store(false, Ordering::Release);
    }

    /// Returns once everything that was committed before the call is durable.
    ///
    /// Fails if the log cannot be synced, or if the database file was removed or replaced.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let (reply, synced) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.waiting.lock();
            waiting.replies.push(reply);
            !std::mem::replace(&mut waiting.is_syncing, true)
        };
        if is_first {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.run());
        }
        let result = synced.await.map_err(io::Error::other)?;
        result.map_err(|error| io::Error::new(error.kind(), error))
    }
}

impl Shared {
    /// Syncs for as long as anybody waits.
    fn run(&self) {
        loop {
            let replies = {
                let mut waiting = self.waiting.lock();
                if waiting.replies.is_empty() {
                    waiting.is_syncing = false;
                    return;
                }
                std::mem::take(&mut waiting.replies)
            };
            let result = self.sync_now().map_err(Arc::new);
            for reply in replies {
                // Whoever has given up asks no more.
                let _ = reply.send(result.clone());
            }
        }
    }

    fn sync_now(&self) -> io::Result<()> {
        // What was committed into a file that is not there any more is lost. The log itself is well.
        self.file.check_unchanged_now()?;
        if self.is_broken.load(Ordering::Acquire) {
            let reason = "an earlier sync of the write-ahead log failed";
            return Err(io::Error::other(reason));
        }
        self.sync_log().inspect_err(|error| {
            self.is_broken.store(true, Ordering::Release);
            tracing::error!(%error, log = %self.path.display(), "write-ahead log not synced");
        })
    }

    fn sync_log(&self) -> io::Result<()> {
        let named = identity(&std::fs::metadata(&self.path)?);
        let mut opened = self.log.lock();
        let log = match opened.take() {
            Some(log) if identity(&log.metadata()?) == named => log,
            // The last connection was closed, and the log with it.
            _ => File::open(&self.path)?,
        };
        opened.insert(log).sync_data()
    }
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
