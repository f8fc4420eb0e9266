//! Policy folders: the files of a bundle, its cases and its invariants, read once.
//!
//! The bundle that is checked and the one that comes into force are built from the same value, so an
//! edit in between cannot mix two versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::Schema;
use sha2::{Digest, Sha256};

use crate::domain::decision::Revision;
use crate::domain::diagnostic::SourceDiagnostic;

use super::Bundle;
use super::attributes::DeclaredAttributes;
use super::bundle::parse_schema;
use super::cache_size::CacheSize;
use super::case_file::is_case_file;
use super::cases::{CaseFiles, is_case_or_entity_file};
use super::context_literals::ContextLiterals;
use super::error::BundleError;
use super::networks::Networks;
use super::proof_memory::ProofMemory;
use super::prove::InvariantFiles;
use super::safeguards::Safeguards;
use super::sources::{INVARIANTS_FOLDER, NETWORKS_FILE, SCHEMA_FILE, SourceFiles, is_bundle_file};
use super::vocabulary::Vocabulary;

/// What stands for the policies before any are in force.
const CLOSED_POLICY: &str =
    "@id(\"no-policies-in-force\")\nforbid (principal, action, resource);\n";
const CLOSED_FILE: &str = "closed.cedar";

/// Everything in a policy folder, as it was at one time.
#[derive(Clone, Debug)]
pub struct PolicyFolder {
    bundle: SourceFiles,
    cases: SourceFiles,
    invariants: SourceFiles,
}

/// Whether a file of a policy folder has invariants, by its name.
#[must_use]
pub fn is_invariant_file(name: &str) -> bool {
    name.strip_prefix(INVARIANTS_FOLDER)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The part of a policy folder that a file belongs to. Each is bounded for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderPart {
    /// What decides.
    Bundle,
    /// The cases and their entities.
    Cases,
    /// The invariants.
    Invariants,
}

impl FolderPart {
    /// The part of a file, by its name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if is_invariant_file(name) {
            Self::Invariants
        } else if is_case_or_entity_file(name) {
            Self::Cases
        } else {
            Self::Bundle
        }
    }
}

