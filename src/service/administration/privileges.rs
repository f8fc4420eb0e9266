//! Privileges: whether one user may do more than another, asked of the policies in force.
//!
//! Who sets somebody's credentials can act as that user, and who changes itself is somebody else to the
//! policies. So neither may lead to an administrative action that the caller is not permitted itself
//! ([`Administration::require_no_greater_user`], [`Administration::require_no_gain`]). What is compared:
//! the actions on the server, on each role, on users as the catalog has them, and `administer` and `share` on datasets
//! without owner and readers, with the tags and attributes that the catalog has if policies ask for them. A role that the caller may take away could be what forbids an action, so a user
//! is compared without such roles too. Reading is not compared, nor what users may do with datasets of their own:
//! it is what makes them different users.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::Dataset;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::storage::UserFilter;

use super::Administration;
use super::operation::AdminOperation;
use super::privilege_questions::{ComparedResources, USER_ACTIONS, describe, sample_datasets};

/// How many users of the catalog are asked about, the first by their ids.
const MAX_COMPARED_USERS: u32 = 1_000;
/// How many sets of tags and attributes of datasets are asked about.
const MAX_COMPARED_DATASETS: u32 = 1_000;
/// How many roles that the caller may take away are left out one by one, besides all of them together.
const MAX_REMOVED_ROLES: usize = 16;

/// A user with the ways in which it may ask.
struct Actor {
    user: Arc<User>,
    contexts: Vec<DecisionContext>,
    scope: KeyScope,
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
        let states = operation.states_without_roles(target);
        let compared = states.into_iter().map(|state| (state, None)).collect();
        let excess = self.find_excess(&authorizer, compared).await?;
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
            before.username == after.username
                && before.claims == after.claims
                && before.attributes == after.attributes
        });
        if is_same_to_policies && !are_roles_counted {
            return Ok(());
        }
        let declared = authorizer.bundle().declared_attributes();
        let blank = || blank_user(after, declared.samples(AttributeOwner::User, false));
        let Some(mut baseline) = before.cloned().or_else(blank) else {
            return Ok(());
        };
        let states = operation.states_without_roles(after);
        let compared = states.into_iter().map(|state| {
            if !is_restricted {
                baseline.roles.clone_from(&state.roles);
            }
            (state, Some(baseline.clone()))
        });
        let excess = self.find_excess(&authorizer, compared.collect()).await?;
        excess.map_or(Ok(()), |(action, what)| {
            let name = &after.username;
            Err(operation.deny_privilege(format!("the user {name} could {action} on {what}")))
        })
    }

    /// An administrative action that a user may do, and neither the caller nor the user beside it, if any.
    async fn find_excess(
        &self,
        authorizer: &Arc<Authorizer>,
        compared: Vec<(User, Option<User>)>,
    ) -> Result<Option<(Action, String)>, ServiceError> {
        let bundle = Arc::clone(authorizer.bundle());
        let actor = |user: &User| Actor::with_all_credentials(user, authorizer);
        let compared: Vec<(Actor, Option<Actor>)> = compared
            .iter()
            .map(|(user, baseline)| (actor(user), baseline.as_ref().map(actor)))
            .collect();
        let are_users_asked = USER_ACTIONS.into_iter().any(|action| {
            let mut subjects = compared.iter();
            subjects.any(|(subject, _)| bundle.has_permit_for(&subject.user, action))
        });
        let resources = ComparedResources {
            roles: self.database.role_names().await?,
            datasets: self.compared_datasets(&bundle).await?,
            users: if are_users_asked {
                let filter = UserFilter::default();
                let records = self.database.list_users(None, MAX_COMPARED_USERS, &filter);
                let records = records.await?.into_iter();
                records.map(|record| Arc::new(record.user)).collect()
            } else {
                Vec::new()
            },
        };
        let find = move |authorizer: &Authorizer, ()| {
            let caller = Actor::caller(authorizer)?;
            compared.iter().find_map(|(subject, baseline)| {
                let may = |actor: &Actor, (action, resource): &(Action, Resource)| {
                    actor.may(&bundle, *action, resource)
                };
                let is_excess = |question: &(Action, Resource)| {
                    let mut others = baseline.iter().chain([&caller]);
                    may(subject, question) && !others.any(|other| may(other, question))
                };
                let is_asked = |action: &Action| bundle.has_permit_for(&subject.user, *action);
                let (action, resource) = resources.questions(&is_asked).find(is_excess)?;
                Some((action, describe(&resource)))
            })
        };
        let turn = authorizer.list_turn().await?;
        let found = authorizer.filter_map(turn, vec![()], find).await?;
        Ok(found.into_iter().next())
    }
}

impl Administration {
    /// The datasets that are asked about: one of each visibility and status, and one of each set of tags and
    /// attributes too if a policy may look at those.
    async fn compared_datasets(&self, bundle: &Bundle) -> Result<Vec<Arc<Dataset>>, ServiceError> {
        let required = bundle
            .declared_attributes()
            .samples(AttributeOwner::Dataset, false);
        let mut datasets = sample_datasets(&required);
        if bundle.administers_by_attributes() {
            let described = self.database.describe_datasets(MAX_COMPARED_DATASETS);
            datasets.extend(described.await?.into_iter().map(Arc::new));
        }
        Ok(datasets)
    }
}

impl AdminOperation {
    /// A user as it is, and as it would be without roles that the caller may take away.
    fn states_without_roles(&self, user: &User) -> Vec<User> {
        let authorizer = self.authorizer();
        let is_asked = authorizer.is_some_and(|a| a.bundle().declares(Action::AssignRole));
        let may_take = |role: &&RoleName| {
            !is_asked || self.is_permitted(Action::AssignRole, &Resource::Role((*role).clone()))
        };
        let removable: BTreeSet<RoleName> = user.roles.iter().filter(may_take).cloned().collect();
        let one_by_one = removable.iter().take(MAX_REMOVED_ROLES);
        let removed = one_by_one.map(|role| BTreeSet::from([role.clone()]));
        let removed = removed.chain([removable.clone()]);
        let mut states = vec![user.clone()];
        states.extend(removed.map(|removed| User {
            roles: user.roles.difference(&removed).cloned().collect(),
            ..user.clone()
        }));
        states.dedup_by(|one, other| one.roles == other.roles);
        states
    }

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

/// The user before there is one: of the same kind, of no name and claims that policies could mean, and of no
/// attributes but those that the schema requires.
fn blank_user(user: &User, attributes: Attributes) -> Option<User> {
    Some(User {
        username: meaningless_name()?,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes,
        ..user.clone()
    })
}

/// Somebody of whom policies know no more than that it signed in: with no roles and claims, of no id and name that they
/// could mean, and of no attributes but those that the schema requires.
pub(super) fn nameless_user(bundle: &Bundle) -> Option<User> {
    let declared = bundle.declared_attributes();
    Some(User {
        id: UserId::random(),
        username: meaningless_name()?,
        issuer: None,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes: declared.samples(AttributeOwner::User, false),
        display_name: None,
        is_disabled: false,
    })
}

fn meaningless_name() -> Option<Username> {
    let name = format!("user-{}", UserId::random().0.simple());
    name.parse().ok()
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
