//! What is known of the presence of files, and when it is looked for again.

use std::path::Path;
use std::time::Duration;

use super::store::object_path;
use super::*;
use crate::domain::dataset::{DatasetFile, StoredFile};

/// A store with one file, whose presence is checked again from this age on.
async fn stored(folder: &Path, recheck_age: Duration) -> (FileStore, StoredFile) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/jacksboro-fault-dem.cog.tif");
    let mut files = FileStore::open(folder).unwrap();
    files.presence.set_recheck_age(recheck_age);
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
    files.presence.renew(&file.sha256, Some(file.size)).await;
    remove(folder.path(), &file);
    assert!(!files.contains(&file).await.unwrap());
}

#[tokio::test]
async fn a_look_puts_what_it_found_in_the_place_of_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let (files, file) = stored(folder.path(), Duration::from_hours(1)).await;
    files
        .presence
        .renew(&file.sha256, Some(file.size + 1))
        .await;
    assert!(!files.contains(&file).await.unwrap());
    files.presence.renew(&file.sha256, Some(file.size)).await;
    assert!(files.contains(&file).await.unwrap());
}
