//! The rows of a matrix: which datasets a question is about, and in which groups.

use std::collections::BTreeSet;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use strum::VariantArray as _;

use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::UserId;
use crate::domain::name::Username;

use super::keys::DatasetKey;
use super::query::{DatasetGrouping, MatrixCatalog, MatrixError};
use super::report::MatrixRow;

/// The datasets that take part.
pub(super) struct ChosenDatasets {
    /// For each dataset whether it does.
    pub(super) datasets: Vec<bool>,
}

/// A row, and the places of its datasets.
pub(super) struct MatrixRowGroup {
    pub(super) key: DatasetKey,
    pub(super) members: Vec<usize>,
}

impl ChosenDatasets {
    /// Those which are in all groups of some keys.
    pub(super) fn new(catalog: &MatrixCatalog, within: &[DatasetKey]) -> Result<Self, MatrixError> {
        let all = &catalog.compared.datasets;
        let mut datasets = vec![true; all.len()];
        for key in within {
            let mut is_known =
                matches!(key, DatasetKey::Visibility(_) | DatasetKey::RecordStatus(_));
            for (dataset, chosen) in all.iter().zip(&mut datasets) {
                let is_in = is_in_group(dataset, key);
                is_known |= is_in;
                *chosen &= is_in;
            }
            if !is_known {
                return Err(MatrixError::UnknownGroup);
            }
        }
        Ok(Self { datasets })
    }

    /// Their places.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let places = self.datasets.iter().enumerate();
        places
            .filter(|(_, is_chosen)| **is_chosen)
            .map(|(place, _)| place)
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.places().count()
    }

    /// The groups.
    pub(super) fn groups(
        &self,
        catalog: &MatrixCatalog,
        by: &DatasetGrouping,
    ) -> Vec<MatrixRowGroup> {
        let all = &catalog.compared.datasets;
        let chosen = self
            .places()
            .filter_map(|place| Some((place, all.get(place)?)));
        let group = |(key, members)| MatrixRowGroup { key, members };
        match by {
            DatasetGrouping::Visibility => {
                let mut groups: HashMap<Visibility, Vec<usize>> = HashMap::new();
                for (place, dataset) in chosen {
                    groups.entry(dataset.visibility).or_default().push(place);
                }
                let all = Visibility::VARIANTS.iter();
                let all = all.filter_map(|one| groups.remove_entry(one));
                all.map(|(one, members)| group((DatasetKey::Visibility(one), members)))
                    .collect()
            }
            DatasetGrouping::RecordStatus => {
                let mut groups: HashMap<RecordStatus, Vec<usize>> = HashMap::new();
                for (place, dataset) in chosen {
                    groups.entry(dataset.record_status).or_default().push(place);
                }
                let all = RecordStatus::VARIANTS.iter();
                let all = all.filter_map(|one| groups.remove_entry(one));
                all.map(|(one, members)| group((DatasetKey::RecordStatus(one), members)))
                    .collect()
            }
            DatasetGrouping::Owner => {
                let mut groups: HashMap<Option<UserId>, Vec<usize>> = HashMap::new();
                for (place, dataset) in chosen {
                    groups.entry(dataset.owner).or_default().push(place);
                }
                let mut groups: Vec<_> = groups.into_iter().collect();
                // By name; those without a name, and then the datasets without an owner, are the last.
                groups.sort_by_cached_key(|(owner, _)| {
                    let name = owner.and_then(|owner| catalog.usernames.get(&owner));
                    let name = name.map(Username::to_string);
                    (owner.is_none(), name.is_none(), name, *owner)
                });
                let groups = groups.into_iter();
                groups
                    .map(|(owner, members)| group((DatasetKey::Owner(owner), members)))
                    .collect()
            }
            DatasetGrouping::Tag(name) => {
                let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
                let mut without = Vec::new();
                for (place, dataset) in chosen {
                    let values = dataset.tags.get(name).into_iter().flatten();
                    for value in values.clone() {
                        groups.entry(value).or_default().push(place);
                    }
                    if values.count() == 0 {
                        without.push(place);
                    }
                }
                let key = |value: Option<&str>| DatasetKey::Tag {
                    name: name.clone(),
                    value: value.map(str::to_owned),
                };
                let groups = groups.into_iter();
                let groups = groups.map(|(value, members)| group((key(Some(value)), members)));
                let without = Some(without).filter(|members| !members.is_empty());
                groups
                    .chain(without.map(|members| group((key(None), members))))
                    .collect()
            }
            DatasetGrouping::Dataset => {
                let places = catalog.by_title.iter().copied();
                let chosen = places.filter(|place| self.datasets.get(*place) == Some(&true));
                let key = |place: usize| Some(DatasetKey::Dataset(all.get(place)?.id));
                chosen
                    .filter_map(|place| Some(group((key(place)?, vec![place]))))
                    .collect()
            }
        }
    }
}

fn is_in_group(dataset: &Dataset, key: &DatasetKey) -> bool {
    match key {
        DatasetKey::Visibility(visibility) => dataset.visibility == *visibility,
        DatasetKey::RecordStatus(status) => dataset.record_status == *status,
        DatasetKey::Owner(owner) => dataset.owner == *owner,
        DatasetKey::Tag { name, value } => {
            let values = dataset.tags.get(name);
            match value {
                Some(value) => values.is_some_and(|values| values.contains(value)),
                None => values.is_none_or(BTreeSet::is_empty),
            }
        }
        DatasetKey::Dataset(id) => dataset.id == *id,
    }
}

impl MatrixRowGroup {
    /// The row.
    pub(super) fn row(&self, catalog: &MatrixCatalog) -> MatrixRow {
        let first = self.members.first();
        let dataset: Option<&Arc<Dataset>> =
            first.and_then(|place| catalog.compared.datasets.get(*place));
        let (label, detail) = match (&self.key, dataset) {
            (DatasetKey::Visibility(visibility), _) => (visibility.to_string(), None),
            (DatasetKey::RecordStatus(status), _) => (status.to_string(), None),
            (DatasetKey::Owner(Some(owner)), _) => {
                let name = catalog.usernames.get(owner);
                (
                    name.map_or_else(|| owner.0.to_string(), Username::to_string),
                    None,
                )
            }
            (DatasetKey::Owner(None), _) => ("no owner".to_owned(), None),
            (
                DatasetKey::Tag {
                    name,
                    value: Some(value),
                },
                _,
            ) => (value.clone(), Some(name.clone())),
            (DatasetKey::Tag { name, value: None }, _) => (format!("without {name}"), None),
            (DatasetKey::Dataset(_), Some(dataset)) => {
                let (visibility, status) = (dataset.visibility, dataset.record_status);
                let detail = format!("{visibility}, {status}");
                (dataset.title.clone(), Some(detail))
            }
            (DatasetKey::Dataset(id), None) => (id.0.to_string(), None),
        };
        MatrixRow {
            key: self.key.clone(),
            label,
            detail,
            datasets: self.members.len(),
            dataset_id: match self.key {
                DatasetKey::Dataset(id) => Some(id),
                DatasetKey::Visibility(_)
                | DatasetKey::RecordStatus(_)
                | DatasetKey::Owner(_)
                | DatasetKey::Tag { .. } => None,
            },
        }
    }
}
