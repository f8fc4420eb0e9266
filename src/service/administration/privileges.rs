//! Privileges: whether one user may do more than another, asked of the policies in force.
//!
//! Who sets somebody's credentials can act as that user, and who changes itself is somebody else to the
//! policies. So neither may lead to an administrative action that the caller is not permitted itself
//! ([`Administration::require_no_greater_user`], [`Administration::require_no_gain`]). What is compared:
//! the actions on the server, on each role, on users as the catalog has them, and `administer` on datasets
//! without owner and readers. Reading is not compared, nor what users may do with datasets of their own:
//! it is what makes them different users.

use std::sync::{Arc, LazyLock};

use strum::VariantArray;
use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{ApiKeyId, DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::storage::UserFilter;

use super::Administration;
use super::operation::AdminOperation;

/// How many users of the catalog are asked about, the first by their ids.
const MAX_COMPARED_USERS: u32 = 1_000;

/// The administrative actions on the server.
const SERVER_ACTIONS: [Action; 7] = [
    Action::ViewUsers,
    Action::ViewDatasets,
    Action::ViewAudit,
    Action::ViewPolicies,
    Action::ReloadPolicies,
    Action::ViewKeys,
    Action::ViewIssuers,
];
/// The administrative actions on a user.
const USER_ACTIONS: [Action; 2] = [Action::ViewUsers, Action::AdministerUsers];
/// The administrative actions on a role.
const ROLE_ACTIONS: [Action; 2] = [Action::AdministerRoles, Action::AssignRole];

/// A dataset of each visibility and status, without owner and readers; the same ones each time, so that
/// their entities are cached once.
static SAMPLE_DATASETS: LazyLock<Vec<Arc<Dataset>>> = LazyLock::new(|| {
    let of_visibility = |visibility: &Visibility| {
        RecordStatus::VARIANTS
            .iter()
            .map(|record_status| sample_dataset(*visibility, *record_status))
            .collect::<Vec<_>>()
    };
    Visibility::VARIANTS
        .iter()
        .flat_map(of_visibility)
        .collect()
});

/// A user with the ways in which it may ask.
struct Actor {
    user: Arc<User>,
    contexts: Vec<DecisionContext>,
    scope: KeyScope,
}

/// What the comparison asks about.
struct ComparedResources {
    roles: Vec<RoleName>,
    users: Vec<Arc<User>>,
}

impl Administration {
    /// Requires that `target`, whose credentials the caller is about to set, may not do more than the caller.
    ///
    /// Nor may it have a role that the caller neither has nor may give.
    pub(super) async fn require_no_greater_user(
        &self,
        operation: &AdminOperation,
        target: &User,
    ) -> Result<(), ServiceError> {
        let Some(authorizer) = operation.authorizer() else {
            return Ok(());
        };
        if let Some(role) = operation.first_ungivable_role(target) {
            return Err(operation.deny_privilege(format!(
                "the user {} has the role {role}, which the caller may not give",
                target.username
            )));
        }
        let excess = self.find_excess(&authorizer, target, None).await?;
        excess.map_or(Ok(()), |(action, what)| {
            let name = &target.username;
            Err(operation.deny_privilege(format!("the user {name} may {action} on {what}")))
        })
    }

    /// Requires that the attributes of a new or changed user permit nothing that the caller may not do.
    ///
    /// For roles, `assign_role` is asked, and then not counted here, except for a restricted API key: what it
    /// gives must not be beyond its restrictions.
    pub(super) async fn require_no_gain(
        &self,
        operation: &AdminOperation,
        before: Option<&User>,
        after: &User,
    ) -> Result<(), ServiceError> {
        let Some(authorizer) = operation.authorizer() else {
            return Ok(());
        };
        let is_restricted = operation.has_restricted_key();
        let are_roles_counted = is_restricted && before.is_none_or(|b| b.roles != after.roles);
        let is_same_to_policies = before.is_some_and(|before| {
            before.username == after.username && before.claims == after.claims
        });
        if is_same_to_policies && !are_roles_counted {
            return Ok(());
        }
        let Some(mut baseline) = before.cloned().or_else(|| blank_user(after)) else {
            return Ok(());
        };
        if !is_restricted {
            baseline.roles.clone_from(&after.roles);
        }
        let excess = self.find_excess(&authorizer, after, Some(baseline)).await?;
        excess.map_or(Ok(()), |(action, what)| {
            let name = &after.username;
            Err(operation.deny_privilege(format!("the user {name} could {action} on {what}")))
        })
    }

    /// An administrative action that `subject` may do, and neither the caller nor `baseline`.
    async fn find_excess(
        &self,
        authorizer: &Arc<Authorizer>,
        subject: &User,
        baseline: Option<User>,
    ) -> Result<Option<(Action, String)>, ServiceError> {
        let bundle = Arc::clone(authorizer.bundle());
        let subject = Actor::with_all_credentials(subject, authorizer);
        let compared = ComparedResources {
            roles: self.database.role_names().await?,
            users: if USER_ACTIONS
                .into_iter()
                .any(|action| bundle.has_permit_for(&subject.user, action))
            {
                let filter = UserFilter::default();
                let records = self.database.list_users(None, MAX_COMPARED_USERS, &filter);
                let records = records.await?.into_iter();
                records.map(|record| Arc::new(record.user)).collect()
            } else {
                Vec::new()
            },
        };
        let baseline = baseline.map(|user| Actor::with_all_credentials(&user, authorizer));
        let find = move |authorizer: &Authorizer, ()| {
            let caller = Actor::caller(authorizer)?;
            let is_excess = |(action, resource): &(Action, Resource)| {
                subject.may(&bundle, *action, resource)
                    && !caller.may(&bundle, *action, resource)
                    && baseline
                        .as_ref()
                        .is_none_or(|user| !user.may(&bundle, *action, resource))
            };
            let actions = |action: &Action| bundle.has_permit_for(&subject.user, *action);
            let excess = compared.questions(&actions).find(is_excess)?;
            Some((excess.0, describe(&excess.1)))
        };
        let found = authorizer.filter_map(vec![()], find).await?;
        Ok(found.into_iter().next())
    }
}

impl AdminOperation {
    /// A role of a user that the caller neither has itself nor may give.
    fn first_ungivable_role<'a>(&self, target: &'a User) -> Option<&'a RoleName> {
        let authorizer = self.authorizer()?;
        if !authorizer.bundle().declares(Action::AssignRole) {
            return None;
        }
        let own = match &authorizer.caller.principal {
            Principal::User(user) if !self.has_restricted_key() => Some(&user.roles),
            Principal::User(_) | Principal::Anonymous => None,
        };
        target.roles.iter().find(|role| {
            own.is_none_or(|own| !own.contains(*role))
                && !self.is_permitted(Action::AssignRole, &Resource::Role((*role).clone()))
        })
    }
}

