//! The proof file: what was proved of the policies, saved in the data directory for the next start.
//!
//! It begins with an authentication code under a key derived from the sealing key: whoever can write the file, but does
//! not have that key, cannot make a server believe what was never proved. A file that is missing, damaged or not
//! authentic costs the time to prove everything anew. Of several servers on one data directory the last one to write
//! keeps what the others had saved when it started.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::atomic_file::{PRIVATE_MODE, atomic_write};
use crate::config::Settings;
use crate::policy::proof_memory::ProofMemory;
use crate::policy::proof_precedence::ProofPrecedence;
use crate::service::tokens::sealing_key_file::open_sealing_key;

const FILE_NAME: &str = "proofs.bin";
/// What the authentication code is for.
const PURPOSE: &str = "cedargate proofs";
/// The length of the authentication code, in bytes.
const CODE_LENGTH: usize = 32;
/// The most bytes that are read; a memory that is full takes less.
const MAX_FILE_SIZE: u64 = 80 * 1024 * 1024;

/// The time between two times that a proof that is under way is saved.
pub(super) const SAVE_INTERVAL: Duration = Duration::from_secs(3);

/// The memory of proofs and the file that it is saved in.
#[derive(Debug)]
pub(super) struct ProofFile {
    pub(super) memory: Arc<ProofMemory>,
    /// Lets the proofs of the policy gate go before those of drafts.
    pub(super) precedence: Arc<ProofPrecedence>,
    path: PathBuf,
    sealing_key_file: PathBuf,
    /// Held while the file is written, so that the last one to be written has the most.
    saving: Mutex<()>,
}

impl ProofFile {
    /// Reads what was saved; nothing, with a warning, if it cannot be used.
    pub(super) fn open(settings: &Settings) -> Arc<Self> {
        Self::open_in(&settings.data_dir, &settings.sealing_key_file)
    }

