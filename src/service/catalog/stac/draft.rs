//! From the Items of a document to the datasets of a catalog file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::domain::attributes::Attributes;
use crate::domain::dataset::{MAX_TITLE_LENGTH, RecordStatus, Visibility, check_tags};
use crate::domain::id::DatasetId;
use crate::domain::principal::Tags;
use crate::domain::remote_store::RemoteStore;
use crate::domain::token_refusal::is_invisible;

use super::super::file::{CatalogFile, DatasetItem};
use super::super::given_attributes::GivenAttributes;
use super::super::named_share_ends::ShareEndsByName;
use super::super::on_existing::{DatasetUpdate, OnExisting};
use super::asset_place::{ReferenceContext, ReferredPlace};
use super::document::LocatedItem;
use super::error::StacError;
use super::item::{StacAsset, StacItem, kind_of};
use super::options::{PropertyMapping, SkippedItem, StacOptions};
use super::remote_place::remote_file;
use super::source::without_query;

/// The tag with the id of the Collection.
const COLLECTION_TAG: &str = "collection";
/// What makes the ids of datasets different from other digests.
const ID_CONTEXT: &str = "cedargate dataset of a STAC asset";

/// The datasets of the Items that were read so far.
pub(super) struct Drafts<'a> {
    /// How many Items were read.
    pub(super) items: usize,
    options: &'a StacOptions,
    files: Option<PathBuf>,
    datasets: Vec<DatasetItem>,
    /// Where the file of each dataset is.
    files_by_id: BTreeMap<DatasetId, String>,
    /// The Items that have no asset to import.
    pub(super) skipped: Vec<SkippedItem>,
    /// One line for each dataset, which errors about it show.
    lines: String,
}

impl<'a> Drafts<'a> {
    /// No datasets yet.
    pub(super) fn new(options: &'a StacOptions, files: Option<PathBuf>) -> Self {
        Self {
            items: 0,
            options,
            files,
            datasets: Vec::new(),
            files_by_id: BTreeMap::new(),
            skipped: Vec::new(),
            lines: String::new(),
        }
    }

    /// Adds a dataset for each asset of an Item that is to be imported.
    pub(super) fn add(&mut self, located: &LocatedItem) -> Result<(), StacError> {
        self.items = self.items.saturating_add(1);
        let item = &located.item;
        let chosen = match self.choose(item) {
            Ok(chosen) => chosen,
            Err(reason) => {
                self.skip(item, reason);
                return Ok(());
            }
        };
        let mut is_known = false;
        for asset in &chosen {
            let id = dataset_id(&self.options.namespace, item, &asset.key);
            let joined = located.base.join(&asset.href);
            let file = joined.map_or_else(|_| asset.href.clone(), String::from);
            match self.files_by_id.entry(id) {
                Entry::Vacant(entry) => entry.insert(file),
                Entry::Occupied(known) if *known.get() == file => {
                    is_known = true;
                    continue;
                }
                Entry::Occupied(known) => {
                    return Err(StacError::Member {
                        place: located.place.clone(),
                        member: "id".to_owned(),
                        problem: format!(
                            "an Item with the same id and collection was read before, whose asset {:?} is at {}: \
                             give one of them a collection, or import them apart with --namespace",
                            asset.key,
                            without_query(known.get())
                        ),
                    });
                }
            };
            let dataset = self.dataset(id, located, asset, chosen.len() > 1)?;
            self.datasets.push(dataset);
        }
        if is_known {
            self.skip(item, "it was read before".to_owned());
        }
        Ok(())
    }

    /// The datasets as a catalog file.
    pub(super) fn into_file(self, name: &str) -> CatalogFile {
        CatalogFile::of_datasets(name, &self.lines, self.datasets)
    }

    fn skip(&mut self, item: &StacItem, reason: String) {
        self.skipped.push(SkippedItem {
            item: item.id.clone(),
            collection: item.collection.clone(),
            reason,
        });
    }

