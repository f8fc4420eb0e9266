//! Policy folders: every file that a bundle, its cases and its invariants are made of.
//!
//! What is judged and what is put in force are made of one value, so that an edit in between can mix
//! nothing. This module refuses to know what becomes of a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::Schema;
use sha2::{Digest, Sha256};

use crate::domain::decision::Revision;

use super::Bundle;
use super::bundle::read_schema;
use super::cases::{CaseFiles, is_json};
use super::diagnostic::BundleError;
use super::prove::Invariants;
use super::sources::{INVARIANTS_FOLDER, Sources, is_bundle_file};

/// Everything in a policy folder, as it was at one time.
#[derive(Clone, Debug)]
pub struct PolicyFolder {
    bundle: Sources,
    cases: Sources,
    invariants: Sources,
}

impl PolicyFolder {
    /// Reads a folder within the bounds of [`Bundle::load`].
    ///
    /// A file that cannot be used is no error here: what is made of it tells.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        Ok(Self {
            bundle: Sources::read(folder, is_bundle_file)?,
            cases: Sources::read(folder, is_json)?,
            invariants: Sources::read_invariants(folder)?,
        })
    }

    /// Everything that is shipped inside the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Ok(Self {
            bundle: Sources::shipped(is_bundle_file)?,
            cases: Sources::shipped(is_json)?,
            invariants: Sources::shipped_invariants()?,
        })
    }

    /// The folder whose files these are; `origin` is put before their names in messages.
    #[must_use]
    pub fn of_files(origin: &str, files: BTreeMap<String, Arc<str>>) -> Self {
        let is_invariant = |name: &str| {
            name.strip_prefix(INVARIANTS_FOLDER)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let (invariants, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            files.into_iter().partition(|(name, _)| is_invariant(name));
        let (cases, bundle) = others.into_iter().partition(|(name, _)| is_json(name));
        Self {
            bundle: Sources::of_texts(origin, bundle),
            cases: Sources::of_texts(origin, cases),
            invariants: Sources::of_texts(origin, invariants),
        }
    }

    /// The bundle.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::from_sources(&self.bundle)
    }

    /// The schema, if it reads, whatever is wrong with the policies.
    pub(super) fn schema(&self) -> Option<Schema> {
        read_schema(&self.bundle, &mut Vec::new()).ok()
    }

    /// The cases.
    pub fn cases(&self) -> Result<CaseFiles, BundleError> {
        CaseFiles::of(self.cases.clone())
    }

    /// The invariants.
    pub fn invariants(&self) -> Result<Invariants, BundleError> {
        Invariants::of(self.invariants.clone())
    }

    /// Whether there are any cases.
    #[must_use]
    pub fn has_cases(&self) -> bool {
        !self.cases.problems().is_empty() || self.cases.iter().next().is_some()
    }

    /// Whether there are any invariants.
    #[must_use]
    pub fn has_invariants(&self) -> bool {
        !self.invariants.problems().is_empty() || self.invariants.iter().next().is_some()
    }

    /// The revision that its bundle has, if it is one.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.bundle.revision()
    }

    /// Every file with its text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        let parts = [&self.bundle, &self.cases, &self.invariants];
        parts.into_iter().flat_map(Sources::iter)
    }

    /// The SHA-256 over all that was read, files that cannot be used included.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.bundle, &self.cases, &self.invariants] {
            hash.update(part.revision().0.as_bytes());
            for problem in part.problems() {
                hash.update(problem.to_string().as_bytes());
            }
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }
}
