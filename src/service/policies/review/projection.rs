//! Projections: what policies can observe of a principal and of a dataset, and nothing else.
//!
//! Cedar compares entities by id alone and has no order of ids. So a decision stays the same when users
//! trade ids, or roles do, as long as the policies name none of them. What counts is which of the
//! principal, the owner and the readers are the same user, which of the principal's roles reads the
//! dataset, and which of them a policy names. Attributes and tags count where policies read them; what such an
//! attribute names (a user, a role, a dataset) counts as named.
//! Policies reach one level deep, so nothing of an owner but its id is ever observed, and no policy can
//! list the roles of a principal. Readers that no policy names, users and roles, cannot be told apart:
//! policies can only ask whether there are any, and whether the principal is among them.

use std::collections::BTreeSet;

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::policy::attributes::{AttributeReferences, DeclaredAttributes};
use crate::policy::references::PolicyReferences;

/// What the sides of a review can observe of attributes that their schemas declare.
pub(super) struct AttributeViews<'a> {
    /// The schema of each side: one, or those before and after an edit.
    pub(super) schemas: Vec<&'a DeclaredAttributes>,
    /// What the policies of any side refer to.
    pub(super) references: &'a PolicyReferences,
}

/// The attributes that policies read, and whether all of them fit each schema: what does not fit is denied whatever
/// policies read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct VisibleAttributes {
    values: Attributes,
    fits: Vec<bool>,
}

impl AttributeViews<'_> {
    /// Whether any schema declares attributes.
    pub(super) fn declares_any(&self, owner: AttributeOwner) -> bool {
        let mut schemas = self.schemas.iter();
        schemas.any(|schema| schema.names(owner).next().is_some())
    }

    pub(super) fn visible(
        &self,
        owner: AttributeOwner,
        attributes: &Attributes,
    ) -> VisibleAttributes {
        if !self.declares_any(owner) {
            return VisibleAttributes::default();
        }
        let read = attributes.iter();
        let read = read.filter(|(name, _)| self.references.has_attribute(name));
        VisibleAttributes {
            values: read
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            fits: self
                .schemas
                .iter()
                .map(|schema| schema.fits(owner, attributes))
                .collect(),
        }
    }

    /// The users, datasets and roles that attributes refer to, and that policies can compare others with.
    pub(super) fn named_by(
        &self,
        owner: AttributeOwner,
        attributes: &Attributes,
    ) -> Vec<AttributeReferences> {
        let read: Attributes = self.visible(owner, attributes).values;
        if read.is_empty() {
            return Vec::new();
        }
        let referred = |schema: &&DeclaredAttributes| schema.references(owner, &read);
        self.schemas.iter().map(referred).collect()
    }
}

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
    attributes: VisibleAttributes,
}

impl PrincipalProjection {
    pub(super) fn new(user: &User, views: &AttributeViews<'_>) -> Self {
        let references = views.references;
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
            attributes: views.visible(AttributeOwner::User, &user.attributes),
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
    attributes: VisibleAttributes,
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
        views: &AttributeViews<'_>,
    ) -> Self {
        let references = views.references;
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
            attributes: views.visible(AttributeOwner::Dataset, &dataset.attributes),
            named_reader_roles: named_roles(&dataset.reader_roles, references),
            has_other_reader_roles: has_other_reader_role(dataset, references),
            reads_by_other_role: is_reader_by_other_role(dataset, roles, references),
            is_reader: is_reader(principal),
            is_owner_reader: is_reader(dataset.owner),
            has_other_readers: has_other_readers(dataset, principal, references),
            owner,
            named_readers,
        }
    }
}

/// Whether somebody else reads the dataset by name, whom no policy names and who does not own it.
pub(super) fn has_other_readers(
    dataset: &Dataset,
    principal: Option<UserId>,
    references: &PolicyReferences,
) -> bool {
    let is_named = |user: UserId| references.is_everything || references.users.contains(&user);
    let mut readers = dataset.reader_users.iter().copied();
    readers.any(|id| Some(id) != principal && Some(id) != dataset.owner && !is_named(id))
}

/// Whether a role that no policy names reads the dataset.
pub(super) fn has_other_reader_role(dataset: &Dataset, references: &PolicyReferences) -> bool {
    unnamed_roles(&dataset.reader_roles, references)
        .next()
        .is_some()
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
