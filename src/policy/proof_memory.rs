//! The memory of proofs: what was checked and proved before, so that an edit of one policy costs the check of that policy.
//!
//! Only what holds is kept, under the digest of everything that it depends on. What was proved with the help of other
//! policies names them: it holds as long as they are there. What is not known is asked again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::PolicySet;
use parking_lot::Mutex;

use super::proof_digest::ProofDigest;
use super::proof_progress::ProofProgress;

/// The most bytes of memory that it takes.
const MAX_MEMORY: usize = 64 * 1024 * 1024;
/// The most bytes that the answers in a memory of drafts take; its questions without a general answer come on top.
const MAX_DRAFT_MEMORY: usize = 8 * 1024 * 1024;
/// About what an entry takes besides the policies that it names, in bytes.
const ENTRY_SIZE: usize = 80;
/// The most policies that one entry names.
const MAX_SUPPORTS: usize = 256;
/// For how many proofs something is remembered that none of them used.
const MAX_UNUSED: u32 = 16;
/// The most questions that are known to have no general answer.
const MAX_SPECIAL: usize = 100_000;
/// The first bytes of a saved memory; the last one is the number of the format.
const MAGIC: &[u8] = b"cedargate proofs 1\n";

/// What is known to hold, by the digests of the questions. Shared by all proofs of a process.
#[derive(Debug, Default)]
pub struct ProofMemory {
    known: Mutex<Known>,
    parsed: Mutex<ParsedFiles>,
    progress: ProofProgress,
    /// What others proved; it is read and never changed.
    others: Option<Arc<Self>>,
}

/// The policy files of the folder that was parsed last, by name: their texts with what they say.
pub(super) type ParsedFiles = BTreeMap<String, (Arc<str>, Arc<PolicySet>)>;

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<ProofDigest, Entry>,
    size: usize,
    /// The number of the proof that is under way.
    generation: u32,
    /// Whether there is something that was not saved.
    is_changed: bool,
    /// Questions that are not answered for any literals whatever; asked about these literals alone.
    special: HashSet<ProofDigest>,
}

#[derive(Debug)]
struct Entry {
    /// The policies that have to be there.
    supports: Box<[ProofDigest]>,
    /// The last proof that used it.
    generation: u32,
}

impl Entry {
    fn size(&self) -> usize {
        ENTRY_SIZE + self.supports.len() * size_of::<ProofDigest>()
    }
}

impl ProofMemory {
    /// A small memory for proofs of drafts, which knows what `others` knows, and tells it nothing.
    #[must_use]
    pub fn reading(others: &Arc<Self>) -> Self {
        Self {
            progress: ProofProgress::unlogged(),
            others: Some(Arc::clone(others)),
            ..Self::default()
        }
    }

    /// How far the proof is that uses it.
    #[must_use]
    pub fn progress(&self) -> &ProofProgress {
        &self.progress
    }

    /// What a policy file says, if it was there with the same text when the folder was parsed last.
    pub(super) fn parsed(&self, name: &str, text: &str) -> Option<Arc<PolicySet>> {
        if let Some(others) = &self.others {
            return others.parsed(name, text);
        }
        let parsed = self.parsed.lock();
        let (known, parsed) = parsed.get(name)?;
        (**known == *text).then(|| Arc::clone(parsed))
    }

    /// Remembers the files of one folder in place of those of another one. They share their policies with the bundle.
    /// Those of drafts are not remembered.
    pub(super) fn set_parsed(&self, files: ParsedFiles) {
        if self.others.is_none() {
            *self.parsed.lock() = files;
        }
    }

    /// A new proof begins: what the last ones did not use is forgotten.
    pub(super) fn begin(&self) {
        let mut known = self.known.lock();
        known.generation = known.generation.saturating_add(1);
        let generation = known.generation;
        known.retain(|entry| generation - entry.generation <= MAX_UNUSED);
    }

    /// The policies with which something holds, if it is known to hold.
    pub(super) fn supports(&self, question: &ProofDigest) -> Option<Box<[ProofDigest]>> {
        let mut known = self.known.lock();
        let generation = known.generation;
        if let Some(entry) = known.entries.get_mut(question) {
            entry.generation = generation;
            return Some(entry.supports.clone());
        }
        let others = self.others.as_ref()?.known.lock();
        let entry = others.entries.get(question)?;
        Some(entry.supports.clone())
    }

    /// Whether something is known to hold whatever other policies there are.
    pub(super) fn holds(&self, question: &ProofDigest) -> bool {
        self.supports(question)
            .is_some_and(|supports| supports.is_empty())
    }

    /// Remembers that something holds as long as some policies are there.
    pub(super) fn add(&self, question: ProofDigest, supports: Vec<ProofDigest>) {
        if supports.len() > MAX_SUPPORTS {
            return;
        }
        let mut known = self.known.lock();
        let entry = Entry {
            supports: supports.into(),
            generation: known.generation,
        };
        known.insert(question, entry, self.max_size());
        known.is_changed = true;
    }

