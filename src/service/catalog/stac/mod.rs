//! Importing STAC: the Items of a document (`SpatioTemporal` Asset Catalog 1.0 and 1.1) as the datasets of a catalog
//! file.
//!
//! A document is an Item, an `ItemCollection` or the page of a search, with the pages that follow it; or a Collection
//! or Catalog, with the Items that it links to. Each asset that is a cloud-optimized GeoTIFF becomes a dataset. Its id
//! is made of the ids of the Collection and the Item and the key of the asset, so that another import finds it again,
//! wherever the document is then. [`super::apply()`] writes the datasets; what people decided about those that exist
//! stays.

mod asset_place;
mod document;
mod draft;
mod error;
mod item;
mod media_type;
mod source;

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::PathBuf;

use serde::Serialize;

use super::file::{CatalogFile, DatasetItem};
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::name::Username;

use self::document::StacDocument;
use self::draft::Drafts;
use self::source::Fetcher;

pub use error::StacError;
pub use source::StacSource;

/// How many items an import has at most unless it is told otherwise.
pub const DEFAULT_MAX_ITEMS: usize = 10_000;
/// How many documents an import reads at most, besides one for each item.
const MAX_DOCUMENTS: usize = 10_000;

/// How to import.
#[derive(Clone, Debug)]
pub struct StacOptions {
    /// The visibility of new datasets; private if there is none.
    pub visibility: Option<Visibility>,
    /// The record status of new datasets; published if there is none.
    pub record_status: Option<RecordStatus>,
    /// The owner of new datasets.
    pub owner: Option<Username>,
    /// Whether datasets that exist get those of these three that are given, too.
    pub is_overwriting: bool,
    /// The keys of the assets to import; all that are COGs if there are none.
    pub assets: Vec<String>,
    /// The tags to fill, and the property of the Item that each has the value of.
    pub tags: Vec<PropertyMapping>,
    /// The attributes to fill, and the property of the Item that each has the value of.
    pub attributes: Vec<PropertyMapping>,
    /// Keeps the ids of Items apart from the same ones of another namespace.
    pub namespace: String,
    /// The folder in which the files of a document on disk may be; its own if there is none.
    pub files: Option<PathBuf>,
    /// How many items there may be.
    pub max_items: usize,
}

/// A tag or an attribute, and the property of the Item that it has the value of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyMapping {
    /// The name of the tag or attribute.
    pub name: String,
    /// The name of the property.
    pub property: String,
}

impl std::str::FromStr for PropertyMapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, property)) if !name.is_empty() && !property.is_empty() => Ok(Self {
                name: name.to_owned(),
                property: property.to_owned(),
            }),
            Some(_) | None => Err("expected NAME=PROPERTY, such as platform=platform"),
        }
    }
}

/// What a STAC document has.
#[derive(Debug)]
pub struct StacImport {
    /// Its datasets, to be applied.
    pub file: CatalogFile,
    /// How many Items it has.
    pub items: usize,
    /// The Items that have no asset to import.
    pub skipped: Vec<SkippedItem>,
}

/// An Item that is not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedItem {
    /// Its id.
    pub item: String,
    /// The id of its Collection, if it has one.
    pub collection: Option<String>,
    /// Why not.
    pub reason: String,
}

impl StacImport {
    /// Reads a document and those that belong to it; `progress` is told how many Items and documents were read.
    pub async fn read(
        source: StacSource,
        options: &StacOptions,
        progress: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<Self, StacError> {
        let name = source.to_string();
        let fetcher = Fetcher::new(&source, options.files.as_deref())?;
        let mut drafts = Drafts::new(options, fetcher.files());
        let mut seen = BTreeSet::new();
        let mut queue = VecDeque::from([source]);
        let mut documents = 0_usize;
        while let Some(source) = queue.pop_front() {
            if !seen.insert(source.clone()) {
                continue;
            }
            documents = documents.saturating_add(1);
            if documents > MAX_DOCUMENTS.saturating_add(options.max_items) {
                return Err(StacError::TooManyDocuments { source_name: name });
            }
            let content = fetcher.fetch(&source).await?;
            let document = StacDocument::read(&content, fetcher.files().as_deref())?;
            for located in document.items {
                if drafts.items >= options.max_items {
                    let max_items = options.max_items;
                    return Err(StacError::TooManyItems {
                        source_name: name,
                        max_items,
                    });
                }
                drafts.add(&located)?;
            }
            queue.extend(document.links);
            progress(drafts.items, documents);
        }
        Ok(drafts.into_import(&name))
    }

    /// The number of datasets.
    #[must_use]
    pub fn datasets(&self) -> usize {
        self.file.datasets.len()
    }
}

impl CatalogFile {
    /// A catalog file of datasets alone, each described by a line of `text`.
    fn of_datasets(name: &str, text: &str, datasets: Vec<DatasetItem>) -> Self {
        let mut file = Self::parse(name, "", std::path::Path::new(""));
        file.redacted_text = text.into();
        file.datasets = datasets;
        file
    }
}