    fn open_in(data_dir: &Path, sealing_key_file: &Path) -> Arc<Self> {
        let file = Self {
            memory: Arc::default(),
            precedence: Arc::default(),
            path: data_dir.join(FILE_NAME),
            sealing_key_file: sealing_key_file.to_owned(),
            saving: Mutex::default(),
        };
        match file.load() {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let path = file.path.display();
                tracing::warn!(%path, %error, "saved proofs are not used: the policies are proved anew");
            }
        }
        Arc::new(file)
    }

    fn load(&self) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut file = File::open(&self.path)?.take(MAX_FILE_SIZE);
        file.read_to_end(&mut bytes)?;
        let key = open_sealing_key(&self.sealing_key_file, false).map_err(io::Error::other)?;
        let Some((code, content)) = bytes.split_at_checked(CODE_LENGTH) else {
            return Err(io::Error::other("the file is too short"));
        };
        if !key.is_authentic(PURPOSE, content, code) {
            return Err(io::Error::other(
                "it was not saved with this sealing key, or it is damaged",
            ));
        }
        let added = self.memory.add_saved(content);
        added.ok_or_else(|| io::Error::other("it is of another program"))
    }

    /// Saves what is new, or logs why it cannot. Blocks.
    pub(super) fn save(&self) {
        let _saving = self.saving.lock();
        let Some(content) = self.memory.unsaved() else {
            return;
        };
        if let Err(error) = self.write(&content) {
            self.memory.set_unsaved();
            let path = self.path.display();
            tracing::warn!(%path, %error, "proofs could not be saved for a restart");
        }
    }

    /// Saves what is new whenever `interval` is over since the last time: a proof that is killed loses no more.
    pub(super) fn saver(&self, interval: Duration) -> impl FnMut() {
        let mut next = Instant::now() + interval;
        move || {
            if Instant::now() >= next {
                self.save();
                next = Instant::now() + interval;
            }
        }
    }

    /// Saves what was proved of an edit that is refused: the next one has much in common with it.
    pub(super) fn save_if(&self, is_refused: bool) {
        if is_refused {
            self.save();
        }
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        let key = open_sealing_key(&self.sealing_key_file, false).map_err(io::Error::other)?;
        let code = key.authenticate(PURPOSE, content);
        let bytes = [&*code.map_err(io::Error::other)?, content].concat();
        atomic_write(&self.path, PRIVATE_MODE, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::policy::folder::PolicyFolder;
    use crate::policy::prove::{ProofOptions, prove_with_memory};

    /// How many of the shipped policies have to be proved.
    fn prove_shipped(file: &ProofFile) -> usize {
        prove_shipped_and(file, || ())
    }

    fn prove_shipped_and(file: &ProofFile, mut progress: impl FnMut()) -> usize {
        let folder = PolicyFolder::embedded().unwrap();
        let options = ProofOptions::within(Duration::from_mins(2));
        let (bundle, invariants) = (folder.bundle().unwrap(), folder.invariants().unwrap());
        let memory = &file.memory;
        let proved = prove_with_memory(&bundle, &invariants, &options, memory, |_, _| progress());
        let proved = proved.unwrap();
        assert!(proved.proof.is_complete());
        proved.proof.work.proved
    }

    fn open(folder: &TempDir) -> Arc<ProofFile> {
        ProofFile::open_in(folder.path(), &folder.path().join("key"))
    }

    #[test]
    fn what_is_proved_is_saved_while_the_proof_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        open_sealing_key(&folder.path().join("key"), true).unwrap();
        let first = open(&folder);
        let mut never = first.saver(Duration::from_hours(1));
        never();
        assert!(!first.path.exists());
        assert_eq!(prove_shipped_and(&first, first.saver(Duration::ZERO)), 8);
        assert_eq!(
            prove_shipped(&open(&folder)),
            0,
            "nobody saved it at the end"
        );
    }

    #[test]
    fn what_was_proved_is_remembered_after_a_restart_and_damaged_or_foreign_files_are_not_believed()
    {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        open_sealing_key(&key, true).unwrap();
        let first = open(&folder);
        assert!(first.memory.is_empty());
        assert_eq!(prove_shipped(&first), 8);
        first.save();
        let second = open(&folder);
        assert_eq!(second.memory.len(), first.memory.len());
        assert_eq!(prove_shipped(&second), 0);

        let saved = fs::read(&first.path).unwrap();
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = saved.clone();
            change(&mut bytes);
            bytes
        };
        let last = saved.len() - 1;
        let damaged = [
            changed(&|bytes| bytes[0] ^= 1),
            changed(&|bytes| bytes[last] ^= 1),
            changed(&|bytes| bytes.truncate(last - 33)),
            changed(&|bytes| bytes.extend([0; 34])),
            changed(&|bytes| bytes.truncate(CODE_LENGTH)),
            Vec::new(),
            vec![0; 40],
        ];
        for bytes in damaged {
            fs::write(&first.path, bytes).unwrap();
            assert!(open(&folder).memory.is_empty());
        }
        fs::write(&first.path, &saved).unwrap();
        assert!(!open(&folder).memory.is_empty());
        // Whoever can write the file cannot make one that is believed without the key.
        fs::remove_file(&key).unwrap();
        assert!(open(&folder).memory.is_empty());
        open_sealing_key(&key, true).unwrap();
        assert!(open(&folder).memory.is_empty());
    }

    #[test]
    fn two_servers_on_one_data_directory_keep_what_both_proved() {
        let folder = tempfile::tempdir().unwrap();
        open_sealing_key(&folder.path().join("key"), true).unwrap();
        let (first, second) = (open(&folder), open(&folder));
        assert_eq!(prove_shipped(&first), 8);
        first.save();
        second.save();
        assert_eq!(prove_shipped(&open(&folder)), 0);
        assert_eq!(prove_shipped(&second), 8);
        second.save();
        first.save();
        assert_eq!(prove_shipped(&open(&folder)), 0);
    }
}
