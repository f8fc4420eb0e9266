//! Datasets, their files and their sharing.
//!
//! Visibility and record status are facts; who may do what with them is decided by the policies.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::attributes::{Attributes, size_of_attributes};
use super::id::{DatasetId, UserId};
use super::memory_size::{ITEM_SIZE, size_of_tags, size_of_text};
use super::name::RoleName;
use super::principal::Tags;
use super::remote_file::RemoteFile;
use super::share_ends::ShareEnds;
use super::text_enum::{TextEnum, UnknownVariant};

/// One dataset with everything that a decision may look at, and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The id that requests and tokens name.
    pub id: DatasetId,
    /// A title for people.
    pub title: String,
    /// The audience of the dataset.
    pub visibility: Visibility,
    /// Whether the dataset is published or a draft.
    pub record_status: RecordStatus,
    /// The user who is responsible for the dataset.
    pub owner: Option<UserId>,
    /// Users the dataset is shared with.
    pub reader_users: BTreeSet<UserId>,
    /// Roles the dataset is shared with.
    pub reader_roles: BTreeSet<RoleName>,
    /// Until when it is shared with some of them: those whose share has ended are readers on record only.
    pub share_ends: ShareEnds,
    /// Attributes that a deployment adds: Cedar entity tags.
    pub tags: Tags,
    /// Attributes that the policy schema declares.
    pub attributes: Attributes,
    /// The file to download; a dataset may be catalogued before it has one.
    pub file: Option<DatasetFile>,
}

/// The longest title, in characters.
pub const MAX_TITLE_LENGTH: usize = 200;
/// The most tags of one dataset, and the most values of one tag.
pub const MAX_TAGS: usize = 64;
/// The longest tag key or value, in characters.
pub const MAX_TAG_LENGTH: usize = 256;

/// The most users, and the most roles, that a request may share a dataset with. More readers are members
/// of one role.
pub const MAX_READERS: usize = 1000;

/// Why a dataset cannot have a title or a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// The title is empty, too long or of several lines.
    #[error("a title has 1 to {MAX_TITLE_LENGTH} characters on one line; this one has {length}")]
    InvalidTitle {
        /// How many characters it has.
        length: usize,
    },
    /// There are more than [`MAX_TAGS`] tags.
    #[error("a dataset has at most {MAX_TAGS} tags")]
    TooManyTags,
    /// A tag has more than [`MAX_TAGS`] values.
    #[error("a tag has at most {MAX_TAGS} values")]
    TooManyValues,
    /// A tag's key or value is empty, too long or not printable.
    #[error("a tag's key or value has 1 to {MAX_TAG_LENGTH} printable characters")]
    InvalidTag,
}

/// Whether a text can be a dataset's title.
pub fn check_title(title: &str) -> Result<(), DatasetError> {
    let length = title.chars().count();
    if title.trim().is_empty() || length > MAX_TITLE_LENGTH || title.chars().any(char::is_control) {
        return Err(DatasetError::InvalidTitle { length });
    }
    Ok(())
}

/// Whether a text can be the key or a value of a tag.
pub fn check_tag(text: &str) -> Result<(), DatasetError> {
    let length = text.chars().count();
    if length == 0 || length > MAX_TAG_LENGTH || text.chars().any(char::is_control) {
        return Err(DatasetError::InvalidTag);
    }
    Ok(())
}

/// Whether a dataset can have these tags.
pub fn check_tags(tags: &Tags) -> Result<(), DatasetError> {
    if tags.len() > MAX_TAGS {
        return Err(DatasetError::TooManyTags);
    }
    for (key, values) in tags {
        if values.len() > MAX_TAGS {
            return Err(DatasetError::TooManyValues);
        }
        std::iter::once(key)
            .chain(values)
            .try_for_each(|text| check_tag(text))?;
    }
    Ok(())
}

impl Dataset {
    /// How many users and roles it is shared with.
    #[must_use]
    pub fn reader_count(&self) -> usize {
        self.reader_users.len() + self.reader_roles.len()
    }

