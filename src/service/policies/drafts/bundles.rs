//! The bundles of drafts, built when they are asked for, and kept while there is room.
//!
//! They have nothing in common with what the policy gate remembers: what an author tries out changes nothing there.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::decision::Revision;
use crate::policy::folder::PolicyFolder;
use crate::policy::proof_memory::ProofMemory;
use crate::policy::{Bundle, BundleError};

/// The most that is kept, in bytes of source text.
const MAX_KEPT_SIZE: u64 = 16 * 1024 * 1024;
/// What a bundle counts at least, in bytes of source text: so no more than 16 are kept.
const MIN_BUNDLE_SIZE: u64 = 1024 * 1024;
/// How long a bundle is kept that nobody asks for.
const MAX_IDLE_TIME: Duration = Duration::from_mins(10);

/// What was built of a folder: its bundle, or its problems.
pub type BuiltBundle = Result<Arc<Bundle>, Arc<BundleError>>;

/// The bundles of all drafts, by revision: drafts whose cases alone differ share one.
#[derive(Debug)]
pub struct DraftBundles {
    built: Cache<Revision, (BuiltBundle, u32)>,
    /// The policies that were found to be valid in the last bundles, so that an edit of one validates no others.
    validated: Arc<ProofMemory>,
}

impl Default for DraftBundles {
    fn default() -> Self {
        Self {
            built: Cache::builder()
                .max_capacity(MAX_KEPT_SIZE)
                .weigher(|_, (_, size)| *size)
                .time_to_idle(MAX_IDLE_TIME)
                .build(),
            validated: Arc::default(),
        }
    }
}

impl DraftBundles {
    /// The bundle of a revision, if it is built.
    pub(super) fn peek(&self, revision: &Revision) -> Option<BuiltBundle> {
        self.built.get(revision).map(|(bundle, _)| bundle)
    }

    /// The bundle of a revision. All who ask for one that is being built wait for it. Blocks.
    pub(super) fn get(
        &self,
        revision: &Revision,
        folder: impl FnOnce() -> PolicyFolder,
    ) -> BuiltBundle {
        let build = || {
            let folder = folder();
            let bundle = folder.trial_bundle(&self.validated);
            let bundle = bundle.map(Arc::new).map_err(Arc::new);
            let size: u64 = folder.files().map(|(_, text)| text.len() as u64).sum();
            let size = size.max(MIN_BUNDLE_SIZE);
            (bundle, u32::try_from(size).unwrap_or(u32::MAX))
        };
        self.built.get_with_by_ref(revision, build).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(bundles: &DraftBundles, folder: &PolicyFolder) -> BuiltBundle {
        bundles.get(&folder.revision(), || folder.clone())
    }

    #[test]
    fn a_bundle_is_built_once_for_all_folders_with_the_same_policies() {
        let bundles = DraftBundles::default();
        let folder = PolicyFolder::embedded().unwrap();
        assert!(bundles.peek(&folder.revision()).is_none());
        let first = built(&bundles, &folder).unwrap();
        let files = folder
            .files()
            .filter(|(name, _)| !name.ends_with(".cases.json"));
        let files = files.map(|(name, text)| (name.to_owned(), Arc::clone(text)));
        let without_cases = PolicyFolder::from_files("", files.collect());
        assert_ne!(without_cases.fingerprint(), folder.fingerprint());
        let second = built(&bundles, &without_cases).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(
            bundles
                .peek(&folder.revision())
                .is_some_and(|built| built.is_ok())
        );
    }

    #[test]
    fn the_problems_of_a_folder_are_kept_as_a_bundle_is() {
        let bundles = DraftBundles::default();
        let files = [("a.cedar".to_owned(), Arc::from("permit ("))];
        let folder = PolicyFolder::from_files("", files.into());
        let first = built(&bundles, &folder).unwrap_err();
        let second = built(&bundles, &folder).unwrap_err();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(
            first
                .problems()
                .iter()
                .any(|problem| problem.file() == "a.cedar")
        );
    }
}
