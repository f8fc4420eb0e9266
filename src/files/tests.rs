use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tempfile::TempDir;

use super::source::{ContentHasher, ImportSource};
use super::store::object_path;
use super::tiff::test_file::{MIN_TEST_TIFF_LENGTH, test_tiff as tiff};
use super::*;
use crate::domain::dataset::StoredFile;

const NOW: i64 = 1_700_000_000;

/// A store in a folder of its own, and a place for sources beside it.
pub(super) struct TestStore {
    folder: TempDir,
    pub(super) files: FileStore,
}

impl TestStore {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = FileStore::open(&folder.path().join("made/on/demand")).unwrap();
        Self { folder, files }
    }

    fn source(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) async fn imported(&self, content: &[u8]) -> StoredFile {
        let source = self.source("dem.tif", content);
        self.files.import(&source, NOW).await.unwrap()
    }

    pub(super) fn object(&self, file: &StoredFile) -> PathBuf {
        let store = self.folder.path().join("made/on/demand");
        store.join(object_path(file).unwrap().as_ref())
    }

    fn names_in_store(&self, file: &StoredFile) -> Vec<String> {
        let shard = self.object(file).parent().unwrap().to_path_buf();
        let Ok(entries) = std::fs::read_dir(shard) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

pub(super) async fn bytes_of(files: &FileStore, file: &StoredFile, span: Range<u64>) -> Vec<u8> {
    let chunks: Vec<Bytes> = files
        .read(file, span)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    chunks.concat()
}

pub(super) async fn failure_of(
    files: &FileStore,
    file: &StoredFile,
    span: Range<u64>,
) -> FilesError {
    files.read(file, span).await.err().unwrap()
}

#[tokio::test]
async fn an_imported_file_is_named_by_its_content_and_read_back() {
    let place = TestStore::new();
    let content = tiff(1_000_000);
    let file = place.imported(&content).await;
    assert_eq!(file.name, "dem.tif");
    assert_eq!(file.size, 1_000_000);
    assert_eq!(file.modified, NOW);
    assert_eq!(
        file.sha256,
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&content))
    );
    assert!(place.files.contains(&file).await.unwrap());
    assert_eq!(bytes_of(&place.files, &file, 0..file.size).await, content);
    assert_eq!(
        place.names_in_store(&file),
        [file.sha256.as_str()],
        "nothing else is left behind"
    );
}

#[tokio::test]
async fn a_real_cog_is_imported() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/jacksboro-fault-dem.cog.tif");
    let place = TestStore::new();
    let file = place.files.import(&demo, NOW).await.unwrap();
    assert_eq!(file.name, "jacksboro-fault-dem.cog.tif");
    assert_eq!(
        bytes_of(&place.files, &file, 0..file.size).await,
        std::fs::read(demo).unwrap()
    );
}

#[tokio::test]
async fn content_that_is_already_there_is_not_written_again() {
    let place = TestStore::new();
    let first = place.imported(&tiff(5000)).await;
    let written = std::fs::metadata(place.object(&first)).unwrap();
    let other = place.source("other name.tif", &tiff(5000));
    let second = place.files.import(&other, NOW + 5).await.unwrap();
    assert_eq!(second.sha256, first.sha256);
    assert_eq!(second.name, "other name.tif");
    let now = std::fs::metadata(place.object(&first)).unwrap();
    // Marked as used, so that it is not removed before a dataset names it.
    let marked = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_005);
    assert_eq!(now.modified().unwrap(), marked);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(now.ino(), written.ino());
    }
}

#[tokio::test]
async fn importing_again_heals_an_object_that_was_cut_short() {
    let place = TestStore::new();
    let file = place.imported(&tiff(5000)).await;
    std::fs::write(place.object(&file), b"II*\0").unwrap();
    assert!(!place.files.contains(&file).await.unwrap());
    place.imported(&tiff(5000)).await;
    assert_eq!(bytes_of(&place.files, &file, 0..5000).await, tiff(5000));
}

#[tokio::test]
async fn a_source_longer_than_one_piece_is_copied_whole() {
    let place = TestStore::new();
    let content = tiff(17 * 1024 * 1024 + 3);
    let file = place.imported(&content).await;
    assert!(bytes_of(&place.files, &file, 0..file.size).await == content);
}

#[tokio::test]
async fn a_source_that_changes_during_the_import_is_refused_and_leaves_nothing() {
    let place = TestStore::new();
    let path = place.source("dem.tif", &tiff(5000));
    let mut source = ImportSource::open(&path).unwrap();
    let mut hasher = ContentHasher::default();
    hasher.update(&source.next_piece().unwrap());
    let content = hasher.finish();
    source.rewind().unwrap();
    let file = StoredFile {
        sha256: content.sha256.clone(),
        name: "dem.tif".into(),
        size: content.size,
        modified: NOW,
    };
    std::fs::write(&path, tiff(5001)).unwrap();
    let error = place.files.copy(source, content, &file).await.unwrap_err();
    assert!(matches!(error, FilesError::SourceChanged { .. }), "{error}");
    assert_eq!(place.names_in_store(&file), Vec::<String>::new());
}

