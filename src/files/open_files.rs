//! The open files of the store: kept open from one span to the next, so that a span opens nothing.
//!
//! A file of the store is used as long as it is the one that its name stands for. Before each use its stamp is
//! compared (links, length, times), which shows at once that it was written to, cut, replaced or removed. What that
//! cannot show, such as a folder that was moved, is found by asking the store for the name again, every second in the
//! background while there are open files. Such a file is closed, which also gives its space back if it was removed; so
//! is one that nobody has read for a while, and the longest unused one when there would be too many.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::RwLock;
use tokio::task::JoinHandle;

use super::bounded_calls::BoundedCalls;
use super::file_version::FileVersion;
use super::open_file::OpenFile;
use crate::domain::dataset::StoredFile;

/// The most files that are kept open; downloads in progress may hold others.
pub const MAX_OPEN_FILES: usize = 256;
/// How often open files are compared with what the store has under their names.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How many checks a file stays open for that nobody reads.
const MAX_IDLE_CHECKS: u32 = 30;

/// The open files by their digests; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenFiles(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, Entry>,
    checker: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Entry {
    object: ObjectPath,
    file: Arc<OpenFile>,
    /// What is said of it, once somebody asked.
    version: OnceLock<Arc<FileVersion>>,
}

impl OpenFiles {
    /// The open file with a digest, if it is still what its name stands for.
    pub(super) fn get(&self, sha256: &str) -> Option<Arc<OpenFile>> {
        let file = Arc::clone(&self.0.read().files.get(sha256)?.file);
        if file.is_unchanged() {
            file.idle_checks.store(0, Ordering::Relaxed);
            return Some(file);
        }
        self.close(sha256, &file);
        None
    }

    /// The version of a file that is open, as far as was known at the last check; its use compares it again.
    pub(super) fn version(&self, stored: &StoredFile) -> Option<Arc<FileVersion>> {
        let state = self.0.read();
        let entry = state.files.get(&stored.sha256)?;
        let version = entry.version.get_or_init(|| FileVersion::of_stored(stored));
        // Another dataset may have the same content under another name.
        let is_same = entry.file.size == stored.size && version.is_of(stored);
        is_same.then(|| Arc::clone(version))
    }

    /// Keeps a file open, if changes of it can be noticed.
    pub(super) fn keep(
        &self,
        sha256: &str,
        object: ObjectPath,
        file: &Arc<OpenFile>,
        store: &Arc<dyn ObjectStore>,
        calls: &BoundedCalls,
    ) {
        if !file.is_watchable() {
            return;
        }
        let entry = Entry {
            object,
            file: Arc::clone(file),
            version: OnceLock::new(),
        };
        let mut state = self.0.write();
        if state.files.len() >= MAX_OPEN_FILES && !state.files.contains_key(sha256) {
            state.close_longest_unused();
        }
        state.files.insert(sha256.to_owned(), entry);
        let is_checked = state
            .checker
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        if !is_checked {
            let checking =
                check_until_empty(Arc::downgrade(&self.0), Arc::clone(store), calls.clone());
            state.checker = Some(tokio::spawn(checking));
        }
    }

    /// Closes the file with a digest, whichever it is.
    pub(super) fn forget(&self, sha256: &str) {
        let closed = self.0.write().files.remove(sha256);
        if let Some(entry) = closed {
            close_elsewhere(entry.file);
        }
    }

    /// Closes all files, because the system lets this process open no more.
    pub(super) fn close_all(&self) {
        let closed = std::mem::take(&mut self.0.write().files);
        drop(closed);
    }

    /// Closes a file, unless another one was opened in its place.
    fn close(&self, sha256: &str, file: &Arc<OpenFile>) {
        let mut state = self.0.write();
        let is_same = |entry: &Entry| Arc::ptr_eq(&entry.file, file);
        if state.files.get(sha256).is_some_and(is_same)
            && let Some(entry) = state.files.remove(sha256)
        {
            drop(state);
            close_elsewhere(entry.file);
        }
    }

    /// Closes the files that are no longer what their names stand for, or that nobody reads.
    async fn check(&self, store: &Arc<dyn ObjectStore>, calls: &BoundedCalls) {
        let entries: Vec<(String, Entry)> = {
            let state = self.0.read();
            let entries = state.files.iter();
            entries
                .map(|(sha256, entry)| (sha256.clone(), entry.clone()))
                .collect()
        };
        for (sha256, Entry { object, file, .. }) in entries {
            let idle_checks = file.idle_checks.fetch_add(1, Ordering::Relaxed);
            let is_kept = file.is_unchanged()
                && idle_checks < MAX_IDLE_CHECKS
                && is_in_place(store, object, &file, calls).await;
            if !is_kept {
                self.close(&sha256, &file);
            }
        }
    }
}

impl State {
    fn close_longest_unused(&mut self) {
        let idle_checks = |entry: &Entry| entry.file.idle_checks.load(Ordering::Relaxed);
        let entries = self.files.iter();
        let longest = entries.max_by_key(|(_, entry)| idle_checks(entry));
        if let Some(sha256) = longest.map(|(sha256, _)| sha256.clone()) {
            self.files.remove(&sha256);
        }
    }
}

/// Whether the store has the same file under its name; not if it does not answer.
async fn is_in_place(
    store: &Arc<dyn ObjectStore>,
    object: ObjectPath,
    file: &OpenFile,
    calls: &BoundedCalls,
) -> bool {
    let store = Arc::clone(store);
    let looking = async move { store.head(&object).await };
    let found = calls.look_up("look for an open file", looking).await;
    matches!(found, Ok(Ok(found)) if found.size == file.size && found.e_tag == file.e_tag)
}

async fn check_until_empty(
    state: Weak<RwLock<State>>,
    store: Arc<dyn ObjectStore>,
    calls: BoundedCalls,
) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let Some(files) = state.upgrade().map(OpenFiles) else {
            return;
        };
        files.check(&store, &calls).await;
        let mut state = files.0.write();
        if state.files.is_empty() {
            // The next file that is kept open starts another one.
            state.checker = None;
            return;
        }
    }
}

/// Closes a file that may have been removed: its space is given back then, which may take a while.
fn close_elsewhere(file: Arc<OpenFile>) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(file))),
        Err(_) => drop(file),
    }
}

/// Whether an error says that this process, or the system, has no file descriptor left.
pub(super) fn is_out_of_descriptors(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
            return codes
                .iter()
                .any(|code| error.raw_os_error() == Some(code.raw_os_error()));
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
