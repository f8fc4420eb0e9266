//! Identifiers of datasets, users, audit records, sessions, API keys and drafts.
//!
//! A dataset id is parsed in any text form of RFC 9562 and always written canonically (lower case,
//! hyphenated).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identifier of one dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatasetId(pub Uuid);

/// The identifier of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

/// The identifier of one audit record; a download token carries it as its `jti`.
///
/// It is a `UUIDv7` (RFC 9562 section 5.7), so that records sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub Uuid);

/// The identifier of one session; session tokens carry it as their `sid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

/// The identifier of one API key; it is not secret.
///
/// It is a `UUIDv7` (RFC 9562 section 5.7), so that keys are listed in the order of their creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyId(pub Uuid);

/// The identifier of one draft of the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DraftId(pub Uuid);

/// Why a text is not a dataset id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetIdError {
    /// The text is in none of the forms of RFC 9562.
    #[error(
        "the dataset id is not a UUID in a form of RFC 9562 \
         (hyphenated, 32 hexadecimal digits, or urn:uuid:)"
    )]
    NotAUuid,
}

impl FromStr for DatasetId {
    type Err = DatasetIdError;

    /// Parses the hyphenated form, the form without hyphens and `urn:uuid:`, in either case.
    ///
    /// Braces are rejected: RFC 9562 does not have them, and caches, logs and access lists on the way could
    /// read them differently.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('{') {
            return Err(DatasetIdError::NotAUuid);
        }
        let lowercase = text.to_ascii_lowercase();
        Uuid::try_parse(&lowercase)
            .map(Self)
            .map_err(|_| DatasetIdError::NotAUuid)
    }
}

impl RecordId {
    /// Generates the id of a record written at `unix_millis` (milliseconds since 1970 UTC).
    #[must_use]
    pub fn generate_at(unix_millis: u64) -> Self {
        let random: [u8; 10] = rand::random();
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
    }

    /// The lowest id that a record written at `unix_millis` (milliseconds since 1970 UTC) can have.
    #[must_use]
    pub fn min_at(unix_millis: u64) -> Self {
        // A UUIDv7 has 48 bits for the time, which last until the year 10889.
        let unix_millis = unix_millis.min((1 << 48) - 1);
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, &[0; 10]).into_uuid())
    }
}

impl ApiKeyId {
    /// Generates the id of a key created at `unix_millis` (milliseconds since 1970 UTC).
    #[must_use]
    pub fn generate_at(unix_millis: u64) -> Self {
        Self(RecordId::generate_at(unix_millis).0)
    }
}

macro_rules! parse_as_uuid {
    ($($id:ident),*) => {$(
        impl FromStr for $id {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}
parse_as_uuid!(UserId, SessionId, RecordId, ApiKeyId, DraftId);

impl DatasetId {
    /// Generates a random dataset id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl DraftId {
    /// Generates a random draft id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl UserId {
    /// Generates a random user id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl SessionId {
    /// Generates a random session id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

macro_rules! display_canonically {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}
display_canonically!(DatasetId, UserId, RecordId, SessionId, ApiKeyId, DraftId);

#[cfg(test)]
mod tests {
    use super::*;

    const CANONICAL: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";

    #[test]
    fn every_text_form_of_rfc_9562_is_read_and_written_canonically() {
        for text in [
            CANONICAL,
            "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",
            "2489e9ad2ee28e008ec932d5f69181c0",
            "urn:uuid:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
            "URN:UUID:2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",
        ] {
            assert_eq!(
                text.parse::<DatasetId>().unwrap().to_string(),
                CANONICAL,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "dem",
            "{2489e9ad-2ee2-8e00-8ec9-32d5f69181c0}",
            "2489e9ad-2ee2-8e00-8ec9-32d5f69181c",
            " 2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
            "2489e9ad_2ee2_8e00_8ec9_32d5f69181c0",
        ] {
            assert_eq!(
                text.parse::<DatasetId>(),
                Err(DatasetIdError::NotAUuid),
                "{text}"
            );
        }
    }

    #[test]
    fn record_ids_sort_by_time() {
        assert!(RecordId::generate_at(1_000) < RecordId::generate_at(1_001));
        assert!(RecordId::min_at(1_000) <= RecordId::generate_at(1_000));
        assert!(RecordId::generate_at(999) < RecordId::min_at(1_000));
        assert_eq!(RecordId::generate_at(1_000).0.get_version_num(), 7);
    }
}
