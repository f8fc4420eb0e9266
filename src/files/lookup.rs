//! Looks for files: whether they are there, from memory where it was seen lately ([`mod@super::presence`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(test)]
use std::time::Duration;

use moka::ops::compute::Op;

use super::download;
use super::error::FilesError;
use super::presence::FoundFile;
use super::store::FileStore;
use crate::domain::dataset::{DatasetFile, StoredFile};

impl FileStore {
    /// Whether there is a file, or was seconds ago.
    pub async fn has(&self, file: &DatasetFile) -> Result<bool, FilesError> {
        match file {
            DatasetFile::Stored(file) => self.contains(file).await,
            DatasetFile::Remote(file) => Ok(self.remote.facts(file).await?.is_some()),
        }
    }

    /// Whether a file is in the store with its catalogued length, or was found there seconds ago.
    pub async fn contains(&self, file: &StoredFile) -> Result<bool, FilesError> {
        if let Some(found) = self.presence.found.get(&file.sha256).await {
            if found.looked_at.elapsed() >= self.presence.recheck_age {
                self.recheck(file, &found);
            }
            return Ok(found.size == file.size);
        }
        let looking = async {
            match self.stored_size(file).await {
                Ok(Some(size)) => Ok(FoundFile::now(size)),
                Ok(None) => Err(None),
                Err(error) => Err(Some(error)),
            }
        };
        // Those who ask for the same file at the same time wait for one answer.
        let asked = &self.presence.found;
        match asked.try_get_with_by_ref(&file.sha256, looking).await {
            Ok(found) => Ok(found.size == file.size),
            Err(missing) => match &*missing {
                None => Ok(false),
                Some(error) => {
                    let source = std::io::Error::other(error.to_string());
                    Err(download::unreadable(file.name.clone(), source))
                }
            },
        }
    }

    /// Looks for a file again in the background, unless somebody does so already or too many are looked for.
    fn recheck(&self, file: &StoredFile, found: &Arc<FoundFile>) {
        if found.is_rechecking.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.presence.rechecks).try_acquire_owned() else {
            found.is_rechecking.store(false, Ordering::Relaxed);
            return;
        };
        let (store, file, found) = (self.clone(), file.clone(), Arc::clone(found));
        tokio::spawn(async move {
            let _permit = permit;
            // A store that does not answer is told of when what was found is too old.
            if let Ok(size) = store.stored_size(&file).await {
                store.renew(&file.sha256, size).await;
            }
            found.is_rechecking.store(false, Ordering::Relaxed);
        });
    }

    /// Puts the result of a look in the place of an older one; what was forgotten meanwhile stays so.
    async fn renew(&self, sha256: &str, size: Option<u64>) {
        let entry = self.presence.found.entry_by_ref(sha256);
        entry
            .and_compute_with(async |former| match (former, size) {
                (Some(_), Some(size)) => Op::Put(FoundFile::now(size)),
                (Some(_), None) => Op::Remove,
                (None, _) => Op::Nop,
            })
            .await;
    }

    #[cfg(test)]
    pub(super) fn with_recheck_age(mut self, age: Duration) -> Self {
        self.presence.recheck_age = age;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::store::object_path;

    /// A store with one file, whose presence is checked again from this age on.
    async fn stored(folder: &Path, recheck_age: Duration) -> (FileStore, StoredFile) {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/jacksboro-fault-dem.cog.tif");
        let files = FileStore::open(folder).unwrap();
        let files = files.with_recheck_age(recheck_age);
        let file = files.import(&demo, 0).await.unwrap();
        assert!(files.contains(&file).await.unwrap());
        (files, file)
    }

    fn remove(folder: &Path, file: &StoredFile) {
        let object = folder.join(object_path(file).unwrap().as_ref());
        std::fs::remove_file(object).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_vanishes_is_missed_after_a_look_in_the_background() {
        let folder = tempfile::tempdir().unwrap();
        let (files, file) = stored(folder.path(), Duration::ZERO).await;
        remove(folder.path(), &file);
        // Nobody waits for the look: the first answer is from memory.
        assert!(files.contains(&file).await.unwrap());
        let missing = async {
            while files.contains(&file).await.unwrap() {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_mins(1);
        tokio::time::timeout(limit, missing).await.unwrap();
    }

    #[tokio::test]
    async fn a_young_answer_is_used_without_a_look_and_a_forgotten_one_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (files, file) = stored(folder.path(), Duration::from_hours(1)).await;
        remove(folder.path(), &file);
        assert!(files.contains(&file).await.unwrap());
        assert!(files.has(&DatasetFile::Stored(file.clone())).await.unwrap());
        files.presence.forget(&file.sha256);
        assert!(!files.contains(&file).await.unwrap());
    }

    #[tokio::test]
    async fn a_look_that_ends_after_its_file_was_forgotten_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (files, file) = stored(folder.path(), Duration::from_hours(1)).await;
        files.presence.forget(&file.sha256);
        files.renew(&file.sha256, Some(file.size)).await;
        remove(folder.path(), &file);
        assert!(!files.contains(&file).await.unwrap());
    }

    #[tokio::test]
    async fn a_look_puts_what_it_found_in_the_place_of_what_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let (files, file) = stored(folder.path(), Duration::from_hours(1)).await;
        files.renew(&file.sha256, Some(file.size + 1)).await;
        assert!(!files.contains(&file).await.unwrap());
        files.renew(&file.sha256, Some(file.size)).await;
        assert!(files.contains(&file).await.unwrap());
    }
}
