//! Bundles: one schema and its policies, valid together.
//!
//! A folder becomes a bundle whole or not at all. What policies may look at (see
//! `schema.cedarschema`) is checked too: a schema that no longer fits what the program fills in is
//! refused when it is loaded, not when the first decision fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Authorizer, Schema};

use crate::domain::decision::Revision;

use super::complexity;
use super::context::Circumstances;
use super::entities::Preparations;
use super::index::Index;
use super::policies::{self, Policies};

use super::diagnostic::{BundleError, Problem, in_reading_order, with_causes};
pub use super::policies::{LONGEST_POLICY_ID, ListedPolicy, MOST_POLICIES};
use super::schema_check::prepare;
use super::schema_names::Vocabulary;
pub use super::sources::{DEEPEST_FOLDER, LARGEST_FILE, LARGEST_FOLDER, MOST_FILES};
use super::sources::{SCHEMA_FILE, Sources, is_bundle_file};

/// One validated policy folder, ready to decide.
///
/// Bundles are made once and shared; what decisions look at is prepared on first use and kept
/// inside, bounded in number. A new bundle starts with nothing prepared.
#[derive(Debug)]
pub struct Bundle {
    pub(super) revision: Revision,
    pub(super) schema: Schema,
    pub(super) policies: Policies,
    pub(super) index: Index,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) preparations: Preparations,
    pub(super) circumstances: Circumstances,
    pub(super) authorizer: Authorizer,
    warnings: Vec<Problem>,
    pub(super) sources: Sources,
}

impl Bundle {
    /// The bundle that is shipped inside the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_sources(&Sources::shipped(is_bundle_file)?)
    }

    /// The bundle in a folder: its `schema.cedarschema` and every `.cedar` file in it and below.
    ///
    /// Hidden files and the folder `invariants` are passed over. Files are at most
    /// [`LARGEST_FILE`] bytes each and [`LARGEST_FOLDER`] together, at most [`MOST_FILES`], with at
    /// most [`MOST_POLICIES`] policies. Fails with every problem of every file.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::from_sources(&Sources::read(folder, is_bundle_file)?)
    }

    pub(super) fn from_sources(sources: &Sources) -> Result<Self, BundleError> {
        let mut problems = sources.problems().to_vec();
        let mut warnings = Vec::new();
        let schema = if sources.has_unusable(SCHEMA_FILE) {
            None
        } else {
            read_schema(sources, &mut warnings)
                .map_err(|problem| problems.push(*problem))
                .ok()
        };
        let policies = policies::read(sources, schema.as_ref())
            .map_err(|found| problems.extend(found))
            .ok();
        let made = schema.and_then(|schema| {
            prepare(sources, &schema)
                .map_err(|problem| problems.push(*problem))
                .ok()
                .map(|(vocabulary, preparations)| (schema, vocabulary, preparations))
        });
        let indexed = policies
            .zip(made.as_ref())
            .and_then(|(policies, (schema, ..))| {
                index(sources, schema, &policies)
                    .map_err(|problem| problems.push(*problem))
                    .ok()
                    .map(|index| (policies, index))
            });
        match (made, indexed) {
            (Some((schema, vocabulary, preparations)), Some((mut policies, index)))
                if problems.is_empty() =>
            {
                warnings.append(&mut policies.warnings);
                Ok(Self {
                    revision: sources.revision(),
                    schema,
                    policies,
                    index,
                    vocabulary,
                    preparations,
                    circumstances: Circumstances::new(),
                    authorizer: Authorizer::new(),
                    warnings: in_reading_order(warnings),
                    sources: sources.clone(),
                })
            }
            _ => Err(BundleError::Invalid {
                problems: in_reading_order(problems),
            }),
        }
    }

    /// The SHA-256 over the names and contents of the bundle's files.
    ///
    /// Neither where the folder stands nor its case files change it.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The policies by their `@id`.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<String, ListedPolicy> {
        &self.policies.listed
    }

    /// The names of its files, sorted: the schema and the policy files, relative to the folder.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|(name, _)| name)
    }

    /// The text of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Arc<str>> {
        self.sources.text(name)
    }

    /// What validation warns of without refusing the bundle.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

fn index(sources: &Sources, schema: &Schema, policies: &Policies) -> Result<Index, Box<Problem>> {
    let unfit = |error: &dyn std::error::Error| {
        let message = format!("the policies cannot be indexed: {}", with_causes(error));
        Box::new(Problem::of_file(&sources.label(""), message))
    };
    let actions = schema.action_entities().map_err(|error| unfit(&error))?;
    Index::new(&policies.set, &actions).map_err(|error| unfit(&*error))
}

/// Reads the schema, and adds what Cedar warns of.
pub(super) fn read_schema(
    sources: &Sources,
    warnings: &mut Vec<Problem>,
) -> Result<Schema, Box<Problem>> {
    let label = sources.label(SCHEMA_FILE);
    let Some(text) = sources.text(SCHEMA_FILE) else {
        let problem = Problem::of_file(&label, "the policy folder has no schema");
        return Err(Box::new(
            problem.with_help("copy the shipped schema.cedarschema into it"),
        ));
    };
    if let Some(problem) = complexity::problem(&label, text) {
        return Err(Box::new(problem));
    }
    let (schema, said) = Schema::from_cedarschema_str(text)
        .map_err(|error| Box::new(Problem::from_cedar(&label, text, &error)))?;
    warnings.extend(said.map(|warning| Problem::from_cedar(&label, text, &warning).into_warning()));
    Ok(schema)
}
