//! The demo catalog: real files, and users with random passwords.
//!
//! It is written once for each data directory, through the same [`apply`] as any catalog file; what
//! an operator changes later stays changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic_file::{PRIVATE_MODE, atomic_create};
use crate::domain::clock::Clock;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::domain::text_file;
use crate::files::FileStore;
use crate::service::identity::password::{Passwords, random_password};
use crate::storage::{Database, StorageError};

use super::{ApplyError, ApplyOptions, CatalogFile, apply};

const CATALOG: &str = include_str!("../../../../demo/catalog.toml");

const FILES: [(&str, &[u8]); 2] = [
    (
        "jacksboro-fault-dem.cog.tif",
        include_bytes!("../../../../demo/jacksboro-fault-dem.cog.tif"),
    ),
    (
        "salish-sea-topobathy.cog.tif",
        include_bytes!("../../../../demo/salish-sea-topobathy.cog.tif"),
    ),
];

/// The user with the role that the restricted dataset is shared with.
const MEMBER: &str = "mo";

/// The users of the demo, and what each demonstrates.
const USERS: [(&str, &str); 4] = [
    ("admin", "has the admin role: reads everything"),
    ("olivia", "owns every dataset, so she reads them all"),
    (
        MEMBER,
        "has the role hydrology: reads what is shared with it",
    ),
    (
        "otto",
        "signs in and has no role: reads public and internal data",
    ),
];

/// The file in the data directory with the passwords, readable by its owner only.
pub const PASSWORDS_FILE: &str = "demo-passwords.toml";

/// The contents of the demo.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The users.
    pub users: Vec<DemoUser>,
    /// The datasets, as the demo was written.
    pub datasets: Vec<DemoDataset>,
}

/// A user of the demo.
#[derive(Clone, Debug)]
pub struct DemoUser {
    /// The name to sign in with.
    pub username: Username,
    /// The password to sign in with, unless it was changed since.
    pub password: Secret<String>,
    /// What the user demonstrates.
    pub description: &'static str,
    /// Whether the restricted dataset is shared with the user's role.
    pub has_shared_role: bool,
}

/// One dataset of the demo.
#[derive(Clone, Debug)]
pub struct DemoDataset {
    /// The id to mint for.
    pub id: DatasetId,
    /// The title.
    pub title: String,
    /// For whom it is meant.
    pub visibility: Visibility,
    /// Whether it is published.
    pub record_status: RecordStatus,
    /// Visibility and record status, and who reads it by the shipped policies.
    pub description: String,
}

