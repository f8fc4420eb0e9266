//! The file store: import and check files.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::bounded_calls::BoundedCalls;
use super::chunk_buffers::ChunkBuffers;
use super::download;
use super::error::FilesError;
use super::file_name::download_name;
use super::open_files::OpenFiles;
use super::presence::Presence;
use super::remote::RemoteFiles;
use super::source::{ContentDigest, ContentHasher, ImportSource};
use super::staging::StagingFolder;
use crate::domain::dataset::StoredFile;

/// The store of all files; clones are cheap and share the store.
#[derive(Clone, Debug)]
pub struct FileStore {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) folder: Arc<Path>,
    import_dir: Option<Arc<Path>>,
    pub(super) calls: BoundedCalls,
    health_calls: BoundedCalls,
    pub(super) staging: StagingFolder,
    pub(super) presence: Presence,
    pub(super) open_files: OpenFiles,
    pub(super) buffers: ChunkBuffers,
    pub(super) remote: RemoteFiles,
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
            calls: BoundedCalls::default(),
            // Another check that hangs need not wait, and takes no thread.
            health_calls: BoundedCalls::new(1),
            staging: StagingFolder::default(),
            presence: Presence::default(),
            open_files: OpenFiles::default(),
            buffers: ChunkBuffers::default(),
            remote: RemoteFiles::default(),
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
        self.check_folder_with(&self.health_calls).await
    }

    pub(super) async fn check_folder_with(&self, calls: &BoundedCalls) -> Result<(), FilesError> {
        let folder = Arc::clone(&self.folder);
        let reading = calls.look_up("read the folder of the file store", async move {
            tokio::fs::read_dir(folder).await.map(drop)
        });
        reading.await?.map_err(|source| FilesError::FolderUnusable {
            folder: self.folder.to_path_buf(),
            source,
        })
    }

    /// Forgets that a file was found, and closes it, because it is removed or was missed.
    pub(super) fn forget(&self, sha256: &str) {
        self.presence.forget(sha256);
        self.open_files.forget(sha256);
    }

    /// The length of a file in the store now; none if it is not there.
    pub(super) async fn stored_size(&self, file: &StoredFile) -> Result<Option<u64>, FilesError> {
        let (store, object) = (Arc::clone(&self.store), object_path(file)?);
        let looking = async move { store.head(&object).await };
        match self.calls.look_up("look for a file", looking).await? {
            Ok(object) => Ok(Some(object.size)),
            // Without its folder the store is unavailable, not empty.
            Err(object_store::Error::NotFound { .. }) => {
                self.check_folder_with(&self.calls).await.map(|()| None)
            }
            Err(error) => Err(download::unreadable(file.name.clone(), error.into())),
        }
    }

    /// Copies a TIFF from the local file system into the store.
    ///
    /// Its structure is checked first. The source is read twice: once for its SHA-256, and again to copy it, unless the store has it already.
    /// A partial file is never visible. `now_seconds` (seconds since 1970 UTC) becomes
    /// [`StoredFile::modified`]; a caller that already catalogued this content keeps its older time.
    pub async fn import(&self, source: &Path, now_seconds: i64) -> Result<StoredFile, FilesError> {
        let path = source.to_path_buf();
        self.import_opened(now_seconds, move || ImportSource::open(&path))
            .await
    }

    /// What [`FileStore::import`] would return; nothing is stored.
    pub async fn examine(&self, source: &Path, now_seconds: i64) -> Result<StoredFile, FilesError> {
        let path = source.to_path_buf();
        let open = move || ImportSource::open(&path);
        let (_, _, file) = self.digest_opened(now_seconds, open).await?;
        Ok(file)
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
        self.import_opened(now_seconds, open).await
    }

    async fn import_opened(
        &self,
        now_seconds: i64,
        open: impl FnOnce() -> Result<ImportSource, FilesError> + Send + 'static,
    ) -> Result<StoredFile, FilesError> {
        let (source, content, file) = self.digest_opened(now_seconds, open).await?;
        let is_stored = self.stored_size(&file).await? == Some(file.size);
        if !is_stored || !self.mark_used(&file, now_seconds).await? {
            self.copy(source, content, &file).await?;
        }
        Ok(file)
    }

    /// Reads a source once, and returns it at its first byte.
    async fn digest_opened(
        &self,
        now_seconds: i64,
        open: impl FnOnce() -> Result<ImportSource, FilesError> + Send + 'static,
    ) -> Result<(ImportSource, ContentDigest, StoredFile), FilesError> {
        let mut source = self.read_source(open).await??;
        let size = self.check_source(&source).await?;
        let mut hasher = ContentHasher::default();
        loop {
            let piece;
            (piece, source) = self.next_piece(source).await?;
            if piece.is_empty() {
                break;
            }
            hasher.update(&piece);
        }
        let content = hasher.finish();
        if content.size != size {
            // It is still being written.
            let path = source.path().to_path_buf();
            return Err(FilesError::SourceChanged { path });
        }
        source.rewind()?;
        let file = StoredFile {
            sha256: content.sha256.clone(),
            name: download_name(source.path()),
            size: content.size,
            modified: now_seconds,
        };
        Ok((source, content, file))
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
        let mut upload = self.begin_upload(&object_path(file)?, &file.name).await?;
        let copied = async {
            let mut source = source;
            let mut digesting = ContentHasher::default();
            loop {
                let piece;
                (piece, source) = self.next_piece(source).await?;
                if piece.is_empty() {
                    break;
                }
                digesting.update(&piece);
                let written = self.calls.transfer("write", upload.put_part(piece.into()));
                written.await?.map_err(not_stored)?;
            }
            if digesting.finish() != content {
                return Err(FilesError::SourceChanged { path: path.clone() });
            }
            Ok(())
        }
        .await;
        match copied {
            Ok(()) => self.complete_upload(upload, &file.name).await,
            Err(error) => {
                // The first error is the one to report; a part that stays is never referred to.
                self.abort_upload(upload).await;
                Err(error)
            }
        }
    }

    /// Runs the opening of a source.
    pub(super) async fn read_source<T: Send + 'static>(
        &self,
        reading: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, FilesError> {
        let calls = &self.calls;
        calls.transfer_blocking("read a source", reading).await
    }

    /// The next piece of a source, and the source.
    async fn next_piece(
        &self,
        mut source: ImportSource,
    ) -> Result<(Bytes, ImportSource), FilesError> {
        let reading = move || Ok((source.next_piece()?, source));
        self.read_source(reading).await?
    }
}

/// The path of a file in the store: `sha256/ab/abcdef...`, so that no folder gets too many entries.
pub(super) fn object_path(file: &StoredFile) -> Result<ObjectPath, FilesError> {
    let path = digest_path(&file.sha256).map(ObjectPath::from);
    path.ok_or_else(|| FilesError::InvalidDigest {
        name: file.name.clone(),
        sha256: file.sha256.chars().take(64).collect(),
    })
}

/// The path of the file with a digest; none if the text is no SHA-256 in lower-case hexadecimal.
pub(super) fn digest_path(sha256: &str) -> Option<String> {
    let is_hexadecimal = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    let is_digest = sha256.len() == 64 && sha256.bytes().all(is_hexadecimal);
    let shard = sha256.get(..2).filter(|_| is_digest)?;
    Some(format!("sha256/{shard}/{sha256}"))
}