#[tokio::test]
async fn files_that_are_not_tiff_are_rejected_by_name() {
    let place = TestStore::new();
    let missing = place.folder.path().join("missing.tif");
    let error = place.files.import(&missing, NOW).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no file {}", missing.display())
    );

    let error = place
        .files
        .import(place.folder.path(), NOW)
        .await
        .unwrap_err();
    assert!(
        matches!(error, FilesError::SourceNotRegular { .. }),
        "{error}"
    );

    let empty = place.source("empty.tif", b"");
    let error = place.files.import(&empty, NOW).await.unwrap_err();
    assert!(matches!(error, FilesError::SourceEmpty { .. }), "{error}");

    let text = place.source("text.tif", b"not a TIFF at all");
    let error = place.files.import(&text, NOW).await.unwrap_err();
    assert!(matches!(error, FilesError::TiffDefective { .. }), "{error}");
    assert!(error.to_string().contains("text.tif"));

    let beneath = text.join("a.tif");
    let error = place.files.import(&beneath, NOW).await.unwrap_err();
    assert!(
        matches!(error, FilesError::SourceUnreadable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_is_reported() {
    let place = TestStore::new();
    let taken = place.source("taken", b"a file");
    let error = FileStore::open(&taken).unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
}

#[tokio::test]
async fn small_spans_come_as_one_chunk_and_large_ones_in_large_chunks() {
    let place = TestStore::new();
    let file = place.imported(&tiff(1_000_000)).await;
    let small = place.files.read(&file, 16_384..32_768).await.unwrap();
    let small: Vec<Bytes> = small.try_collect().await.unwrap();
    assert_eq!(small.iter().map(Bytes::len).collect::<Vec<_>>(), [16_384]);
    let large = place.files.read(&file, 0..1_000_000).await.unwrap();
    let large: Vec<Bytes> = large.try_collect().await.unwrap();
    let lengths: Vec<_> = large.iter().map(Bytes::len).collect();
    assert_eq!(lengths, [262_144, 262_144, 262_144, 213_568]);
}

#[tokio::test]
async fn a_file_that_is_gone_is_missing_before_the_first_byte() {
    let place = TestStore::new();
    let file = place.imported(&tiff(1_000_000)).await;
    std::fs::remove_file(place.object(&file)).unwrap();
    assert!(!place.files.contains(&file).await.unwrap());
    for span in [0..10, 0..1_000_000] {
        let error = failure_of(&place.files, &file, span).await;
        assert!(matches!(error, FilesError::Missing { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_shorter_than_catalogued_is_damaged_before_the_first_byte() {
    let place = TestStore::new();
    let file = place.imported(&tiff(1_000_000)).await;
    std::fs::write(place.object(&file), tiff(999_999)).unwrap();
    for span in [
        0..1_000_000,
        999_990..1_000_000,
        999_999..1_000_000,
        0..300_000,
    ] {
        let error = failure_of(&place.files, &file, span).await;
        assert!(matches!(error, FilesError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_neither_missing_nor_damaged() {
    let place = TestStore::new();
    let mut file = place.imported(&tiff(200)).await;
    file.sha256 = "0".repeat(64);
    // A file where the store wants a folder: no answer at all about the object.
    std::fs::write(place.object(&file).parent().unwrap(), b"").unwrap();
    let error = failure_of(&place.files, &file, 0..10).await;
    assert!(matches!(error, FilesError::Unreadable { .. }), "{error}");
    assert!(place.files.contains(&file).await.is_err());
}

#[tokio::test]
async fn spans_outside_the_file_are_refused_and_empty_ones_are_empty() {
    let place = TestStore::new();
    let file = place.imported(&tiff(200)).await;
    #[allow(
        clippy::reversed_empty_ranges,
        reason = "the reversed span is what is refused"
    )]
    for span in [0..201, 201..201, 50..40] {
        let error = failure_of(&place.files, &file, span).await;
        assert!(
            matches!(error, FilesError::SpanOutOfRange { .. }),
            "{error}"
        );
    }
    assert_eq!(bytes_of(&place.files, &file, 200..200).await, b"");
}

#[tokio::test]
async fn a_catalogued_digest_that_is_none_never_becomes_a_path() {
    let place = TestStore::new();
    let mut file = place.imported(&tiff(200)).await;
    for sha256 in [
        String::new(),
        "../../etc/passwd".into(),
        "A".repeat(64),
        "é".repeat(32),
    ] {
        file.sha256 = sha256;
        let error = failure_of(&place.files, &file, 0..10).await;
        assert!(matches!(error, FilesError::InvalidDigest { .. }), "{error}");
        assert!(place.files.contains(&file).await.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_span_equals_the_slice_of_the_file(
        size in MIN_TEST_TIFF_LENGTH..900_000,
        from in 0.0f64..=1.0,
        length in 0.0f64..=1.0,
        is_remote: bool,
    ) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let at = |share: f64, of: usize| ((share * of as f64) as usize).min(of);
        let start = at(from, size);
        let end = start + at(length, size - start);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (read, content) = runtime.block_on(async {
            let mut place = TestStore::new();
            if is_remote {
                // A store that streams, as remote ones do.
                place.files.store = Arc::new(InMemory::new());
            }
            let content = tiff(size);
            let file = place.imported(&content).await;
            (bytes_of(&place.files, &file, start as u64..end as u64).await, content)
        });
        prop_assert!(read == content[start..end]);
    }
}