/// Why the demo could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The catalog is not empty and was not written by the demo.
    #[error(
        "the catalog has users or datasets already and {path} is not there, \
         so the demo was not added to it",
        path = passwords_file.display()
    )]
    NotEmpty {
        /// Where the passwords of a demo would be.
        passwords_file: PathBuf,
    },
    /// The file with the passwords, or the folder for the files, cannot be written or read.
    #[error("cannot use {path}: {source}", path = path.display())]
    Unusable {
        /// What cannot be used.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The file with the passwords is not as the demo wrote it.
    #[error("{path} is not as the demo wrote it", path = path.display())]
    PasswordsFileInvalid {
        /// The file.
        path: PathBuf,
    },
    /// The catalog could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The demo's catalog was not applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// The file with the passwords.
#[derive(Serialize, Deserialize)]
struct PasswordsFile {
    people: Vec<PasswordEntry>,
}

#[derive(Serialize, Deserialize)]
struct PasswordEntry {
    username: Username,
    password: String,
}

/// Writes the demo once for `data_dir`, and returns its contents.
///
/// The passwords are saved before the catalog is written, and an empty catalog is written again with
/// the saved passwords, so an interrupted start is resumed. A catalog that is not empty is never
/// changed; without saved passwords it is a [`DemoError::NotEmpty`]. The clock
/// gives the modification time of files and the time of the audit record.
pub async fn prepare(
    database: &Database,
    store: &FileStore,
    passwords: &Passwords,
    data_dir: &Path,
    clock: &Clock,
) -> Result<Demo, DemoError> {
    let passwords_file = data_dir.join(PASSWORDS_FILE);
    let saved = read_passwords(&passwords_file)?;
    let directory = database.read_directory().await?;
    let is_empty = directory.users.is_empty() && database.list_datasets(None, 1).await?.is_empty();
    let users = match saved {
        Some(users) => users,
        None if is_empty => generate_passwords(&passwords_file)?,
        None => return Err(DemoError::NotEmpty { passwords_file }),
    };
    let folder =
        tempfile::tempdir_in(data_dir).map_err(|source| unusable_path(data_dir, source))?;
    let mut file = CatalogFile::parse("demo/catalog.toml", CATALOG, folder.path());
    for user in &users {
        file.set_password(&user.username, user.password.clone());
    }
    if is_empty {
        for (name, content) in FILES {
            let path = folder.path().join(name);
            fs::write(&path, content).map_err(|source| unusable_path(&path, source))?;
        }
        let options = ApplyOptions::new(clock.clone());
        apply(database, store, passwords, &file, &options).await?;
    }
    let datasets = file.datasets.into_iter().map(|dataset| DemoDataset {
        id: *dataset.id.get_ref(),
        title: dataset.title,
        visibility: dataset.visibility,
        record_status: dataset.record_status,
        description: format!(
            "{}, {}: {}",
            dataset.visibility,
            dataset.record_status,
            describe_readers(dataset.visibility, dataset.record_status)
        ),
    });
    Ok(Demo {
        users,
        datasets: datasets.collect(),
    })
}

/// Describes what the shipped policies permit, for newcomers; nothing depends on it.
fn describe_readers(visibility: Visibility, record_status: RecordStatus) -> &'static str {
    match (visibility, record_status) {
        (_, RecordStatus::Draft) => "its owner and admins read it until it is published",
        (Visibility::Public, _) => "anyone reads it",
        (Visibility::Internal, _) => "anyone who signed in reads it",
        (Visibility::Restricted, _) => "the role hydrology reads it, its owner and admins too",
        (Visibility::Private, _) => "its owner and admins read it",
    }
}

fn read_passwords(path: &Path) -> Result<Option<Vec<DemoUser>>, DemoError> {
    let content = fs::read(path);
    let text = match content.and_then(|c| text_file::decode(c).map_err(io::Error::other)) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unusable_path(path, source)),
    };
    let invalid = || DemoError::PasswordsFileInvalid {
        path: path.to_owned(),
    };
    // The parser's own message would quote the line, and with it a password.
    let mut saved: PasswordsFile = toml::from_str(text.reveal()).map_err(|_| invalid())?;
    let users = USERS.iter().map(|(name, description)| {
        let at = saved
            .people
            .iter()
            .position(|entry| entry.username.as_str() == *name)?;
        let found = saved.people.swap_remove(at);
        Some(DemoUser {
            username: found.username,
            password: Secret::new(found.password),
            description,
            has_shared_role: *name == MEMBER,
        })
    });
    let users: Option<Vec<_>> = users.collect();
    users.map(Some).ok_or_else(invalid)
}

fn generate_passwords(path: &Path) -> Result<Vec<DemoUser>, DemoError> {
    let users = USERS.iter().filter_map(|(name, description)| {
        Some(DemoUser {
            username: name.parse().ok()?,
            password: random_password(),
            description,
            has_shared_role: *name == MEMBER,
        })
    });
    let users: Vec<_> = users.collect();
    write_passwords(path, &users).map_err(|source| unusable_path(path, source))?;
    Ok(users)
}

/// Writes beside the file and renames, so that the file is there whole or not at all.
fn write_passwords(path: &Path, users: &[DemoUser]) -> io::Result<()> {
    let saved = PasswordsFile {
        people: users
            .iter()
            .map(|user| PasswordEntry {
                username: user.username.clone(),
                password: user.password.reveal().clone(),
            })
            .collect(),
    };
    let text = Secret::new(toml::to_string(&saved).map_err(io::Error::other)?);
    let text = Secret::new(format!(
        "# The passwords of the demo's people. Delete this folder to start afresh.\n{}",
        text.reveal()
    ));
    atomic_create(path, PRIVATE_MODE, text.reveal().as_bytes())
}

fn unusable_path(path: &Path, source: io::Error) -> DemoError {
    DemoError::Unusable {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
