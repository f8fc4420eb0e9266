//! Bundles: one validated policy folder, its schema and its policies.
//!
//! A folder is loaded as a whole or not at all. A schema that does not fit the data that Cedargate
//! provides is rejected when the bundle is loaded, not at the first decision.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use cedar_policy::{Authorizer, Policy, PolicyId, Schema};

use crate::domain::action::Action;
use crate::domain::decision::Revision;
use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::domain::error_chain::error_chain;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::domain::text_position::line_at;

use super::access_types::AccessTypes;
use super::address;
use super::attributes::DeclaredAttributes;
use super::bundle_entities::BundleEntities;
use super::cache_size::CacheSize;
use super::complexity;
use super::context::ContextCache;
use super::decision_classes::DecisionClasses;
use super::entities::{EntityCache, Facts};
use super::error::{BundleError, from_cedar};
pub use super::file_parser::MAX_POLICY_ID_LENGTH;
use super::index::PolicyIndex;
use super::networks::Networks;
pub use super::policies::{MAX_POLICIES, PolicyInfo};
use super::policies::{ValidPolicies, parse_policies};
use super::proof_memory::ProofMemory;
use super::questions::tables::QuestionTables;
use super::schema_check::{declares_action, prepare_and_check};
use super::schema_names::SchemaNames;
use super::source_policy::first_line;
pub use super::sources::{MAX_FILE_SIZE, MAX_FILES, MAX_FOLDER_DEPTH, MAX_FOLDER_SIZE};
use super::sources::{SCHEMA_FILE, SourceFiles, is_bundle_file};

/// One validated policy folder, ready to decide.
///
/// A bundle is immutable and shared. Entities and contexts are built on first use and cached, bounded
/// in bytes.
#[derive(Debug)]
pub struct Bundle {
    pub(super) revision: Revision,
    pub(super) schema: Schema,
    pub(super) policies: ValidPolicies,
    pub(super) policy_index: Arc<PolicyIndex>,
    pub(super) schema_names: Arc<SchemaNames>,
    missing_actions: Vec<Action>,
    pub(super) entity_cache: EntityCache,
    pub(super) context_cache: ContextCache,
    pub(super) decision_classes: DecisionClasses,
    pub(super) networks: Arc<Networks>,
    pub(super) authorizer: Authorizer,
    pub(super) reads_address: bool,
    pub(super) administers_by_readers: OnceLock<bool>,
    pub(super) administers_by_attributes: OnceLock<bool>,
    pub(super) entities: BundleEntities,
    access_types: AccessTypes,
    pub(super) question_tables: QuestionTables,
    warnings: Vec<SourceDiagnostic>,
    pub(super) sources: SourceFiles,
}

