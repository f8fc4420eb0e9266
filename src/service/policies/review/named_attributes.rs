//! What the attributes of a catalog name.

use std::sync::Arc;

use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::principal::User;
use crate::policy::attributes::AttributeReferences;

use super::projection::AttributeViews;

/// What the attributes of users and datasets name, as far as policies read them.
pub(super) fn named_by_attributes(
    views: &AttributeViews<'_>,
    users: &[Arc<User>],
    datasets: &[Arc<Dataset>],
) -> Vec<AttributeReferences> {
    let of_users = users
        .iter()
        .filter(|user| !user.attributes.is_empty())
        .flat_map(|user| views.named_by(AttributeOwner::User, &user.attributes));
    let of_datasets = datasets
        .iter()
        .filter(|dataset| !dataset.attributes.is_empty())
        .flat_map(|dataset| views.named_by(AttributeOwner::Dataset, &dataset.attributes));
    of_users.chain(of_datasets).collect()
}
