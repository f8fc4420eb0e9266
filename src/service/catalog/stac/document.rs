//! STAC documents: the Items that one has, and the documents that it leads to.

use std::path::Path;

use serde_json::Value;
use url::Url;

use super::asset_place::{ReferenceContext, ReferredPlace};
use super::error::StacError;
use super::item::{MemberReader, StacItem, kind_of};
use super::source::{FetchedDocument, StacSource};

/// What a document has.
#[derive(Debug, Default)]
pub(super) struct StacDocument {
    /// Its Items.
    pub(super) items: Vec<LocatedItem>,
    /// The documents to read after it.
    pub(super) links: Vec<StacSource>,
}

/// An Item, and where it is.
#[derive(Clone, Debug)]
pub(super) struct LocatedItem {
    /// The Item.
    pub(super) item: StacItem,
    /// What its references are relative to.
    pub(super) base: Url,
    /// The document and the Item, for messages.
    pub(super) place: String,
}

impl StacDocument {
    /// Reads a document; what it refers to on disk is in `files`.
    pub(super) fn read(fetched: &FetchedDocument, files: Option<&Path>) -> Result<Self, StacError> {
        let FetchedDocument {
            base,
            name,
            content,
        } = fetched;
        let reader = DocumentReader {
            base,
            name,
            content,
            files,
        };
        let not_stac = |found: String| StacError::NotStac {
            source_name: name.clone(),
            found,
        };
        let kind = match content {
            Value::Object(members) => members.get("type").and_then(Value::as_str),
            Value::Array(items) => return reader.items(items, ""),
            other => return Err(not_stac(format!("JSON that is {}", kind_of(other)))),
        };
        match kind {
            Some("Feature") => reader.item(content, "", base.clone()).map(|item| Self {
                items: vec![item],
                links: Vec::new(),
            }),
            Some("FeatureCollection") => {
                let features = MemberReader::new(content, name, "")?;
                if features.get("features").is_none() {
                    return Err(features.error("features", "it is missing"));
                }
                let mut document = reader.items(features.list("features")?, "features")?;
                document.links = reader.next_pages()?;
                Ok(document)
            }
            Some("Collection" | "Catalog") => {
                let mut links = reader.linked(&["item", "child"])?;
                if links.is_empty() {
                    links = reader.linked(&["items"])?;
                }
                Ok(Self {
                    items: Vec::new(),
                    links,
                })
            }
            Some(other) => Err(not_stac(format!("JSON of the type {other:?}"))),
            None => Err(not_stac("JSON without a `type`".to_owned())),
        }
    }
}

struct DocumentReader<'a> {
    base: &'a Url,
    name: &'a str,
    content: &'a Value,
    files: Option<&'a Path>,
}

impl DocumentReader<'_> {
    /// The Items of a list; each is where its own link to itself says, if the document is not on disk.
    fn items(&self, values: &[Value], path: &str) -> Result<StacDocument, StacError> {
        let items = values.iter().enumerate().map(|(index, value)| {
            let own = own_url(value).filter(|_| self.base.scheme() != "file");
            let base = own.unwrap_or_else(|| self.base.clone());
            self.item(value, &format!("{path}[{index}]"), base)
        });
        Ok(StacDocument {
            items: items.collect::<Result<_, _>>()?,
            links: Vec::new(),
        })
    }

    fn item(&self, value: &Value, path: &str, base: Url) -> Result<LocatedItem, StacError> {
        let item = StacItem::read(value, self.name, path)?;
        let place = format!("{}, item {}", self.name, item.id);
        Ok(LocatedItem { item, base, place })
    }

    /// The next page of a search (STAC API, *Paging*).
    fn next_pages(&self) -> Result<Vec<StacSource>, StacError> {
        for link in self.links_of(&["next"])? {
            let method = link.text("method")?.unwrap_or("GET");
            if !method.eq_ignore_ascii_case("GET") {
                return Err(StacError::NextIsNoGet {
                    source_name: self.name.to_owned(),
                    method: method.to_owned(),
                });
            }
        }
        self.linked(&["next"])
    }

    /// The documents that links with one of these relations lead to.
    fn linked(&self, relations: &[&str]) -> Result<Vec<StacSource>, StacError> {
        let links = self.links_of(relations)?.into_iter().map(|link| {
            let context = ReferenceContext {
                base: self.base,
                files: self.files,
                place: self.name,
                member: "links",
            };
            match context.resolve(link.required_text("href")?)? {
                ReferredPlace::File(path) => Ok(StacSource::File(path)),
                ReferredPlace::Url(url)
                    if self.base.scheme() == "https" && url.scheme() != "https" =>
                {
                    Err(link.error("href", "it leads from https to http"))
                }
                ReferredPlace::Url(url) => {
                    StacSource::from_url(url).map_err(|problem| link.error("href", problem))
                }
            }
        });
        links.collect()
    }

    fn links_of(&self, relations: &[&str]) -> Result<Vec<MemberReader<'_>>, StacError> {
        let document = MemberReader::new(self.content, self.name, "")?;
        let links = document.list("links")?.iter().enumerate();
        let mut found = Vec::new();
        for (index, link) in links {
            let link = MemberReader::new(link, self.name, &format!("links[{index}]"))?;
            let relation = link.text("rel")?;
            if relation.is_some_and(|relation| relations.contains(&relation)) {
                found.push(link);
            }
        }
        Ok(found)
    }
}

/// The URL that an Item gives for itself.
fn own_url(item: &Value) -> Option<Url> {
    let mut links = item.get("links")?.as_array()?.iter();
    let own = links.find(|link| link.get("rel").is_some_and(|relation| relation == "self"))?;
    let url = Url::parse(own.get("href")?.as_str()?).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}
