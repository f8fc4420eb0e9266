//! Advice: whether what is named can exist, whether the catalog has it, and what was most likely meant.
//!
//! The id of a user or of a dataset is its UUID, in lower case and with hyphens: Cedar compares texts, so that
//! the same UUID written otherwise matches nobody. Names of users and roles have the characters that
//! `domain::name` allows.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::suggest::closest;

use super::mention::{Mention, MentionKind, MentionPlace, quoted};
use super::names::CatalogNames;

/// What is wrong with what a policy names.
pub(super) struct Advice {
    pub(super) reason: String,
    pub(super) help: String,
    /// Whether nobody can ever have it; otherwise the catalog lacks it now.
    pub(super) is_impossible: bool,
}

/// The id that a text stands for.
pub(super) enum WrittenId {
    /// It is written as Cedargate writes it.
    Canonical(Uuid),
    /// It is a UUID in another form.
    Other(Uuid),
    /// It is none.
    None,
}

impl WrittenId {
    pub(super) fn parse(text: &str) -> Self {
        match Uuid::try_parse(text.trim()) {
            Ok(id) if id.to_string() == text => Self::Canonical(id),
            Ok(id) => Self::Other(id),
            Err(_) => match Uuid::try_parse(&text.trim().to_ascii_lowercase()) {
                // `URN:UUID:` in capitals.
                Ok(id) => Self::Other(id),
                Err(_) => Self::None,
            },
        }
    }
}

/// The name that a text is, written as names are kept; otherwise why it is none.
///
/// A person may type a name in other letters where it is read; Cedar compares texts.
pub(super) fn exact_name<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err: fmt::Display> + fmt::Display,
{
    let kept = |name: T| format!("names are compared as texts, and kept as \"{name}\"");
    match text.parse::<T>() {
        Ok(name) if name.to_string() == text => Ok(name),
        Ok(name) => Err(kept(name)),
        Err(error) => Err(folded_name(text).map_or_else(|| error.to_string(), kept)),
    }
}

/// The name that a text that is none may stand for: in lower case, without blanks around it.
pub(super) fn folded_name<T: FromStr>(text: &str) -> Option<T> {
    text.trim().to_lowercase().parse().ok()
}

/// What is wrong with a mention, if anything; without the catalog, only what can never exist.
///
/// What was meant is only said if it `may_suggest`: finding it looks at every name that may be similar.
pub(super) fn advise(
    mention: &Mention,
    names: Option<&CatalogNames>,
    may_suggest: bool,
) -> Option<Advice> {
    let shown = names.filter(|names| may_suggest && !names.is_redacted);
    // The world of a case is its own.
    let catalog = names.filter(|_| mention.place != MentionPlace::Case);
    match mention.kind {
        MentionKind::User => advise_id(mention, shown, catalog, &USERS),
        MentionKind::Dataset => advise_id(mention, shown, catalog, &DATASETS),
        MentionKind::Role => advise_role(mention, shown, catalog),
        MentionKind::Username => advise_username(mention, shown, catalog),
    }
}

/// What users and datasets differ in.
struct IdKind {
    noun: &'static str,
    list: &'static str,
    is_known: fn(&CatalogNames, Uuid) -> bool,
    /// Whether it was looked up.
    is_asked: fn(&CatalogNames, Uuid) -> bool,
    suggest: fn(&CatalogNames, &str) -> Option<String>,
}

const USERS: IdKind = IdKind {
    noun: "user",
    list: "cedargate user list",
    // A user that changes itself is asked about with this id.
    is_known: |names, id| id.is_nil() || names.users.contains_key(&UserId(id)),
    is_asked: |names, id| names.lookup.users.contains(&UserId(id)),
    suggest: suggest_user,
};

const DATASETS: IdKind = IdKind {
    noun: "dataset",
    list: "cedargate dataset list",
    is_known: |names, id| names.datasets.contains_key(&DatasetId(id)),
    is_asked: |names, id| names.lookup.datasets.contains(&DatasetId(id)),
    suggest: suggest_dataset,
};

