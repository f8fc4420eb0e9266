//! Differences: what is done to a user, in words for auditors.
//!
//! This module refuses to know secrets: a claim may be one, so only that claims differ is told.

use std::collections::BTreeSet;

use crate::domain::name::RoleName;
use crate::domain::principal::User;

fn format_roles(roles: &BTreeSet<RoleName>) -> String {
    let names: Vec<_> = roles.iter().map(RoleName::as_str).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

/// A new user.
pub(super) fn describe_user(user: &User) -> String {
    let disabled = if user.is_disabled { ", disabled" } else { "" };
    format!(
        "the user {}, roles: {}{disabled}",
        user.username,
        format_roles(&user.roles)
    )
}

/// What is different about a user; nothing when nothing is.
pub(super) fn summarize_user_change(before: &User, after: &User) -> Option<String> {
    let mut told = Vec::new();
    if before.username != after.username {
        told.push(format!("renamed to {}", after.username));
    }
    if before.roles != after.roles {
        let (were, are) = (format_roles(&before.roles), format_roles(&after.roles));
        told.push(format!("roles: {are} (were: {were})"));
    }
    if before.claims != after.claims {
        told.push("other claims".to_owned());
    }
    if before.is_disabled != after.is_disabled {
        let now = if after.is_disabled {
            "disabled"
        } else {
            "enabled"
        };
        told.push(now.to_owned());
    }
    let is_same = told.is_empty();
    (!is_same).then(|| format!("changed the user {}: {}", before.username, told.join("; ")))
}
