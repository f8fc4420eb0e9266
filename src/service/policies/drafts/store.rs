//! The drafts of all users, in the memory of this process.
//!
//! A draft is dropped an hour after its last change or read, or when its user begins one more than it may have. Nobody
//! loses a draft because of somebody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::id::{DraftId, UserId};

use super::bundles::DraftBundles;
use super::draft::{Draft, DraftBase, MAX_PROOF_SIZE};

/// How long a draft is kept after its last change or read.
const DRAFT_LIFETIME: Duration = Duration::from_hours(1);
/// The most drafts of one user; the one that was used least recently makes room.
const MAX_DRAFTS_PER_USER: usize = 4;
/// The most drafts of all users.
const MAX_DRAFTS: usize = 64;
/// The most bytes that all drafts take together with the largest proofs that are kept with them; a folder that several
/// drafts started from counts once.
const MAX_SIZE_WITH_PROOFS: usize = 256 * 1024 * 1024;
/// The most bytes that all drafts take together without their proofs.
const MAX_DRAFTS_SIZE: usize = MAX_SIZE_WITH_PROOFS - MAX_DRAFTS * MAX_PROOF_SIZE;

/// Why a draft is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftsError {
    /// The user has no such draft, or no longer.
    #[error("there is no such draft")]
    NotFound,
    /// It has changed meanwhile.
    #[error("the draft has changed meanwhile")]
    Changed,
    /// There is no room for it.
    #[error("the drafts of all users take as much memory as they may")]
    Full,
}

/// The newest version of each draft.
#[derive(Debug, Default)]
pub struct DraftStore {
    /// Their bundles.
    pub bundles: Arc<DraftBundles>,
    kept: Mutex<HashMap<DraftId, KeptDraft>>,
}

#[derive(Debug)]
struct KeptDraft {
    draft: Arc<Draft>,
    own_size: usize,
    used_at: i64,
}

impl DraftStore {
    /// The newest version of a draft of a user; it was read at `now`, in milliseconds since 1970 UTC.
    pub fn find(&self, owner: UserId, id: DraftId, now: i64) -> Result<Arc<Draft>, DraftsError> {
        let mut kept = self.kept.lock();
        drop_expired(&mut kept, now);
        let found = kept.get_mut(&id).filter(|kept| kept.draft.owner == owner);
        let found = found.ok_or(DraftsError::NotFound)?;
        found.used_at = now;
        Ok(Arc::clone(&found.draft))
    }

    /// The drafts of a user, in the order of their creation.
    pub fn list(&self, owner: UserId, now: i64) -> Vec<Arc<Draft>> {
        let mut kept = self.kept.lock();
        drop_expired(&mut kept, now);
        let own = kept.values().filter(|kept| kept.draft.owner == owner);
        let mut own: Vec<_> = own.map(|kept| Arc::clone(&kept.draft)).collect();
        own.sort_by_key(|draft| (draft.created_at, draft.id));
        own
    }

    /// When a draft is dropped unless it is used before, in milliseconds since 1970 UTC.
    pub fn expires_at(&self, id: DraftId) -> Option<i64> {
        let kept = self.kept.lock();
        kept.get(&id).map(|kept| kept.used_at + lifetime_millis())
    }

    /// The base with a folder revision, which drafts share that have started from the same folder.
    pub fn shared_base(
        &self,
        folder_revision: &str,
        build: impl FnOnce() -> DraftBase,
    ) -> Arc<DraftBase> {
        let kept = self.kept.lock();
        let mut known = kept.values().map(|kept| kept.draft.base());
        let same = known.find(|known| known.folder_revision() == folder_revision);
        same.map_or_else(|| Arc::new(build()), Arc::clone)
    }

    /// Keeps a new draft; one of the same user makes room for it if that has as many as it may.
    pub fn insert(&self, draft: Draft, now: i64) -> Result<Arc<Draft>, DraftsError> {
        let mut kept = self.kept.lock();
        drop_expired(&mut kept, now);
        let of_user = kept
            .iter()
            .filter(|(_, kept)| kept.draft.owner == draft.owner);
        let mut of_user: Vec<_> = of_user.map(|(id, kept)| (kept.used_at, *id)).collect();
        of_user.sort_unstable();
        let makes_room = (of_user.len() >= MAX_DRAFTS_PER_USER)
            .then(|| of_user.first().map(|(_, id)| *id))
            .flatten();
        put(&mut kept, draft, makes_room, now)
    }

    /// Puts the next version of a draft in place of the one before it, if that is still the newest one.
    pub fn replace(&self, next: Draft, now: i64) -> Result<Arc<Draft>, DraftsError> {
        let mut kept = self.kept.lock();
        drop_expired(&mut kept, now);
        let before = kept.get(&next.id).ok_or(DraftsError::NotFound)?;
        if before.draft.version + 1 != next.version {
            return Err(DraftsError::Changed);
        }
        let id = next.id;
        put(&mut kept, next, Some(id), now)
    }

    /// Drops a draft of a user.
    pub fn remove(&self, owner: UserId, id: DraftId) -> Result<(), DraftsError> {
        let mut kept = self.kept.lock();
        let is_own = kept.get(&id).is_some_and(|kept| kept.draft.owner == owner);
        if !is_own {
            return Err(DraftsError::NotFound);
        }
        kept.remove(&id);
        Ok(())
    }
}

