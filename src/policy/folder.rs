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
use super::bundle::parse_schema;
use super::cases::{CaseFiles, is_case_or_entity_file};
use super::diagnostic::BundleError;
use super::prove::InvariantFiles;
use super::sources::{INVARIANTS_FOLDER, SourceFiles, is_bundle_file};

/// Everything in a policy folder, as it was at one time.
#[derive(Clone, Debug)]
pub struct PolicyFolder {
    bundle: SourceFiles,
    cases: SourceFiles,
    invariants: SourceFiles,
}

impl PolicyFolder {
    /// Reads a folder within the bounds of [`Bundle::load`].
    ///
    /// A file that cannot be used is no error here: what is made of it tells.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Ok(Self {
            bundle: SourceFiles::read(folder, is_bundle_file)?,
            cases: SourceFiles::read(folder, is_case_or_entity_file)?,
            invariants: SourceFiles::read_invariants(folder)?,
        })
    }

    /// Everything that is shipped inside the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Ok(Self {
            bundle: SourceFiles::embedded(is_bundle_file)?,
            cases: SourceFiles::embedded(is_case_or_entity_file)?,
            invariants: SourceFiles::embedded_invariants()?,
        })
    }

    /// The folder whose files these are; `origin` is put before their names in messages.
    #[must_use]
    pub fn from_files(origin: &str, files: BTreeMap<String, Arc<str>>) -> Self {
        let is_invariant = |name: &str| {
            name.strip_prefix(INVARIANTS_FOLDER)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let (invariants, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            files.into_iter().partition(|(name, _)| is_invariant(name));
        let (cases, bundle) = others
            .into_iter()
            .partition(|(name, _)| is_case_or_entity_file(name));
        Self {
            bundle: SourceFiles::from_texts(origin, bundle),
            cases: SourceFiles::from_texts(origin, cases),
            invariants: SourceFiles::from_texts(origin, invariants),
        }
    }

    /// The bundle.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::from_sources(&self.bundle)
    }

    /// The schema, if it reads, whatever is wrong with the policies.
    pub(super) fn schema(&self) -> Option<Schema> {
        parse_schema(&self.bundle, &mut Vec::new()).ok()
    }

    /// The cases.
    pub fn cases(&self) -> Result<CaseFiles, BundleError> {
        CaseFiles::new(self.cases.clone())
    }

    /// The invariants.
    pub fn invariants(&self) -> Result<InvariantFiles, BundleError> {
        InvariantFiles::new(self.invariants.clone())
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
        parts.into_iter().flat_map(SourceFiles::iter)
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
