//! One version of a draft: its files, and what they started from.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::domain::decision::Revision;
use crate::domain::id::{DraftId, UserId};
use crate::policy::folder::PolicyFolder;
use crate::policy::prove::Proof;
use crate::service::policies::patch::{FileTexts, FolderEdit};

use super::bundles::{BuiltBundle, DraftBundles};

/// The largest proof that is kept with a draft, in bytes of its text for debugging.
pub(super) const MAX_PROOF_SIZE: usize = 1024 * 1024;
/// About what a file takes in memory beside its name and its text, in bytes.
const FILE_SIZE: usize = 128;

/// The folder that a draft started from: one that was in force.
#[derive(Debug)]
pub struct DraftBase {
    folder_revision: String,
    files: FileTexts,
    marked: BTreeSet<String>,
}

/// One version of a draft, immutable and shared.
#[derive(Debug)]
pub struct Draft {
    /// Its id.
    pub id: DraftId,
    /// The user who works on it.
    pub owner: UserId,
    /// Counts its changes.
    pub version: u64,
    /// When it was created, in milliseconds since 1970 UTC.
    pub created_at: i64,
    base: Arc<DraftBase>,
    files: Arc<FileTexts>,
    /// The files that both sides of a rebase had changed, and about which nobody has decided since.
    conflicts: BTreeSet<String>,
    folder_revision: OnceLock<String>,
    revision: OnceLock<Revision>,
    bundles: Arc<DraftBundles>,
    /// The last proof of a version of it, with the version.
    last_proof: Arc<Mutex<Option<ProofOfVersion>>>,
}

/// A proof, and the version of the draft that it is about.
type ProofOfVersion = (u64, Arc<Proof>);

impl DraftBase {
    /// The folder with a folder revision.
    #[must_use]
    pub fn new(folder_revision: String, folder: &PolicyFolder) -> Self {
        let files = folder.files();
        Self {
            folder_revision,
            files: files
                .map(|(name, text)| (name.to_owned(), Arc::clone(text)))
                .collect(),
            marked: folder.marked_files().cloned().collect(),
        }
    }

    /// Its folder revision.
    #[must_use]
    pub fn folder_revision(&self) -> &str {
        &self.folder_revision
    }

    /// Its files, by name.
    #[must_use]
    pub fn files(&self) -> &FileTexts {
        &self.files
    }

    /// What it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        self.files.iter().map(file_size).sum()
    }
}

impl Draft {
    /// The first version of a draft.
    #[must_use]
    pub fn new(
        owner: UserId,
        created_at: i64,
        base: Arc<DraftBase>,
        files: FileTexts,
        bundles: Arc<DraftBundles>,
    ) -> Self {
        Self {
            id: DraftId::random(),
            owner,
            version: 1,
            created_at,
            base,
            files: Arc::new(files),
            conflicts: BTreeSet::new(),
            folder_revision: OnceLock::new(),
            revision: OnceLock::new(),
            bundles,
            last_proof: Arc::default(),
        }
    }

    /// The next version, with other files and conflicts; and another base, if there is one.
    #[must_use]
    pub fn next(
        &self,
        base: Option<Arc<DraftBase>>,
        files: FileTexts,
        conflicts: BTreeSet<String>,
    ) -> Self {
        Self {
            id: self.id,
            owner: self.owner,
            version: self.version + 1,
            created_at: self.created_at,
            base: base.unwrap_or_else(|| Arc::clone(&self.base)),
            files: Arc::new(files),
            conflicts,
            folder_revision: OnceLock::new(),
            revision: OnceLock::new(),
            bundles: Arc::clone(&self.bundles),
            last_proof: Arc::clone(&self.last_proof),
        }
    }

    /// What it started from.
    #[must_use]
    pub fn base(&self) -> &Arc<DraftBase> {
        &self.base
    }

    /// Its files, by name. Those that it does not change share their texts with its base.
    #[must_use]
    pub fn files(&self) -> &FileTexts {
        &self.files
    }

    /// The files that were changed both in it and in force, each differently, and about which nobody has decided since. It
    /// has its own texts of them, or their removal.
    #[must_use]
    pub fn conflicts(&self) -> &BTreeSet<String> {
        &self.conflicts
    }

    /// Its files as a policy folder, in whose messages they have their names within the folder.
    #[must_use]
    pub fn folder(&self) -> PolicyFolder {
        PolicyFolder::from_files("", FileTexts::clone(&self.files))
    }

    /// Its bundle, which is built once while it is asked for. Blocks.
    pub fn bundle(&self) -> BuiltBundle {
        let revision = self.revision.get_or_init(|| self.folder().revision());
        self.bundles.get(revision, || self.folder())
    }

    /// Its bundle, if it is built.
    #[must_use]
    pub fn built_bundle(&self) -> Option<BuiltBundle> {
        self.bundles.peek(self.revision.get()?)
    }

    /// The folder revision that its files have.
    pub fn folder_revision(&self) -> &str {
        let revision = || self.folder().fingerprint();
        self.folder_revision.get_or_init(revision)
    }

    /// What it does to its base.
    #[must_use]
    pub fn edit(&self) -> FolderEdit<'_> {
        FolderEdit {
            before: &self.base.files,
            after: &self.files,
            marked: &self.base.marked,
        }
    }

    /// Keeps a proof of this version as the last one of the draft, for all its versions; not one that takes very much
    /// memory.
    pub fn set_proof(&self, proof: Arc<Proof>) {
        let is_small = write!(RoomLeft(MAX_PROOF_SIZE), "{proof:?}").is_ok();
        *self.last_proof.lock() = is_small.then_some((self.version, proof));
    }

    /// The last proof of a version of this draft, and of which.
    #[must_use]
    pub fn last_proof(&self) -> Option<(u64, Arc<Proof>)> {
        self.last_proof.lock().clone()
    }

    /// What it takes in memory beside its base, in bytes.
    pub(super) fn own_size(&self) -> usize {
        let is_shared = |name: &String, text: &Arc<str>| {
            let before = self.base.files.get(name);
            before.is_some_and(|before| Arc::ptr_eq(before, text))
        };
        let conflicts = self.conflicts.iter();
        let conflicts: usize = conflicts.map(|name| name.len() + FILE_SIZE).sum();
        let files = self.files.iter().map(|(name, text)| {
            if is_shared(name, text) {
                name.len() + FILE_SIZE
            } else {
                file_size((name, text))
            }
        });
        conflicts + files.sum::<usize>()
    }
}

/// How many bytes may still be written; they go nowhere.
struct RoomLeft(usize);

impl fmt::Write for RoomLeft {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn file_size((name, text): (&String, &Arc<str>)) -> usize {
    name.len() + text.len() + FILE_SIZE
}
