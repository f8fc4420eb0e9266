//! Policy revisions: what came into force, with the texts of the newest ones.
//!
//! A text is stored once, however many revisions have it. What is kept is bounded: old revisions lose their texts first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, Either, Transaction, on_either, run};
use super::error::StorageError;
use super::kept_policy_texts::{Manifest, find_kept_texts};
use super::rows::{from_columns, insert_rows};
use super::statements::{execute, select};
use crate::domain::audit::AuditRecord;
use crate::domain::decision::Revision;
use crate::domain::id::UserId;
use crate::domain::policy_revision::{PolicyRevision, RevisionChanges, RevisionOrigin};
use crate::domain::text_enum::TextEnum;

/// The most revisions that are kept, the newest ones.
pub const MAX_KEPT_REVISIONS: i64 = 200;
/// The most bytes of texts and manifests that are kept of all revisions: one folder of the largest size, whose three parts
/// have 16 MiB each, and some more.
pub const MAX_KEPT_SIZE: u64 = 64 * 1024 * 1024;
const TABLE: &str = "policy_revisions";

/// A revision that comes into force.
#[derive(Clone, Debug)]
pub struct NewPolicyRevision {
    /// The SHA-256 over its policies, cases and invariants.
    pub folder_revision: String,
    /// That of the folder which it replaces on this server, if there is one.
    pub folder_before: Option<String>,
    /// The SHA-256 of its bundle.
    pub revision: Revision,
    /// When, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// How.
    pub origin: RevisionOrigin,
    /// Who published it.
    pub user: Option<UserId>,
    /// What it changes, in one sentence.
    pub summary: String,
    /// What it changes.
    pub changes: RevisionChanges,
    /// All of its files, by name.
    pub files: BTreeMap<String, Arc<str>>,
}

struct RevisionRow {
    number: i64,
    folder_revision: String,
    revision: String,
    unix_millis: i64,
    origin: String,
    user_id: Option<Uuid>,
    summary: String,
    changes: String,
    has_texts: bool,
}

from_columns!(RevisionRow {
    number,
    folder_revision,
    revision,
    unix_millis,
    origin,
    user_id,
    summary,
    changes,
    has_texts,
});

impl RevisionRow {
    fn into_revision(self) -> Result<PolicyRevision, StorageError> {
        let number = self.number;
        let origin = self.origin.parse();
        Ok(PolicyRevision {
            number,
            folder_revision: self.folder_revision,
            revision: Revision(self.revision.into()),
            unix_millis: self.unix_millis,
            origin: origin.map_err(|error| corrupt(number, &error))?,
            user: self.user_id.map(UserId),
            summary: self.summary,
            changes: parse_json(number, &self.changes)?,
            has_texts: self.has_texts,
        })
    }
}

fn corrupt(number: i64, error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Corrupt {
        table: TABLE,
        detail: format!("revision {number}: {error}"),
    }
}

fn parse_json<T: serde::de::DeserializeOwned>(number: i64, text: &str) -> Result<T, StorageError> {
    serde_json::from_str(text).map_err(|error| corrupt(number, &error))
}

impl Database {
    /// Stores a revision, unless it is the newest one already or another server has stored the same edit, together with
    /// the record of it.
    pub async fn add_policy_revision(
        &self,
        revision: &NewPolicyRevision,
        record: Option<&AuditRecord>,
    ) -> Result<(), StorageError> {
        run(CALL_TIMEOUT, "add a policy revision", TABLE, async {
            let mut transaction = self.begin_writing().await?;
            let writing = &mut transaction;
            lock_revisions(writing).await?;
            let newest = newest_revision(writing).await?;
            let same = newest.as_ref();
            let same = same.filter(|(_, folder)| *folder == revision.folder_revision);
            let stored = match same {
                Some((number, _)) => Some(*number),
                None => find_stored_edit(writing, revision).await?,
            };
            if let Some(number) = stored {
                name_publisher(writing, number, revision).await?;
            } else {
                let number = newest.map_or(1, |(number, _)| number + 1);
                insert_revision(writing, number, revision).await?;
                forget_old_revisions(writing, number).await?;
            }
            append(
                writing,
                record.map(std::slice::from_ref).unwrap_or_default(),
            )
            .await?;
            transaction.commit().await
        })
        .await
    }

