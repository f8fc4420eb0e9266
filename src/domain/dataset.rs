//! Datasets: what is asked for.
//!
//! This module refuses to know policies: visibility and record status are facts, and what they
//! give to whom is written in `.cedar` files.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{DatasetId, UserId};
use super::name::RoleName;
use super::principal::Tags;
use super::words::closed_words;

/// One dataset with everything that a decision may look at, and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The id that requests and tokens name.
    pub id: DatasetId,
    /// A title for people.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: Visibility,
    /// Whether the dataset is out or still being worked on.
    pub record_status: RecordStatus,
    /// The user who answers for the dataset.
    pub owner: Option<UserId>,
    /// Users the dataset is shared with.
    pub reader_users: BTreeSet<UserId>,
    /// Roles the dataset is shared with.
    pub reader_roles: BTreeSet<RoleName>,
    /// Attributes of the deployment's own, Cedar entity tags.
    pub tags: Tags,
    /// The file that a download token opens; a dataset may be catalogued before it has one.
    pub file: Option<StoredFile>,
}

/// One immutable file in the file store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The SHA-256 of the content in lower-case hexadecimal; it also names the object in the store.
    pub sha256: String,
    /// The name a download is saved under.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
    /// When the content was stored, in seconds since 1970 UTC.
    pub modified: i64,
}

closed_words! {
    /// For whom a dataset is meant: Cedar's `Visibility::"<word>"`.
    Visibility, "visibility", {
        /// Anyone.
        Public = "public",
        /// Anyone who signed in.
        Internal = "internal",
        /// Those it is shared with; others may know that it exists.
        Restricted = "restricted",
        /// The owner alone.
        Private = "private",
    }
}

closed_words! {
    /// Whether a dataset is out: Cedar's `RecordStatus::"<word>"`.
    RecordStatus, "record status", {
        /// Out.
        Published = "published",
        /// Still being worked on.
        Draft = "draft",
    }
}
