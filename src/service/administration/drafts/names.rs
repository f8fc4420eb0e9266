//! Names of the catalog for authors: found by a part of them, and of what a draft mentions by its id.
//!
//! A caller finds users on whom it has `view_users`, datasets that it may administer or discover, and, with `view_users`
//! on the server, roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::principal::User;
use crate::domain::resource::Resource;
use crate::service::access::decisions::Authorizer;
use crate::service::administration::Administration;
use crate::service::administration::operation::{AdminOperation, no_policies_in_force};
use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;
use crate::service::identity::request_context::RequestContext;
use crate::storage::NameSearch;

/// The fewest characters that are searched for.
pub const MIN_SEARCH_LENGTH: usize = 2;
/// The most characters that are searched for.
pub const MAX_SEARCH_LENGTH: usize = 100;
/// How many users, or datasets, a search decides about at once.
const PAGE_LENGTH: u32 = 200;
/// The most times that it does, for users and for datasets.
const MAX_PAGES: u32 = 10;
/// The most ids in a draft that are looked up.
const MAX_MENTIONED_IDS: usize = 2_000;
/// The most users, and the most datasets, of a draft that are named.
const MAX_MENTIONED_NAMES: usize = 500;
/// The length of an id, in characters.
const ID_LENGTH: usize = 36;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedKind {
    /// A user.
    User,
    /// A role.
    Role,
    /// A dataset.
    Dataset,
}

/// A user, a role or a dataset of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEntity {
    /// What it is.
    pub kind: NamedKind,
    /// Its id; the name of a role.
    pub id: String,
    /// The name of a user or a role, or the title of a dataset.
    pub name: String,
}

/// What a search finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundNames {
    /// Those whose names begin with the text first.
    pub names: Vec<NamedEntity>,
    /// Whether there may be more.
    pub is_cut: bool,
}

impl NamedEntity {
    fn user(user: &User) -> Self {
        Self {
            kind: NamedKind::User,
            id: user.id.to_string(),
            name: user.username.to_string(),
        }
    }

    fn role(role: &RoleName) -> Self {
        Self {
            kind: NamedKind::Role,
            id: role.to_string(),
            name: role.to_string(),
        }
    }

    fn dataset(dataset: &Dataset) -> Self {
        Self {
            kind: NamedKind::Dataset,
            id: dataset.id.to_string(),
            name: dataset.title.clone(),
        }
    }

    /// As a policy names it.
    #[must_use]
    pub fn cedar_name(&self) -> String {
        let kind = match self.kind {
            NamedKind::User => "User",
            NamedKind::Role => "Role",
            NamedKind::Dataset => "Dataset",
        };
        // Neither an id nor the name of a role has a character to escape.
        format!("{kind}::\"{}\"", self.id)
    }
}