impl Actor {
    /// The caller as it asks; with anything but a restricted API key, it could make itself a key.
    fn caller(authorizer: &Authorizer) -> Option<Self> {
        let caller = &authorizer.caller;
        let Principal::User(user) = &caller.principal else {
            return None;
        };
        let context = authorizer.context().clone();
        let scope = caller.key.as_ref().map(|key| key.scope.clone());
        let scope = scope.unwrap_or_default();
        let mut contexts = vec![context.clone()];
        if scope.is_unrestricted() {
            contexts.extend(context_of_new_key(user.id, &context));
        }
        Some(Self {
            user: Arc::clone(user),
            contexts,
            scope,
        })
    }

    /// Somebody with every credential that the user can have, at the caller's address. It counts as enabled:
    /// what it may do is not forgotten while it is disabled.
    fn with_all_credentials(user: &User, authorizer: &Authorizer) -> Self {
        let authentication = match &user.issuer {
            Some(_) => Authentication::Issuer,
            None => Authentication::Password,
        };
        let context = DecisionContext {
            authentication,
            key: None,
            ..authorizer.context().clone()
        };
        let with_key = context_of_new_key(user.id, &context);
        Self {
            user: Arc::new(User {
                is_disabled: false,
                ..user.clone()
            }),
            contexts: std::iter::once(context).chain(with_key).collect(),
            scope: KeyScope::default(),
        }
    }

