//! The schema check: sample values for everything that Cedargate provides must fit the schema.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cedar_policy::{Context, Request, Schema};
use cedar_policy_core::ast::Eid;
use cedar_policy_core::validator::ValidatorEntityTypeKind;
use strum::VariantArray;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::attributes::AttributeOwner;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;
use crate::domain::id::{ApiKeyId, DatasetId, UserId};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::domain::text_enum::TextEnum;

use super::attributes::DeclaredAttributes;
use super::cache_size::CacheSize;
use super::context::{ContextCache, ContextError};
use super::entities::EntityCache;
use super::enumerations::{ContextWords, Enumeration};
use super::networks::Networks;
use super::schema_names::SchemaNames;
use super::sources::{SCHEMA_FILE, SourceFiles};

/// What a schema that fits the data of Cedargate is used with.
pub(super) struct CheckedSchema {
    pub(super) names: Arc<SchemaNames>,
    pub(super) entities: EntityCache,
    pub(super) words: ContextWords,
}

/// Builds the schema names and the entity cache, and checks samples of all entities, contexts and
/// requests against the schema.
pub(super) fn prepare_and_check(
    sources: &SourceFiles,
    schema: &Schema,
    networks: &Arc<Networks>,
    caches: CacheSize,
) -> Result<CheckedSchema, Box<SourceDiagnostic>> {
    let unfit = |error: &dyn std::error::Error| {
        let message = format!(
            "the schema does not fit the data that Cedargate provides: {}",
            error_chain(error)
        );
        let help =
            "keep the declarations of the shipped schema as they are; add your own beside them";
        Box::new(SourceDiagnostic::for_file(&sources.label(SCHEMA_FILE), message).with_help(help))
    };
    let names = Arc::new(SchemaNames::new().map_err(|error| unfit(&*error))?);
    let entities = EntityCache::new(schema.clone(), Arc::clone(&names), caches)
        .map_err(|error| unfit(&error))?;
    for owner in AttributeOwner::ALL {
        if let Some(problem) = unfillable_attribute(sources, &entities, owner) {
            return Err(Box::new(problem));
        }
    }
    let words = ContextWords::new(schema, &names.action(Action::Read));
    let contexts =
        sample_contexts((schema, networks), &names, &words).map_err(|error| unfit(&error))?;
    for (principal, resource) in sample_pairs(entities.declared()) {
        let facts = entities
            .facts(&principal, &resource, 0)
            .map_err(|error| unfit(&error))?;
        let applicable = Action::VARIANTS
            .iter()
            .filter(|action| is_applicable(&principal, **action, &resource))
            .filter(|action| {
                let is_optional = Action::OPTIONAL_ACTIONS.contains(action);
                !is_optional || declares_action(schema, &names, **action)
            });
        for (action, context) in
            applicable.flat_map(|action| contexts.iter().map(move |context| (action, context)))
        {
            Request::new(
                facts.principal.clone(),
                names.action(*action),
                facts.resource.clone(),
                context.clone(),
                Some(schema),
            )
            .map_err(|error| unfit(&error))?;
        }
    }
    Ok(CheckedSchema {
        names,
        entities,
        words,
    })
}

/// A context for every word of `context.authentication`, and for keys with all and with no limits.
fn sample_contexts(
    (schema, networks): (&Schema, &Arc<Networks>),
    names: &SchemaNames,
    words: &ContextWords,
) -> Result<Vec<Context>, ContextError> {
    let full = sample_key(Some(
        Action::VARIANTS
            .iter()
            .copied()
            .filter(|action| {
                let is_optional = Action::OPTIONAL_ACTIONS.contains(action);
                !is_optional || declares_action(schema, names, *action)
            })
            .collect(),
    ));
    let with_keys = [None, full, sample_key(None)].map(|key| (Authentication::ApiKey, key));
    let without_keys = Authentication::VARIANTS.iter().map(|word| (*word, None));
    with_keys
        .into_iter()
        .chain(without_keys)
        .filter(|(authentication, _)| *authentication != Authentication::CommandLine)
        .map(|(authentication, key)| {
            ContextCache::new(words.clone(), Arc::clone(networks), CacheSize::Small).context(
                &DecisionContext {
                    address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    unix_millis: 0,
                    authentication,
                    key,
                },
            )
        })
        .collect()
}

/// The problem of an attribute that every dataset or user must have and none can.
fn unfillable_attribute(
    sources: &SourceFiles,
    entities: &EntityCache,
    owner: AttributeOwner,
) -> Option<SourceDiagnostic> {
    let mut unfillable = entities.declared().unfillable(owner);
    let (name, cedar, _) = unfillable.find(|(.., is_required)| *is_required)?;
    let message = format!(
        "the schema requires the attribute `{name}` of {owner}, and the catalog has no values of its type \
         {cedar}"
    );
    let help = "make it optional with \"?\" after its name, or give it another type";
    Some(SourceDiagnostic::for_file(&sources.label(SCHEMA_FILE), message).with_help(help))
}

/// Whether a schema has an action. One of the name of an optional action that is for something else is the author's own.
pub(super) fn declares_action(schema: &Schema, names: &SchemaNames, action: Action) -> bool {
    let uid = names.action(action);
    if !Action::OPTIONAL_ACTIONS.contains(&action) {
        return schema.actions().any(|declared| *declared == uid);
    }
    if Action::KEY_WORD_ACTIONS.contains(&action) && !lists_key_action(schema, action) {
        return false;
    }
    let resource = match action {
        Action::AssignRole => "Role",
        Action::Share => "Dataset",
        _ => names.server().type_name().basename(),
    };
    let mut resources = schema.resources_for_action(&uid).into_iter().flatten();
    resources.any(|kind| kind.to_string() == resource)
}

