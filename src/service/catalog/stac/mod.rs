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
mod options;
mod remote_place;
mod source;

use std::collections::BTreeSet;
use std::collections::VecDeque;

use super::file::CatalogFile;

use self::document::StacDocument;
use self::draft::Drafts;
use self::source::Fetcher;

pub use error::StacError;
pub use options::{PropertyMapping, SkippedItem, StacOptions};
pub use source::StacSource;

/// How many items an import has at most unless it is told otherwise.
pub const DEFAULT_MAX_ITEMS: usize = 10_000;
/// How many documents an import reads at most, besides one for each item.
const MAX_DOCUMENTS: usize = 10_000;

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
        Ok(Self {
            items: drafts.items,
            skipped: std::mem::take(&mut drafts.skipped),
            file: drafts.into_file(&name),
        })
    }

    /// The number of datasets.
    #[must_use]
    pub fn datasets(&self) -> usize {
        self.file.datasets.len()
    }
}
