//! The columns that say where the file of a dataset is: in the file store, in another store or at a URL.

use crate::domain::dataset::{DatasetFile, StoredFile};
use crate::domain::remote_file::{RemoteFile, RemoteFileError};

/// The columns as they are read.
pub(super) struct FileColumns {
    pub(super) sha256: Option<String>,
    pub(super) name: Option<String>,
    pub(super) size: Option<i64>,
    pub(super) modified: Option<i64>,
    pub(super) store: Option<String>,
    pub(super) key: Option<String>,
    pub(super) url: Option<String>,
}

/// The columns as they are written; all are none without a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileValues<'a> {
    pub(super) sha256: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) size: Option<i64>,
    pub(super) modified: Option<i64>,
    pub(super) store: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) url: Option<&'a str>,
}

impl FileColumns {
    /// The file, or what is wrong with the columns.
    pub(super) fn into_file(self) -> Result<Option<DatasetFile>, String> {
        let stored = match (self.sha256, self.name, self.size, self.modified) {
            (None, None, None, None) => None,
            (Some(sha256), Some(name), Some(size), Some(modified)) => {
                let size = u64::try_from(size).map_err(|error| error.to_string())?;
                Some(DatasetFile::Stored(StoredFile {
                    sha256,
                    name,
                    size,
                    modified,
                }))
            }
            _ => return Err("its file columns are incomplete".to_owned()),
        };
        let place = |error: RemoteFileError| error.to_string();
        let remote = match (self.store, self.key, self.url) {
            (None, None, None) => None,
            (Some(store), Some(key), None) => Some(RemoteFile::Object {
                store: store.parse().map_err(place)?,
                key: key.parse().map_err(place)?,
            }),
            (None, None, Some(url)) => Some(RemoteFile::Url {
                url: url.parse().map_err(place)?,
            }),
            _ => return Err("the columns of the place of its file are incomplete".to_owned()),
        };
        match (stored, remote) {
            (Some(_), Some(_)) => Err("its file is in two places".to_owned()),
            (stored, remote) => Ok(stored.or(remote.map(DatasetFile::Remote))),
        }
    }
}

impl<'a> FileValues<'a> {
    /// The columns of a file.
    pub(super) fn new(file: Option<&'a DatasetFile>) -> Result<Self, sqlx::Error> {
        Ok(match file {
            None => Self::default(),
            Some(DatasetFile::Stored(file)) => {
                let size = i64::try_from(file.size);
                Self {
                    sha256: Some(&file.sha256),
                    name: Some(&file.name),
                    size: Some(size.map_err(|error| sqlx::Error::Encode(error.into()))?),
                    modified: Some(file.modified),
                    ..Self::default()
                }
            }
            Some(DatasetFile::Remote(RemoteFile::Object { store, key })) => Self {
                store: Some(store.as_str()),
                key: Some(key.as_str()),
                ..Self::default()
            },
            Some(DatasetFile::Remote(RemoteFile::Url { url })) => Self {
                url: Some(url.as_str()),
                ..Self::default()
            },
        })
    }
}
