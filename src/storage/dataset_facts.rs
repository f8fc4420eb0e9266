//! The facts of all datasets: what decisions may depend on, read in a few statements without JSON for each row.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::TryStreamExt;
use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CATALOG_TIMEOUT, Database, Either, Transaction, on_either, with_timeout};
use super::error::StorageError;
use super::users::parse_role;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
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
    /// The datasets that are shared with each user.
    users: Vec<(Uuid, Vec<Uuid>)>,
    /// The datasets that are shared with each role.
    roles: Vec<(String, Vec<Uuid>)>,
}

const OPERATION: &str = "read the datasets";

/// The view of datasets without the JSON of their readers, and with owners who may have been removed: looking each of
/// them up would take as long as everything else.
macro_rules! datasets_sql {
    ($more_columns:literal) => {
        concat!(
            "SELECT datasets.id AS id,
        CASE WHEN staged.id IS NULL THEN datasets.title ELSE staged.title END AS title,
        CASE WHEN staged.id IS NULL THEN datasets.visibility ELSE staged.visibility END AS visibility,
        CASE WHEN staged.id IS NULL THEN datasets.record_status ELSE staged.record_status END AS record_status,
        CASE WHEN staged.id IS NULL THEN datasets.owner ELSE staged.owner END AS owner,
        CASE WHEN NOT $1 THEN NULL WHEN staged.id IS NULL THEN datasets.tags ELSE staged.tags END AS tags,
        CASE WHEN NOT $2 THEN NULL WHEN staged.id IS NULL THEN datasets.attributes ELSE staged.attributes END
            AS attributes",
            $more_columns,
            " FROM datasets LEFT JOIN staged_datasets AS staged
        ON staged.id = datasets.id AND (SELECT is_committed FROM catalog_apply)
    WHERE CASE WHEN staged.id IS NULL THEN NOT datasets.is_absent ELSE NOT staged.is_removed END"
        )
    };
}
/// What is staged and committed counts, in place of what it replaces.
macro_rules! reader_users_sql {
    () => {
        "SELECT dataset_id, user_id FROM dataset_reader_users
    WHERE user_id NOT IN (SELECT id FROM users WHERE is_removed)
        AND dataset_id NOT IN (SELECT id FROM staged_datasets WHERE (SELECT is_committed FROM catalog_apply))
    UNION ALL SELECT dataset_id, user_id FROM staged_reader_users
    WHERE (SELECT is_committed FROM catalog_apply)"
    };
}
macro_rules! reader_roles_sql {
    () => {
        "SELECT dataset_id, role_name FROM dataset_reader_roles
    WHERE role_name NOT IN (SELECT name FROM roles WHERE is_removed)
        AND dataset_id NOT IN (SELECT id FROM staged_datasets WHERE (SELECT is_committed FROM catalog_apply))
    UNION ALL SELECT dataset_id, role_name FROM staged_reader_roles
    WHERE (SELECT is_committed FROM catalog_apply)"
    };
}

const OWNERS: &str = "SELECT id FROM users WHERE NOT is_removed";
const ENDS: &str = "SELECT dataset_id, share_ends FROM dataset_details WHERE share_ends <> '{}'";

