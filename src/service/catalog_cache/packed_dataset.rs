//! Packed datasets: a dataset in as few bytes as it can be read from in about a microsecond.
//!
//! What nearly all datasets have is written as bytes, names of roles as their numbers; what few have (tags,
//! attributes, ends of shares, files elsewhere) is JSON. What was packed is read as it was, or not at all: then
//! the database is asked.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::attributes::Attributes;
use crate::domain::dataset::{Dataset, DatasetFile, StoredFile};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Tags;
use crate::domain::share_ends::ShareEnds;
use crate::domain::text_enum::TextEnum;

/// The parts that a dataset may have.
const HAS_OWNER: u8 = 1;
const HAS_STORED_FILE: u8 = 2;
const HAS_READER_USERS: u8 = 4;
const HAS_READER_ROLES: u8 = 8;
const HAS_RARE_PARTS: u8 = 16;

/// The numbers of the names of roles.
#[derive(Default)]
pub(super) struct RoleNumbers {
    names: Vec<RoleName>,
    numbers: HashMap<RoleName, u64>,
}

impl RoleNumbers {
    fn number(&mut self, name: &RoleName) -> u64 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u64;
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    fn name(&self, number: u64) -> Option<&RoleName> {
        self.names.get(usize::try_from(number).ok()?)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct RareParts {
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: Attributes,
    #[serde(skip_serializing_if = "ShareEnds::is_empty")]
    share_ends: ShareEnds,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<DatasetFile>,
}

/// Packs a dataset, without its id; nothing if it cannot be read again as it is.
pub(super) fn pack(dataset: &Dataset, roles: &mut RoleNumbers) -> Option<Vec<u8>> {
    let packed_file = dataset.file.as_ref().and_then(pack_stored_file);
    let rare = RareParts {
        tags: dataset.tags.clone(),
        attributes: dataset.attributes.clone(),
        share_ends: dataset.share_ends.clone(),
        file: dataset.file.clone().filter(|_| packed_file.is_none()),
    };
    let has_rare_parts = rare != RareParts::default();
    let flag = |flag: u8, is_set: bool| if is_set { flag } else { 0 };
    let mut bytes = vec![
        position(dataset.visibility)?,
        position(dataset.record_status)?,
        flag(HAS_OWNER, dataset.owner.is_some())
            | flag(HAS_STORED_FILE, packed_file.is_some())
            | flag(HAS_READER_USERS, !dataset.reader_users.is_empty())
            | flag(HAS_READER_ROLES, !dataset.reader_roles.is_empty())
            | flag(HAS_RARE_PARTS, has_rare_parts),
    ];
    push_text(&mut bytes, &dataset.title);
    if let Some(owner) = dataset.owner {
        bytes.extend(owner.0.as_bytes());
    }
    bytes.extend(packed_file.into_iter().flatten());
    if !dataset.reader_users.is_empty() {
        push_number(&mut bytes, dataset.reader_users.len() as u64);
        for user in &dataset.reader_users {
            bytes.extend(user.0.as_bytes());
        }
    }
    if !dataset.reader_roles.is_empty() {
        push_number(&mut bytes, dataset.reader_roles.len() as u64);
        for role in &dataset.reader_roles {
            push_number(&mut bytes, roles.number(role));
        }
    }
    if has_rare_parts {
        serde_json::to_writer(&mut bytes, &rare).ok()?;
    }
    // JSON does not keep every number.
    let is_kept = !has_rare_parts || unpack(dataset.id, &bytes, roles).as_ref() == Some(dataset);
    is_kept.then_some(bytes)
}

/// Reads a packed dataset.
pub(super) fn unpack(id: DatasetId, bytes: &[u8], roles: &RoleNumbers) -> Option<Dataset> {
    let mut reader = PackedReader { rest: bytes };
    let visibility = at_position(reader.byte()?)?;
    let record_status = at_position(reader.byte()?)?;
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let title = reader.text()?;
    let owner = if has(HAS_OWNER) {
        Some(reader.user()?)
    } else {
        None
    };
    let stored = if has(HAS_STORED_FILE) {
        Some(reader.stored_file()?)
    } else {
        None
    };
    let count = |reader: &mut PackedReader<'_>, flag| {
        if has(flag) { reader.number() } else { Some(0) }
    };
    let users = count(&mut reader, HAS_READER_USERS)?;
    let reader_users = (0..users).map(|_| reader.user()).collect::<Option<_>>()?;
    let role_count = count(&mut reader, HAS_READER_ROLES)?;
    let reader_roles = (0..role_count)
        .map(|_| roles.name(reader.number()?).cloned())
        .collect::<Option<_>>()?;
    let rare = if has(HAS_RARE_PARTS) {
        serde_json::from_slice(reader.rest).ok()?
    } else {
        RareParts::default()
    };
    Some(Dataset {
        id,
        title,
        visibility,
        record_status,
        owner,
        reader_users,
        reader_roles,
        share_ends: rare.share_ends,
        tags: rare.tags,
        attributes: rare.attributes,
        file: stored.map(DatasetFile::Stored).or(rare.file),
    })
}

/// Packs a file of the file store, if its SHA-256 is written as usual.
fn pack_stored_file(file: &DatasetFile) -> Option<Vec<u8>> {
    let file = file.stored()?;
    let mut bytes = hex::decode(&file.sha256).ok()?;
    if bytes.len() != 32 || hex::encode(&bytes) != file.sha256 {
        return None;
    }
    push_text(&mut bytes, &file.name);
    push_number(&mut bytes, file.size);
    bytes.extend(file.modified.to_le_bytes());
    Some(bytes)
}

/// The place of a word among those of its type.
fn position<T: TextEnum>(word: T) -> Option<u8> {
    let mut words = T::VARIANTS.iter();
    u8::try_from(words.position(|known| *known == word.as_str())?).ok()
}

fn at_position<T: TextEnum + std::str::FromStr>(position: u8) -> Option<T> {
    T::VARIANTS.get(usize::from(position))?.parse().ok()
}

/// Appends a number, seven bits a byte.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

struct PackedReader<'a> {
    rest: &'a [u8],
}

