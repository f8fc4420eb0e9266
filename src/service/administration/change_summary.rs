//! Summaries of changes for auditors, in one sentence.
//!
//! A claim may be a secret, so a summary says only that claims changed, and of attributes only which ones.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::domain::attributes::attribute_changes;
use crate::domain::dataset::DatasetFile;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::domain::rfc3339::format_seconds;
use crate::storage::DatasetWithNames;

/// The most names that one summary lists.
const MAX_LISTED_NAMES: usize = 10;

/// Describes a new user.
pub(super) fn describe_user(user: &User) -> String {
    let disabled = if user.is_disabled { ", disabled" } else { "" };
    let roles = format_roles(&user.roles);
    format!("the user {}, roles: {roles}{disabled}", user.username)
}

/// Summarizes a change of a user; none if nothing changed.
pub(super) fn summarize_user_change(before: &User, after: &User) -> Option<String> {
    let mut changes = Vec::new();
    if before.username != after.username {
        changes.push(format!("renamed to {}", after.username));
    }
    if before.roles != after.roles {
        let (old, new) = (format_roles(&before.roles), format_roles(&after.roles));
        changes.push(format!("roles: {new} (were: {old})"));
    }
    if before.claims != after.claims {
        changes.push("other claims".to_owned());
    }
    if before.attributes != after.attributes {
        let names = attribute_changes(&before.attributes, &after.attributes);
        changes.push(format!("attributes {}", format_listed(names)));
    }
    if before.is_disabled != after.is_disabled {
        let state = if after.is_disabled {
            "disabled"
        } else {
            "enabled"
        };
        changes.push(state.to_owned());
    }
    let summary = || {
        format!(
            "changed the user {}: {}",
            before.username,
            changes.join("; ")
        )
    };
    (!changes.is_empty()).then(summary)
}

/// Summarizes a change of a dataset.
pub(super) fn summarize_dataset_change(
    before: &DatasetWithNames,
    after: &DatasetWithNames,
) -> String {
    let (old, new) = (&before.dataset, &after.dataset);
    let changes = old
        .changed_fields(new)
        .into_iter()
        .map(|field| match field {
            "visibility" => format!("visibility from {} to {}", old.visibility, new.visibility),
            "record_status" => format!(
                "record_status from {} to {}",
                old.record_status, new.record_status
            ),
            "owner" => format!("owner from {} to {}", owner_name(before), owner_name(after)),
            "reader_users" => {
                let names =
                    |dataset: &DatasetWithNames| dataset.reader_users.keys().cloned().collect();
                format!(
                    "reader_users {}",
                    format_difference(&names(before), &names(after))
                )
            }
            "reader_roles" => {
                let difference = format_difference(&old.reader_roles, &new.reader_roles);
                format!("reader_roles {difference}")
            }
            "until" => format!("until {}", format_ends(before, after)),
            "file" => match &new.file {
                Some(DatasetFile::Stored(file)) => {
                    format!("file to {} (sha256 {})", file.name, file.sha256)
                }
                Some(DatasetFile::Remote(file)) => format!("file to {file}"),
                None => "file to none".to_owned(),
            },
            "attributes" => {
                let names = attribute_changes(&old.attributes, &new.attributes);
                format!("attributes {}", format_listed(names))
            }
            other => other.to_owned(),
        });
    format!("changed {}", changes.collect::<Vec<_>>().join(", "))
}

/// Lists the ends that changed: `mo 2027-01-01T00:00:00Z, the role hydrology never`.
fn format_ends(before: &DatasetWithNames, after: &DatasetWithNames) -> String {
    let (old, new) = (&before.dataset.share_ends, &after.dataset.share_ends);
    let written = |name: String, until: Option<&i64>| {
        let until = until.map_or_else(|| "never".to_owned(), |until| format_seconds(*until));
        format!("{name} {until}")
    };
    let users = after.reader_users.iter();
    let users = users
        .filter(|(_, id)| old.users.get(*id) != new.users.get(*id))
        .map(|(name, id)| written(name.to_string(), new.users.get(id)));
    let roles = after.dataset.reader_roles.iter();
    let roles = roles
        .filter(|role| old.roles.get(*role) != new.roles.get(*role))
        .map(|role| written(format!("the role {role}"), new.roles.get(role)));
    let mut ends: Vec<String> = users.chain(roles).collect();
    let omitted = ends.len().saturating_sub(MAX_LISTED_NAMES);
    ends.truncate(MAX_LISTED_NAMES);
    if omitted > 0 {
        ends.push(format!("and {omitted} more"));
    }
    match ends.as_slice() {
        [] => "of removed readers".to_owned(),
        ends => ends.join(", "),
    }
}

fn owner_name(dataset: &DatasetWithNames) -> &str {
    dataset.owner.as_ref().map_or("nobody", Username::as_str)
}

fn format_roles(roles: &BTreeSet<RoleName>) -> String {
    if roles.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = roles.iter().map(RoleName::as_str).collect();
    names.join(", ")
}

/// Lists the names that were added and removed: `+mo -otto`.
fn format_difference<N: Ord + Display>(before: &BTreeSet<N>, after: &BTreeSet<N>) -> String {
    let added = after.difference(before).map(|name| format!("+{name}"));
    let removed = before.difference(after).map(|name| format!("-{name}"));
    format_listed(added.chain(removed).collect())
}

/// The first names, and how many more there are.
fn format_listed(mut names: Vec<String>) -> String {
    let omitted = names.len().saturating_sub(MAX_LISTED_NAMES);
    names.truncate(MAX_LISTED_NAMES);
    if omitted > 0 {
        names.push(format!("and {omitted} more"));
    }
    names.join(" ")
}
