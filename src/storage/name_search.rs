//! Users, roles and datasets by a part of their name or the beginning of their id.

use uuid::Uuid;

use super::catalog_names::parse_user;
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::datasets_with_names::like_pattern;
use super::error::StorageError;
use super::statements::select;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::normal_form::normalize_name;

/// What is searched for: a part of a name, or the beginning of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameSearch {
    /// As it was typed.
    typed: String,
    /// The first and the last id that begin with it; the first is above the last if none does.
    ids: (Uuid, Uuid),
}

impl NameSearch {
    /// A search for a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            typed: text.to_owned(),
            ids: ids_from(&text.to_ascii_lowercase()).unwrap_or((Uuid::max(), Uuid::nil())),
        }
    }

    /// Whether a name begins with it.
    #[must_use]
    pub fn begins(&self, name: &str) -> bool {
        name.to_lowercase().starts_with(&self.typed.to_lowercase())
    }

    /// Whether a name contains it.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.typed.to_lowercase())
    }
}

/// The first and the last id whose canonical form begins with a text of lower case.
fn ids_from(text: &str) -> Option<(Uuid, Uuid)> {
    if text.is_empty() {
        return None;
    }
    let filled = |digit: char| {
        let rest = Uuid::nil().to_string();
        let rest = rest.get(text.len()..)?.replace('0', &digit.to_string());
        let id = Uuid::try_parse(&format!("{text}{rest}")).ok()?;
        id.to_string().starts_with(text).then_some(id)
    };
    Some((filled('0')?, filled('f')?))
}

impl Database {
    /// The users that a search finds, disabled or not, at most `limit` after the first ones: those whose names begin with
    /// it first, then by name.
    pub async fn search_usernames(
        &self,
        search: &NameSearch,
        limit: u32,
        after: u32,
    ) -> Result<Vec<(UserId, Username)>, StorageError> {
        const SQL: &str = "SELECT id, username FROM users_with_roles
            WHERE username LIKE $1 ESCAPE '!' OR (id >= $2 AND id <= $3)
            ORDER BY CASE WHEN username LIKE $4 ESCAPE '!' THEN 0 ELSE 1 END, username
            LIMIT $5 OFFSET $6";
        let (anywhere, beginning) = patterns(&normalize_name(&search.typed));
        let (first, last) = search.ids;
        let rows: Vec<(Uuid, String)> = select!(
            self,
            "search users",
            "users",
            fetch_all(
                SQL,
                anywhere,
                first,
                last,
                beginning,
                i64::from(limit),
                i64::from(after)
            )
        )
        .await?;
        rows.into_iter().map(parse_user).collect()
    }

    /// The datasets that a search finds with their titles, at most `limit` after the first ones: those whose titles begin
    /// with it first, then by title.
    ///
    /// The case of the letters `A` to `Z` does not count. That of others does on SQLite, whose `lower` leaves them as they
    /// are, so that they are found as typed or of lower case; on PostgreSQL it counts if the locale of the database does
    /// not know the letter.
    pub async fn search_titles(
        &self,
        search: &NameSearch,
        limit: u32,
        after: u32,
    ) -> Result<Vec<(DatasetId, String)>, StorageError> {
        const SQL: &str = "SELECT id, title FROM datasets_with_readers
            WHERE lower(title) LIKE lower($1) ESCAPE '!'
                OR ($2 <> '' AND lower(title) LIKE $2 ESCAPE '!') OR (id >= $3 AND id <= $4)
            ORDER BY CASE WHEN lower(title) LIKE lower($5) ESCAPE '!' THEN 0 ELSE 1 END, title, id
            LIMIT $6 OFFSET $7";
        let (typed, beginning) = patterns(&search.typed);
        // The database has the other case of letters `A` to `Z` itself.
        let lower = if search.typed.is_ascii() {
            String::new()
        } else {
            like_pattern(&search.typed.to_lowercase())
        };
        let (first, last) = search.ids;
        let rows: Vec<(Uuid, String)> = select!(
            self,
            "search datasets",
            "datasets",
            fetch_all(
                SQL,
                typed,
                lower,
                first,
                last,
                beginning,
                i64::from(limit),
                i64::from(after)
            )
        )
        .await?;
        let found = rows.into_iter().map(|(id, title)| (DatasetId(id), title));
        Ok(found.collect())
    }
}

/// The patterns for texts that contain a part, and for those that begin with it.
fn patterns(part: &str) -> (String, String) {
    let anywhere = like_pattern(part);
    let beginning = anywhere.strip_prefix('%').unwrap_or_default().to_owned();
    (anywhere, beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_stands_for_all_ids_with_it() {
        let (first, last) = ids_from("2489e9ad-2e").unwrap();
        assert_eq!(first.to_string(), "2489e9ad-2e00-0000-0000-000000000000");
        assert_eq!(last.to_string(), "2489e9ad-2eff-ffff-ffff-ffffffffffff");
        let whole = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
        let id = Uuid::try_parse(whole).unwrap();
        assert_eq!(ids_from(whole), Some((id, id)));
        let dash = ids_from("2489e9ad-").unwrap();
        assert_eq!(dash, ids_from("2489e9ad").unwrap());
        let longer = format!("{whole}0");
        for text in ["", "otto", "-", "24-", "2489e9ad2ee2", &longer, "2489e9ä"] {
            assert_eq!(ids_from(text), None, "{text}");
        }
    }
}
