//! The guard against declared state that is empty: what a catalog file removes, and when that needs a flag.
//!
//! A file whose template failed looks like one that means to remove everything. So removals are counted for
//! each kind of item by itself (ten thousand datasets must not hide five users), in the state that is changed:
//!
//! 1. A pruning file that names no user, no role or no dataset, where there are some to remove, needs
//!    `--allow-empty`.
//! 2. A file that removes more than half of one kind needs `--allow-removing N`. Memberships, shares, files, owners
//!    and tags of items that stay are removed by a changed line rather than by a missing item, so these count
//!    from [`MIN_REMOVED_PARTS`] on.
//! 3. `--allow-removing N` also is a bound: more than N removals of all kinds together are refused.
//!
//! What goes with a removed item (its memberships, shares, file and so on) is not counted again.

use std::fmt;

use serde::Serialize;

/// From how many memberships, shares, files, owners or tags on more than half of them are many.
const MIN_REMOVED_PARTS: usize = 10;
/// How many removed users or roles of one kind a refusal names.
const MAX_NAMED_REMOVALS: usize = 10;

/// How much may be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalLimits {
    /// Whether to remove all items of a kind that the file names none of.
    pub is_empty_allowed: bool,
    /// The most removals of all kinds together; with it, they may be most of what there is.
    pub max_removals: Option<usize>,
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RemovalKind {
    /// Users who sign in here.
    Users,
    /// Roles other than the built-in one.
    Roles,
    /// Datasets.
    Datasets,
    /// Roles that users who stay are no longer members of.
    Memberships,
    /// Readers that datasets which stay are no longer shared with.
    Shares,
    /// Files that datasets which stay no longer have.
    Files,
    /// Owners, who stay, of datasets that stay and have none now.
    Owners,
    /// Tags that datasets which stay no longer have, each with all its values.
    Tags,
}

/// How much of one kind a file removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovalCount {
    /// The kind.
    pub kind: RemovalKind,
    /// How many are removed.
    pub removed: usize,
    /// How many there are before.
    pub before: usize,
    /// Whether the file names none of the kind, although it could.
    pub names_none: bool,
    /// The first names of what is removed.
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

/// Why a file is not applied without a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovalRefusal {
    /// The kinds of which too much would be removed.
    pub kinds: Vec<RemovalCount>,
    /// How much of all kinds would be removed.
    pub removed: usize,
    /// The flags with which the file is applied.
    pub flags: String,
}

impl RemovalCount {
    /// A kind of items that a file names, or removes by not naming them.
    pub(super) fn of_items(
        kind: RemovalKind,
        removed: impl Iterator<Item = String>,
        before: usize,
        count_in_file: usize,
    ) -> Self {
        let mut names: Vec<_> = removed.collect();
        let removed = names.len();
        names.truncate(MAX_NAMED_REMOVALS);
        Self {
            kind,
            removed,
            before,
            names_none: count_in_file == 0,
            names,
        }
    }

    /// A kind of parts of items that stay.
    pub(super) fn of_parts(kind: RemovalKind, removed: usize, before: usize) -> Self {
        Self {
            kind,
            removed,
            before,
            names_none: false,
            names: Vec::new(),
        }
    }

    /// Whether it counts parts of items that stay.
    pub(super) fn is_of_parts(&self) -> bool {
        match self.kind {
            RemovalKind::Users | RemovalKind::Roles | RemovalKind::Datasets => false,
            RemovalKind::Memberships
            | RemovalKind::Shares
            | RemovalKind::Files
            | RemovalKind::Owners
            | RemovalKind::Tags => true,
        }
    }

    fn is_most(&self) -> bool {
        let least = if self.is_of_parts() {
            MIN_REMOVED_PARTS
        } else {
            1
        };
        self.removed >= least && self.removed > self.before / 2
    }

    fn is_refused(&self, limits: RemovalLimits) -> bool {
        if self.removed > 0 && self.names_none {
            !limits.is_empty_allowed
        } else {
            self.is_most() && limits.max_removals.is_none()
        }
    }
}

