//! Dataset shapes: datasets of which policies can observe the same, whoever asks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Tags;

use crate::service::policies::review::projection::{AttributeViews, VisibleAttributes};

/// Datasets that no policy tells apart.
pub(in crate::service::policies::review) struct DatasetShape {
    /// Their places, in their order.
    pub(in crate::service::policies::review) datasets: Vec<usize>,
    /// The place of their signature.
    pub(in crate::service::policies::review) signature: usize,
    /// Their owner and their readers by name.
    pub(in crate::service::policies::review) related: Vec<RelatedUser>,
}

/// A user who owns the datasets of a shape, or reads them by name.
#[derive(Clone, Copy)]
pub(in crate::service::policies::review) struct RelatedUser {
    /// Its place.
    pub(in crate::service::policies::review) user: usize,
    /// The place of its class.
    pub(in crate::service::policies::review) class: usize,
    /// The place of the outcome for it.
    pub(in crate::service::policies::review) outcome: usize,
}

impl DatasetShape {
    /// One of its datasets.
    pub(in crate::service::policies::review) fn sample(&self) -> Option<usize> {
        self.datasets.first().copied()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct ShapeKey<'a> {
    named: Option<DatasetId>,
    title: Option<&'a str>,
    visibility: Visibility,
    record_status: RecordStatus,
    owner: Option<UserId>,
    reader_users: &'a BTreeSet<UserId>,
    reader_roles: &'a BTreeSet<RoleName>,
    tags: Option<&'a Tags>,
    attributes: Option<VisibleAttributes>,
}

/// The shapes of some datasets, by their places.
pub(in crate::service::policies::review) fn into_shapes(
    chosen: impl Iterator<Item = usize>,
    datasets: &[Arc<Dataset>],
    views: &AttributeViews<'_>,
) -> Vec<DatasetShape> {
    let references = views.references;
    let (reads_title, reads_tags) = (
        references.has_attribute("title"),
        references.has_tags || references.is_everything,
    );
    let declares_any = views.declares_any(AttributeOwner::Dataset);
    let mut shapes: Vec<DatasetShape> = Vec::new();
    let mut places: HashMap<ShapeKey<'_>, usize> = HashMap::new();
    for index in chosen {
        let Some(dataset) = datasets.get(index) else {
            continue;
        };
        let is_named = references.is_everything || references.datasets.contains(&dataset.id);
        let key = ShapeKey {
            named: is_named.then_some(dataset.id),
            title: reads_title.then_some(dataset.title.as_str()),
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            owner: dataset.owner,
            reader_users: &dataset.reader_users,
            reader_roles: &dataset.reader_roles,
            tags: reads_tags.then_some(&dataset.tags),
            attributes: declares_any
                .then(|| views.visible(AttributeOwner::Dataset, &dataset.attributes)),
        };
        let place = *places.entry(key).or_insert(shapes.len());
        match shapes.get_mut(place) {
            Some(shape) => shape.datasets.push(index),
            None => shapes.push(DatasetShape {
                datasets: vec![index],
                signature: 0,
                related: Vec::new(),
            }),
        }
    }
    shapes
}
