//! The projections of shapes by their places: what shapes have in common.

use std::collections::{BTreeSet, HashMap};

use crate::domain::dataset::Dataset;
use crate::domain::name::RoleName;
use crate::domain::principal::User;

use crate::service::policies::review::projection::{
    AttributeViews, ResourceProjection, has_other_readers, is_reader_by_other_role,
};

/// The places of projections, of sets of reader roles and of signatures.
#[derive(Default)]
pub(super) struct ShapeProjector {
    resources: HashMap<ResourceProjection, usize>,
    own: HashMap<OwnProjectionKey, usize>,
    pub(super) reader_roles: HashMap<BTreeSet<RoleName>, usize>,
    pub(super) signatures: HashMap<(usize, usize, usize), usize>,
}

/// In what the projection of a dataset for its owner or a reader by name, whom no policy names, differs from that for
/// others.
#[derive(PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "policies can ask each by itself"
)]
struct OwnProjectionKey {
    others: usize,
    is_owner: bool,
    is_reader: bool,
    reads_by_other_role: bool,
    has_other_readers: bool,
}

impl ShapeProjector {
    /// The place of a projection.
    pub(super) fn resource(&mut self, resource: ResourceProjection) -> usize {
        let next = self.resources.len();
        *self.resources.entry(resource).or_insert(next)
    }

    /// The place of a dataset's projection for its owner or a reader by name; `others` is that for others.
    pub(super) fn own(
        &mut self,
        others: Option<usize>,
        dataset: &Dataset,
        user: &User,
        views: &AttributeViews<'_>,
    ) -> usize {
        let references = views.references;
        let is_named = references.is_everything || references.users.contains(&user.id);
        let key = others.filter(|_| !is_named).map(|others| OwnProjectionKey {
            others,
            is_owner: dataset.owner == Some(user.id),
            is_reader: dataset.reader_users.contains(&user.id),
            reads_by_other_role: is_reader_by_other_role(dataset, &user.roles, references),
            has_other_readers: has_other_readers(dataset, Some(user.id), references),
        });
        if let Some(known) = key.as_ref().and_then(|key| self.own.get(key)) {
            return *known;
        }
        let own = ResourceProjection::new(dataset, Some(user.id), &user.roles, views);
        let index = self.resource(own);
        self.own.extend(key.map(|key| (key, index)));
        index
    }
}
