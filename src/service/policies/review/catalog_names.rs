//! Looks up in the catalog what a policy folder names, in a handful of statements whatever the folder's size.

use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::policy::mentions::names::{CatalogLookup, CatalogNames};
use crate::storage::{Database, StorageError};

/// The most users, datasets and roles that are read to suggest what was meant.
const MAX_SIMILAR: u32 = 10_000;

/// What the catalog knows of a lookup, with suggestions for what it lacks.
pub async fn find_catalog_names(
    database: &Database,
    lookup: CatalogLookup,
) -> Result<CatalogNames, StorageError> {
    let mut names = find_named(database, lookup).await?;
    if names.lacks_any() {
        names.similar_users = database.list_usernames(MAX_SIMILAR).await?;
        names.similar_datasets = database.list_titles(MAX_SIMILAR).await?;
    }
    Ok(names)
}

/// What the catalog knows of a lookup, and nothing else of it. A role that an identity provider names and the catalog
/// lacks is given to nobody, so it is unknown too.
pub async fn find_named(
    database: &Database,
    lookup: CatalogLookup,
) -> Result<CatalogNames, StorageError> {
    let usernames = lookup.usernames.iter().collect();
    let mut names = CatalogNames {
        users: database.find_usernames(&lookup.users).await?,
        usernames: database.find_user_ids(&usernames).await?,
        datasets: database.find_titles(&lookup.datasets).await?,
        ..CatalogNames::default()
    };
    let roles: Vec<RoleName> = database.list_roles(None, MAX_SIMILAR).await?;
    if roles.len() < MAX_SIMILAR as usize {
        names.roles = Some(roles.into_iter().chain(ADMIN_ROLE.parse()).collect());
    }
    names.lookup = lookup;
    Ok(names)
}