impl Bundle {
    /// The bundle embedded in the program.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_sources(&SourceFiles::embedded(is_bundle_file)?)
    }

    /// Loads a folder: its `schema.cedarschema`, its `networks.toml` if there is one, and every `.cedar`,
    /// `.links.json` and `.entities.json` file in it and below.
    ///
    /// Hidden files and the folder `invariants` are skipped. Files are at most
    /// [`MAX_FILE_SIZE`] bytes each and [`MAX_FOLDER_SIZE`] together, at most [`MAX_FILES`], with at
    /// most [`MAX_POLICIES`] policies. Fails with every problem of every file.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::from_sources(&SourceFiles::read(folder, is_bundle_file)?)
    }

    pub(super) fn from_sources(sources: &SourceFiles) -> Result<Self, BundleError> {
        Self::build(sources, &Arc::default(), CacheSize::Full)
    }

    /// Builds a bundle; policies that `memory` knows to be valid are not validated again.
    pub(super) fn build(
        sources: &SourceFiles,
        memory: &Arc<ProofMemory>,
        caches: CacheSize,
    ) -> Result<Self, BundleError> {
        let mut problems = sources.problems().to_vec();
        let mut warnings = Vec::new();
        let schema = if sources.has_problem_in(SCHEMA_FILE) {
            None
        } else {
            collect(parse_schema(sources, &mut warnings), &mut problems)
        };
        let networks = Networks::parse(sources).map_err(|found| problems.extend(found));
        let networks = Arc::new(networks.unwrap_or_default());
        let policies = parse_policies(sources, schema.as_ref(), memory)
            .map_err(|found| problems.extend(found))
            .ok();
        let checked = schema.as_ref().and_then(|schema| {
            collect(
                prepare_and_check(sources, schema, &networks, caches),
                &mut problems,
            )
        });
        let entities = schema.as_ref().map_or_else(
            || Ok(BundleEntities::default()),
            |schema| BundleEntities::parse(sources, schema),
        );
        let entities = entities
            .map_err(|found| problems.extend(found))
            .unwrap_or_default();
        let access_types = schema
            .as_ref()
            .map(|schema| AccessTypes::parse(sources, schema))
            .transpose()
            .map_err(|found| problems.extend(found))
            .unwrap_or_default();
        let (access_types, of_names) = access_types.unwrap_or_default();
        warnings.extend(of_names);
        let index = match (&schema, &policies) {
            (Some(schema), Some(policies)) if checked.is_some() => {
                collect(build_index(sources, schema, policies), &mut problems)
            }
            _ => None,
        };
        let (Some(schema), Some(mut policies), Some(checked), Some(index), []) =
            (schema, policies, checked, index, problems.as_slice())
        else {
            return Err(BundleError::Invalid {
                problems: sorted(problems),
            });
        };
        warnings.append(&mut policies.warnings);
        // No scope reads it.
        let reads_address = policies.set.policies().any(|policy| {
            let conditions = policy.as_ref().non_scope_constraints();
            conditions.is_some_and(address::reads_address)
        });
        warnings.extend(undeclared_actions(sources, &schema, &checked.names));
        warnings.extend(checked.words.warnings(sources));
        let missing_actions = Action::OPTIONAL_ACTIONS
            .into_iter()
            .filter(|action| !declares_action(&schema, &checked.names, *action))
            .collect();
        let question_tables = QuestionTables::new(&schema, &index, !networks.is_empty(), caches);
        Ok(Self {
            administers_by_readers: OnceLock::new(),
            administers_by_attributes: OnceLock::new(),
            revision: sources.revision(),
            decision_classes: DecisionClasses::new(&schema, checked.entities.declared(), caches),
            entities: entities.with_policies(&policies.set, &schema),
            schema,
            policies,
            policy_index: Arc::new(index),
            schema_names: checked.names,
            missing_actions,
            entity_cache: checked.entities,
            context_cache: ContextCache::new(checked.words, Arc::clone(&networks), caches),
            networks,
            authorizer: Authorizer::new(),
            reads_address,
            access_types,
            question_tables,
            warnings: sorted(warnings),
            sources: sources.clone(),
        })
    }

    /// The SHA-256 over the names and contents of the bundle's files.
    ///
    /// The path of the folder and its case files have no part in it.
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

    /// Whether a policy reads `context.address`, so that the address may grant something: in a permit,
    /// or in a forbid that spares some addresses.
    #[must_use]
    pub fn reads_address(&self) -> bool {
        self.reads_address
    }

    /// The attributes that the schema declares for datasets and users, beside those that Cedargate fills in.
    #[must_use]
    pub fn declared_attributes(&self) -> &DeclaredAttributes {
        self.entity_cache.declared()
    }

    /// The entities of the author's own types.
    #[must_use]
    pub fn entities(&self) -> &BundleEntities {
        &self.entities
    }

    /// The AuthZEN names of its types and actions.
    #[must_use]
    pub fn access_types(&self) -> &AccessTypes {
        &self.access_types
    }

    /// The warnings of validation.
    #[must_use]
    pub fn warnings(&self) -> &[SourceDiagnostic] {
        &self.warnings
    }

    /// Whether its schema has an action; only [`Action::OPTIONAL_ACTIONS`] can be missing.
    #[must_use]
    pub fn declares(&self, action: Action) -> bool {
        !self.missing_actions.contains(&action)
    }

    /// Whether a permit could apply to the principal and the action, whatever the resource.
    #[must_use]
    pub fn has_permit_for(&self, user: &Arc<User>, action: Action) -> bool {
        let principal = Principal::User(Arc::clone(user));
        let action = self.schema_names.action(action);
        let facts = self.entity_cache.facts(&principal, &Resource::Server, 0);
        facts.is_ok_and(|facts| {
            let Facts {
                principal,
                entities,
                ..
            } = &*facts;
            self.policy_index
                .has_permit_for(principal, &action, entities)
        })
    }

    /// The file with the source text of a policy; for a linked one, that of its template.
    pub(super) fn source_file<'a>(&'a self, policy: &Policy, info: &'a PolicyInfo) -> &'a str {
        let own = info.file.as_str();
        let Some(location) = policy.as_ref().loc().filter(|_| info.template.is_some()) else {
            return own;
        };
        let is_source = |name: &&str| self.file(name).is_some_and(|text| **text == *location.src);
        self.files().find(is_source).unwrap_or(own)
    }

    /// Every policy, by `@id`.
    pub(super) fn policies_with_info(&self) -> impl Iterator<Item = (&Policy, &PolicyInfo)> {
        self.policies().keys().filter_map(|id| self.policy(id))
    }

    /// The policies whose scopes admit one of some actions.
    pub(super) fn policies_for(&self, actions: &[Action]) -> impl Iterator<Item = &Policy> {
        let actions = actions.iter();
        actions.flat_map(|action| {
            let uid = self.schema_names.action(*action);
            self.policy_index.policies_for(&uid).collect::<Vec<_>>()
        })
    }

    /// A policy by its `@id`.
    pub(super) fn policy(&self, id: &str) -> Option<(&Policy, &PolicyInfo)> {
        let policy = self.policies.set.policy(&PolicyId::new(id))?;
        Some((policy, self.policies().get(id)?))
    }

    /// The line that a policy or a link starts on, in the file of its description.
    #[must_use]
    pub fn line_of(&self, id: &str) -> Option<usize> {
        let location = self.policies.locations.get(id)?;
        let text = self.sources.text(&location.file)?;
        Some(line_at(&**text, location.span.start))
    }

    /// A warning at the first line of a policy, a link or a template.
    pub(super) fn warning_at_policy(&self, id: &str, message: String) -> SourceDiagnostic {
        let location = self.policies.locations.get(id);
        let file = location.map_or("", |location| location.file.as_str());
        let label = self.sources.label(file);
        match (location, self.sources.text(file)) {
            (Some(location), Some(text)) => {
                SourceDiagnostic::at_span(&label, text, first_line(text, &location.span), message)
            }
            _ => SourceDiagnostic::for_file(&label, message),
        }
        .into_warning()
    }
}