/// Decides whether so much may be removed.
pub(super) fn check_removals(
    counts: &[RemovalCount],
    limits: RemovalLimits,
) -> Option<RemovalRefusal> {
    let removed = counts.iter().map(|count| count.removed).sum();
    let is_over = limits.max_removals.is_some_and(|most| removed > most);
    let is_refused =
        |count: &&RemovalCount| (is_over && count.removed > 0) || count.is_refused(limits);
    let kinds: Vec<_> = counts.iter().filter(is_refused).cloned().collect();
    if kinds.is_empty() {
        return None;
    }
    let mut flags = Vec::new();
    let is_empty = |count: &RemovalCount| count.removed > 0 && count.names_none;
    if counts.iter().any(is_empty) {
        flags.push(String::from("--allow-empty"));
    }
    if is_over || kinds.iter().any(|count| !is_empty(count)) {
        flags.push(format!("--allow-removing {removed}"));
    }
    Some(RemovalRefusal {
        kinds,
        removed,
        flags: flags.join(" "),
    })
}

impl fmt::Display for RemovalCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} {}", self.removed, self.before, self.kind)?;
        if self.names_none {
            f.write_str(", of which the file names none")?;
        }
        if !self.names.is_empty() {
            write!(f, ": {}", self.names.join(", "))?;
            let more = self.removed - self.names.len();
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for RemovalRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the catalog file would remove too much")?;
        for count in &self.kinds {
            write!(f, "\n  {count}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RemovalRefusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(removed: usize, before: usize, count_in_file: usize) -> RemovalCount {
        let names = (0..removed).map(|n| format!("u{n}"));
        RemovalCount::of_items(RemovalKind::Users, names, before, count_in_file)
    }

    fn flags(counts: &[RemovalCount], is_empty_allowed: bool, most: Option<usize>) -> String {
        let limits = RemovalLimits {
            is_empty_allowed,
            max_removals: most,
        };
        check_removals(counts, limits).map_or_else(String::new, |refusal| refusal.flags)
    }

    #[test]
    fn more_than_half_of_a_kind_needs_a_number_and_half_does_not() {
        assert_eq!(flags(&[users(2, 4, 2)], false, None), "");
        assert_eq!(flags(&[users(3, 5, 2)], false, None), "--allow-removing 3");
        assert_eq!(flags(&[users(1, 1, 1)], false, None), "--allow-removing 1");
        assert_eq!(flags(&[users(3, 5, 2)], true, None), "--allow-removing 3");
        assert_eq!(flags(&[users(3, 5, 2)], false, Some(3)), "");
    }

    #[test]
    fn a_kind_of_which_the_file_names_none_needs_allow_empty_whatever_the_number() {
        assert_eq!(flags(&[users(3, 9, 0)], false, None), "--allow-empty");
        assert_eq!(flags(&[users(3, 9, 0)], false, Some(9)), "--allow-empty");
        assert_eq!(flags(&[users(9, 9, 0)], true, None), "");
        assert_eq!(flags(&[users(0, 9, 0)], false, None), "");
    }

    #[test]
    fn the_number_bounds_all_kinds_together() {
        let shares = RemovalCount::of_parts(RemovalKind::Shares, 4, 100);
        let counts = [users(2, 9, 7), shares];
        assert_eq!(flags(&counts, false, None), "");
        assert_eq!(flags(&counts, false, Some(6)), "");
        assert_eq!(flags(&counts, false, Some(5)), "--allow-removing 6");
        assert_eq!(flags(&counts, false, Some(0)), "--allow-removing 6");
    }

    #[test]
    fn many_datasets_do_not_hide_all_users() {
        let none = std::iter::empty();
        let datasets = RemovalCount::of_items(RemovalKind::Datasets, none, 10_000, 10_000);
        let counts = [datasets, users(5, 5, 0)];
        assert_eq!(flags(&counts, false, None), "--allow-empty");
    }

    #[test]
    fn few_shares_of_a_small_catalog_need_no_flag() {
        let shares = |removed| RemovalCount::of_parts(RemovalKind::Shares, removed, 12);
        assert_eq!(flags(&[shares(9)], false, None), "");
        assert_eq!(flags(&[shares(10)], false, None), "--allow-removing 10");
    }

    #[test]
    fn a_refusal_names_what_would_go_and_is_bounded() {
        let limits = RemovalLimits::default();
        let refusal = check_removals(&[users(1000, 1000, 0)], limits).unwrap();
        insta::assert_snapshot!(refusal, @r"
        the catalog file would remove too much
          1000 of 1000 users, of which the file names none: u0, u1, u2, u3, u4, u5, u6, u7, u8, u9 and 990 more
        ");
    }
}