    /// The users it is shared with at a time, in seconds since 1970 UTC.
    pub fn reader_users_at(&self, unix_seconds: i64) -> impl Iterator<Item = UserId> {
        let ends = &self.share_ends.users;
        let is_shared = move |user: &&UserId| ends.get(*user).is_none_or(|end| unix_seconds < *end);
        self.reader_users.iter().filter(is_shared).copied()
    }

    /// The roles it is shared with at a time, in seconds since 1970 UTC.
    pub fn reader_roles_at(&self, unix_seconds: i64) -> impl Iterator<Item = &RoleName> {
        let ends = &self.share_ends.roles;
        let is_shared =
            move |role: &&RoleName| ends.get(*role).is_none_or(|end| unix_seconds < *end);
        self.reader_roles.iter().filter(is_shared)
    }

    /// The same dataset with the shares of a time alone, and no ends: equal ones decide alike at that time.
    #[must_use]
    pub fn into_shared_at(self, unix_seconds: i64) -> Self {
        if self.share_ends.is_empty() {
            return self;
        }
        Self {
            reader_users: self.reader_users_at(unix_seconds).collect(),
            reader_roles: self.reader_roles_at(unix_seconds).cloned().collect(),
            share_ends: ShareEnds::default(),
            ..self
        }
    }

    /// About how many bytes of memory it takes, for caches.
    #[must_use]
    pub fn approximate_size(&self) -> usize {
        let roles = self.reader_roles.iter();
        let roles: usize = roles.map(|role| size_of_text(role.as_str())).sum();
        let file = self.file.as_ref();
        size_of::<Self>()
            + size_of_text(&self.title)
            + (self.reader_users.len() + self.share_ends.len()) * ITEM_SIZE
            + roles
            + size_of_tags(&self.tags)
            + size_of_attributes(&self.attributes)
            + file.map_or(0, DatasetFile::approximate_size)
    }
    /// The fields in which `other` differs, as a catalog file names them.
    #[must_use]
    pub fn changed_fields(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("title", self.title != other.title),
            ("visibility", self.visibility != other.visibility),
            ("record_status", self.record_status != other.record_status),
            ("owner", self.owner != other.owner),
            ("file", self.file != other.file),
            ("reader_roles", self.reader_roles != other.reader_roles),
            ("reader_users", self.reader_users != other.reader_users),
            ("until", self.share_ends != other.share_ends),
            ("tags", self.tags != other.tags),
            ("attributes", self.attributes != other.attributes),
        ];
        let different = fields.into_iter().filter(|(_, is_different)| *is_different);
        different.map(|(field, _)| field).collect()
    }
}

/// The file of a dataset: in the file store, or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DatasetFile {
    /// In the file store.
    Stored(StoredFile),
    /// Elsewhere.
    Remote(RemoteFile),
}

impl DatasetFile {
    /// The file in the file store, if it is there.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredFile> {
        match self {
            Self::Stored(file) => Some(file),
            Self::Remote(_) => None,
        }
    }

    /// Where it is, if it is not in the file store.
    #[must_use]
    pub fn remote(&self) -> Option<&RemoteFile> {
        match self {
            Self::Stored(_) => None,
            Self::Remote(file) => Some(file),
        }
    }

    /// About how many bytes of memory its texts take, for caches.
    fn approximate_size(&self) -> usize {
        match self {
            Self::Stored(file) => size_of_text(&file.name) + size_of_text(&file.sha256),
            Self::Remote(RemoteFile::Object { store, key }) => {
                size_of_text(store.as_str()) + size_of_text(key.as_str())
            }
            Self::Remote(RemoteFile::Url { url }) => size_of_text(url.as_str()),
        }
    }
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

/// The audience of a dataset: Cedar's `Visibility::"<word>"`.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anyone.
    Public,
    /// Any signed-in user.
    Internal,
    /// The readers it is shared with; other signed-in users may know that it exists.
    Restricted,
    /// The owner.
    Private,
}

impl TextEnum for Visibility {
    const NOUN: &'static str = "visibility";
}

/// Whether a dataset is published: Cedar's `RecordStatus::"<word>"`.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordStatus {
    /// Published.
    Published,
    /// Still being worked on.
    Draft,
}

impl TextEnum for RecordStatus {
    const NOUN: &'static str = "record status";
}