impl<'a> PackedReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        Some(text.to_owned())
    }

    fn user(&mut self) -> Option<UserId> {
        Uuid::from_slice(self.take(16)?).ok().map(UserId)
    }

    fn stored_file(&mut self) -> Option<StoredFile> {
        Some(StoredFile {
            sha256: hex::encode(self.take(32)?),
            name: self.text()?,
            size: self.number()?,
            modified: i64::from_le_bytes(self.take(8)?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::dataset::{RecordStatus, Visibility};

    fn any_user() -> impl Strategy<Value = UserId> {
        any::<u128>().prop_map(|id| UserId(Uuid::from_u128(id)))
    }

    fn any_role() -> impl Strategy<Value = RoleName> {
        "[a-z]{1,9}".prop_map(|name| name.parse().unwrap())
    }

    fn any_file() -> impl Strategy<Value = DatasetFile> {
        let sha256 = prop_oneof!["[0-9a-f]{64}", "[0-9a-fA-F]{64}", "[0-9a-f]{62}"];
        let stored = (sha256, ".{0,20}", any::<u64>(), any::<i64>());
        let stored = stored.prop_map(|(sha256, name, size, modified)| {
            DatasetFile::Stored(StoredFile {
                sha256,
                name,
                size,
                modified,
            })
        });
        let remote = |text: &str| DatasetFile::Remote(serde_json::from_str(text).unwrap());
        prop_oneof![
            4 => stored,
            1 => Just(remote(r#"{"store":"s3","key":"a/b.tif"}"#)),
            1 => Just(remote(r#"{"url":"https://example.org/b.tif"}"#)),
        ]
    }

    fn any_attributes() -> impl Strategy<Value = Attributes> {
        let value = prop_oneof![
            any::<i64>().prop_map(|number| json!(number)),
            any::<f64>().prop_map(|number| json!(number)),
            ".{0,9}".prop_map(|text| json!({"a": [text, null, true]})),
        ];
        btree_map(".{0,5}", value, 0..3)
    }

    /// Any dataset with the id.
    pub(in super::super) fn any_dataset(id: DatasetId) -> impl Strategy<Value = Dataset> {
        let words = (
            prop::sample::select(vec![
                Visibility::Public,
                Visibility::Internal,
                Visibility::Restricted,
                Visibility::Private,
            ]),
            prop::sample::select(vec![RecordStatus::Published, RecordStatus::Draft]),
        );
        let readers = (btree_set(any_user(), 0..5), btree_set(any_role(), 0..5));
        let ends = (
            btree_map(any_user(), any::<i64>(), 0..3),
            btree_map(any_role(), any::<i64>(), 0..3),
        );
        let tags = btree_map(".{0,5}", btree_set(".{0,5}", 0..3), 0..3);
        let rare = (tags, any_attributes(), ends);
        let common = (".{0,40}", words, prop::option::of(any_user()), readers);
        (common, prop::option::of(any_file()), rare).prop_map(
            move |((title, words, owner, readers), file, (tags, attributes, ends))| Dataset {
                id,
                title,
                visibility: words.0,
                record_status: words.1,
                owner,
                reader_users: readers.0,
                reader_roles: readers.1,
                share_ends: ShareEnds {
                    users: ends.0,
                    roles: ends.1,
                },
                tags,
                attributes,
                file,
            },
        )
    }

    proptest! {
        #[test]
        fn a_packed_dataset_is_read_as_it_was(dataset in any_dataset(DatasetId::random())) {
            let mut roles = RoleNumbers::default();
            for _ in 0..2 {
                if let Some(packed) = pack(&dataset, &mut roles) {
                    let unpacked = unpack(dataset.id, &packed, &roles);
                    prop_assert_eq!(unpacked.as_ref(), Some(&dataset));
                    let cut = packed.split_last().map(|(_, cut)| cut).unwrap_or_default();
                    prop_assert_ne!(unpack(dataset.id, cut, &roles), Some(dataset.clone()));
                } else {
                    // JSON reads some numbers with a fraction as another one.
                    prop_assert!(!dataset.attributes.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_usual_dataset_takes_few_bytes() {
        let mut roles = RoleNumbers::default();
        let dataset = Dataset {
            id: DatasetId::random(),
            title: "Elevation of the Alps, 2024".to_owned(),
            visibility: Visibility::Restricted,
            record_status: RecordStatus::Published,
            owner: Some(UserId::random()),
            reader_users: [UserId::random()].into(),
            reader_roles: ["geo", "members"].map(|name| name.parse().unwrap()).into(),
            share_ends: ShareEnds::default(),
            tags: Tags::new(),
            attributes: Attributes::new(),
            file: Some(DatasetFile::Stored(StoredFile {
                sha256: "ab".repeat(32),
                name: "alps.tif".to_owned(),
                size: 123_456_789,
                modified: 1_764_000_000,
            })),
        };
        let packed = pack(&dataset, &mut roles).unwrap();
        assert!(packed.len() < 130, "{} bytes", packed.len());
    }
}
