//! The files of a policy folder, to be written: all beside their places first, and then renamed into them one right
//! after the other, so that others who read the folder hardly ever see a part.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tempfile::TempPath;

use crate::policy::bundle::MAX_FILE_SIZE;

/// The permissions of a new policy file, less the umask: it holds no secret, and people edit it.
const NEW_FILE_MODE: u32 = 0o644;
/// What the name of a file begins with that is about to be put in its place; hidden, so that nobody reads it as a policy.
/// The rest of the name is random: nobody can put anything there before.
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
    /// The journal cannot be written, read or removed.
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
    /// The folder has something else than what was written; nothing was changed in the end.
    #[error(
        "the policy folder did not take what was written: two of its names are those of one file there, or somebody \
         was editing it"
    )]
    NotTaken,
    /// Writing failed, and so did putting everything back.
    #[error(
        "{failure}; what was written before could not be taken back, {source}: the policies in force stay, and the \
         folder is not read until that is done"
    )]
    NotTakenBack {
        /// Why writing failed.
        failure: Box<Self>,
        /// Why it was not taken back.
        source: Box<Self>,
    },
}

/// The files of one policy folder.
#[derive(Clone, Debug)]
pub(super) struct FolderFiles {
    pub(super) folder: PathBuf,
}

/// What is put in the place of a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum FileContent<'a> {
    Text(&'a str),
    /// A link that leads there.
    Link(&'a Path),
    Nothing,
}

/// A file with what it is to be.
pub(super) type NamedContent<'a> = (&'a str, FileContent<'a>);

/// A file that is about to be put in its place, or removed.
struct StagedFile<'a> {
    /// Beside its place; it is removed unless it is put there.
    staged: Option<TempPath>,
    link: Option<&'a Path>,
    target: PathBuf,
}

impl<'a> FileContent<'a> {
    pub(super) fn of(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

impl StagedFile<'_> {
    fn put(self) -> io::Result<()> {
        match (self.staged, self.link) {
            (Some(staged), _) => Ok(staged.persist(&self.target)?),
            (None, Some(link)) => symlink(link, &self.target),
            (None, None) => fs::remove_file(&self.target),
        }
    }
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

    /// A file as it is now; `None` if there is none. Nothing waits for what is no regular file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderWriteError> {
        let read = || {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            let file = options.open(self.resolve(name)?)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
            let mut bytes = Vec::new();
            // Whatever is larger is none of the files that are written or expected here.
            file.take(MAX_FILE_SIZE + 4).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwritable_file(name)(error)),
        }
    }

    /// Where a file leads that is a link itself.
    pub(super) fn read_link(&self, name: &str) -> Option<PathBuf> {
        fs::read_link(self.folder.join(name)).ok()
    }

    /// Puts contents in their places; removes those that are nothing.
    pub(super) fn put(&self, contents: &[NamedContent<'_>]) -> Result<(), FolderWriteError> {
        let root = self.folder.canonicalize();
        let root = root.map_err(unwritable_file("the folder itself"))?;
        let mut staged = Vec::new();
        for (name, content) in contents {
            let file = self.stage(name, *content).map_err(unwritable_file(name))?;
            staged.push((*name, file));
        }
        let mut folders: BTreeMap<PathBuf, &str> = BTreeMap::new();
        for (name, file) in staged {
            let folder = folder_of(&file.target).to_owned();
            file.put().map_err(unwritable_file(name))?;
            // A folder that is new is an entry of the one around it.
            let around = folder.ancestors();
            let around = around.take_while(|folder| folder.starts_with(&root));
            folders.extend(around.map(|folder| (folder.to_owned(), name)));
        }
        for (folder, name) in folders {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(unwritable_file(name))?;
        }
        Ok(())
    }

    /// Writes a content beside its place, with the permissions of what is there.
    fn stage<'a>(&self, name: &str, content: FileContent<'a>) -> io::Result<StagedFile<'a>> {
        let target = self.resolve(name)?;
        // A link is put there or removed itself, and not what it leads to.
        let itself = |link| {
            let target = self.folder.canonicalize()?.join(name);
            Ok(StagedFile {
                staged: None,
                link,
                target,
            })
        };
        let content = match content {
            FileContent::Text(content) => content,
            FileContent::Link(link) => return itself(Some(link)),
            FileContent::Nothing => return itself(None),
        };
        let folder = folder_of(&target);
        fs::create_dir_all(folder)?;
        let permissions = fs::metadata(&target).map(|metadata| metadata.permissions());
        let mut file = tempfile::Builder::new()
            .prefix(STAGED_PREFIX)
            .permissions(Permissions::from_mode(NEW_FILE_MODE))
            .tempfile_in(folder)?;
        if let Ok(permissions) = permissions {
            let permissions = Permissions::from_mode(permissions.mode());
            file.as_file().set_permissions(permissions)?;
        }
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(StagedFile {
            staged: Some(file.into_temp_path()),
            link: None,
            target,
        })
    }

    /// Removes what was written beside the places of files and never put there.
    pub(super) fn remove_staged<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let targets = names.filter_map(|name| self.resolve(name).ok());
        let folders: BTreeSet<PathBuf> = targets.map(|file| folder_of(&file).to_owned()).collect();
        for folder in folders {
            if let Err(error) = remove_staged_in(&folder)
                && error.kind() != ErrorKind::NotFound
            {
                // Nobody reads hidden files.
                tracing::warn!(%error, "what a publish left in the policy folder cannot be removed");
            }
        }
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
