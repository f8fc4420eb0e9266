//! The source files of a policy folder: their names, texts and revision.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::decision::Revision;
use crate::domain::diagnostic::{SourceDiagnostic, sorted};

use super::error::{BundleError, WHOLE_FOLDER};

/// The largest file of a policy folder, in bytes.
pub const MAX_FILE_SIZE: u64 = 1024 * 1024;
/// The largest total size of a policy folder, in bytes.
pub const MAX_FOLDER_SIZE: u64 = 16 * 1024 * 1024;
/// The most files of a policy folder.
pub const MAX_FILES: usize = 10_000;
/// The deepest nesting of folders.
pub const MAX_FOLDER_DEPTH: usize = 16;

/// The schema file of every bundle.
pub(super) const SCHEMA_FILE: &str = "schema.cedarschema";
/// The file with the named networks of a bundle, if it has any.
pub(super) const NETWORKS_FILE: &str = "networks.toml";
/// The folder of the invariants, which take no part in decisions.
pub(super) const INVARIANTS_FOLDER: &str = "invariants";
const POLICY_SUFFIX: &str = ".cedar";
const LINKS_SUFFIX: &str = ".links.json";
/// The suffix of the files with the entities of a bundle.
pub(super) const ENTITIES_SUFFIX: &str = ".entities.json";

/// The texts of files by name: relative to the folder, with `/` between parts.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceFiles {
    /// The folder, which messages put before the names.
    pub(super) origin: String,
    pub(super) texts: BTreeMap<String, Arc<str>>,
    /// The files that begin with a byte order mark, which their texts do not have.
    pub(super) marked: BTreeSet<String>,
    /// The problems of files that could not be used.
    pub(super) problems: Vec<SourceDiagnostic>,
}

/// Whether a file is part of a bundle: its schema, networks, policies, template links or entities.
pub(super) fn is_bundle_file(name: &str) -> bool {
    name == SCHEMA_FILE
        || name == NETWORKS_FILE
        || is_policy_file(name)
        || is_links_file(name)
        || is_entities_file(name)
}

/// Whether a file has entities of the bundle.
pub(super) fn is_entities_file(name: &str) -> bool {
    name.ends_with(ENTITIES_SUFFIX)
}

fn is_links_file(name: &str) -> bool {
    name.ends_with(LINKS_SUFFIX)
}

/// Whether a file has policies.
pub(super) fn is_policy_file(name: &str) -> bool {
    name.ends_with(POLICY_SUFFIX)
}

impl SourceFiles {
    /// One file with a text in memory.
    pub(super) fn from_file(name: &str, text: &str) -> Self {
        Self {
            texts: BTreeMap::from([(name.to_owned(), text.into())]),
            ..Self::default()
        }
    }

    /// Files with texts in memory.
    pub(super) fn from_texts(origin: &str, texts: BTreeMap<String, Arc<str>>) -> Self {
        Self {
            origin: origin.to_owned(),
            texts,
            ..Self::default()
        }
    }

    /// Every name with its text, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text))
    }

    /// Every policy file, sorted by name.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.iter().filter(|(name, _)| is_policy_file(name))
    }

    /// Every file of links, sorted by name.
    pub(super) fn links(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.iter().filter(|(name, _)| is_links_file(name))
    }

    /// Every file of entities, sorted by name.
    pub(super) fn entities(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.iter().filter(|(name, _)| is_entities_file(name))
    }

    /// The same files, with the files of entities of `others` that are not among them.
    pub(super) fn with_entities_of(mut self, others: &Self) -> Self {
        for (name, text) in others.entities() {
            let text = Arc::clone(text);
            self.texts.entry(name.to_owned()).or_insert(text);
        }
        self
    }

    /// The files of these names, and no others.
    pub(super) fn retain(mut self, is_kept: impl Fn(&str) -> bool) -> Self {
        self.texts.retain(|name, _| is_kept(name));
        self
    }

    /// The same files, which messages name within the folder.
    pub(super) fn without_origin(mut self) -> Self {
        let origin = std::mem::take(&mut self.origin);
        for problem in &mut self.problems {
            let name = Path::new(problem.file()).strip_prefix(&origin).ok();
            if let Some(name) = name.and_then(Path::to_str) {
                let file = if name.is_empty() { WHOLE_FOLDER } else { name }.to_owned();
                *problem = problem.clone().with_file(&file);
            }
        }
        self
    }

    /// The files that begin with a byte order mark, which their texts do not have.
    pub(super) fn marked(&self) -> impl Iterator<Item = &String> {
        self.marked.iter()
    }

    /// The problems of files that could not be used.
    pub(super) fn problems(&self) -> &[SourceDiagnostic] {
        &self.problems
    }

    /// The same files, or an error if one of them could not be used.
    pub(super) fn without_problems(self) -> Result<Self, BundleError> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        Err(BundleError::Invalid {
            problems: sorted(self.problems),
        })
    }

    /// Whether a file could not be used.
    pub(super) fn has_problem_in(&self, name: &str) -> bool {
        let label = self.label(name);
        self.problems.iter().any(|problem| problem.file() == label)
    }

    /// The text of one file.
    pub(super) fn text(&self, name: &str) -> Option<&Arc<str>> {
        self.texts.get(name)
    }

    /// The name of a file in messages: its name within the folder if nothing is put before it.
    pub(super) fn label(&self, name: &str) -> String {
        match (self.origin.as_str(), name) {
            ("", "") => return WHOLE_FOLDER.to_owned(),
            ("", name) => return name.to_owned(),
            (origin, "") => return origin.to_owned(),
            _ => {}
        }
        format!("{}/{name}", self.origin.trim_end_matches('/'))
    }

    /// The SHA-256 over every name and text with their lengths, in the order of the names.
    ///
    /// A byte order mark has no part in it, and line ends have: the same file with CRLF is another revision,
    /// because a string of a policy may have several lines.
    /// The path of the folder and the order of the file system have no part in it.
    pub(super) fn revision(&self) -> Revision {
        let mut hash = Sha256::new();
        for (name, text) in self.iter() {
            for part in [name, text.as_ref()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        Revision(hex::encode(hash.finalize()).into())
    }
}
