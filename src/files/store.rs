//! The file store: import, read and check files.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use super::download::{self, ByteStream, CHUNK_SIZE};
use super::error::FilesError;
use super::source::{ContentDigest, ContentHasher, ImportSource, download_name};
use crate::domain::dataset::StoredFile;

/// How many uploads run at once, each with one piece in memory; further ones wait.
const MAX_CONCURRENT_UPLOADS: usize = 8;

/// The store of all files; clones are cheap and share the store.
#[derive(Clone, Debug)]
pub struct FileStore {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) folder: Arc<Path>,
    import_dir: Option<Arc<Path>>,
    pub(super) upload_permits: Arc<Semaphore>,
}

impl FileStore {
    /// Opens the store in a local folder, which is created if it does not exist.
    pub fn open(folder: &Path) -> Result<Self, FilesError> {
        let unusable = |source| FilesError::FolderUnusable {
            folder: folder.into(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| unusable(error.into()))?
            // The catalog names a file durably once it is stored, so the file has to be durable first.
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            folder: folder.into(),
            import_dir: None,
            upload_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_UPLOADS)),
        })
    }

    /// The same store, which also takes files from a folder by their path in it.
    #[must_use]
    pub fn with_import_dir(self, imports: Option<&Path>) -> Self {
        Self {
            import_dir: imports.map(Arc::from),
            ..self
        }
    }

    /// Checks that the folder exists: the store itself takes a missing folder for an empty one.
    pub async fn check_folder(&self) -> Result<(), FilesError> {
        tokio::fs::read_dir(&self.folder)
            .await
            .map(drop)
            .map_err(|source| FilesError::FolderUnusable {
                folder: self.folder.to_path_buf(),
                source,
            })
    }

    /// Whether a file is in the store with its catalogued length.
    pub async fn contains(&self, file: &StoredFile) -> Result<bool, FilesError> {
        match self.store.head(&object_path(file)?).await {
            Ok(object) => Ok(object.size == file.size),
            // Without its folder the store is unavailable, not empty.
            Err(object_store::Error::NotFound { .. }) => self.check_folder().await.map(|()| false),
            Err(error) => Err(download::unreadable(file.name.clone(), error.into())),
        }
    }

    /// Copies a TIFF from the local file system into the store.
    ///
    /// The source is read twice: once for its SHA-256, and again to copy it, unless the store has it already.
    /// A partial file is never visible. `now_seconds` (seconds since 1970 UTC) becomes
    /// [`StoredFile::modified`]; a caller that already catalogued this content keeps its older time.
    pub async fn import(&self, source: &Path, now_seconds: i64) -> Result<StoredFile, FilesError> {
        let path = source.to_path_buf();
        self.import_opened(source, now_seconds, move || ImportSource::open(&path))
            .await
    }

    /// Like [`FileStore::import`], for a path inside the import folder. Without such a folder, and for
    /// a path that leads out of it, it fails with [`FilesError::SourceOutsideFolder`].
    pub async fn import_from_dir(
        &self,
        source: &Path,
        now_seconds: i64,
    ) -> Result<StoredFile, FilesError> {
        let path = source.to_path_buf();
        let Some(folder) = self.import_dir.clone() else {
            return Err(FilesError::SourceOutsideFolder { path });
        };
        let open = move || ImportSource::open_within(&folder, &path);
        self.import_opened(source, now_seconds, open).await
    }

    async fn import_opened(
        &self,
        path: &Path,
        now_seconds: i64,
        open: impl FnOnce() -> Result<ImportSource, FilesError> + Send + 'static,
    ) -> Result<StoredFile, FilesError> {
        let (content, source) = read_source(path, move || {
            let mut source = open()?;
            let content = source.digest()?;
            source.rewind()?;
            Ok((content, source))
        })
        .await?;
        let file = StoredFile {
            sha256: content.sha256.clone(),
            name: download_name(source.path()),
            size: content.size,
            modified: now_seconds,
        };
        if !self.contains(&file).await? {
            self.copy(source, content, &file).await?;
        }
        Ok(file)
    }

    /// Writes the source under a temporary name and renames it once its content is verified.
    pub(super) async fn copy(
        &self,
        source: ImportSource,
        content: ContentDigest,
        file: &StoredFile,
    ) -> Result<(), FilesError> {
        let not_stored = |error: object_store::Error| FilesError::StoreFailed {
            name: file.name.clone(),
            source: error.into(),
        };
        let path = source.path().to_path_buf();
        let mut upload = self
            .store
            .put_multipart(&object_path(file)?)
            .await
            .map_err(not_stored)?;
        let copied = async {
            let mut source = source;
            let mut digesting = ContentHasher::default();
            loop {
                let piece;
                (piece, source) =
                    read_source(&path, move || Ok((source.next_piece()?, source))).await?;
                if piece.is_empty() {
                    break;
                }
                digesting.update(&piece);
                upload.put_part(piece.into()).await.map_err(not_stored)?;
            }
            if digesting.finish() != content {
                return Err(FilesError::SourceChanged { path: path.clone() });
            }
            upload.complete().await.map_err(not_stored)?;
            Ok(())
        }
        .await;
        if copied.is_err() {
            // The first error is the one to report; a temporary file that stays is never referred to.
            upload.abort().await.ok();
        }
        copied
    }

    /// Streams a span (in bytes, end excluded) of a file; fails before the first byte where possible.
    ///
    /// A span of at most 256 KiB is read at once and is one chunk.
    pub async fn read(
        &self,
        file: &StoredFile,
        span: Range<u64>,
    ) -> Result<ByteStream, FilesError> {
        if span.start > span.end || span.end > file.size {
            return Err(FilesError::SpanOutOfRange {
                name: file.name.clone(),
                span,
                size: file.size,
            });
        }
        let object = object_path(file)?;
        let length = span.end - span.start;
        if length == 0 {
            return Ok(stream::empty().boxed());
        }
        if length <= CHUNK_SIZE {
            let reading = self.store.get_range(&object, span).await;
            return match reading {
                Ok(chunk) if chunk.len() as u64 == length => {
                    Ok(stream::once(async { Ok(chunk) }).boxed())
                }
                Ok(_) => Err(download::damaged(file)),
                Err(error) => Err(self.classify_read_error(file, error).await),
            };
        }
        let options = GetOptions::new().with_range(Some(span.clone()));
        let opened = match self.store.get_opts(&object, options).await {
            Ok(opened) if opened.meta.size == file.size && opened.range == span => opened,
            Ok(_) => return Err(download::damaged(file)),
            Err(error) => return Err(self.classify_read_error(file, error).await),
        };
        match opened.payload {
            GetResultPayload::File(open, _) => {
                download::stream_open_file(open, file.clone(), span).await
            }
            GetResultPayload::Stream(chunks) => {
                Ok(download::stream_remote(chunks, file.clone(), length))
            }
        }
    }

    /// Distinguishes a missing or truncated file from a store that does not respond.
    async fn classify_read_error(
        &self,
        file: &StoredFile,
        error: object_store::Error,
    ) -> FilesError {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return FilesError::Missing {
                name: file.name.clone(),
                sha256: file.sha256.clone(),
            };
        }
        match self.contains(file).await {
            Ok(false) => download::damaged(file),
            _ => download::unreadable(file.name.clone(), error.into()),
        }
    }
}

/// Reads from a source on a thread that may block.
async fn read_source<T: Send + 'static>(
    path: &Path,
    reading: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    let done = tokio::task::spawn_blocking(reading).await;
    done.unwrap_or_else(|lost| {
        Err(FilesError::SourceUnreadable {
            path: path.into(),
            source: std::io::Error::other(lost),
        })
    })
}

/// The path of a file in the store: `sha256/ab/abcdef...`, so that no folder gets too many entries.
pub(super) fn object_path(file: &StoredFile) -> Result<ObjectPath, FilesError> {
    let is_hexadecimal = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    let is_digest = file.sha256.len() == 64 && file.sha256.bytes().all(is_hexadecimal);
    match file.sha256.get(..2) {
        Some(shard) if is_digest => Ok(ObjectPath::from(format!("sha256/{shard}/{}", file.sha256))),
        _ => Err(FilesError::InvalidDigest {
            name: file.name.clone(),
            sha256: file.sha256.chars().take(64).collect(),
        }),
    }
}