/// Whether the schema lists an action among the words for API keys.
fn lists_key_action(schema: &Schema, action: Action) -> bool {
    let name = Enumeration::KeyAction.type_name();
    let mut types = schema.as_ref().entity_types();
    let listing = types.find(|declared| declared.name().to_string() == name);
    match listing.map(|declared| &declared.kind) {
        Some(ValidatorEntityTypeKind::Enum(words)) => {
            let mut words = words.iter().map(<Eid as AsRef<str>>::as_ref);
            words.any(|word| word == action.as_str())
        }
        Some(ValidatorEntityTypeKind::Standard(_) | ValidatorEntityTypeKind::External) | None => {
            false
        }
    }
}

/// Whether an action applies to a principal and a resource, as in the `appliesTo` of the schema.
pub(super) fn is_applicable(principal: &Principal, action: Action, resource: &Resource) -> bool {
    let is_user = matches!(resource, Resource::User(_) | Resource::ChangedUser(_));
    match action {
        Action::Read | Action::Discover | Action::Administer => {
            matches!(
                resource,
                Resource::Dataset(_) | Resource::DatasetCandidate(_)
            )
        }
        Action::Share => {
            let is_dataset = matches!(
                resource,
                Resource::Dataset(_) | Resource::DatasetCandidate(_)
            );
            !principal.is_anonymous() && is_dataset
        }
        Action::ViewUsers => {
            !principal.is_anonymous() && (is_user || matches!(resource, Resource::Server))
        }
        Action::AdministerUsers => !principal.is_anonymous() && is_user,
        Action::AdministerRoles | Action::AssignRole => {
            !principal.is_anonymous() && matches!(resource, Resource::Role(_))
        }
        Action::ViewDatasets
        | Action::ViewAudit
        | Action::ViewPolicies
        | Action::ReloadPolicies
        | Action::EditPolicies
        | Action::ViewKeys
        | Action::ViewIssuers
        | Action::Evaluate
        | Action::Search
        | Action::AssumeContext => {
            !principal.is_anonymous() && matches!(resource, Resource::Server)
        }
    }
}

/// Every type of principal with every type of resource, each with all and with no optional values.
fn sample_pairs(declared: &DeclaredAttributes) -> Vec<(Principal, Resource)> {
    let users = [true, false].map(|is_full| sample_user(declared, is_full));
    let resources: Vec<Resource> = [true, false]
        .map(|is_full| Resource::Dataset(sample_dataset(declared, is_full)))
        .into_iter()
        .chain(users.iter().flatten().cloned().map(Resource::User))
        .chain("probe".parse().into_iter().map(Resource::Role))
        .chain([Resource::Server])
        .collect();
    let principals = users.into_iter().flatten().map(Principal::User);
    principals
        .chain([Principal::Anonymous])
        .flat_map(|principal| {
            let resources = resources.clone().into_iter();
            resources.map(move |resource| (principal.clone(), resource))
        })
        .collect()
}

fn sample_tags(is_full: bool) -> Tags {
    let values = BTreeSet::from(["probe".to_owned()]);
    let tags = is_full.then(|| ("probe".to_owned(), values));
    tags.into_iter().collect()
}

/// A key that is restricted to some actions and a dataset, or not at all; `Some`, because its parts are valid.
fn sample_key(actions: Option<BTreeSet<Action>>) -> Option<Arc<ApiKey>> {
    let datasets = actions
        .is_some()
        .then(|| BTreeSet::from([DatasetId(uuid::Uuid::nil())]));
    let limit = KeyScope::new(actions, datasets);
    Some(Arc::new(ApiKey {
        id: ApiKeyId(uuid::Uuid::nil()),
        user_id: UserId(uuid::Uuid::nil()),
        name: KeyName::new("probe").ok()?,
        prefix: KeyPrefix::parse("0123456789")?,
        scope: limit.ok()?,
        created_at: 0,
        expires_at: None,
        last_used: None,
    }))
}

/// A user with all optional values or with none; `Some`, because "probe" is a valid name.
fn sample_user(declared: &DeclaredAttributes, is_full: bool) -> Option<Arc<User>> {
    Some(Arc::new(User {
        // Not nil: that is the resource of a user who changes itself.
        id: UserId(uuid::Uuid::from_u128(1 + u128::from(is_full))),
        username: "probe".parse().ok()?,
        issuer: is_full.then(|| "probe".to_owned()),
        roles: "probe".parse().into_iter().filter(|_| is_full).collect(),
        claims: sample_tags(is_full),
        attributes: declared.samples(AttributeOwner::User, is_full),
        display_name: None,
        is_disabled: false,
    }))
}

fn sample_dataset(declared: &DeclaredAttributes, is_full: bool) -> Arc<Dataset> {
    let user = UserId(uuid::Uuid::nil());
    Arc::new(Dataset {
        id: DatasetId(uuid::Uuid::nil()),
        title: "probe".to_owned(),
        visibility: Visibility::Public,
        record_status: RecordStatus::Draft,
        owner: is_full.then_some(user),
        reader_users: is_full.then_some(user).into_iter().collect(),
        reader_roles: "probe".parse().into_iter().filter(|_| is_full).collect(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: sample_tags(is_full),
        attributes: declared.samples(AttributeOwner::Dataset, is_full),
        file: None,
    })
}
