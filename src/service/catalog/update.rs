//! Updates of datasets by an import: what an import says of a dataset that exists, and what stays.

use super::diagnostic::CatalogDiagnostic;
use super::file::{CatalogFile, DatasetItem};
use super::on_existing::{DatasetUpdate, OnExisting};
use crate::domain::dataset::Dataset;

/// Whether a file updates datasets, and so depends on what they are.
pub(super) fn updates_datasets(file: &CatalogFile) -> bool {
    let is_update = |dataset: &DatasetItem| dataset.on_existing != OnExisting::Replace;
    file.datasets.iter().any(is_update)
}

/// A dataset after an update with what was `built` of its item alone, and whether it keeps a visibility, record status
/// or owner other than the one that was given.
///
/// Shares always stay, and so do tags and attributes that the item does not have.
pub(super) fn updated_dataset(
    before: &Dataset,
    built: &Dataset,
    update: DatasetUpdate,
) -> (Dataset, bool) {
    let mut updated = before.clone();
    updated.title.clone_from(&built.title);
    updated.file.clone_from(&built.file);
    updated.tags.extend(built.tags.clone());
    updated.attributes.extend(built.attributes.clone());
    let mut given = updated.clone();
    if update.has_visibility {
        given.visibility = built.visibility;
    }
    if update.has_record_status {
        given.record_status = built.record_status;
    }
    given.owner = built.owner.or(before.owner);
    if update.is_overwriting {
        return (given, false);
    }
    let is_kept = given != updated;
    (updated, is_kept)
}

/// A dataset that others made and an import would update.
pub(super) fn foreign_dataset(item: &DatasetItem) -> CatalogDiagnostic {
    let message = format!(
        "the dataset {} exists, and was created by somebody else than the operator",
        item.id.get_ref()
    );
    CatalogDiagnostic::new(item.id.span(), message)
}