/// SQLite passes rows from its thread to the reader's one by one, and copies each value: a thousand datasets in one
/// row of JSON take half of the time, and less if the processors have other work. In the order of the table, because
/// the rows are read in that order.
const SQLITE_DATASETS: &str = concat!(
    "SELECT json_group_array(json_array(hex(id), title, visibility, record_status, nullif(hex(owner), ''),
        json(tags), json(attributes))) FROM (",
    datasets_sql!(", datasets.rowid / 1000 AS block"),
    ") AS datasets GROUP BY block"
);
const SQLITE_USERS: &str = concat!(
    "SELECT user_id, json_group_array(hex(dataset_id)) FROM (",
    reader_users_sql!(),
    ") AS readers GROUP BY user_id"
);
const SQLITE_ROLES: &str = concat!(
    "SELECT role_name, json_group_array(hex(dataset_id)) FROM (",
    reader_roles_sql!(),
    ") AS readers GROUP BY role_name"
);
const POSTGRES_DATASETS: &str = datasets_sql!("");
const POSTGRES_USERS: &str = concat!(
    "SELECT user_id, array_agg(dataset_id) FROM (",
    reader_users_sql!(),
    ") AS readers GROUP BY user_id"
);
const POSTGRES_ROLES: &str = concat!(
    "SELECT role_name, array_agg(dataset_id) FROM (",
    reader_roles_sql!(),
    ") AS readers GROUP BY role_name"
);

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
    } = read_rows(transaction, columns)
        .await
        .map_err(|error| classify(&error))?;
    let mut datasets = rows
        .into_iter()
        .map(into_dataset)
        .collect::<Result<Vec<_>, _>>()?;
    // Sorting moves ids and not whole datasets.
    datasets.sort_by_cached_key(|dataset| dataset.id);
    let owners: HashSet<Uuid> = owners.into_iter().collect();
    for dataset in &mut datasets {
        dataset.owner = dataset.owner.filter(|owner| owners.contains(&owner.0));
    }
    let places = datasets.iter().map(|dataset| dataset.id.0).zip(0..);
    let places: HashMap<Uuid, usize> = places.collect();
    let place = |id: Uuid| places.get(&id).copied();
    // Whatever belongs to a dataset that is not visible is left out.
    for (user, shared) in users {
        for place in shared.into_iter().filter_map(place) {
            if let Some(dataset) = datasets.get_mut(place) {
                dataset.reader_users.insert(UserId(user));
            }
        }
    }
    for (role, shared) in roles {
        let role = parse_role(role)?;
        for place in shared.into_iter().filter_map(place) {
            if let Some(dataset) = datasets.get_mut(place) {
                dataset.reader_roles.insert(role.clone());
            }
        }
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

async fn read_rows(
    transaction: &mut Transaction,
    columns: DatasetColumns,
) -> Result<FactsRows, sqlx::Error> {
    let DatasetColumns { tags, attributes } = columns;
    let (owners, ends) = on_either!(&mut *transaction, connection => (
        sqlx::query_scalar(OWNERS).fetch_all(&mut **connection).await?,
        sqlx::query_as(ENDS).fetch_all(&mut **connection).await?,
    ));
    let (rows, users, roles) = match transaction {
        Either::Sqlite(connection) => {
            let mut rows = Vec::new();
            let blocks = sqlx::query_scalar(SQLITE_DATASETS)
                .bind(tags)
                .bind(attributes);
            let mut blocks = blocks.fetch(&mut **connection);
            while let Some(block) = blocks.try_next().await? {
                let block: Json<Vec<FactsRow>> = block;
                rows.extend(block.0);
            }
            drop(blocks);
            let users = sqlx::query_as(SQLITE_USERS);
            let roles = sqlx::query_as(SQLITE_ROLES);
            (
                rows,
                without_json(users.fetch_all(&mut **connection).await?),
                without_json(roles.fetch_all(&mut **connection).await?),
            )
        }
        Either::Postgres(connection) => {
            let rows = sqlx::query_as(POSTGRES_DATASETS)
                .bind(tags)
                .bind(attributes);
            let users = sqlx::query_as(POSTGRES_USERS);
            let roles = sqlx::query_as(POSTGRES_ROLES);
            (
                rows.fetch_all(&mut **connection).await?,
                users.fetch_all(&mut **connection).await?,
                roles.fetch_all(&mut **connection).await?,
            )
        }
    };
    Ok(FactsRows {
        rows,
        owners,
        ends,
        users,
        roles,
    })
}

fn without_json<T>(rows: Vec<(T, Json<Vec<Uuid>>)>) -> Vec<(T, Vec<Uuid>)> {
    let rows = rows.into_iter();
    rows.map(|(reader, shared)| (reader, shared.0)).collect()
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
