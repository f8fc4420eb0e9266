//! The sync of SQLite's write-ahead log apart from the commits: what was committed before it began is durable
//! when it ends.
//!
//! The audit writer commits without a sync (`synchronous = NORMAL`) and waits for this one, so that the next
//! group is inserted while the log of the last is being synced. A few syncs run at a time: a disk that is slow to
//! answer one often answers several as soon. All who come while none may begin share the next one. This is sound:
//!
//! - What a commit wrote is in the log, which is synced here, or a checkpoint has moved it into the database:
//!   SQLite syncs the log before a checkpoint and the database after it, and only then begins the log anew.
//!   It syncs the header of a log that begins anew, and the folder of a new log, before the first commit in it.
//! - The log has a checksum from frame to frame: after a power failure it ends at the first frame that is not on
//!   the disk, which was written after all that was synced.
//! - A failed sync is not tried again: the kernel may have given up the pages, and a later sync would succeed
//!   without them. All writers are refused until the log has been moved into the database as a whole
//!   ([`LogSync::is_broken`]). The log is kept open, once for each sync that may run: a failure is told to each open
//!   file once, so syncs that shared one would take it from each other, and a file that is opened after another
//!   was told is told nothing. The other files tell of it later, and the log is moved again.
//!
//! Whoever has a thread for it syncs there ([`LogSync::sync_blocking`]). In memory there is no disk to wait for: the
//! caller's thread finds out whether the log is still there.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::sqlite_file::SqliteFile;

/// A sync that took longer counts as if it took so long: its thread may have waited for a processor.
const MAX_NOTED_TIME: Duration = Duration::from_millis(1);
/// The time of a sync before the first one.
const UNKNOWN_TIME: u64 = u64::MAX;

/// How many syncs run at a time.
const MAX_SYNCS: usize = 3;

/// Syncs the log of one SQLite file; clones share the syncs.
#[derive(Clone)]
pub(super) struct LogSync(Arc<Shared>);

struct Shared {
    file: SqliteFile,
    path: PathBuf,
    /// Whether the log is on a file system without a disk.
    is_in_memory: bool,
    /// The log when it was synced last.
    log: Mutex<Option<Arc<OpenedLog>>>,
    waiting: Mutex<Waiting>,
    /// How long a sync takes, in nanoseconds: an average of the last ones.
    nanos: AtomicU64,
    is_broken: AtomicBool,
}

type Reply = oneshot::Sender<Result<(), Arc<io::Error>>>;

struct Waiting {
    replies: Vec<Reply>,
    /// The files that no thread uses. Each thread looks here again before it ends, so that never more threads hang
    /// in a sync than there are files.
    idle: Vec<usize>,
}

/// The log, opened for each sync that may run.
struct OpenedLog {
    identity: (u64, u64),
    files: [File; MAX_SYNCS],
}

impl OpenedLog {
    fn open(path: &Path) -> io::Result<Self> {
        let open = || File::open(path);
        let files = [open()?, open()?, open()?];
        let mut identities = Vec::with_capacity(MAX_SYNCS);
        for file in &files {
            identities.push(identity(&file.metadata()?));
        }
        identities.dedup();
        let [identity] = identities[..] else {
            return Err(io::Error::other(
                "the write-ahead log was replaced meanwhile",
            ));
        };
        Ok(Self { identity, files })
    }
}