    /// The assets to import, or why there is none.
    fn choose<'i>(&self, item: &'i StacItem) -> Result<Vec<&'i StacAsset>, String> {
        let named = &self.options.assets;
        let is_chosen = |asset: &&StacAsset| {
            if named.is_empty() {
                asset.is_cog()
            } else {
                named.contains(&asset.key) && asset.may_be_tiff()
            }
        };
        let chosen: Vec<_> = item.assets.iter().filter(is_chosen).collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        Err(if named.is_empty() {
            "none of its assets is a COG".to_owned()
        } else {
            format!("it has no TIFF asset {}", named.join(" or "))
        })
    }

    fn dataset(
        &mut self,
        id: DatasetId,
        located: &LocatedItem,
        asset: &StacAsset,
        is_one_of_several: bool,
    ) -> Result<DatasetItem, StacError> {
        let LocatedItem { item, base, place } = located;
        let span = self.describe(item, asset);
        let context = ReferenceContext {
            base,
            files: self.files.as_deref(),
            place,
            member: &format!("assets.{}.href", asset.key),
        };
        let referred = context.resolve(&asset.href)?;
        let mut dataset = DatasetItem {
            id: Spanned::new(span.clone(), id),
            title: title_of(item, asset, is_one_of_several),
            visibility: self.options.visibility.unwrap_or(Visibility::Private),
            record_status: self
                .options
                .record_status
                .unwrap_or(RecordStatus::Published),
            owner: self
                .options
                .owner
                .clone()
                .map(|owner| Spanned::new(span.clone(), owner)),
            file: None,
            remote_file: None,
            reader_roles: Vec::new(),
            reader_users: Vec::new(),
            share_ends: ShareEndsByName::default(),
            tags: tags_of(item, &self.options.tags, place)?,
            attributes: attributes_of(item, &self.options.attributes, &span),
            on_existing: OnExisting::Update(DatasetUpdate {
                has_visibility: self.options.visibility.is_some(),
                has_record_status: self.options.record_status.is_some(),
                is_overwriting: self.options.is_overwriting,
            }),
        };
        put_file(&mut dataset, referred, &self.options.stores, context, span)?;
        Ok(dataset)
    }

    /// Adds the line of a dataset, and returns where it is.
    fn describe(&mut self, item: &StacItem, asset: &StacAsset) -> Range<usize> {
        let start = self.lines.len();
        let printable = |text: &str| one_line(text, 400);
        if let Some(collection) = &item.collection {
            // Writing to a String cannot fail.
            let _ = write!(self.lines, "{}/", printable(collection));
        }
        let (item, key) = (printable(&item.id), printable(&asset.key));
        let href = printable(&without_query(&asset.href));
        let _ = write!(self.lines, "{item} {key} {href}");
        let end = self.lines.len();
        self.lines.push('\n');
        start..end
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

/// The id of the dataset of an asset: a `UUIDv8` of the SHA-256 of what identifies it (RFC 9562 section 5.8).
///
/// It does not depend on where the document or the asset is, nor on how many assets the Item has.
fn dataset_id(namespace: &str, item: &StacItem, asset: &str) -> DatasetId {
    let mut digest = Sha256::new();
    let collection = item.collection.as_deref().unwrap_or_default();
    for part in [ID_CONTEXT, namespace, collection, &item.id, asset] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    DatasetId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The title of a dataset, which has to be one line of a bounded length.
fn title_of(item: &StacItem, asset: &StacAsset, is_one_of_several: bool) -> String {
    let title = item
        .title
        .as_deref()
        .map(|title| one_line(title, MAX_TITLE_LENGTH));
    let title = title.filter(|title| !title.is_empty());
    let title = title.unwrap_or_else(|| one_line(&item.id, MAX_TITLE_LENGTH));
    if !is_one_of_several {
        return title;
    }
    let part = asset.title.as_deref().unwrap_or(&asset.key);
    // What tells the assets apart must not be cut off.
    let part = one_line(part, MAX_TITLE_LENGTH / 2);
    let rest = MAX_TITLE_LENGTH.saturating_sub(part.chars().count() + 2);
    format!("{}: {part}", one_line(&title, rest))
}

/// A text on one line, and shortened to so many characters.
fn one_line(text: &str, length: usize) -> String {
    let printable = text.chars().filter_map(|c| match c {
        c if c.is_control() => Some(' '),
        // The joiners stay: Persian and emoji need them.
        '\u{200c}' | '\u{200d}' => Some(c),
        c => (!is_invisible(c)).then_some(c),
    });
    let words: String = printable.collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= length {
        return words;
    }
    let kept = words.chars().take(length.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn tags_of(item: &StacItem, mappings: &[PropertyMapping], place: &str) -> Result<Tags, StacError> {
    let mut tags = Tags::new();
    if let Some(collection) = &item.collection {
        tags.insert(COLLECTION_TAG.to_owned(), [collection.clone()].into());
    }
    for PropertyMapping { name, property } in mappings {
        let invalid = |problem: String| StacError::Member {
            place: place.to_owned(),
            member: format!("properties.{property}"),
            problem,
        };
        let values = item.properties.get(property).unwrap_or(&Value::Null);
        let values = match values {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut texts = BTreeSet::new();
        for value in values {
            match value {
                Value::Null => {}
                Value::String(text) => drop(texts.insert(text.clone())),
                Value::Bool(_) | Value::Number(_) => drop(texts.insert(value.to_string())),
                Value::Array(_) | Value::Object(_) => {
                    let kind = kind_of(value);
                    return Err(invalid(format!("a tag has texts, and this is {kind}")));
                }
            }
        }
        if !texts.is_empty() {
            tags.entry(name.clone()).or_default().extend(texts);
        }
    }
    check_tags(&tags).map_err(|error| StacError::Member {
        place: place.to_owned(),
        member: "properties".to_owned(),
        problem: error.to_string(),
    })?;
    Ok(tags)
}

fn attributes_of(
    item: &StacItem,
    mappings: &[PropertyMapping],
    span: &Range<usize>,
) -> GivenAttributes {
    let values = mappings.iter().filter_map(|mapping| {
        let value = item.properties.get(&mapping.property)?;
        (!value.is_null()).then(|| (mapping.name.clone(), value.clone()))
    });
    GivenAttributes::of_values(values.collect::<Attributes>(), span.clone())
}

/// Says where the file of a dataset is: files on disk are copied into the file store, others stay where they are.
fn put_file(
    dataset: &mut DatasetItem,
    referred: ReferredPlace,
    stores: &[RemoteStore],
    context: ReferenceContext<'_>,
    span: Range<usize>,
) -> Result<(), StacError> {
    match referred {
        ReferredPlace::File(path) => dataset.file = Some(Spanned::new(span, path)),
        ReferredPlace::Url(url) => {
            let remote = remote_file(&url, stores).map_err(|problem| StacError::Member {
                place: context.place.to_owned(),
                member: context.member.to_owned(),
                problem,
            })?;
            dataset.remote_file = Some(Spanned::new(span, remote));
        }
    }
    Ok(())
}
