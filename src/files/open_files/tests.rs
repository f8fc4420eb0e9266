use std::fs::File;
use std::ops::Range;

use object_store::memory::InMemory;

use super::*;
use crate::domain::dataset::{DatasetFile, StoredFile};
use crate::files::FilesError;
use crate::files::tests::{TestStore, bytes_of, failure_of};
use crate::files::tiff::test_file::test_tiff as tiff;

const SIZE: u64 = 600_000;

fn open_count(place: &TestStore) -> usize {
    place.files.open_files.0.read().files.len()
}

/// Reads a file until it is kept open, which it is not while its last change is a moment ago.
async fn read_until_kept(place: &TestStore, file: &StoredFile) {
    loop {
        assert!(bytes_of(&place.files, file, 0..SIZE).await == tiff(600_000));
        if open_count(place) == 1 {
            return;
        }
    }
}

async fn located(place: &TestStore, file: &StoredFile) -> Arc<FileVersion> {
    let file = DatasetFile::Stored(file.clone());
    place.files.locate(&file).await.unwrap().unwrap()
}

/// Another TIFF of the same length.
fn other_content() -> Vec<u8> {
    let mut content = tiff(600_000);
    content
        .iter_mut()
        .rev()
        .take(300_000)
        .for_each(|byte| *byte ^= 0x55);
    content
}

async fn check(place: &TestStore) {
    let files = &place.files;
    files.open_files.check(&files.store, &files.calls).await;
}

#[tokio::test]
async fn a_file_is_opened_for_its_first_span_only() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    read_until_kept(&place, &file).await;
    let mut opened = Vec::new();
    for span in [0..10, 500_000..SIZE, 0..SIZE] {
        let range = usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap();
        let read = bytes_of(&place.files, &file, span).await;
        assert!(read == tiff(600_000)[range]);
        opened.extend(place.files.open_files.get(&file.sha256));
    }
    assert_eq!(opened.len(), 3);
    assert!(opened.iter().all(|open| Arc::ptr_eq(open, &opened[0])));
    check(&place).await;
    assert_eq!(open_count(&place), 1, "it is what its name stands for");
}

#[tokio::test]
async fn what_happens_to_a_file_behind_our_back_shows_at_the_next_span() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    let object = place.object(&file);
    let opened = async || read_until_kept(&place, &file).await;

    opened().await;
    std::fs::remove_file(&object).unwrap();
    for span in [0..10, 0..SIZE] {
        let error = failure_of(&place.files, &file, span).await;
        assert!(matches!(error, FilesError::Missing { .. }), "{error}");
    }
    assert_eq!(open_count(&place), 0);

    place.imported(&tiff(600_000)).await;
    opened().await;
    let writer = File::options().write(true).open(&object).unwrap();
    writer.set_len(599_999).unwrap();
    let error = failure_of(&place.files, &file, 0..10).await;
    assert!(matches!(error, FilesError::Damaged { .. }), "{error}");

    place.imported(&tiff(600_000)).await;
    opened().await;
    let beside = object.with_extension("new");
    std::fs::write(&beside, other_content()).unwrap();
    std::fs::rename(&beside, &object).unwrap();
    assert!(bytes_of(&place.files, &file, 0..SIZE).await == other_content());

    std::fs::remove_dir_all(object.ancestors().nth(3).unwrap()).unwrap();
    let error = failure_of(&place.files, &file, 0..10).await;
    assert!(
        matches!(error, FilesError::FolderUnusable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn only_a_small_span_of_an_unchanged_open_file_is_read_at_once() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    let version = located(&place, &file).await;
    let read = |span: Range<u64>| place.files.read_at_once(&version, &span);
    assert!(read(0..10).is_none(), "it is not open");
    read_until_kept(&place, &file).await;
    for span in [0..0, 0..10, 16_384..32_768, 500_000..SIZE] {
        let range = usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap();
        // Not every file system can say what is in memory.
        assert!(read(span).is_none_or(|bytes| bytes == tiff(600_000)[range]));
    }
    for (start, end) in [(0, SIZE), (10, 5), (SIZE - 5, SIZE + 5)] {
        assert!(read(start..end).is_none(), "{start} to {end}");
    }
    std::fs::remove_file(place.object(&file)).unwrap();
    assert!(read(0..10).is_none(), "it is gone");
    assert_eq!(open_count(&place), 0);
}

#[tokio::test]
async fn datasets_with_the_same_content_keep_their_names_and_dates() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    let other = StoredFile {
        name: "other.tif".to_owned(),
        modified: file.modified + 60,
        ..file.clone()
    };
    for _ in 0..2 {
        for file in [&file, &other] {
            let version = located(&place, file).await;
            assert_eq!(
                (&version.name, version.modified),
                (&file.name, file.modified)
            );
        }
        read_until_kept(&place, &file).await;
    }
}

