//! The names in the catalog of what policies name, for warnings.

use crate::cli::local::open_existing_database;
use crate::cli::outcome::CommandError;
use crate::cli::print;
use crate::config::Settings;
use crate::policy::mentions::names::{CatalogLookup, CatalogNames};
use crate::service::policies::review::catalog_names::find_catalog_names;
use crate::storage::SchemaVersion;

/// Looks up what policies name in the catalog of the settings, if there is one that can be reached.
///
/// Policies are often checked where there is none: that is a note, and neither an error nor a new database.
pub(super) async fn catalog_names(
    settings: &Settings,
    lookup: CatalogLookup,
) -> Option<CatalogNames> {
    if lookup.is_empty() {
        return None;
    }
    if lookup.is_cut {
        print::note(
            "note: the policies name very much: not all of it is compared with the catalog",
        );
    }
    match find(settings, lookup).await {
        Ok(names) => Some(names),
        Err(error) => {
            let note = "note: the ids and names in the policies are not compared with the catalog";
            print::note(format!("{note}: {}", error.message));
            None
        }
    }
}

async fn find(settings: &Settings, lookup: CatalogLookup) -> Result<CatalogNames, CommandError> {
    let database = open_existing_database(settings).await?;
    let names = match database.schema_version().await {
        Ok(SchemaVersion::Current) => find_catalog_names(&database, lookup)
            .await
            .map_err(CommandError::new),
        Ok(SchemaVersion::Empty) => Err(CommandError::new("the database is empty")),
        Ok(SchemaVersion::Older { .. }) => {
            Err(CommandError::new("the database is of an older version"))
        }
        Err(error) => Err(CommandError::new(error)),
    };
    database.close().await;
    names
}
