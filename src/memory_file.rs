//! Files in memory: whether a file is on a file system that has no disk, so that a sync of it has nothing to do.

use std::fs::File;

/// Whether a file is in memory only (tmpfs, ramfs); not known of other systems than Linux.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_memory(file: &File) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const KINDS: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::fstatfs(file)
        .ok()
        .and_then(|found| u64::try_from(found.f_type).ok());
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

/// Whether a file is in memory only (tmpfs, ramfs); not known of other systems than Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_in_memory(_: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_tmpfs_is_in_memory_and_one_of_proc_is_not() {
        assert!(is_in_memory(&tempfile::tempfile_in("/dev/shm").unwrap()));
        assert!(!is_in_memory(&File::open("/proc/self/stat").unwrap()));
    }
}