    fn may(&self, bundle: &Bundle, action: Action, resource: &Resource) -> bool {
        if self
            .scope
            .violation(action, resource.dataset_id())
            .is_some()
        {
            return false;
        }
        let own = match resource {
            Resource::User(user) if user.id == self.user.id => {
                Some(Resource::User(Arc::clone(&self.user)))
            }
            _ => None,
        };
        let resource = own.as_ref().unwrap_or(resource);
        let principal = Principal::User(Arc::clone(&self.user));
        let mut contexts = self.contexts.iter();
        contexts.any(|context| {
            let decision = bundle.decide(&principal, action, resource, context);
            decision.is_permitted
        })
    }
}

impl ComparedResources {
    /// The questions about the actions that `is_asked` lets pass.
    fn questions(
        &self,
        is_asked: &impl Fn(&Action) -> bool,
    ) -> impl Iterator<Item = (Action, Resource)> {
        let asked = |actions: &[Action]| -> Vec<Action> {
            let actions = actions.iter().copied();
            actions.filter(is_asked).collect()
        };
        let on_server = asked(&SERVER_ACTIONS)
            .into_iter()
            .map(|action| (action, Resource::Server));
        let role_actions = asked(&ROLE_ACTIONS);
        let on_roles = self.roles.iter().flat_map(move |role| {
            let role = Resource::Role(role.clone());
            let actions = role_actions.clone().into_iter();
            actions.map(move |action| (action, role.clone()))
        });
        let on_datasets = asked(&[Action::Administer]).into_iter().flat_map(|action| {
            let datasets = SAMPLE_DATASETS.iter();
            datasets.map(move |dataset| (action, Resource::Dataset(Arc::clone(dataset))))
        });
        let user_actions = asked(&USER_ACTIONS);
        let on_users = self.users.iter().flat_map(move |user| {
            let user = Resource::User(Arc::clone(user));
            let actions = user_actions.clone().into_iter();
            actions.map(move |action| (action, user.clone()))
        });
        on_server.chain(on_roles).chain(on_datasets).chain(on_users)
    }
}

/// The user before there is one: of the same kind, and of no name and claims that policies could mean.
fn blank_user(user: &User) -> Option<User> {
    let name = format!("user-{}", UserId::random().0.simple());
    Some(User {
        username: name.parse().ok()?,
        roles: std::collections::BTreeSet::new(),
        claims: Tags::new(),
        ..user.clone()
    })
}

/// The context of an unrestricted API key that the user would make.
fn context_of_new_key(user_id: UserId, context: &DecisionContext) -> Option<DecisionContext> {
    let key = ApiKey {
        // Contexts are cached by this id; an unrestricted key has the same one for everybody.
        id: ApiKeyId(Uuid::nil()),
        user_id,
        name: KeyName::new("new").ok()?,
        prefix: KeyPrefix::parse("0000000000")?,
        scope: KeyScope::default(),
        created_at: 0,
        expires_at: None,
        last_used: None,
    };
    Some(DecisionContext {
        authentication: Authentication::ApiKey,
        key: Some(Arc::new(key)),
        ..context.clone()
    })
}

fn sample_dataset(visibility: Visibility, record_status: RecordStatus) -> Arc<Dataset> {
    Arc::new(Dataset {
        id: DatasetId(Uuid::nil()),
        title: String::new(),
        visibility,
        record_status,
        owner: None,
        reader_users: std::collections::BTreeSet::new(),
        reader_roles: std::collections::BTreeSet::new(),
        tags: Tags::new(),
        file: None,
    })
}

fn describe(resource: &Resource) -> String {
    match resource {
        Resource::Dataset(dataset) | Resource::DatasetCandidate(dataset) => {
            format!("{} datasets", dataset.visibility)
        }
        Resource::User(user) | Resource::ChangedUser(user) => format!("the user {}", user.username),
        Resource::Role(role) => format!("the role {role}"),
        Resource::Server => "the server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_administrative_action_is_compared() {
        for action in Action::VARIANTS {
            let is_compared = SERVER_ACTIONS.contains(action)
                || USER_ACTIONS.contains(action)
                || ROLE_ACTIONS.contains(action);
            let is_on_datasets = Action::DATASET_ACTIONS.contains(action);
            assert_ne!(is_compared, is_on_datasets, "{action}");
        }
    }
}
