//! The demo: a small catalog with real files, and people with passwords made up on the spot.
//!
//! It is written once for each data directory, through the same [`apply`] as any catalog file; what
//! an operator changes later stays changed. This module refuses to know how it is shown to people.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic_file::{PRIVATE_MODE, atomic_create};
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::files::FileStore;
use crate::service::identity::password::{Passwords, random_password};
use crate::storage::{Database, StorageError};

use super::{ApplyError, CatalogFile, apply};

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

/// The one with the role that the restricted dataset is shared with.
const MEMBER: &str = "mo";

/// The people of the demo, and what each is there to show.
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

/// The file in the data directory that keeps the passwords, readable to its owner alone.
pub const PASSWORDS_FILE: &str = "demo-passwords.toml";

/// What there is in the demo.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The people who may sign in.
    pub users: Vec<DemoUser>,
    /// The datasets, as the demo was written.
    pub datasets: Vec<DemoDataset>,
}

/// Somebody who may sign in.
#[derive(Clone, Debug)]
pub struct DemoUser {
    /// The name to sign in with.
    pub username: Username,
    /// The password to sign in with, unless it was changed since.
    pub password: Secret<String>,
    /// What this person is there to show.
    pub description: &'static str,
    /// Whether the restricted dataset is shared with this person's role.
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
    /// Whether it is out.
    pub record_status: RecordStatus,
    /// Visibility and record status, and who reads it by the shipped policies.
    pub description: String,
}

/// Why the demo is not there.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The catalog is somebody's own already, and the demo would change it.
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
        /// What the system says.
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

/// Makes sure that the demo was written once for `data_dir`, and tells what is in it.
///
/// The passwords are kept before the catalog is written, and an empty catalog is written again with
/// the passwords that were kept: a start that was cut off goes on where it was. A catalog that
/// holds something is never touched; without kept passwords that is [`DemoError::NotEmpty`].
/// `now_seconds` is since 1970 UTC.
pub async fn prepare(
    database: &Database,
    store: &FileStore,
    passwords: &Passwords,
    data_dir: &Path,
    now_seconds: i64,
) -> Result<Demo, DemoError> {
    let passwords_file = data_dir.join(PASSWORDS_FILE);
    let kept = read_passwords(&passwords_file)?;
    let catalog = database.read_catalog().await?;
    let is_empty = catalog.users.is_empty() && catalog.datasets.is_empty();
    let people = match kept {
        Some(people) => people,
        None if is_empty => generate_passwords(&passwords_file)?,
        None => return Err(DemoError::NotEmpty { passwords_file }),
    };
    let folder =
        tempfile::tempdir_in(data_dir).map_err(|source| unusable_path(data_dir, source))?;
    let mut file = CatalogFile::parse("demo/catalog.toml", CATALOG, folder.path());
    for person in &people {
        file.set_password(&person.username, person.password.clone());
    }
    if is_empty {
        for (name, content) in FILES {
            let path = folder.path().join(name);
            fs::write(&path, content).map_err(|source| unusable_path(&path, source))?;
        }
        apply(database, store, passwords, &file, false, now_seconds).await?;
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
        users: people,
        datasets: datasets.collect(),
    })
}

/// What the shipped policies say, in words for newcomers; nothing is decided by it.
fn describe_readers(visibility: Visibility, record_status: RecordStatus) -> &'static str {
    match (visibility, record_status) {
        (_, RecordStatus::Draft) => "its owner and admins read it until it is out",
        (Visibility::Public, _) => "anyone reads it",
        (Visibility::Internal, _) => "anyone who signed in reads it",
        (Visibility::Restricted, _) => "the role hydrology reads it, its owner and admins too",
        (Visibility::Private, _) => "its owner and admins read it",
    }
}

fn read_passwords(path: &Path) -> Result<Option<Vec<DemoUser>>, DemoError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unusable_path(path, source)),
    };
    let altered = || DemoError::PasswordsFileInvalid {
        path: path.to_owned(),
    };
    // The parser's own message would show the line, and with it a password.
    let mut kept: PasswordsFile = toml::from_str(text.reveal()).map_err(|_| altered())?;
    let people = USERS.iter().map(|(name, what)| {
        let at = kept
            .people
            .iter()
            .position(|kept| kept.username.as_str() == *name)?;
        let found = kept.people.swap_remove(at);
        Some(DemoUser {
            username: found.username,
            password: Secret::new(found.password),
            description: what,
            has_shared_role: *name == MEMBER,
        })
    });
    let people: Option<Vec<_>> = people.collect();
    people.map(Some).ok_or_else(altered)
}

fn generate_passwords(path: &Path) -> Result<Vec<DemoUser>, DemoError> {
    let people = USERS.iter().filter_map(|(name, what)| {
        Some(DemoUser {
            username: name.parse().ok()?,
            password: random_password(),
            description: what,
            has_shared_role: *name == MEMBER,
        })
    });
    let people: Vec<_> = people.collect();
    write_passwords(path, &people).map_err(|source| unusable_path(path, source))?;
    Ok(people)
}

/// Writes beside the file and renames, so that the file is there whole or not at all.
fn write_passwords(path: &Path, people: &[DemoUser]) -> io::Result<()> {
    let kept = PasswordsFile {
        people: people
            .iter()
            .map(|person| PasswordEntry {
                username: person.username.clone(),
                password: person.password.reveal().clone(),
            })
            .collect(),
    };
    let text = Secret::new(toml::to_string(&kept).map_err(io::Error::other)?);
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