impl PolicyFolder {
    /// Reads a folder within the bounds of [`Bundle::load`].
    ///
    /// A file that cannot be used is no error here, but where its bundle, cases or invariants are built.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Ok(Self {
            bundle: SourceFiles::read(folder, is_bundle_file)?,
            cases: SourceFiles::read(folder, is_case_or_entity_file)?,
            invariants: SourceFiles::read_invariants(folder)?,
        })
    }

    /// Everything embedded in the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Ok(Self {
            bundle: SourceFiles::embedded(is_bundle_file)?,
            cases: SourceFiles::embedded(is_case_or_entity_file)?,
            invariants: SourceFiles::embedded_invariants()?,
        })
    }

    /// A folder with the schema of this one whose policies permit nothing.
    #[must_use]
    pub fn closed(&self) -> Self {
        let is_kept = |name: &str| [SCHEMA_FILE, NETWORKS_FILE].contains(&name);
        let kept = self.bundle.iter().filter(|(name, _)| is_kept(name));
        let mut files: BTreeMap<String, Arc<str>> = kept
            .map(|(name, text)| (name.to_owned(), Arc::clone(text)))
            .collect();
        files.insert(CLOSED_FILE.to_owned(), Arc::from(CLOSED_POLICY));
        Self::from_files("no policies in force", files)
    }

    /// A folder of texts in memory; messages put `origin` before their names.
    #[must_use]
    pub fn from_files(origin: &str, files: BTreeMap<String, Arc<str>>) -> Self {
        let mut parts: BTreeMap<FolderPart, BTreeMap<String, Arc<str>>> = BTreeMap::new();
        for (name, text) in files {
            let part = parts.entry(FolderPart::of(&name)).or_default();
            part.insert(name, text);
        }
        let mut take =
            |part| SourceFiles::from_texts(origin, parts.remove(&part).unwrap_or_default());
        Self {
            bundle: take(FolderPart::Bundle),
            cases: take(FolderPart::Cases),
            invariants: take(FolderPart::Invariants),
        }
    }

    /// The same folder, whose files messages name within it: for readers who cannot know where it is.
    #[must_use]
    pub fn without_origin(self) -> Self {
        Self {
            bundle: self.bundle.without_origin(),
            cases: self.cases.without_origin(),
            invariants: self.invariants.without_origin(),
        }
    }

    /// The bundle.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::from_sources(&self.bundle)
    }

    /// The bundle; policies that `memory` knows to be valid are not validated again.
    pub fn bundle_with_memory(&self, memory: &Arc<ProofMemory>) -> Result<Bundle, BundleError> {
        Bundle::build(&self.bundle, memory, CacheSize::Full)
    }

    /// The bundle for trying it out, with small caches; policies that `memory` knows to be valid are not validated
    /// again. It forgets what none of the last such bundles had.
    pub fn trial_bundle(&self, memory: &Arc<ProofMemory>) -> Result<Bundle, BundleError> {
        memory.begin();
        Bundle::build(&self.bundle, memory, CacheSize::Small)
    }

    /// The schema, if it is valid, even if the policies are not.
    pub(super) fn schema(&self) -> Option<Schema> {
        parse_schema(&self.bundle, &mut Vec::new()).ok()
    }

    /// The named networks; none if they have problems, which the bundle tells.
    pub(super) fn networks(&self) -> Networks {
        Networks::parse(&self.bundle).unwrap_or_default()
    }

    /// The attributes that its schema declares for datasets and users, if the schema is valid.
    #[must_use]
    pub fn declared_attributes(&self) -> Option<DeclaredAttributes> {
        self.schema().map(|schema| DeclaredAttributes::new(&schema))
    }

    /// What policies of its schema can name, if the schema is valid.
    #[must_use]
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        self.schema().map(|schema| Vocabulary::new(&schema))
    }

    /// The cases.
    pub fn cases(&self) -> Result<CaseFiles, BundleError> {
        CaseFiles::new(self.cases.clone().with_entities_of(&self.bundle))
    }

    /// The invariants.
    pub fn invariants(&self) -> Result<InvariantFiles, BundleError> {
        InvariantFiles::new(self.invariants.clone())
    }

    /// What its invariants compare the context with; nothing if they are not valid with the schema of a bundle.
    #[must_use]
    pub fn invariant_literals(&self, bundle: &Bundle) -> ContextLiterals {
        let invariants = self.invariants();
        let literals = invariants.and_then(|invariants| invariants.context_literals(bundle));
        literals.unwrap_or_default()
    }

    /// One of the case files, with the files that its cases may name.
    pub(super) fn sources_of_cases(&self, file: &str) -> SourceFiles {
        let sources = self.cases.clone().with_entities_of(&self.bundle);
        sources.retain(|name| name == file || !is_case_file(name))
    }

    /// The files with cases and their entities.
    pub(super) fn case_sources(&self) -> &SourceFiles {
        &self.cases
    }

    /// The files with invariants.
    pub(super) fn invariant_sources(&self) -> &SourceFiles {
        &self.invariants
    }

    /// What guards its bundle: the invariants and the cases.
    #[must_use]
    pub fn safeguards(&self) -> Safeguards {
        Safeguards::new(&self.bundle, self.schema(), &self.invariants, &self.cases)
    }

    /// Its name in messages.
    #[must_use]
    pub fn label(&self) -> String {
        self.bundle.label("")
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

    /// The revision of its bundle, valid or not.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.bundle.revision()
    }

    /// Every file with its text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        let parts = [&self.bundle, &self.cases, &self.invariants];
        parts.into_iter().flat_map(SourceFiles::iter)
    }

    /// Every file with its text, to keep.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, Arc<str>> {
        let files = self.files();
        files
            .map(|(name, text)| (name.to_owned(), Arc::clone(text)))
            .collect()
    }

    /// The files that begin with a byte order mark, which their texts do not have.
    pub fn marked_files(&self) -> impl Iterator<Item = &String> {
        let parts = [&self.bundle, &self.cases, &self.invariants];
        parts.into_iter().flat_map(SourceFiles::marked)
    }

    /// The problems of files that could not be used.
    pub fn unusable_files(&self) -> impl Iterator<Item = &SourceDiagnostic> {
        let parts = [&self.bundle, &self.cases, &self.invariants];
        parts.into_iter().flat_map(SourceFiles::problems)
    }

    /// The folder revision: the SHA-256 over everything that was read, policies, cases and invariants, with the
    /// problems of files that cannot be used. An edit of a case or an invariant alone has the revision of the policies
    /// in force, and a folder revision of its own.
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