fn advise_id(
    mention: &Mention,
    shown: Option<&CatalogNames>,
    catalog: Option<&CatalogNames>,
    kind: &IdKind,
) -> Option<Advice> {
    let (noun, list) = (kind.noun, kind.list);
    let written = mention.written();
    let suggested = || shown.and_then(|names| (kind.suggest)(names, &mention.text));
    match WrittenId::parse(&mention.text) {
        WrittenId::Canonical(id) => {
            let names = catalog.filter(|names| (kind.is_asked)(names, id))?;
            if (kind.is_known)(names, id) {
                return None;
            }
            let list = format!("{list} shows all; it has no effect until there is such a {noun}");
            Some(Advice {
                reason: format!("the catalog has no {noun} {written}"),
                help: suggested().unwrap_or(list),
                is_impossible: false,
            })
        }
        WrittenId::Other(id) => {
            let meant = written.replace(&quoted(&mention.text), &format!("\"{id}\""));
            Some(Advice {
                reason: format!(
                    "{written} is no {noun}: ids are written in lower case with hyphens, and compared as texts"
                ),
                help: format!("did you mean `{meant}`?"),
                is_impossible: true,
            })
        }
        WrittenId::None => Some(Advice {
            reason: format!("{written} is no {noun}: the id of a {noun} is its UUID"),
            help: suggested().unwrap_or_else(|| match mention.text.as_str() {
                "anonymous" if mention.kind == MentionKind::User => {
                    "did you mean `Anonymous::\"anonymous\"`?".to_owned()
                }
                _ => format!("{list} shows the ids"),
            }),
            is_impossible: true,
        }),
    }
}

fn advise_role(
    mention: &Mention,
    shown: Option<&CatalogNames>,
    catalog: Option<&CatalogNames>,
) -> Option<Advice> {
    let written = mention.written();
    let role = exact_name::<RoleName>(&mention.text);
    if let Ok(role) = &role {
        let roles = catalog?.roles.as_ref()?;
        if role.as_str() == ADMIN_ROLE || roles.contains(role) {
            return None;
        }
    }
    let reason = match &role {
        Ok(_) => format!("the catalog has no {}", written.replace("Role::", "role ")),
        Err(error) => format!("{written} is no role: {error}"),
    };
    let folded = folded_name::<RoleName>(&mention.text).filter(|_| role.is_err());
    let suggested = shown.and_then(|names| suggest_role(names, &mention.text));
    let suggested =
        suggested.or_else(|| folded.map(|name| format!("did you mean `Role::\"{name}\"`?")));
    Some(Advice {
        reason,
        help: suggested.unwrap_or_else(|| {
            "create roles with a catalog file or POST /admin/roles; nobody is in it until then"
                .to_owned()
        }),
        is_impossible: role.is_err(),
    })
}

fn advise_username(
    mention: &Mention,
    shown: Option<&CatalogNames>,
    catalog: Option<&CatalogNames>,
) -> Option<Advice> {
    let (text, written) = (&mention.text, mention.written());
    match exact_name::<Username>(text) {
        Ok(name) => {
            let names = catalog.filter(|names| names.lookup.usernames.contains(&name))?;
            if names.usernames.contains_key(&name) {
                return None;
            }
            let known = shown.into_iter().flat_map(|names| &names.similar_users);
            let meant = closest(text, known.map(|(_, name)| name.as_str()));
            let all = "cedargate user list shows all; a user of an identity provider exists from the first \
                       sign-in on";
            Some(Advice {
                reason: format!("the catalog has no user with the name {written}"),
                help: meant.map_or_else(
                    || all.to_owned(),
                    |name| format!("did you mean {}?", quoted(name)),
                ),
                is_impossible: false,
            })
        }
        Err(error) => Some(Advice {
            reason: format!("no user has the name {written}: {error}"),
            help: match folded_name::<Username>(text) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "cedargate user list shows all".to_owned(),
            },
            is_impossible: true,
        }),
    }
}