impl Administration {
    /// Returns up to `limit` users, roles and datasets whose name contains a text or whose id begins with it, those
    /// whose name begins with it first.
    pub async fn search_names(
        &self,
        request: &RequestContext,
        text: &str,
        limit: usize,
    ) -> Result<FoundNames, ServiceError> {
        let length = text.chars().count();
        if !(MIN_SEARCH_LENGTH..=MAX_SEARCH_LENGTH).contains(&length) {
            let detail =
                format!("it must have {MIN_SEARCH_LENGTH} to {MAX_SEARCH_LENGTH} characters");
            return Err(ServiceError::invalid("text", detail));
        }
        if text.chars().any(char::is_control) {
            let detail = "names have no control characters";
            return Err(ServiceError::invalid("text", detail));
        }
        let search = NameSearch::new(text);
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            operation.set_summary(format!("searched names for {text:?}"));
            let mut found = FoundNames::default();
            for kind in [NamedKind::User, NamedKind::Role, NamedKind::Dataset] {
                let of_kind = self.search_kind(&operation, &search, kind, limit).await?;
                found.names.extend(of_kind.names);
                found.is_cut |= of_kind.is_cut;
            }
            found.names.sort_by_cached_key(|one| {
                (!search.begins(&one.name), one.kind, one.name.to_lowercase())
            });
            found.is_cut |= found.names.len() > limit;
            found.names.truncate(limit);
            Ok(found)
        })
        .await
    }

    /// What a search finds of one kind: whoever sees little is looked for among more than are shown.
    async fn search_kind(
        &self,
        operation: &AdminOperation,
        search: &NameSearch,
        kind: NamedKind,
        limit: usize,
    ) -> Result<FoundNames, ServiceError> {
        let mut found = FoundNames::default();
        for page in 0..MAX_PAGES {
            let after = page * PAGE_LENGTH;
            let (candidates, visible) = match kind {
                NamedKind::Role => {
                    found.names = self.search_roles(operation, search).await?;
                    return Ok(found);
                }
                NamedKind::User => self.search_users(operation, search, after).await?,
                NamedKind::Dataset => self.search_datasets(operation, search, after).await?,
            };
            found.names.extend(visible);
            found.is_cut = u32::try_from(candidates).is_ok_and(|count| count >= PAGE_LENGTH);
            if !found.is_cut || found.names.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// How many users are in a page of candidates, and those whom the caller may see.
    async fn search_users(
        &self,
        operation: &AdminOperation,
        search: &NameSearch,
        after: u32,
    ) -> Result<(usize, Vec<NamedEntity>), ServiceError> {
        let turn = operation.list_turn().await?;
        let found = self.database.search_usernames(search, PAGE_LENGTH, after);
        let found = found.await?;
        let count = found.len();
        let ids = found.into_iter().map(|(id, _)| id);
        Ok((count, self.name_users(operation, turn, ids).await?))
    }

    /// Roles as `GET /admin/roles` lists them, and so for who may.
    async fn search_roles(
        &self,
        operation: &AdminOperation,
        search: &NameSearch,
    ) -> Result<Vec<NamedEntity>, ServiceError> {
        if !operation.is_permitted(Action::ViewUsers, &Resource::Server) {
            return Ok(Vec::new());
        }
        let roles = self.catalog_cache()?.roles().await?;
        let built_in: Option<RoleName> = ADMIN_ROLE.parse().ok();
        let all: BTreeSet<&RoleName> = roles.iter().chain(&built_in).collect();
        let found = all.into_iter().filter(|role| search.is_in(role.as_str()));
        Ok(found.map(NamedEntity::role).collect())
    }

    /// How many datasets are in a page of candidates, and those that the caller may see.
    async fn search_datasets(
        &self,
        operation: &AdminOperation,
        search: &NameSearch,
        after: u32,
    ) -> Result<(usize, Vec<NamedEntity>), ServiceError> {
        let turn = operation.list_turn().await?;
        let found = self.database.search_titles(search, PAGE_LENGTH, after);
        let found = found.await?;
        let count = found.len();
        let ids = found.into_iter().map(|(id, _)| id);
        Ok((count, self.name_datasets(operation, turn, ids).await?))
    }

    /// The users and datasets with some ids that the caller may see.
    pub(super) async fn name_mentioned(
        &self,
        operation: &AdminOperation,
        ids: &BTreeSet<Uuid>,
    ) -> Result<Vec<NamedEntity>, ServiceError> {
        let turn = operation.list_turn().await?;
        let users = ids.iter().copied().map(UserId).collect();
        let users = self.database.find_usernames(&users).await?;
        let users = users.into_keys().take(MAX_MENTIONED_NAMES);
        let mut named = self.name_users(operation, turn, users).await?;
        let turn = operation.list_turn().await?;
        let datasets = ids.iter().copied().map(DatasetId).collect();
        let datasets = self.database.find_titles(&datasets).await?;
        let datasets = datasets.into_keys().take(MAX_MENTIONED_NAMES);
        named.extend(self.name_datasets(operation, turn, datasets).await?);
        Ok(named)
    }

    /// The users with some ids that the caller may see.
    async fn name_users(
        &self,
        operation: &AdminOperation,
        turn: Option<Turn>,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<Vec<NamedEntity>, ServiceError> {
        let cache = self.catalog_cache()?;
        let mut users = Vec::new();
        for id in ids {
            users.extend(cache.user(id).await?);
        }
        let resource = |user: &Arc<User>| Resource::User(Arc::clone(user));
        let visible = operation.filter_permitted(turn, Action::ViewUsers, users, resource);
        let visible = visible.await?;
        Ok(visible.iter().map(|user| NamedEntity::user(user)).collect())
    }

    /// The datasets with some ids that the caller may administer or discover.
    async fn name_datasets(
        &self,
        operation: &AdminOperation,
        turn: Option<Turn>,
        ids: impl Iterator<Item = DatasetId>,
    ) -> Result<Vec<NamedEntity>, ServiceError> {
        let (Some(authorizer), Some(turn)) = (operation.authorizer(), turn) else {
            return Err(no_policies_in_force());
        };
        let cache = self.catalog_cache()?;
        let mut datasets = Vec::new();
        for id in ids {
            datasets.extend(cache.dataset(id).await?);
        }
        let name_visible = |authorizer: &Authorizer, dataset: Arc<Dataset>| {
            let named = NamedEntity::dataset(&dataset);
            let resource = Resource::Dataset(dataset);
            let may = |action| authorizer.decide(action, &resource).is_permitted;
            (may(Action::Discover) || may(Action::Administer)).then_some(named)
        };
        authorizer.filter_map(turn, datasets, name_visible).await
    }
}

/// The ids in the texts of a draft, those of policies before those of other files; of very many the first.
pub(super) fn mentioned_ids(files: &BTreeMap<String, Arc<str>>) -> BTreeSet<Uuid> {
    let is_policy = |name: &str| name.rsplit_once('.').is_some_and(|(_, end)| end == "cedar");
    let policies = files.iter().filter(|(name, _)| is_policy(name));
    let others = files.iter().filter(|(name, _)| !is_policy(name));
    let mut found = BTreeSet::new();
    for (_, text) in policies.chain(others) {
        for id in ids_in(text) {
            if found.len() >= MAX_MENTIONED_IDS {
                return found;
            }
            found.insert(id);
        }
    }
    found
}

/// The ids in a text, as policies and the catalog write them: canonical and of lower case.
fn ids_in(text: &str) -> impl Iterator<Item = Uuid> {
    let is_canonical = |text: &[u8]| {
        let mut digits = text.iter().enumerate();
        text.len() == ID_LENGTH
            && digits.all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    };
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let words = text.as_bytes().split(move |byte| !is_of_word(byte));
    words
        .filter(move |word| is_canonical(word))
        .filter_map(|word| Uuid::try_parse_ascii(word).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981";

    fn found(text: &str) -> Vec<String> {
        ids_in(text).map(|id| id.to_string()).collect()
    }

    #[test]
    fn ids_are_found_wherever_a_file_has_them() {
        let other = "00000000-0000-0000-0000-000000000001";
        for text in [
            format!("principal == User::\"{ID}\","),
            format!("{{\"principal\": \"User::\\\"{ID}\\\"\"}}"),
            format!("{{\"type\": \"User\", \"id\": \"{ID}\"}}"),
            format!("// ä{ID}ü"),
            ID.to_owned(),
        ] {
            assert_eq!(found(&text), [ID], "{text}");
        }
        assert_eq!(found(&format!("[\"{other}\",\"{ID}\"]")), [other, ID]);
        for text in [
            ID.to_uppercase(),
            ID.replace('-', ""),
            format!("{ID}0"),
            format!("x{ID}"),
            format!("{ID}-1"),
            ID.replace('6', "g"),
        ] {
            assert!(found(&text).is_empty(), "{text}");
        }
    }

    #[test]
    fn ids_of_policies_come_before_those_of_cases() {
        let many = (0..MAX_MENTIONED_IDS as u128).map(|n| Uuid::from_u128(n).to_string());
        let many = many.collect::<Vec<String>>().join(" ");
        let files = [("a.cases.json", many.as_str()), ("z.cedar", ID)];
        let files = files.map(|(name, text)| (name.to_owned(), Arc::from(text)));
        let ids = mentioned_ids(&files.into());
        assert_eq!(ids.len(), MAX_MENTIONED_IDS);
        assert!(ids.contains(&Uuid::try_parse(ID).unwrap()));
    }
}