    /// Lists at most `limit` revisions, newest first, only those before number `before`.
    pub async fn list_policy_revisions(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PolicyRevision>, StorageError> {
        const SQL: &str = "SELECT number, folder_revision, revision, unix_millis, origin, user_id, summary, changes,
                manifest IS NOT NULL AS has_texts
            FROM policy_revisions WHERE number < $1 ORDER BY number DESC LIMIT $2";
        let before = before.unwrap_or(i64::MAX);
        let operation = "list policy revisions";
        let rows: Vec<RevisionRow> = select!(
            self,
            operation,
            TABLE,
            fetch_all(SQL, before, i64::from(limit))
        )
        .await?;
        rows.into_iter().map(RevisionRow::into_revision).collect()
    }

    /// Finds the newest revision with this folder revision.
    pub async fn find_policy_revision(
        &self,
        folder_revision: &str,
    ) -> Result<Option<PolicyRevision>, StorageError> {
        const SQL: &str = "SELECT number, folder_revision, revision, unix_millis, origin, user_id, summary, changes,
                manifest IS NOT NULL AS has_texts
            FROM policy_revisions WHERE folder_revision = $1 ORDER BY number DESC LIMIT 1";
        let operation = "find a policy revision";
        let row: Option<RevisionRow> =
            select!(self, operation, TABLE, fetch_optional(SQL, folder_revision)).await?;
        row.map(RevisionRow::into_revision).transpose()
    }

    /// Reads the files of a revision, by name; none if they are not kept.
    pub async fn read_policy_revision_files(
        &self,
        number: i64,
    ) -> Result<Option<BTreeMap<String, Arc<str>>>, StorageError> {
        const MANIFEST: &str = "SELECT manifest FROM policy_revisions WHERE number = $1";
        const SQLITE: &str = "SELECT sha256, text FROM policy_texts
            WHERE sha256 IN (SELECT value FROM json_each($1))";
        const POSTGRES: &str = "SELECT sha256, text FROM policy_texts WHERE sha256 = ANY ($1)";
        let read = run(CALL_TIMEOUT, "read a policy revision", TABLE, async {
            // In one snapshot: texts may be forgotten meanwhile.
            let mut transaction = self.begin_reading().await?;
            let manifest: Option<Option<String>> = on_either!(&mut transaction, connection => {
                sqlx::query_scalar(MANIFEST).bind(number).fetch_optional(&mut **connection).await?
            });
            let Some(manifest) = manifest.flatten() else {
                transaction.commit().await?;
                return Ok(None);
            };
            let parsed: Manifest = serde_json::from_str(&manifest)
                .map_err(|error| sqlx::Error::Decode(error.into()))?;
            let digests: Vec<&String> = parsed.values().collect();
            let texts: Vec<(String, Vec<u8>)> = match &mut transaction {
                Either::Sqlite(connection) => {
                    let query = sqlx::query_as(SQLITE).bind(sqlx::types::Json(&digests));
                    query.fetch_all(&mut **connection).await?
                }
                Either::Postgres(connection) => {
                    let query = sqlx::query_as(POSTGRES).bind(&digests);
                    query.fetch_all(&mut **connection).await?
                }
            };
            transaction.commit().await?;
            Ok(Some((parsed, texts)))
        });
        let Some((manifest, texts)) = read.await? else {
            return Ok(None);
        };
        let mut known: HashMap<String, Arc<str>> = HashMap::with_capacity(texts.len());
        for (digest, text) in texts {
            let text = String::from_utf8(text).map_err(|error| corrupt(number, &error))?;
            if digest_of(&text) != digest {
                return Err(corrupt(number, &format!("text {digest} is damaged")));
            }
            known.insert(digest, text.into());
        }
        let files = manifest.into_iter().map(|(name, digest)| {
            let text = known.get(&digest).cloned();
            let missing = || corrupt(number, &format!("text {digest} is missing"));
            Ok((name, text.ok_or_else(missing)?))
        });
        files.collect::<Result<_, _>>().map(Some)
    }
}

/// Makes other servers that add a revision wait; on SQLite whoever writes is alone anyway.
async fn lock_revisions(transaction: &mut Transaction) -> Result<(), sqlx::Error> {
    const POSTGRES: &str = "LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE";
    match transaction {
        Either::Sqlite(_) => Ok(()),
        Either::Postgres(connection) => sqlx::query(POSTGRES)
            .execute(&mut **connection)
            .await
            .map(drop),
    }
}

async fn newest_revision(
    transaction: &mut Transaction,
) -> Result<Option<(i64, String)>, sqlx::Error> {
    const SQL: &str =
        "SELECT number, folder_revision FROM policy_revisions ORDER BY number DESC LIMIT 1";
    on_either!(transaction, connection => {
        sqlx::query_as(SQL).fetch_optional(&mut **connection).await
    })
}

/// The number of this edit, if another server has stored it: the same folder came after the same other one, and that one
/// has not come back since.
async fn find_stored_edit(
    transaction: &mut Transaction,
    revision: &NewPolicyRevision,
) -> Result<Option<i64>, sqlx::Error> {
    const SQL: &str = "SELECT max(stored.number) FROM policy_revisions AS stored
        WHERE stored.folder_revision = $1 AND stored.folder_before = $2
            AND NOT EXISTS (SELECT 1 FROM policy_revisions AS later
                WHERE later.folder_revision = $2 AND later.number > stored.number)";
    let (folder, before) = (&revision.folder_revision, &revision.folder_before);
    on_either!(transaction, connection => {
        let query = sqlx::query_scalar(SQL).bind(folder).bind(before.as_deref());
        query.fetch_one(&mut **connection).await
    })
}

/// Names who published a revision: another server that shares the folder may have seen it there before.
async fn name_publisher(
    transaction: &mut Transaction,
    number: i64,
    revision: &NewPolicyRevision,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "UPDATE policy_revisions SET origin = $1, user_id = $2 WHERE number = $3";
    let Some(user) = revision.user else {
        return Ok(());
    };
    execute!(transaction, SQL, revision.origin.as_str(), user.0, number).map(drop)
}

async fn insert_revision(
    transaction: &mut Transaction,
    number: i64,
    revision: &NewPolicyRevision,
) -> Result<(), sqlx::Error> {
    const INSERT: &str =
        "INSERT INTO policy_revisions (number, folder_revision, folder_before, revision,
            unix_millis, origin, user_id, summary, changes, manifest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const INSERT_TEXTS: &str = "INSERT INTO policy_texts (sha256, text) ";
    let mut manifest = Manifest::new();
    let mut texts: BTreeMap<String, &str> = BTreeMap::new();
    for (name, text) in &revision.files {
        let digest = digest_of(text);
        manifest.insert(name.clone(), digest.clone());
        texts.insert(digest, text);
    }
    for (digest, _) in stored_texts(transaction).await? {
        texts.remove(&digest);
    }
    let texts: Vec<(&String, &[u8])> = texts
        .iter()
        .map(|(digest, text)| (digest, text.as_bytes()))
        .collect();
    insert_rows!(transaction, INSERT_TEXTS, texts, (values, (digest, text)) => {
        values.push_bind(digest.as_str()).push_bind(*text);
    }, "");
    execute!(
        transaction,
        INSERT,
        number,
        revision.folder_revision.as_str(),
        revision.folder_before.as_deref(),
        &*revision.revision.0,
        revision.unix_millis,
        revision.origin.as_str(),
        revision.user.map(|user| user.0),
        // PostgreSQL has no texts with NUL.
        revision.summary.replace('\0', "\u{fffd}"),
        to_json(&revision.changes)?,
        to_json(&manifest)?
    )
    .map(drop)
}

/// Deletes what is beyond [`MAX_KEPT_REVISIONS`] and [`MAX_KEPT_SIZE`].
async fn forget_old_revisions(
    transaction: &mut Transaction,
    newest: i64,
) -> Result<(), sqlx::Error> {
    const FORGET: &str = "DELETE FROM policy_revisions WHERE number <= $1";
    const MANIFESTS: &str = "SELECT number, manifest FROM policy_revisions
        WHERE manifest IS NOT NULL ORDER BY number DESC";
    const FORGET_TEXTS: &str = "UPDATE policy_revisions SET manifest = NULL WHERE number < $1";
    const DELETE_TEXTS: &str = "DELETE FROM policy_texts WHERE sha256 IN (";
    execute!(transaction, FORGET, newest - MAX_KEPT_REVISIONS)?;
    let manifests: Vec<(i64, String)> = on_either!(&mut *transaction, connection => {
        sqlx::query_as(MANIFESTS).fetch_all(&mut **connection).await?
    });
    let sizes = stored_texts(transaction).await?;
    let kept = find_kept_texts(&manifests, &sizes, MAX_KEPT_SIZE)
        .map_err(|error| sqlx::Error::Decode(error.into()))?;
    execute!(transaction, FORGET_TEXTS, kept.first)?;
    let unused = sizes.into_keys();
    let unused: Vec<String> = unused.filter(|one| !kept.digests.contains(one)).collect();
    insert_rows!(transaction, DELETE_TEXTS, unused, (values, digest) => {
        values.push_bind(digest.as_str());
    }, ")");
    Ok(())
}

/// The size of each stored text, by its digest.
async fn stored_texts(transaction: &mut Transaction) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    const SQL: &str = "SELECT sha256, CAST(length(text) AS BIGINT) FROM policy_texts";
    let rows: Vec<(String, i64)> = on_either!(transaction, connection => {
        sqlx::query_as(SQL).fetch_all(&mut **connection).await?
    });
    Ok(rows.into_iter().collect())
}

fn digest_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn to_json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}