/// Keeps a draft in place of `replaced`, or changes nothing if there is no room.
fn put(
    kept: &mut HashMap<DraftId, KeptDraft>,
    draft: Draft,
    replaced: Option<DraftId>,
    now: i64,
) -> Result<Arc<Draft>, DraftsError> {
    let others = || kept.iter().filter(|(id, _)| Some(**id) != replaced);
    let own_size = draft.own_size();
    let mut bases = HashSet::from([Arc::as_ptr(draft.base())]);
    let mut size = own_size + draft.base().size();
    for (_, other) in others() {
        size += other.own_size;
        let base = other.draft.base();
        if bases.insert(Arc::as_ptr(base)) {
            size += base.size();
        }
    }
    if others().count() >= MAX_DRAFTS || size > MAX_DRAFTS_SIZE {
        return Err(DraftsError::Full);
    }
    if let Some(id) = replaced {
        kept.remove(&id);
    }
    let draft = Arc::new(draft);
    let entry = KeptDraft {
        draft: Arc::clone(&draft),
        own_size,
        used_at: now,
    };
    kept.insert(draft.id, entry);
    Ok(draft)
}

fn drop_expired(kept: &mut HashMap<DraftId, KeptDraft>, now: i64) {
    kept.retain(|_, kept| now < kept.used_at + lifetime_millis());
}

fn lifetime_millis() -> i64 {
    i64::try_from(DRAFT_LIFETIME.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::policy::folder::PolicyFolder;
    use crate::service::policies::patch::FileTexts;

    use super::*;

    fn base() -> Arc<DraftBase> {
        let files = FileTexts::from([("a.cedar".to_owned(), Arc::from("a"))]);
        let folder = PolicyFolder::from_files("", files);
        Arc::new(DraftBase::new("0".to_owned(), &folder))
    }

    fn draft_of(owner: UserId, base: &Arc<DraftBase>, files: &FileTexts) -> Draft {
        Draft::new(owner, 0, Arc::clone(base), files.clone(), Arc::default())
    }

    #[test]
    fn a_full_store_refuses_a_new_draft_and_drops_none_of_another_user() {
        let (drafts, base) = (DraftStore::default(), base());
        let put = |owner| drafts.insert(draft_of(owner, &base, base.files()), 0);
        let mut owners = Vec::new();
        for _ in 0..MAX_DRAFTS {
            let owner = UserId::random();
            put(owner).unwrap();
            owners.push(owner);
        }
        assert_eq!(put(UserId::random()).unwrap_err(), DraftsError::Full);
        // One more of somebody who has room of its own takes nobody's place.
        assert_eq!(put(owners[0]).unwrap_err(), DraftsError::Full);
        assert!(owners.iter().all(|owner| drafts.list(*owner, 0).len() == 1));
        // An hour later there is room.
        assert!(
            drafts
                .insert(draft_of(owners[0], &base, base.files()), lifetime_millis())
                .is_ok()
        );
        assert_eq!(drafts.list(owners[1], lifetime_millis()).len(), 0);
    }

    #[test]
    fn the_bytes_of_all_drafts_are_bounded_and_those_of_their_base_count_once() {
        const FILES: usize = 16;
        let (drafts, base) = (DraftStore::default(), base());
        let owner = UserId::random();
        let text: Arc<str> = "x".repeat(MAX_DRAFTS_SIZE / 4 / FILES).into();
        let files = (0..FILES).map(|n| (format!("{n}.cedar"), Arc::clone(&text)));
        let large: FileTexts = files.collect();
        for _ in 0..3 {
            drafts.insert(draft_of(owner, &base, &large), 0).unwrap();
        }
        let last = drafts.insert(draft_of(owner, &base, &large), 0);
        assert_eq!(last.unwrap_err(), DraftsError::Full);
        let small = drafts
            .insert(draft_of(owner, &base, base.files()), 0)
            .unwrap();
        let next = small.next(None, large.clone(), BTreeSet::new());
        assert_eq!(drafts.replace(next, 0).unwrap_err(), DraftsError::Full);
        assert_eq!(drafts.find(owner, small.id, 0).unwrap().version, 1);
        // Drafts that change nothing take hardly anything however large their base is.
        let drafts = DraftStore::default();
        let folder = PolicyFolder::from_files("", large.clone());
        let base = Arc::new(DraftBase::new("1".to_owned(), &folder));
        for _ in 0..MAX_DRAFTS {
            drafts
                .insert(draft_of(UserId::random(), &base, base.files()), 0)
                .unwrap();
        }
    }

    #[test]
    fn the_next_version_replaces_the_one_that_it_was_made_of_alone() {
        let (drafts, base) = (DraftStore::default(), base());
        let owner = UserId::random();
        let first = drafts
            .insert(draft_of(owner, &base, base.files()), 0)
            .unwrap();
        let next = |text: &str| {
            let files = FileTexts::from([("a.cedar".to_owned(), Arc::from(text))]);
            first.next(None, files, BTreeSet::new())
        };
        assert_eq!(drafts.replace(next("b"), 0).unwrap().version, 2);
        assert_eq!(
            drafts.replace(next("c"), 0).unwrap_err(),
            DraftsError::Changed
        );
        drafts.remove(owner, first.id).unwrap();
        assert_eq!(
            drafts.replace(next("c"), 0).unwrap_err(),
            DraftsError::NotFound
        );
        assert_eq!(drafts.remove(owner, first.id), Err(DraftsError::NotFound));
    }
}
