//! The stores: the database, the files and the passwords that the server and the commands share.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::config::Settings;
use crate::files::FileStore;
use crate::service::identity::password::Passwords;
use crate::storage::{Database, SchemaVersion};

use super::error::AppError;

/// The stores that every command on the data needs.
pub struct Stores {
    /// The database, migrated.
    pub database: Database,
    /// The file store.
    pub files: FileStore,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
}

impl Stores {
    /// Opens the stores that the settings name, and migrates the database.
    pub async fn open(settings: &Settings) -> Result<Self, AppError> {
        let database = open_database(settings).await?;
        database.migrate().await?;
        Self::with_database(settings, database)
    }

    /// Like [`Stores::open`] for commands beside running servers: an empty database gets its tables, and one
    /// that an older program uses is [`AppError::OlderSchema`] and stays as it is.
    pub async fn open_beside_servers(settings: &Settings) -> Result<Self, AppError> {
        let database = open_database(settings).await?;
        match database.schema_version().await? {
            SchemaVersion::Current => {}
            SchemaVersion::Empty => database.migrate().await?,
            SchemaVersion::Older { found, known } => {
                return Err(AppError::OlderSchema { found, known });
            }
        }
        Self::with_database(settings, database)
    }

    fn with_database(settings: &Settings, database: Database) -> Result<Self, AppError> {
        let files = FileStore::open(&settings.files_dir)?
            .with_import_dir(settings.import_dir.as_deref())
            .with_remote_files(&settings.stores, &settings.remote_networks)?;
        Ok(Self {
            database,
            files,
            passwords: Passwords::new()?,
        })
    }
}

/// Opens the database that the settings name; the data directory is created if there is none.
pub async fn open_database(settings: &Settings) -> Result<Database, AppError> {
    create_private_dir(&settings.data_dir).map_err(|source| AppError::DataDir {
        path: settings.data_dir.display().to_string(),
        source,
    })?;
    let url = settings.database_url.reveal();
    Ok(Database::open(url, settings.database_connections).await?)
}

/// Creates the data directory for its owner alone; an existing one keeps its mode.
fn create_private_dir(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