impl LogSync {
    /// The sync of the log beside the database file at `path`, which a connection has opened.
    pub(super) fn new(path: &Path, file: SqliteFile) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let path = PathBuf::from(log);
        Self(Arc::new(Shared {
            is_in_memory: file.is_in_memory(),
            file,
            log: Mutex::new(OpenedLog::open(&path).ok().map(Arc::new)),
            path,
            waiting: Mutex::new(Waiting {
                replies: Vec::new(),
                idle: (0..MAX_SYNCS).collect(),
            }),
            nanos: AtomicU64::new(UNKNOWN_TIME),
            is_broken: AtomicBool::new(false),
        }))
    }

    /// Whether a sync has failed: what was committed is not durable, and nothing may be committed after it.
    pub(super) fn is_broken(&self) -> bool {
        self.0.is_broken.load(Ordering::Acquire)
    }

    /// How long a sync takes, by the last ones; very long before the first one.
    pub(super) fn usual_time(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed))
    }

    /// To be called when all that is in the log has been moved into the database, and the log begins anew.
    ///
    /// The log is opened again, because each of its files tells once of a failure that is over now; and at once,
    /// because a file tells nothing of a failure before it was opened.
    pub(super) fn mark_whole(&self) {
        *self.0.log.lock() = OpenedLog::open(&self.0.path).ok().map(Arc::new);
        self.0.is_broken.store(false, Ordering::Release);
    }

    /// Whether there is no disk to wait for.
    pub(super) fn is_in_memory(&self) -> bool {
        self.0.is_in_memory
    }

    /// Returns once everything that was committed before the call is durable.
    ///
    /// Fails if the log cannot be synced, or if the database file was removed or replaced.
    pub(super) async fn sync(&self) -> io::Result<()> {
        if self.0.is_in_memory {
            return self.0.sync_now(0);
        }
        let (reply, synced) = oneshot::channel();
        let idle = {
            let mut waiting = self.0.waiting.lock();
            waiting.replies.push(reply);
            waiting.idle.pop()
        };
        if let Some(index) = idle {
            self.run_for_others(index);
        }
        synced.await.map_err(io::Error::other)?.map_err(unshared)
    }

    /// Like [`LogSync::sync`], on this thread, which waits for the disk: in memory on any thread, on a disk on one for
    /// blocking calls.
    pub(super) fn sync_blocking(&self) -> io::Result<()> {
        if self.0.is_in_memory {
            return self.0.sync_now(0);
        }
        let mut waiting = self.0.waiting.lock();
        let Some(index) = waiting.idle.pop() else {
            let (reply, synced) = oneshot::channel();
            waiting.replies.push(reply);
            drop(waiting);
            let result = synced.blocking_recv().map_err(io::Error::other)?;
            return result.map_err(unshared);
        };
        drop(waiting);
        let result = self.0.sync_now(index);
        // The caller of this thread has waited long enough.
        self.run_for_others(index);
        result
    }

    /// Syncs with one of the files for those who wait, on another thread.
    fn run_for_others(&self, index: usize) {
        if !self.0.waiting.lock().give_back(index) {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.run(index));
        }
    }
}

impl Waiting {
    /// Whether nobody waits, so that nobody uses this file any more.
    fn give_back(&mut self, index: usize) -> bool {
        let is_idle = self.replies.is_empty();
        if is_idle {
            self.idle.push(index);
        }
        is_idle
    }
}

impl Shared {
    /// Syncs with one of the files for as long as anybody waits.
    fn run(&self, index: usize) {
        loop {
            let replies = {
                let mut waiting = self.waiting.lock();
                if waiting.give_back(index) {
                    return;
                }
                std::mem::take(&mut waiting.replies)
            };
            let result = self.sync_now(index).map_err(Arc::new);
            for reply in replies {
                // Whoever has given up asks no more.
                let _ = reply.send(result.clone());
            }
        }
    }

    fn sync_now(&self, index: usize) -> io::Result<()> {
        // What was committed into a file that is not there any more is lost. The log itself is well.
        self.file.check_unchanged_now()?;
        if self.is_broken.load(Ordering::Acquire) {
            let reason = "an earlier sync of the write-ahead log failed";
            return Err(io::Error::other(reason));
        }
        self.sync_log(index).inspect_err(|error| {
            self.is_broken.store(true, Ordering::Release);
            tracing::error!(%error, log = %self.path.display(), "write-ahead log not synced");
        })
    }

    fn sync_log(&self, index: usize) -> io::Result<()> {
        let log = self.opened_log()?;
        let file = log.files.get(index).ok_or(io::ErrorKind::InvalidInput)?;
        let begun = Instant::now();
        file.sync_data()?;
        self.note_time(begun.elapsed());
        Ok(())
    }

    /// The log that the path names now.
    fn opened_log(&self) -> io::Result<Arc<OpenedLog>> {
        let named = identity(&std::fs::metadata(&self.path)?);
        let mut opened = self.log.lock();
        match &*opened {
            Some(log) if log.identity == named => Ok(Arc::clone(log)),
            // The last connection was closed, and the log with it.
            _ => Ok(Arc::clone(
                opened.insert(Arc::new(OpenedLog::open(&self.path)?)),
            )),
        }
    }

    fn note_time(&self, time: Duration) {
        // Of two that write at the same time one is lost, which changes little.
        let time = u64::try_from(time.min(MAX_NOTED_TIME).as_nanos()).unwrap_or(UNKNOWN_TIME);
        let next = match self.nanos.load(Ordering::Relaxed) {
            UNKNOWN_TIME => time,
            usual => usual - usual / 8 + time / 8,
        };
        self.nanos.store(next, Ordering::Relaxed);
    }
}

