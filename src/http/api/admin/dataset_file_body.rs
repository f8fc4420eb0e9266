//! The file of a dataset in the admin API: in the file store, or elsewhere.

use poem_openapi::Object;

use crate::domain::dataset::StoredFile;
use crate::domain::remote_file::{FileUrl, ObjectKey, RemoteFile, StoreName};
use crate::http::reply::timestamp::Timestamp;
use crate::service::error::ServiceError;

/// A file in the file store.
#[derive(Object)]
#[oai(rename = "FileBody")]
pub struct DatasetFileBody {
    /// The file name for downloads.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the content, in lower-case hexadecimal.
    pub sha256: String,
    /// When the content was stored.
    pub modified: Timestamp,
}

/// Where a file outside the file store is: the key of an object in a store of the settings, or a URL.
#[derive(Object)]
#[oai(rename = "RemoteFileBody")]
pub struct RemoteFileBody {
    /// The store, with `key`.
    #[oai(skip_serializing_if_is_none)]
    pub store: Option<String>,
    /// The key of the object below the prefix of its store.
    #[oai(skip_serializing_if_is_none)]
    pub key: Option<String>,
    /// The URL of the file, alone.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
}

impl From<StoredFile> for DatasetFileBody {
    fn from(file: StoredFile) -> Self {
        Self {
            name: file.name,
            size: file.size,
            sha256: file.sha256,
            modified: Timestamp(file.modified),
        }
    }
}

impl From<DatasetFileBody> for StoredFile {
    fn from(file: DatasetFileBody) -> Self {
        Self {
            name: file.name,
            size: file.size,
            sha256: file.sha256,
            modified: file.modified.0,
        }
    }
}

impl From<RemoteFile> for RemoteFileBody {
    fn from(file: RemoteFile) -> Self {
        match file {
            RemoteFile::Object { store, key } => Self {
                store: Some(store.to_string()),
                key: Some(key.to_string()),
                url: None,
            },
            RemoteFile::Url { url } => Self {
                store: None,
                key: None,
                url: Some(url.to_string()),
            },
        }
    }
}

impl RemoteFileBody {
    /// The place, or what is wrong with it.
    pub(super) fn into_place(self) -> Result<RemoteFile, ServiceError> {
        let invalid =
            |error: &dyn std::fmt::Display| ServiceError::invalid("remote_file", error.to_string());
        match (self.store, self.key, self.url) {
            (Some(store), Some(key), None) => Ok(RemoteFile::Object {
                store: StoreName::try_from(store).map_err(|error| invalid(&error))?,
                key: ObjectKey::try_from(key).map_err(|error| invalid(&error))?,
            }),
            (None, None, Some(url)) => Ok(RemoteFile::Url {
                url: FileUrl::try_from(url).map_err(|error| invalid(&error))?,
            }),
            _ => Err(invalid(&"expected `store` and `key`, or `url` alone")),
        }
    }
}