    fn max_size(&self) -> usize {
        if self.others.is_some() {
            MAX_DRAFT_MEMORY
        } else {
            MAX_MEMORY
        }
    }

    /// Whether a question is known to have no general answer.
    pub(super) fn is_special(&self, question: &ProofDigest) -> bool {
        let others = self.others.as_ref();
        self.known.lock().special.contains(question)
            || others.is_some_and(|others| others.is_special(question))
    }

    pub(super) fn add_special(&self, question: ProofDigest) {
        let mut known = self.known.lock();
        if known.special.len() >= MAX_SPECIAL {
            known.special.clear();
        }
        known.special.insert(question);
    }

    /// The number of things that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.lock().entries.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything as bytes to save, if something is new since the last time.
    #[must_use]
    pub fn unsaved(&self) -> Option<Vec<u8>> {
        let mut known = self.known.lock();
        if !known.is_changed {
            return None;
        }
        known.is_changed = false;
        let mut bytes = Vec::with_capacity(MAGIC.len() + known.entries.len() * 40);
        bytes.extend_from_slice(MAGIC);
        for (question, entry) in &known.entries {
            bytes.extend_from_slice(question);
            let count = u16::try_from(entry.supports.len()).unwrap_or_default();
            bytes.extend_from_slice(&count.to_le_bytes());
            for support in &entry.supports {
                bytes.extend_from_slice(support);
            }
        }
        Some(bytes)
    }

    /// Saving failed: what is known is still to be saved.
    pub fn set_unsaved(&self) {
        self.known.lock().is_changed = true;
    }

    /// Adds what was saved; `None` if the bytes are not those of a saved memory. The caller has made sure that they are
    /// those that were saved.
    #[must_use]
    pub fn add_saved(&self, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let question = take_digest(&mut rest)?;
            let (count, after) = rest.split_first_chunk::<2>()?;
            rest = after;
            let count = usize::from(u16::from_le_bytes(*count));
            let supports: Option<Vec<_>> = (0..count).map(|_| take_digest(&mut rest)).collect();
            entries.push((question, supports?));
        }
        let mut known = self.known.lock();
        for (question, supports) in entries {
            if !known.entries.contains_key(&question) {
                let entry = Entry {
                    supports: supports.into(),
                    generation: 0,
                };
                known.insert(question, entry, self.max_size());
            }
        }
        Some(())
    }
}

impl Known {
    fn retain(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| is_kept(entry));
        self.size = self.entries.values().map(Entry::size).sum();
    }

    /// Inserts an entry if there is room, and makes room from what earlier proofs alone have used.
    fn insert(&mut self, question: ProofDigest, entry: Entry, max_size: usize) {
        if self.size + entry.size() > max_size {
            let generation = self.generation;
            self.retain(|entry| entry.generation == generation);
        }
        if self.size + entry.size() <= max_size {
            self.size += entry.size();
            if let Some(replaced) = self.entries.insert(question, entry) {
                self.size -= replaced.size();
            }
        }
    }
}

fn take_digest(rest: &mut &[u8]) -> Option<ProofDigest> {
    let (digest, after) = rest.split_first_chunk::<32>()?;
    *rest = after;
    Some(*digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> ProofDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest
    }

    #[test]
    fn a_memory_of_drafts_knows_what_the_gate_knows_and_tells_it_nothing() {
        let gate = Arc::new(ProofMemory::default());
        let drafts = ProofMemory::reading(&gate);
        gate.add(digest(1), Vec::new());
        gate.add_special(digest(2));
        gate.set_parsed(BTreeMap::from([(
            "a".to_owned(),
            (Arc::from("text"), Arc::default()),
        )]));
        drafts.begin();
        assert!(drafts.holds(&digest(1)) && drafts.is_special(&digest(2)));
        assert!(drafts.parsed("a", "text").is_some() && drafts.parsed("a", "other").is_none());
        drafts.add(digest(3), vec![digest(1)]);
        drafts.add_special(digest(4));
        drafts.set_parsed(ParsedFiles::new());
        assert_eq!(
            drafts.supports(&digest(3)).as_deref(),
            Some(&[digest(1)][..])
        );
        assert!(gate.supports(&digest(3)).is_none() && !gate.is_special(&digest(4)));
        assert!(gate.parsed("a", "text").is_some());
        assert_eq!((gate.len(), drafts.len()), (1, 1));
    }

    #[test]
    fn a_memory_of_drafts_is_small() {
        let drafts = ProofMemory::reading(&Arc::default());
        for number in 0..MAX_DRAFT_MEMORY / ENTRY_SIZE + 10 {
            drafts.add(digest(number), Vec::new());
        }
        assert!(drafts.known.lock().size <= MAX_DRAFT_MEMORY);
    }
}
