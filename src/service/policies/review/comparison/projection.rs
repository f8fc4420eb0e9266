//! Projections: what policies can observe of a principal and of a dataset, and nothing else.
//!
//! Cedar compares entities by id alone and has no order of ids. So a decision stays the same when users
//! trade ids, or roles do, as long as the policies name none of them. What counts is which of the
//! principal, the owner and the readers are the same user, which of the principal's roles reads the
//! dataset, and which of them a policy names. Attributes and tags count where policies read them.
//! Policies reach one level deep, so nothing of an owner but its id is ever observed, and no policy can
//! list the roles of a principal. Readers that no policy names, users and roles, cannot be told apart:
//! policies can only ask whether there are any, and whether the principal is among them.

use std::collections::BTreeSet;

use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::policy::references::PolicyReferences;

/// What policies can observe of a user. Users with equal projections are decided alike, if the
/// projections of the dataset for them are equal too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PrincipalProjection {
    named: Option<UserId>,
    username: Option<Username>,
    issuer: Option<String>,
    /// Whether the context shows an external identity provider.
    is_external: bool,
    roles: BTreeSet<RoleName>,
    claims: Option<Tags>,
}

impl PrincipalProjection {
    pub(super) fn new(user: &User, references: &PolicyReferences) -> Self {
        let is_named = references.is_everything || references.users.contains(&user.id);
        Self {
            named: is_named.then_some(user.id),
            username: references
                .has_attribute("username")
                .then(|| user.username.clone()),
            issuer: user
                .issuer
                .clone()
                .filter(|_| references.has_attribute("issuer")),
            is_external: user.issuer.is_some()
                && (references.has_context || references.is_everything),
            roles: named_roles(&user.roles, references),
            claims: has_tags(references).then(|| user.claims.clone()),
        }
    }
}

/// The owner of a dataset, relative to a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OwnerRelation {
    None,
    Principal,
    Named(UserId),
    Other,
}

/// What policies can observe of a dataset, relative to a principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "policies can ask each by itself"
)]
pub(super) struct ResourceProjection {
    named: Option<DatasetId>,
    title: Option<String>,
    visibility: Visibility,
    record_status: RecordStatus,
    tags: Option<Tags>,
    named_reader_roles: BTreeSet<RoleName>,
    has_other_reader_roles: bool,
    reads_by_other_role: bool,
    owner: OwnerRelation,
    named_readers: BTreeSet<UserId>,
    is_reader: bool,
    is_owner_reader: bool,
    has_other_readers: bool,
}

impl ResourceProjection {
    /// The projection for `principal`, a member of `roles`; without a principal, for the members that
    /// neither own the dataset nor are among its readers by name.
    pub(super) fn new(
        dataset: &Dataset,
        principal: Option<UserId>,
        roles: &BTreeSet<RoleName>,
        references: &PolicyReferences,
    ) -> Self {
        let is_named = |user: UserId| references.is_everything || references.users.contains(&user);
        let owner = match dataset.owner {
            None => OwnerRelation::None,
            Some(owner) if Some(owner) == principal => OwnerRelation::Principal,
            Some(owner) if is_named(owner) => OwnerRelation::Named(owner),
            Some(_) => OwnerRelation::Other,
        };
        let readers = &dataset.reader_users;
        let named_readers: BTreeSet<UserId> =
            readers.iter().copied().filter(|id| is_named(*id)).collect();
        let is_reader = |user: Option<UserId>| user.is_some_and(|id| readers.contains(&id));
        let is_dataset_named =
            references.is_everything || references.datasets.contains(&dataset.id);
        Self {
            named: is_dataset_named.then_some(dataset.id),
            title: references
                .has_attribute("title")
                .then(|| dataset.title.clone()),
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            tags: has_tags(references).then(|| dataset.tags.clone()),
            named_reader_roles: named_roles(&dataset.reader_roles, references),
            has_other_reader_roles: unnamed_roles(&dataset.reader_roles, references)
                .next()
                .is_some(),
            reads_by_other_role: is_reader_by_other_role(dataset, roles, references),
            is_reader: is_reader(principal),
            is_owner_reader: is_reader(dataset.owner),
            has_other_readers: readers
                .iter()
                .any(|id| Some(*id) != principal && Some(*id) != dataset.owner && !is_named(*id)),
            owner,
            named_readers,
        }
    }
}

/// Whether one of `roles` that no policy names reads the dataset.
pub(super) fn is_reader_by_other_role(
    dataset: &Dataset,
    roles: &BTreeSet<RoleName>,
    references: &PolicyReferences,
) -> bool {
    unnamed_roles(&dataset.reader_roles, references).any(|role| roles.contains(role))
}

fn is_role_named(role: &RoleName, references: &PolicyReferences) -> bool {
    references.is_everything || references.roles.contains(role)
}

fn named_roles(roles: &BTreeSet<RoleName>, references: &PolicyReferences) -> BTreeSet<RoleName> {
    let named = roles.iter().filter(|role| is_role_named(role, references));
    named.cloned().collect()
}

fn unnamed_roles<'a>(
    roles: &'a BTreeSet<RoleName>,
    references: &'a PolicyReferences,
) -> impl Iterator<Item = &'a RoleName> {
    roles.iter().filter(|role| !is_role_named(role, references))
}

fn has_tags(references: &PolicyReferences) -> bool {
    references.has_tags || references.is_everything
}
