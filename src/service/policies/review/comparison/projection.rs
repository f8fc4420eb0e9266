//! What policies can see of a principal and of a dataset, and nothing else.
//!
//! Cedar compares entities by name alone and has no order of names. So a decision stays the same when
//! users trade names, or roles do, as long as the policies name none of them: what counts is who of the
//! asker, the owner and the readers is the same user, which of the asker's roles reads the dataset, and
//! who of them is named in a policy. Attributes and tags count where policies read them. Policies reach
//! one level deep, so nothing of an owner but its name is ever looked at, and no policy can list the
//! roles of a principal. Readers that no policy names, users and roles, are told apart from nobody: all
//! that can be asked of them is whether there are any, and whether the asker is among them.

use std::collections::BTreeSet;

use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::policy::references::PolicyReferences;

/// What can be seen of a user: users with one face are decided alike where
/// they stand alike to a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PrincipalProjection {
    named: Option<UserId>,
    username: Option<Username>,
    issuer: Option<String>,
    /// The context tells how the user authenticates.
    is_external: bool,
    roles: BTreeSet<RoleName>,
    claims: Option<Tags>,
}

impl PrincipalProjection {
    pub(super) fn new(user: &User, mentions: &PolicyReferences) -> Self {
        let is_named = mentions.is_everything || mentions.users.contains(&user.id);
        Self {
            named: is_named.then_some(user.id),
            username: mentions
                .has_attribute("username")
                .then(|| user.username.clone()),
            issuer: user
                .issuer
                .clone()
                .filter(|_| mentions.has_attribute("issuer")),
            is_external: user.issuer.is_some() && (mentions.has_context || mentions.is_everything),
            roles: named_roles(&user.roles, mentions),
            claims: has_tags(mentions).then(|| user.claims.clone()),
        }
    }
}

/// Who owns a dataset, as an asker stands to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum OwnerRelation {
    None,
    Principal,
    Named(UserId),
    Other,
}

/// What can be seen of a dataset by an asker who stands to it in one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something by itself that policies can ask"
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
    /// What `asker`, a member of `roles`, sees; without an asker, what those members see who neither
    /// own the dataset nor are its readers by name.
    pub(super) fn new(
        dataset: &Dataset,
        asker: Option<UserId>,
        roles: &BTreeSet<RoleName>,
        mentions: &PolicyReferences,
    ) -> Self {
        let is_named = |user: UserId| mentions.is_everything || mentions.users.contains(&user);
        let owner = match dataset.owner {
            None => OwnerRelation::None,
            Some(owner) if Some(owner) == asker => OwnerRelation::Principal,
            Some(owner) if is_named(owner) => OwnerRelation::Named(owner),
            Some(_) => OwnerRelation::Other,
        };
        let readers = &dataset.reader_users;
        let named_readers: BTreeSet<UserId> =
            readers.iter().copied().filter(|id| is_named(*id)).collect();
        let is_reader = |user: Option<UserId>| user.is_some_and(|id| readers.contains(&id));
        let is_dataset_named = mentions.is_everything || mentions.datasets.contains(&dataset.id);
        Self {
            named: is_dataset_named.then_some(dataset.id),
            title: mentions
                .has_attribute("title")
                .then(|| dataset.title.clone()),
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            tags: has_tags(mentions).then(|| dataset.tags.clone()),
            named_reader_roles: named_roles(&dataset.reader_roles, mentions),
            has_other_reader_roles: unnamed_roles(&dataset.reader_roles, mentions)
                .next()
                .is_some(),
            reads_by_other_role: is_reader_by_other_role(dataset, roles, mentions),
            is_reader: is_reader(asker),
            is_owner_reader: is_reader(dataset.owner),
            has_other_readers: readers
                .iter()
                .any(|id| Some(*id) != asker && Some(*id) != dataset.owner && !is_named(*id)),
            owner,
            named_readers,
        }
    }
}

/// Whether one of `roles` reads the dataset that no policy names.
pub(super) fn is_reader_by_other_role(
    dataset: &Dataset,
    roles: &BTreeSet<RoleName>,
    mentions: &PolicyReferences,
) -> bool {
    unnamed_roles(&dataset.reader_roles, mentions).any(|role| roles.contains(role))
}

fn is_role_named(role: &RoleName, mentions: &PolicyReferences) -> bool {
    mentions.is_everything || mentions.roles.contains(role)
}

fn named_roles(roles: &BTreeSet<RoleName>, mentions: &PolicyReferences) -> BTreeSet<RoleName> {
    let named = roles.iter().filter(|role| is_role_named(role, mentions));
    named.cloned().collect()
}

fn unnamed_roles<'a>(
    roles: &'a BTreeSet<RoleName>,
    mentions: &'a PolicyReferences,
) -> impl Iterator<Item = &'a RoleName> {
    roles.iter().filter(|role| !is_role_named(role, mentions))
}

fn has_tags(mentions: &PolicyReferences) -> bool {
    mentions.has_tags || mentions.is_everything
}
