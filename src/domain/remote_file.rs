//! Files outside the file store: an object of a store that the settings name, or an https URL.
//!
//! A store is named and never described here, so that a catalog cannot make the server read a bucket that its
//! operator did not list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest name of a store, in characters.
pub const MAX_STORE_NAME_LENGTH: usize = 63;
/// The longest key of an object, in bytes: S3 and Google Cloud Storage take no longer one.
pub const MAX_OBJECT_KEY_LENGTH: usize = 1024;
/// The longest URL of a file, in bytes.
pub const MAX_FILE_URL_LENGTH: usize = 2048;

/// Why a text does not say where a file is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFileError {
    /// The text is not the name of a store.
    #[error(
        "{text:?} is not the name of a store: it has 1 to {MAX_STORE_NAME_LENGTH} lower-case letters, digits and \
         hyphens, and begins with a letter or a digit"
    )]
    InvalidStoreName {
        /// What was given, cut to a printable length.
        text: String,
    },
    /// The text is not the key of an object.
    #[error(
        "{text:?} is not the key of an object: it has 1 to {MAX_OBJECT_KEY_LENGTH} bytes, no control characters, and \
         parts between single slashes, none of them `.` or `..`"
    )]
    InvalidKey {
        /// What was given, cut to a printable length.
        text: String,
    },
    /// The text is not the URL of a file.
    #[error("this is not the URL of a file: {problem}")]
    InvalidUrl {
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The name of a store in the settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreName(String);

/// The key of an object, below the prefix of its store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ObjectKey(String);

/// The URL of a file, normalised: https, or http for networks that the settings list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FileUrl(String);

/// Where a file outside the file store is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RemoteFile {
    /// An object of a store.
    Object {
        /// The store.
        store: StoreName,
        /// The key of the object.
        key: ObjectKey,
    },
    /// The answer to a GET of a URL.
    Url {
        /// The URL.
        url: FileUrl,
    },
}

impl StoreName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectKey {
    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FileUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL in its parts.
    pub fn parsed(&self) -> Result<Url, RemoteFileError> {
        parse_url(&self.0)
    }
}

impl RemoteFile {
    /// The last part of the key or of the path, percent-decoded: what the file is called.
    #[must_use]
    pub fn last_part(&self) -> String {
        let path = match self {
            Self::Object { key, .. } => return key.0.rsplit('/').next().unwrap_or_default().into(),
            Self::Url { url } => url.parsed().map(|url| url.path().to_owned()),
        };
        let path = path.unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        percent_encoding::percent_decode_str(last)
            .decode_utf8_lossy()
            .into_owned()
    }
}

impl FromStr for StoreName {
    type Err = RemoteFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_name = (1..=MAX_STORE_NAME_LENGTH).contains(&text.len())
            && text.bytes().all(is_allowed)
            && !text.starts_with('-');
        if !is_name {
            let text = shortened(text);
            return Err(RemoteFileError::InvalidStoreName { text });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for ObjectKey {
    type Err = RemoteFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        let is_key = text.len() <= MAX_OBJECT_KEY_LENGTH
            && !text.chars().any(char::is_control)
            && text.split('/').all(is_part);
        if !is_key {
            let text = shortened(text);
            return Err(RemoteFileError::InvalidKey { text });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for FileUrl {
    type Err = RemoteFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_url(text).map(|url| Self(url.into()))
    }
}

fn parse_url(text: &str) -> Result<Url, RemoteFileError> {
    let invalid = |problem| RemoteFileError::InvalidUrl { problem };
    let url = Url::parse(text).map_err(|_| invalid("it is no absolute URL"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("it begins with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it has no user name and no password"));
    }
    if url.fragment().is_some() {
        return Err(invalid("it has no fragment"));
    }
    if url.as_str().len() > MAX_FILE_URL_LENGTH {
        return Err(invalid("it has at most 2048 bytes"));
    }
    match url.host() {
        Some(Host::Domain(name)) if name.trim_end_matches('.').is_empty() => {
            Err(invalid("it names a host"))
        }
        Some(_) => Ok(url),
        None => Err(invalid("it names a host")),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

macro_rules! text_conversions {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = RemoteFileError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    )*};
}

text_conversions! { StoreName ObjectKey FileUrl }

impl fmt::Display for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { store, key } => write!(f, "{key} in the store {store}"),
            Self::Url { url } => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_the_prefix_of_their_store() {
        for key in [
            "a.tif",
            "elevation/2025/Höhe 1.tif",
            "a+b&c=%2F.tif",
            ".hidden",
        ] {
            assert_eq!(key.parse::<ObjectKey>().unwrap().as_str(), key);
        }
        let long = "x".repeat(MAX_OBJECT_KEY_LENGTH + 1);
        for key in [
            "",
            "/a.tif",
            "a//b.tif",
            "a/",
            "../a.tif",
            "a/../b.tif",
            "a/./b.tif",
            "..",
            "a\nb",
            "a\0b",
            &long,
        ] {
            assert!(key.parse::<ObjectKey>().is_err(), "{key:?}");
        }
    }

    #[test]
    fn store_names_are_plain() {
        for name in ["a", "archive-2", "0", &"x".repeat(63)] {
            assert!(name.parse::<StoreName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "Archive", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(name.parse::<StoreName>().is_err(), "{name}");
        }
    }

    #[test]
    fn urls_are_normalised_and_hold_no_credentials() {
        let url: FileUrl = "HTTPS://Data.Example.org:443/a/../b%20c.tif?x=1"
            .parse()
            .unwrap();
        assert_eq!(url.as_str(), "https://data.example.org/b%20c.tif?x=1");
        let file = RemoteFile::Url { url };
        assert_eq!(file.last_part(), "b c.tif");
        // Other ways to write an IPv4 address are that address.
        for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"] {
            let url: FileUrl = format!("https://{host}/a.tif").parse().unwrap();
            assert_eq!(url.as_str(), "https://127.0.0.1/a.tif", "{host}");
        }
        for url in [
            "",
            "a.tif",
            "//data.example.org/a.tif",
            "ftp://data.example.org/a.tif",
            "file:///etc/passwd",
            "s3://bucket/a.tif",
            "https://ada@data.example.org/a.tif",
            "https://:secret@data.example.org/a.tif",
            "https://data.example.org/a.tif#b",
            "https:///",
        ] {
            assert!(url.parse::<FileUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for json in [
            r#"{"store":"archive","key":"a/b.tif"}"#,
            r#"{"url":"https://data.example.org/b.tif"}"#,
        ] {
            let file: RemoteFile = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&file).unwrap(), json);
        }
        for json in [
            r#"{"store":"archive","key":"../b.tif"}"#,
            r#"{"url":"file:///b.tif"}"#,
        ] {
            assert!(serde_json::from_str::<RemoteFile>(json).is_err(), "{json}");
        }
    }
}
