//! Bundles: one schema and its policies, valid together.
//!
//! A folder becomes a bundle whole or not at all. What policies may look at (see
//! `schema.cedarschema`) is checked too: a schema that no longer fits what the program fills in is
//! refused when it is loaded, not when the first decision fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Authorizer, Request, Schema};

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyLimit, KeyName, KeyPrefix};
use crate::domain::caller::{Authentication, Context};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::decision::Revision;
use crate::domain::id::{ApiKeyId, DatasetId, UserId};
use crate::domain::principal::{Principal, Tags, User};

use super::circumstances::Circumstances;
use super::entities::Preparations;
use super::policies::{self, Policies};
pub use super::policies::{LONGEST_POLICY_ID, ListedPolicy, MOST_POLICIES};
use super::problem::{BundleError, Problem, in_reading_order, with_causes};
pub use super::sources::{DEEPEST_FOLDER, LARGEST_FILE, LARGEST_FOLDER, MOST_FILES};
use super::sources::{SCHEMA_FILE, Sources, is_bundle_file};
use super::vocabulary::Vocabulary;

/// One validated policy folder, ready to decide.
///
/// Bundles are made once and shared; what decisions look at is prepared on first use and kept
/// inside, bounded in number. A new bundle starts with nothing prepared.
#[derive(Debug)]
pub struct Bundle {
    pub(super) revision: Revision,
    pub(super) schema: Schema,
    pub(super) policies: Policies,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) preparations: Preparations,
    pub(super) circumstances: Circumstances,
    pub(super) authorizer: Authorizer,
    warnings: Vec<Problem>,
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

    fn from_sources(sources: &Sources) -> Result<Self, BundleError> {
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
        match (made, policies) {
            (Some((schema, vocabulary, preparations)), Some(mut policies))
                if problems.is_empty() =>
            {
                warnings.append(&mut policies.warnings);
                Ok(Self {
                    revision: sources.revision(),
                    schema,
                    policies,
                    vocabulary,
                    preparations,
                    circumstances: Circumstances::new(),
                    authorizer: Authorizer::new(),
                    warnings: in_reading_order(warnings),
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

    /// What validation warns of without refusing the bundle.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

fn read_schema(sources: &Sources, warnings: &mut Vec<Problem>) -> Result<Schema, Box<Problem>> {
    let label = sources.label(SCHEMA_FILE);
    let Some(text) = sources.text(SCHEMA_FILE) else {
        let problem = Problem::of_file(&label, "the policy folder has no schema");
        return Err(Box::new(
            problem.with_help("copy the shipped schema.cedarschema into it"),
        ));
    };
    let (schema, said) = Schema::from_cedarschema_str(text)
        .map_err(|error| Box::new(Problem::from_cedar(&label, text, &error)))?;
    warnings.extend(said.map(|warning| Problem::from_cedar(&label, text, &warning).into_warning()));
    Ok(schema)
}

/// Makes what decisions need, and tries it on a probe of everything that the program fills in.
fn prepare(
    sources: &Sources,
    schema: &Schema,
) -> Result<(Arc<Vocabulary>, Preparations), Box<Problem>> {
    let unfit = |error: &dyn std::error::Error| {
        let message = format!(
            "the schema does not fit what Cedargate fills in: {}",
            with_causes(error)
        );
        let help = "keep what the shipped schema declares; what you add must be optional";
        Box::new(Problem::of_file(&sources.label(SCHEMA_FILE), message).with_help(help))
    };
    let vocabulary = Arc::new(Vocabulary::new().map_err(|error| unfit(&*error))?);
    let preparations = Preparations::new(schema.clone(), Arc::clone(&vocabulary))
        .map_err(|error| unfit(&error))?;
    let mut contexts = Vec::new();
    for key in [None, Some(probe_key(true)), Some(probe_key(false))] {
        let circumstances = Circumstances::new();
        let context = Context {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            unix_millis: 0,
            authentication: Authentication::None,
            key: key.flatten(),
        };
        contexts.push(circumstances.context(&context).map_err(|e| unfit(&e))?);
    }
    for principal in [Principal::Anonymous, probe_user(true), probe_user(false)] {
        for dataset in [probe_dataset(true), probe_dataset(false)] {
            let facts = preparations
                .facts(&principal, &dataset)
                .map_err(|error| unfit(&error))?;
            for (action, context) in Action::ALL
                .iter()
                .flat_map(|action| contexts.iter().map(move |context| (action, context)))
            {
                Request::new(
                    facts.principal.clone(),
                    vocabulary.action(*action).clone(),
                    facts.resource.clone(),
                    context.clone(),
                    Some(schema),
                )
                .map_err(|error| unfit(&error))?;
            }
        }
    }
    Ok((vocabulary, preparations))
}

fn probe_tags(is_full: bool) -> Tags {
    let values = BTreeSet::from(["probe".to_owned()]);
    let tags = is_full.then(|| ("probe".to_owned(), values));
    tags.into_iter().collect()
}

/// A key with every limit or with none; its parts are valid, so there is always one.
fn probe_key(is_full: bool) -> Option<Arc<ApiKey>> {
    let limit = KeyLimit::new(
        is_full.then(|| Action::ALL.iter().copied().collect()),
        is_full.then(|| BTreeSet::from([DatasetId(uuid::Uuid::nil())])),
    );
    Some(Arc::new(ApiKey {
        id: ApiKeyId(uuid::Uuid::nil()),
        user_id: UserId(uuid::Uuid::nil()),
        name: KeyName::new("probe").ok()?,
        prefix: KeyPrefix::read("0123456789")?,
        limit: limit.ok()?,
        created_at: 0,
        expires_at: None,
        last_used: None,
    }))
}

fn probe_user(is_full: bool) -> Principal {
    // "probe" is a name; were it none, there would be no user to try the schema with.
    let Ok(username) = "probe".parse() else {
        return Principal::Anonymous;
    };
    Principal::User(Arc::new(User {
        id: UserId(uuid::Uuid::nil()),
        username,
        issuer: is_full.then(|| "probe".to_owned()),
        roles: "probe".parse().into_iter().filter(|_| is_full).collect(),
        claims: probe_tags(is_full),
        is_disabled: false,
    }))
}

fn probe_dataset(is_full: bool) -> Arc<Dataset> {
    let nobody = UserId(uuid::Uuid::nil());
    Arc::new(Dataset {
        id: DatasetId(uuid::Uuid::nil()),
        title: "probe".to_owned(),
        visibility: Visibility::Public,
        record_status: RecordStatus::Draft,
        owner: is_full.then_some(nobody),
        reader_users: is_full.then_some(nobody).into_iter().collect(),
        reader_roles: "probe".parse().into_iter().filter(|_| is_full).collect(),
        tags: probe_tags(is_full),
        file: None,
    })
}
