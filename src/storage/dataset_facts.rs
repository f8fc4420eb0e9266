//! The facts of all datasets: what decisions may depend on, read in a few statements without JSON for each row.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CATALOG_TIMEOUT, Database, Transaction, on_either, with_timeout};
use super::error::StorageError;
use super::users::parse_role;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Tags;
use crate::domain::share_ends::ShareEnds;
use crate::domain::text_enum::UnknownVariant;

/// What is read of datasets, beside id, title, visibility, record status, owner and readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatasetColumns {
    /// Their tags.
    pub tags: bool,
    /// Their attributes.
    pub attributes: bool,
}

type FactsRow = (
    Uuid,
    String,
    String,
    String,
    Option<Uuid>,
    Option<Json<Tags>>,
    Option<Json<Attributes>>,
);

/// Everything that is read.
struct FactsRows {
    rows: Vec<FactsRow>,
    owners: Vec<Uuid>,
    ends: Vec<(Uuid, Json<ShareEnds>)>,
    users: Vec<(Uuid, Uuid)>,
    roles: Vec<(Uuid, String)>,
}

const OPERATION: &str = "read the datasets";

/// The view of datasets without the JSON of their readers, and with owners who may have been removed: looking each of
/// them up would take as long as everything else.
const DATASETS: &str = "SELECT datasets.id,
        CASE WHEN staged.id IS NULL THEN datasets.title ELSE staged.title END,
        CASE WHEN staged.id IS NULL THEN datasets.visibility ELSE staged.visibility END,
        CASE WHEN staged.id IS NULL THEN datasets.record_status ELSE staged.record_status END,
        CASE WHEN staged.id IS NULL THEN datasets.owner ELSE staged.owner END,
        CASE WHEN NOT $1 THEN NULL WHEN staged.id IS NULL THEN datasets.tags ELSE staged.tags END,
        CASE WHEN NOT $2 THEN NULL WHEN staged.id IS NULL THEN datasets.attributes ELSE staged.attributes END
    FROM datasets LEFT JOIN staged_datasets AS staged
        ON staged.id = datasets.id AND (SELECT is_committed FROM catalog_apply)
    WHERE CASE WHEN staged.id IS NULL THEN NOT datasets.is_absent ELSE NOT staged.is_removed END";
const OWNERS: &str = "SELECT id FROM users WHERE NOT is_removed";
const ENDS: &str = "SELECT dataset_id, share_ends FROM dataset_details WHERE share_ends <> '{}'";
/// What is staged and committed counts, in place of what it replaces.
const USERS: &str = "SELECT dataset_id, user_id FROM dataset_reader_users
    WHERE user_id NOT IN (SELECT id FROM users WHERE is_removed)
        AND dataset_id NOT IN (SELECT id FROM staged_datasets WHERE (SELECT is_committed FROM catalog_apply))
    UNION ALL SELECT dataset_id, user_id FROM staged_reader_users
    WHERE (SELECT is_committed FROM catalog_apply)";
const ROLES: &str = "SELECT dataset_id, role_name FROM dataset_reader_roles
    WHERE role_name NOT IN (SELECT name FROM roles WHERE is_removed)
        AND dataset_id NOT IN (SELECT id FROM staged_datasets WHERE (SELECT is_committed FROM catalog_apply))
    UNION ALL SELECT dataset_id, role_name FROM staged_reader_roles
    WHERE (SELECT is_committed FROM catalog_apply)";

impl Database {
    /// Reads all datasets by id in one snapshot, without their files, and without what `columns` leaves out, which is
    /// empty.
    pub async fn read_dataset_facts(
        &self,
        columns: DatasetColumns,
    ) -> Result<Vec<Dataset>, StorageError> {
        with_timeout(CATALOG_TIMEOUT, OPERATION, async {
            let mut transaction = self
                .begin_reading()
                .await
                .map_err(|error| classify(&error))?;
            let datasets = read_facts(&mut transaction, columns).await?;
            transaction
                .commit()
                .await
                .map_err(|error| classify(&error))?;
            Ok(datasets)
        })
        .await
    }
}

async fn read_facts(
    transaction: &mut Transaction,
    columns: DatasetColumns,
) -> Result<Vec<Dataset>, StorageError> {
    let FactsRows {
        rows,
        owners,
        ends,
        users,
        roles,
    } = on_either!(&mut *transaction, connection => {
        let read = async {
            Ok(FactsRows {
                rows: sqlx::query_as(DATASETS)
                    .bind(columns.tags)
                    .bind(columns.attributes)
                    .fetch_all(&mut **connection)
                    .await?,
                owners: sqlx::query_scalar(OWNERS).fetch_all(&mut **connection).await?,
                ends: sqlx::query_as(ENDS).fetch_all(&mut **connection).await?,
                users: sqlx::query_as(USERS).fetch_all(&mut **connection).await?,
                roles: sqlx::query_as(ROLES).fetch_all(&mut **connection).await?,
            })
        };
        read.await.map_err(|error| classify(&error))
    })?;
    let mut datasets = rows
        .into_iter()
        .map(into_dataset)
        .collect::<Result<Vec<_>, _>>()?;
    datasets.sort_unstable_by_key(|dataset| dataset.id);
    let owners: HashSet<Uuid> = owners.into_iter().collect();
    for dataset in &mut datasets {
        dataset.owner = dataset.owner.filter(|owner| owners.contains(&owner.0));
    }
    let places = datasets.iter().map(|dataset| dataset.id.0).zip(0..);
    let places: HashMap<Uuid, usize> = places.collect();
    let place = |id: Uuid| places.get(&id).copied();
    // Whatever belongs to a dataset that is not visible is left out.
    for (id, user) in users {
        if let Some(dataset) = place(id).and_then(|place| datasets.get_mut(place)) {
            dataset.reader_users.insert(UserId(user));
        }
    }
    // Most shares are with a few roles.
    let mut names: HashMap<String, RoleName> = HashMap::new();
    for (id, role) in roles {
        let Some(dataset) = place(id).and_then(|place| datasets.get_mut(place)) else {
            continue;
        };
        let name = match names.get(&role) {
            Some(name) => name.clone(),
            None => names
                .entry(role.clone())
                .or_insert(parse_role(role)?)
                .clone(),
        };
        dataset.reader_roles.insert(name);
    }
    for (id, ends) in ends {
        if let Some(dataset) = place(id).and_then(|place| datasets.get_mut(place)) {
            dataset.share_ends = ends.0;
            dataset
                .share_ends
                .retain_readers(&dataset.reader_users, &dataset.reader_roles);
        }
    }
    Ok(datasets)
}

fn classify(error: &sqlx::Error) -> StorageError {
    StorageError::classify(error, OPERATION, "datasets")
}

fn into_dataset(row: FactsRow) -> Result<Dataset, StorageError> {
    let (id, title, visibility, record_status, owner, tags, attributes) = row;
    let id = DatasetId(id);
    let corrupt = |detail| StorageError::Corrupt {
        table: "datasets",
        detail: format!("dataset {id}: {detail}"),
    };
    Ok(Dataset {
        id,
        title,
        visibility: visibility
            .parse()
            .map_err(|error: UnknownVariant| corrupt(error.to_string()))?,
        record_status: record_status
            .parse()
            .map_err(|error: UnknownVariant| corrupt(error.to_string()))?,
        owner: owner.map(UserId),
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: ShareEnds::default(),
        tags: tags.map(|tags| tags.0).unwrap_or_default(),
        attributes: attributes
            .map(|attributes| attributes.0)
            .unwrap_or_default(),
        file: None,
    })
}
