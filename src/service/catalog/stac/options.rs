//! How STAC is imported, and which Items are not.

use std::path::PathBuf;

use serde::Serialize;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::name::Username;
use crate::domain::remote_store::RemoteStore;

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
    /// The stores in which files may be that are neither on disk nor at an https URL.
    pub stores: Vec<RemoteStore>,
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