#[tokio::test]
async fn a_download_goes_on_with_the_file_that_it_began_with() {
    use futures_util::StreamExt;

    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    let mut chunks = place.files.read(&file, 0..SIZE).await.unwrap();
    let mut read = chunks.next().await.unwrap().unwrap().to_vec();
    let object = place.object(&file);
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, other_content()).unwrap();
    check(&place).await;
    while let Some(chunk) = chunks.next().await {
        read.extend_from_slice(&chunk.unwrap());
    }
    assert!(read == tiff(600_000));
}

#[tokio::test]
async fn a_moved_folder_is_found_by_asking_the_store() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    read_until_kept(&place, &file).await;
    let object = place.object(&file);
    let folder = object.ancestors().nth(2).unwrap();
    std::fs::rename(folder, folder.with_extension("moved")).unwrap();
    check(&place).await;
    assert_eq!(open_count(&place), 0);
    let error = failure_of(&place.files, &file, 0..10).await;
    assert!(matches!(error, FilesError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_removed_file_and_one_that_nobody_reads_are_closed() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    read_until_kept(&place, &file).await;
    std::fs::remove_file(place.object(&file)).unwrap();
    check(&place).await;
    assert_eq!(open_count(&place), 0, "its space is free again");

    place.imported(&tiff(600_000)).await;
    read_until_kept(&place, &file).await;
    // Only the checks of this test count.
    place
        .files
        .open_files
        .0
        .read()
        .checker
        .as_ref()
        .unwrap()
        .abort();
    bytes_of(&place.files, &file, 0..10).await;
    for _ in 0..MAX_IDLE_CHECKS {
        check(&place).await;
        assert_eq!(open_count(&place), 1);
    }
    bytes_of(&place.files, &file, 0..10).await;
    check(&place).await;
    assert_eq!(open_count(&place), 1, "it was read meanwhile");
    for _ in 0..MAX_IDLE_CHECKS {
        check(&place).await;
    }
    assert_eq!(open_count(&place), 0);
}

#[tokio::test]
async fn a_file_that_is_set_aside_is_closed_at_once() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    read_until_kept(&place, &file).await;
    place.files.set_aside(&file.sha256).await.unwrap();
    assert_eq!(open_count(&place), 0);
    let error = failure_of(&place.files, &file, 0..10).await;
    assert!(matches!(error, FilesError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn only_so_many_files_are_kept_open_and_the_longest_unused_is_closed_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, b"1234").unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (files, calls) = (OpenFiles::default(), BoundedCalls::default());
    while !OpenFile::new(File::open(&path).unwrap(), 4, None).is_watchable() {
        tokio::task::yield_now().await;
    }
    let keep = |number: usize, idle_checks: u32| {
        let file = Arc::new(OpenFile::new(File::open(&path).unwrap(), 4, None));
        file.idle_checks.store(idle_checks, Ordering::Relaxed);
        let object = ObjectPath::from(format!("{number}"));
        files.keep(&number.to_string(), object, &file, &store, &calls);
    };
    for number in 0..MAX_OPEN_FILES {
        keep(number, u32::from(number == 7));
    }
    keep(7, 0);
    assert!(files.get("7").is_some(), "it takes the place of itself");
    files
        .get("8")
        .unwrap()
        .idle_checks
        .store(3, Ordering::Relaxed);
    keep(MAX_OPEN_FILES, 0);
    assert_eq!(files.0.read().files.len(), MAX_OPEN_FILES);
    assert!(files.get("8").is_none());
    assert!(files.get(&MAX_OPEN_FILES.to_string()).is_some());
    files.close_all();
    assert!(files.get("7").is_none());
}

#[tokio::test]
async fn a_file_without_a_name_is_not_kept_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, b"1234").unwrap();
    let opened = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let file = OpenFile::new(opened, 4, None);
    assert!(!file.is_watchable() && !file.is_unchanged());
}

/// Drops what the page cache has of a file.
#[cfg(target_os = "linux")]
fn drop_from_cache(path: &std::path::Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_not_in_the_page_cache_is_read_all_the_same() {
    let place = TestStore::new();
    let file = place.imported(&tiff(600_000)).await;
    for span in [0..SIZE, 100_000..120_000, 590_000..SIZE] {
        drop_from_cache(&place.object(&file));
        let range = usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap();
        assert!(bytes_of(&place.files, &file, span).await == tiff(600_000)[range]);
    }
}

#[test]
fn an_error_for_lack_of_file_descriptors_is_told_from_others() {
    let error = |code| object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(io::Error::from_raw_os_error(code)),
    };
    assert!(is_out_of_descriptors(&error(
        rustix::io::Errno::MFILE.raw_os_error()
    )));
    assert!(is_out_of_descriptors(&error(
        rustix::io::Errno::NFILE.raw_os_error()
    )));
    assert!(!is_out_of_descriptors(&error(
        rustix::io::Errno::NOENT.raw_os_error()
    )));
}
