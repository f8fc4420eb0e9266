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
use super::context::ContextCache;
use super::entities::EntityCache;
use super::index::PolicyIndex;
use super::policies::{self, ValidPolicies};

use super::diagnostic::{BundleDiagnostic, BundleError, message_with_causes, sorted};
pub use super::policies::{MAX_POLICIES, MAX_POLICY_ID_LENGTH, PolicyInfo};
use super::schema_check::prepare_and_check;
use super::schema_names::SchemaNames;
pub use super::sources::{MAX_FILE_SIZE, MAX_FILES, MAX_FOLDER_DEPTH, MAX_FOLDER_SIZE};
use super::sources::{SCHEMA_FILE, SourceFiles, is_bundle_file};

/// One validated policy folder, ready to decide.
///
/// Bundles are made once and shared; what decisions look at is prepared on first use and kept
/// inside, bounded in number. A new bundle starts with nothing prepared.
#[derive(Debug)]
pub struct Bundle {
    pub(super) revision: Revision,
    pub(super) schema: Schema,
    pub(super) policies: ValidPolicies,
    pub(super) policy_index: PolicyIndex,
    pub(super) schema_names: Arc<SchemaNames>,
    pub(super) entity_cache: EntityCache,
    pub(super) context_cache: ContextCache,
    pub(super) authorizer: Authorizer,
    warnings: Vec<BundleDiagnostic>,
    pub(super) sources: SourceFiles,
}

impl Bundle {
    /// The bundle that is shipped inside the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_sources(&SourceFiles::embedded(is_bundle_file)?)
    }

    /// The bundle in a folder: its `schema.cedarschema` and every `.cedar` file in it and below.
    ///
    /// Hidden files and the folder `invariants` are passed over. Files are at most
    /// [`MAX_FILE_SIZE`] bytes each and [`MAX_FOLDER_SIZE`] together, at most [`MAX_FILES`], with at
    /// most [`MAX_POLICIES`] policies. Fails with every problem of every file.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::from_sources(&SourceFiles::read(folder, is_bundle_file)?)
    }

    pub(super) fn from_sources(sources: &SourceFiles) -> Result<Self, BundleError> {
        let mut problems = sources.problems().to_vec();
        let mut warnings = Vec::new();
        let schema = if sources.has_problem_in(SCHEMA_FILE) {
            None
        } else {
            parse_schema(sources, &mut warnings)
                .map_err(|problem| problems.push(*problem))
                .ok()
        };
        let policies = policies::parse_policies(sources, schema.as_ref())
            .map_err(|found| problems.extend(found))
            .ok();
        let made = schema.and_then(|schema| {
            prepare_and_check(sources, &schema)
                .map_err(|problem| problems.push(*problem))
                .ok()
                .map(|(vocabulary, preparations)| (schema, vocabulary, preparations))
        });
        let indexed = policies
            .zip(made.as_ref())
            .and_then(|(policies, (schema, ..))| {
                build_index(sources, schema, &policies)
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
                    policy_index: index,
                    schema_names: vocabulary,
                    entity_cache: preparations,
                    context_cache: ContextCache::new(),
                    authorizer: Authorizer::new(),
                    warnings: sorted(warnings),
                    sources: sources.clone(),
                })
            }
            _ => Err(BundleError::Invalid {
                problems: sorted(problems),
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
    pub fn policies(&self) -> &BTreeMap<String, PolicyInfo> {
        &self.policies.info
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
    pub fn warnings(&self) -> &[BundleDiagnostic] {
        &self.warnings
    }
}

fn build_index(
    sources: &SourceFiles,
    schema: &Schema,
    policies: &ValidPolicies,
) -> Result<PolicyIndex, Box<BundleDiagnostic>> {
    let unfit = |error: &dyn std::error::Error| {
        let message = format!(
            "the policies cannot be indexed: {}",
            message_with_causes(error)
        );
        Box::new(BundleDiagnostic::for_file(&sources.label(""), message))
    };
    let actions = schema.action_entities().map_err(|error| unfit(&error))?;
    PolicyIndex::new(&policies.set, &actions).map_err(|error| unfit(&*error))
}

/// Reads the schema, and adds what Cedar warns of.
pub(super) fn parse_schema(
    sources: &SourceFiles,
    warnings: &mut Vec<BundleDiagnostic>,
) -> Result<Schema, Box<BundleDiagnostic>> {
    let label = sources.label(SCHEMA_FILE);
    let Some(text) = sources.text(SCHEMA_FILE) else {
        let problem = BundleDiagnostic::for_file(&label, "the policy folder has no schema");
        return Err(Box::new(
            problem.with_help("copy the shipped schema.cedarschema into it"),
        ));
    };
    if let Some(problem) = complexity::check(&label, text) {
        return Err(Box::new(problem));
    }
    let (schema, said) = Schema::from_cedarschema_str(text)
        .map_err(|error| Box::new(BundleDiagnostic::from_cedar(&label, text, &error)))?;
    warnings.extend(
        said.map(|warning| BundleDiagnostic::from_cedar(&label, text, &warning).into_warning()),
    );
    Ok(schema)
}