/// An error that many were told, for one of them.
fn unshared(error: Arc<io::Error>) -> io::Error {
    io::Error::new(error.kind(), error)
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    fn log_of_a_file() -> (tempfile::TempDir, PathBuf, LogSync) {
        log_in(tempfile::tempdir().unwrap())
    }

    fn log_in(folder: tempfile::TempDir) -> (tempfile::TempDir, PathBuf, LogSync) {
        let path = folder.path().join("a.db");
        let log = folder.path().join("a.db-wal");
        std::fs::write(&path, "database").unwrap();
        std::fs::write(&log, "log").unwrap();
        let sync = LogSync::new(&path, SqliteFile::new(&path).unwrap());
        (folder, log, sync)
    }

    async fn sync_many(sync: &LogSync) -> Vec<bool> {
        let results = join_all((0..64).map(|_| sync.sync())).await;
        results.iter().map(Result::is_ok).collect()
    }

    /// Like [`sync_many`], on as many threads.
    async fn sync_blocking_many(sync: &LogSync) -> Vec<bool> {
        let on_threads = (0..64).map(|_| {
            let sync = sync.clone();
            tokio::task::spawn_blocking(move || sync.sync_blocking().is_ok())
        });
        let results = join_all(on_threads).await;
        results.into_iter().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn many_syncs_at_a_time_all_return() {
        let (_folder, _log, sync) = log_of_a_file();
        for _ in 0..20 {
            let results = tokio::join!(sync_many(&sync), sync_blocking_many(&sync));
            assert_eq!(results, (vec![true; 64], vec![true; 64]));
        }
        all_idle(&sync).await;
    }

    /// Returns once no thread uses a file any more: a thread answers before it gives its file back.
    async fn all_idle(sync: &LogSync) {
        let all = async {
            while sync.0.waiting.lock().idle.len() < MAX_SYNCS {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let limit = Duration::from_mins(1);
        tokio::time::timeout(limit, all).await.unwrap();
    }

    #[tokio::test]
    async fn a_log_that_begins_anew_is_synced_and_not_the_old_one() {
        let (folder, log, sync) = log_of_a_file();
        sync.sync().await.unwrap();
        std::fs::rename(&log, folder.path().join("old")).unwrap();
        std::fs::write(&log, "new").unwrap();
        assert_eq!(sync_many(&sync).await, [true; 64]);
        let named = identity(&std::fs::metadata(&log).unwrap());
        let opened = sync.0.log.lock();
        let opened = opened.as_ref().unwrap();
        for file in &opened.files {
            assert_eq!(identity(&file.metadata().unwrap()), named);
        }
    }

    #[tokio::test]
    async fn after_a_failed_sync_all_are_refused_until_the_log_is_whole() {
        let (_folder, log, sync) = log_of_a_file();
        std::fs::remove_file(&log).unwrap();
        assert!(sync.sync().await.is_err());
        std::fs::write(&log, "new").unwrap();
        assert_eq!(sync_many(&sync).await, [false; 64]);
        assert_eq!(sync_blocking_many(&sync).await, [false; 64]);
        assert!(sync.is_broken());
        sync.mark_whole();
        assert_eq!(sync_many(&sync).await, [true; 64]);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_log_in_memory_that_is_gone_is_noticed_as_one_on_a_disk_is() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let (_folder, log, sync) = log_in(folder);
        assert!(sync.0.is_in_memory);
        assert_eq!(sync_many(&sync).await, [true; 64]);
        std::fs::remove_file(&log).unwrap();
        assert!(sync.sync().await.is_err());
        std::fs::write(&log, "new").unwrap();
        assert_eq!(sync_many(&sync).await, [false; 64]);
        sync.mark_whole();
        assert_eq!(sync_many(&sync).await, [true; 64]);
    }

    #[tokio::test]
    async fn the_usual_time_is_that_of_the_last_syncs() {
        let (_folder, _log, sync) = log_of_a_file();
        let quick = Duration::from_micros(10);
        assert!(sync.usual_time() > Duration::from_secs(1));
        sync.0.note_time(quick);
        assert_eq!(sync.usual_time(), quick);
        for _ in 0..100 {
            sync.0.note_time(Duration::from_secs(9));
        }
        assert!(sync.usual_time() > MAX_NOTED_TIME / 2);
        for _ in 0..100 {
            sync.0.note_time(quick);
        }
        assert!(sync.usual_time() < quick * 2);
    }
}