/// The value, or `None` with one problem more.
fn collect<T>(
    result: Result<T, Box<SourceDiagnostic>>,
    problems: &mut Vec<SourceDiagnostic>,
) -> Option<T> {
    result.map_err(|problem| problems.push(*problem)).ok()
}

/// A warning for each action that the schema lacks, because it was written before there was the action; one for
/// those of AuthZEN.
fn undeclared_actions(
    sources: &SourceFiles,
    schema: &Schema,
    names: &SchemaNames,
) -> Vec<SourceDiagnostic> {
    let label = sources.label(SCHEMA_FILE);
    let is_missing = |action: &Action| !declares_action(schema, names, *action);
    let warning = |message: String| {
        SourceDiagnostic::for_file(&label, message)
            .with_help("copy the declaration and the words of `KeyAction` from the shipped schema.cedarschema")
            .into_warning()
    };
    let relevant = Action::RESTRICTING_ACTIONS
        .into_iter()
        .filter(is_missing)
        .map(|action| {
            warning(format!(
                "the schema does not declare the action `{action}`: whoever may administer_users of a \
                 user may give it any role that leaves it so"
            ))
        });
    // Whoever declares the action means Cedargate's or one of its own, and should know which it is.
    let without_word = Action::KEY_WORD_ACTIONS
        .into_iter()
        .filter(|action| is_missing(action) && schema.actions().any(|it| *it == names.action(*action)))
        .map(|action| {
            warning(format!(
                "the schema declares an action `{action}` of its own: it is Cedargate's only if `KeyAction` lists the word"
            ))
        });
    let is_evaluate_missing = Some(Action::Evaluate).filter(is_missing).map(|action| {
        warning(format!(
            "the schema does not declare the action `{action}`: no service may ask for decisions (AuthZEN)"
        ))
    });
    relevant
        .chain(without_word)
        .chain(is_evaluate_missing)
        .collect()
}

fn build_index(
    sources: &SourceFiles,
    schema: &Schema,
    policies: &ValidPolicies,
) -> Result<PolicyIndex, Box<SourceDiagnostic>> {
    let failed = |error: &dyn std::error::Error| {
        let message = format!("cannot index the policies: {}", error_chain(error));
        Box::new(SourceDiagnostic::for_file(&sources.label(""), message))
    };
    let actions = schema.action_entities().map_err(|error| failed(&error))?;
    PolicyIndex::new(&policies.set, &actions).map_err(|error| failed(&*error))
}

/// Parses the schema, with what the named networks add to it, and adds the warnings of Cedar.
pub(super) fn parse_schema(
    sources: &SourceFiles,
    warnings: &mut Vec<SourceDiagnostic>,
) -> Result<Schema, Box<SourceDiagnostic>> {
    let label = sources.label(SCHEMA_FILE);
    let Some(text) = sources.text(SCHEMA_FILE) else {
        let problem = SourceDiagnostic::for_file(&label, "the policy folder has no schema");
        return Err(Box::new(
            problem.with_help("copy the shipped schema.cedarschema into the folder"),
        ));
    };
    if let Some(problem) = complexity::check(&label, text) {
        return Err(Box::new(problem));
    }
    let (schema, schema_warnings) = Schema::from_cedarschema_str(text)
        .map_err(|error| Box::new(from_cedar(&label, text, &error)))?;
    warnings
        .extend(schema_warnings.map(|warning| from_cedar(&label, text, &warning).into_warning()));
    // What is wrong with the networks is told where they are parsed for the bundle.
    let networks = Networks::parse(sources).unwrap_or_default();
    networks.declare_in(sources, text, schema)
}
