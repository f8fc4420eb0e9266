//! Free disk space: when it runs low nothing new is stored, so that audit records have room to the end.
//!
//! The data directory and the folder of the file store are looked at every second, on a thread for blocking
//! work. Below the floor uploads, imports and whatever is created are refused; sign-ins, mints, downloads and
//! changes that take rights away go on. The disk of a PostgreSQL server cannot be seen from here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use crate::config::FreeDiskFloor;

use super::error::ServiceError;

/// How often the disk is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Health warns below so many times the floor.
const WARNING_MULTIPLE: u64 = 4;
/// The floor unless one is set, in bytes, and at most this part of the disk: one in so many.
const DEFAULT_FLOOR: u64 = 256 * 1024 * 1024;
const DEFAULT_FLOOR_DIVISOR: u64 = 20;

/// How much space is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskLevel {
    /// Enough.
    Enough,
    /// Little: health warns.
    Low,
    /// What is left is for audit records.
    BelowFloor,
}

/// The space that is left, as of the last look.
pub struct DiskSpace {
    folders: Vec<PathBuf>,
    floor: FreeDiskFloor,
    level: AtomicU8,
    is_unknown: AtomicBool,
}

impl DiskSpace {
    /// Looks at the disks of these folders.
    pub async fn open(folders: Vec<PathBuf>, floor: FreeDiskFloor) -> Arc<Self> {
        let disk_space = Arc::new(Self {
            folders,
            floor,
            level: AtomicU8::new(DiskLevel::Enough as u8),
            is_unknown: AtomicBool::new(false),
        });
        Arc::clone(&disk_space).look().await;
        disk_space
    }

    /// Looks again and again.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            Arc::clone(&self).look().await;
        }
    }

    /// How much space was left at the last look.
    #[must_use]
    pub fn level(&self) -> DiskLevel {
        let level = self.level.load(Ordering::Relaxed);
        [DiskLevel::BelowFloor, DiskLevel::Low]
            .into_iter()
            .find(|known| *known as u8 == level)
            .unwrap_or(DiskLevel::Enough)
    }

    /// An error if nothing new may be stored.
    pub fn require(&self) -> Result<(), ServiceError> {
        if self.level() == DiskLevel::BelowFloor {
            return Err(ServiceError::StorageLow);
        }
        Ok(())
    }

    async fn look(self: Arc<Self>) {
        let looking = Arc::clone(&self);
        let looked = tokio::task::spawn_blocking(move || looking.worst_level()).await;
        let Ok(Ok(level)) = looked else {
            if !self.is_unknown.swap(true, Ordering::Relaxed) {
                tracing::warn!("free disk space unknown; the last level stays");
            }
            return;
        };
        self.is_unknown.store(false, Ordering::Relaxed);
        let before = self.level();
        self.level.store(level as u8, Ordering::Relaxed);
        if before != level {
            match level {
                DiskLevel::Enough => tracing::info!("free disk space is enough again"),
                DiskLevel::Low => tracing::warn!("free disk space is low"),
                DiskLevel::BelowFloor => {
                    tracing::error!("free disk space is below the floor; nothing new is stored");
                }
            }
        }
    }

    fn worst_level(&self) -> std::io::Result<DiskLevel> {
        let mut worst = DiskLevel::Enough;
        for folder in &self.folders {
            worst = worst.max(self.level_of(folder)?);
        }
        Ok(worst)
    }

    fn level_of(&self, folder: &Path) -> std::io::Result<DiskLevel> {
        let disk = rustix::fs::statvfs(folder)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        Ok(level(free, total, self.floor))
    }
}

fn level(free: u64, total: u64, floor: FreeDiskFloor) -> DiskLevel {
    let floor = match floor {
        FreeDiskFloor::Auto => DEFAULT_FLOOR.min(total / DEFAULT_FLOOR_DIVISOR),
        FreeDiskFloor::Mebibytes(mebibytes) => u64::from(mebibytes) * 1024 * 1024,
    };
    if free < floor {
        DiskLevel::BelowFloor
    } else if free < floor.saturating_mul(WARNING_MULTIPLE) {
        DiskLevel::Low
    } else {
        DiskLevel::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;

    #[test]
    fn the_floor_is_a_quarter_of_a_gibibyte_or_a_twentieth_of_a_small_disk() {
        let large = |free: u64| level(free * MEBIBYTE, 1 << 40, FreeDiskFloor::Auto);
        assert_eq!(large(255), DiskLevel::BelowFloor);
        assert_eq!(large(256), DiskLevel::Low);
        assert_eq!(large(1024), DiskLevel::Enough);
        let small = |free: u64| level(free * MEBIBYTE, 64 * MEBIBYTE, FreeDiskFloor::Auto);
        assert_eq!(small(3), DiskLevel::BelowFloor);
        assert_eq!(small(4), DiskLevel::Low);
        assert_eq!(small(13), DiskLevel::Enough);
        assert_eq!(level(0, 1, FreeDiskFloor::Mebibytes(0)), DiskLevel::Enough);
    }
}
