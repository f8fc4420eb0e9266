//! An open file of the store: positioned reads, and whether it is still the file that was opened.
//!
//! A read that the page cache can answer is done at once (`RWF_NOWAIT` of preadv2(2), since Linux 4.14), because
//! handing it to a thread for blocking work costs several times as much as the copy. What may have to wait for the
//! disk or a network is left to such a thread, and so is everything on systems and file systems without that flag.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::memory_file::is_in_memory;

/// How old the last change of a file has to be: another one in the same tick of the system's clock would have the
/// same time. A tick takes at most 10 ms.
const SETTLING_TIME: Duration = Duration::from_millis(50);
/// How far the system is asked to read ahead of a read that had to wait, in bytes.
const READ_AHEAD: u64 = 1024 * 1024;

/// An open file, which changes of its place in the store do not reach.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// Its length when it was opened, in bytes.
    pub(super) size: u64,
    /// The entity tag that the store gave it.
    pub(super) e_tag: Option<String>,
    stamp: Option<Stamp>,
    /// Whether its file system is memory, which never waits.
    is_in_memory: bool,
    /// Whether its file system cannot say that a read would wait.
    is_opaque: AtomicBool,
    /// How many checks it was not used for.
    pub(super) idle_checks: AtomicU32,
}

/// What changes with a file: written to, cut, replaced, renamed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    links: u32,
    size: u64,
    modified: (i64, u32),
    changed: (i64, u32),
}

impl Stamp {
    fn changed_at(&self) -> Option<SystemTime> {
        let (seconds, nanoseconds) = self.changed;
        let since_1970 = Duration::new(u64::try_from(seconds).ok()?, nanoseconds);
        UNIX_EPOCH.checked_add(since_1970)
    }
}

impl OpenFile {
    pub(super) fn new(file: File, size: u64, e_tag: Option<String>) -> Self {
        Self {
            stamp: stamp(&file),
            is_in_memory: is_in_memory(&file),
            is_opaque: AtomicBool::new(false),
            idle_checks: AtomicU32::new(0),
            file,
            size,
            e_tag,
        }
    }

    /// Whether it can be told later that the file was changed. If not, it has to be opened each time: where the system
    /// does not say, and while the last change is a moment ago.
    pub(super) fn is_watchable(&self) -> bool {
        let is_settled = |stamp: Stamp| {
            let since = stamp.changed_at().and_then(|at| at.elapsed().ok());
            since.is_some_and(|since| since > SETTLING_TIME)
        };
        self.stamp
            .is_some_and(|stamp| stamp.size == self.size && is_settled(stamp))
    }

    /// Whether the file is as it was when it was opened, as far as the system knows without asking a network.
    pub(super) fn is_unchanged(&self) -> bool {
        self.stamp.is_some() && stamp(&self.file) == self.stamp
    }

    /// Reads what can be read without waiting, and returns how many bytes of `buffer` that are.
    pub(super) fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> usize {
        if self.is_in_memory {
            // An error is met again, and reported, by the read that may wait.
            return self.file.read_at(buffer, offset).unwrap_or_default();
        }
        if self.is_opaque.load(Ordering::Relaxed) {
            return 0;
        }
        let read = read_cached(&self.file, buffer, offset);
        if read.is_none() {
            self.is_opaque.store(true, Ordering::Relaxed);
        }
        read.unwrap_or_default()
    }

    /// Fills `buffer` as far as the file goes, and returns how many bytes that are; blocks the thread.
    pub(super) fn read_blocking(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self
                .file
                .read_at(rest, offset.saturating_add(filled as u64))
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Asks the system to read what comes after `offset`, so that the next reads need not wait; blocks the thread.
    pub(super) fn read_ahead(&self, offset: u64) {
        let left = self.size.saturating_sub(offset).min(READ_AHEAD);
        advise_read(&self.file, offset, left);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, AtFlags, StatxFlags, fadvise, statx};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::Stamp;

    /// The stamp of an open file; none if the system does not tell, or the file has no name any more.
    pub(super) fn stamp(file: &File) -> Option<Stamp> {
        // A file system of a network answers with what it knows, and the thread does not wait.
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::NLINK | StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::CTIME;
        let found = statx(file, c"", flags, wanted).ok()?;
        let is_known = StatxFlags::from_bits_retain(found.stx_mask).contains(wanted);
        (is_known && found.stx_nlink > 0).then_some(Stamp {
            links: found.stx_nlink,
            size: found.stx_size,
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
        })
    }

    /// How many bytes were read without waiting; none if the system cannot say.
    pub(super) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let mut buffers = [IoSliceMut::new(buffer)];
        match preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => Some(read),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => None,
            // It would have to wait, or fails, which the read that may wait reports.
            Err(_) => Some(0),
        }
    }

    pub(super) fn advise_read(file: &File, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length) {
            // It is a hint only.
            fadvise(file, offset, Some(length), Advice::WillNeed).ok();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;

    use super::Stamp;

    pub(super) fn stamp(_: &File) -> Option<Stamp> {
        None
    }

    pub(super) fn read_cached(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
        None
    }

    pub(super) fn advise_read(_: &File, _: u64, _: u64) {}
}

use system::{advise_read, read_cached, stamp};
