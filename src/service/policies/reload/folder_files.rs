//! The files of a policy folder, to be written: all beside their places first, and then renamed into them one right
//! after the other, so that others who read the folder hardly ever see a part.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// The permissions of a new policy file, less the umask: it holds no secret, and people edit it.
const NEW_FILE_MODE: u32 = 0o644;
/// What the name of a file begins with that is about to be put in its place; hidden, so that nobody reads it as a policy.
const STAGED_PREFIX: &str = ".cedargate-publish-";
/// How often it is looked whether another server has written the folder.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Why a policy folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderWriteError {
    /// It, or a file in it, cannot be written; nothing was changed.
    #[error("the policy folder cannot be written: {what}: {source}")]
    Unwritable {
        /// The file, relative to the policy folder, or what else.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The journal cannot be written or removed.
    #[error("the journal of published drafts in the data directory: {source}")]
    Journal {
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another server writes the folder.
    #[error("another server is writing the policy folder")]
    Busy,
    /// The folder is not as it was expected to be.
    #[error("the policy folder is not as it was")]
    Changed,
}

/// The files of one policy folder.
#[derive(Clone, Debug)]
pub(super) struct FolderFiles {
    pub(super) folder: PathBuf,
}

/// A file with its content; without one, it is removed.
pub(super) type NamedContent<'a> = (&'a str, Option<&'a [u8]>);

/// A file that is about to be renamed into its place, or removed.
struct StagedFile {
    staged: Option<PathBuf>,
    target: PathBuf,
}

impl FolderFiles {
    /// Locks the folder against other servers, for as long as the file is open.
    pub(super) fn lock(&self, wait: Duration) -> Result<File, FolderWriteError> {
        let unwritable = |source| FolderWriteError::Unwritable {
            what: "the folder itself".to_owned(),
            source,
        };
        let folder = File::open(&self.folder).map_err(unwritable)?;
        let end = Instant::now() + wait;
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(folder),
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(LOCK_INTERVAL);
                }
                Err(TryLockError::WouldBlock) => return Err(FolderWriteError::Busy),
                Err(TryLockError::Error(error)) => {
                    // Some network file systems lock no folders.
                    tracing::warn!(%error, "the policy folder cannot be locked against other servers");
                    return Ok(folder);
                }
            }
        }
    }

    /// A file as it is now; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderWriteError> {
        let path = self.resolve(name).map_err(unwritable_file(name))?;
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwritable_file(name)(error)),
        }
    }

    /// Puts contents in their places; removes those without any.
    pub(super) fn put(&self, contents: &[NamedContent<'_>]) -> Result<(), FolderWriteError> {
        let root = self.folder.canonicalize();
        let root = root.map_err(unwritable_file("the folder itself"))?;
        let mut staged: Vec<StagedFile> = Vec::new();
        for (number, (name, content)) in contents.iter().enumerate() {
            match self.stage(name, *content, number) {
                Ok(file) => staged.push(file),
                Err(error) => {
                    for file in staged {
                        file.staged.map(fs::remove_file);
                    }
                    return Err(unwritable_file(name)(error));
                }
            }
        }
        let mut folders: BTreeMap<PathBuf, &str> = BTreeMap::new();
        for (file, (name, _)) in staged.iter().zip(contents) {
            let moved = match &file.staged {
                Some(staged) => fs::rename(staged, &file.target),
                None => fs::remove_file(&file.target),
            };
            moved.map_err(unwritable_file(name))?;
            // A folder that is new is an entry of the one around it.
            let around = folder_of(&file.target).ancestors();
            let around = around.take_while(|folder| folder.starts_with(&root));
            folders.extend(around.map(|folder| (folder.to_owned(), *name)));
        }
        for (folder, name) in folders {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(unwritable_file(name))?;
        }
        Ok(())
    }

    /// Writes a content beside its place, with the permissions of what is there.
    fn stage(&self, name: &str, content: Option<&[u8]>, number: usize) -> io::Result<StagedFile> {
        let target = self.resolve(name)?;
        let Some(content) = content else {
            return Ok(StagedFile {
                staged: None,
                target: self.folder.canonicalize()?.join(name),
            });
        };
        let folder = folder_of(&target);
        fs::create_dir_all(folder)?;
        let staged = folder.join(format!("{STAGED_PREFIX}{number}"));
        let permissions = fs::metadata(&target).map(|metadata| metadata.permissions());
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(NEW_FILE_MODE)
            .open(&staged)?;
        if let Ok(permissions) = permissions {
            file.set_permissions(Permissions::from_mode(permissions.mode()))?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(StagedFile {
            staged: Some(staged),
            target,
        })
    }

    /// Removes what was written beside the places of files and never put there.
    pub(super) fn remove_staged<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(), FolderWriteError> {
        let mut folders = BTreeMap::new();
        for name in names {
            let target = self.resolve(name).map_err(unwritable_file(name))?;
            folders.insert(folder_of(&target).to_owned(), name);
        }
        for (folder, name) in folders {
            if let Err(error) = remove_staged_in(&folder)
                && error.kind() != ErrorKind::NotFound
            {
                return Err(unwritable_file(name)(error));
            }
        }
        Ok(())
    }

    /// Where a file is, which may be behind a link; never outside of the folder.
    fn resolve(&self, name: &str) -> io::Result<PathBuf> {
        let outside = || io::Error::new(ErrorKind::PermissionDenied, "it is outside of the folder");
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        let relative = Path::new(name);
        if name.is_empty() || !relative.components().all(is_plain) {
            return Err(outside());
        }
        let root = self.folder.canonicalize()?;
        let path = root.join(relative);
        for existing in path.ancestors() {
            match existing.canonicalize() {
                Ok(found) if !found.starts_with(&root) => return Err(outside()),
                Ok(found) => {
                    let rest = path.strip_prefix(existing).map_err(|_| outside())?;
                    return Ok(if rest.as_os_str().is_empty() {
                        found
                    } else {
                        found.join(rest)
                    });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(outside())
    }
}

fn remove_staged_in(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name
            .as_encoded_bytes()
            .starts_with(STAGED_PREFIX.as_bytes())
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn unwritable_file(name: &str) -> impl Fn(io::Error) -> FolderWriteError + use<> {
    let what = name.to_owned();
    move |source| FolderWriteError::Unwritable {
        what: what.clone(),
        source,
    }
}