/// The user that is most likely meant, by name or by an id that is nearly this.
fn suggest_user(names: &CatalogNames, text: &str) -> Option<String> {
    let meant = |id: UserId, name: &str| Some(format!("did you mean `User::\"{id}\"` ({name})?"));
    if let Some(name) = folded_name::<Username>(text)
        && let Some(id) = names.usernames.get(&name)
    {
        return meant(*id, name.as_str());
    }
    let mut datasets = names.similar_datasets.iter();
    if let Some((_, title)) = datasets.find(|(id, _)| id.to_string() == text) {
        return Some(format!(
            "this is the id of the dataset {}: did you mean `Dataset::{text:?}`?",
            quoted(title)
        ));
    }
    let users = &names.similar_users;
    let near = users
        .iter()
        .find(|(id, _)| is_nearly(text, &id.to_string()));
    if let Some((id, name)) = near {
        return meant(*id, name.as_str());
    }
    if let Ok(role) = text.parse::<RoleName>()
        && names
            .roles
            .as_ref()
            .is_some_and(|roles| roles.contains(&role))
    {
        return Some(format!(
            "{text} is a role: did you mean `in Role::{}`?",
            quoted(text)
        ));
    }
    let name = closest(
        &text.to_lowercase(),
        users.iter().map(|(_, name)| name.as_str()),
    )?;
    let (id, name) = users.iter().find(|(_, known)| known.as_str() == name)?;
    meant(*id, name.as_str())
}

/// The dataset that is most likely meant, by its title or by an id that is nearly this.
fn suggest_dataset(names: &CatalogNames, text: &str) -> Option<String> {
    let mut users = names.similar_users.iter();
    if let Some((_, name)) = users.find(|(id, _)| id.to_string() == text) {
        return Some(format!(
            "this is the id of the user {name}: did you mean `User::{text:?}`?"
        ));
    }
    let datasets = &names.similar_datasets;
    let lower = text.trim().to_lowercase();
    let near = datasets
        .iter()
        .find(|(id, title)| is_nearly(text, &id.to_string()) || title.to_lowercase() == lower);
    let near = near.or_else(|| {
        let title = closest(text, datasets.iter().map(|(_, title)| title.as_str()))?;
        datasets.iter().find(|(_, known)| known == title)
    });
    // A part of the title that only one dataset has.
    let near = near.or_else(|| {
        let mut with_part = datasets
            .iter()
            .filter(|(_, title)| title.to_lowercase().contains(&lower));
        with_part
            .next()
            .filter(|_| !lower.is_empty() && with_part.next().is_none())
    });
    near.map(|(id, title)| format!("did you mean `Dataset::\"{id}\"` ({title})?"))
}

fn suggest_role(names: &CatalogNames, text: &str) -> Option<String> {
    let roles = names.roles.as_ref()?;
    let folded = text.trim().to_lowercase();
    if let Some(meant) = closest(&folded, roles.iter().map(RoleName::as_str)) {
        return Some(format!("did you mean `Role::\"{meant}\"`?"));
    }
    let mut users = names.similar_users.iter();
    let (id, _) = users.find(|(_, name)| name.as_str() == folded)?;
    Some(format!(
        "{folded} is a user: did you mean `User::\"{id}\"`?"
    ))
}

/// Whether two texts differ in at most two characters, or in an accidental one more or less.
fn is_nearly(text: &str, id: &str) -> bool {
    let text = text.trim();
    if text.len() == id.len() {
        let pairs = text.bytes().zip(id.bytes());
        return pairs.filter(|(a, b)| !a.eq_ignore_ascii_case(b)).count() <= 2;
    }
    text.len().abs_diff(id.len()) <= 2 && strsim::osa_distance(&text.to_lowercase(), id) <= 2
}
