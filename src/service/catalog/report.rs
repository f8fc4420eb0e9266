//! The report of what applying a catalog file did, item by item.

use std::fmt;

use serde::Serialize;
use strum::IntoEnumIterator;

use super::removals::{RemovalCount, RemovalRefusal};

/// The most items of one outcome that a dry run lists.
const MAX_LISTED_ITEMS: usize = 50;
/// The note of an admin whom pruning left.
const KEPT_AS_LAST_ADMIN: &str = "not named in the file; kept, because no other admin would remain";

/// What applying a catalog file did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Each item that the file names, and each that was removed.
    pub lines: Vec<ItemReport>,
    /// How many items of the catalog the file does not name; they are unchanged.
    pub not_named: usize,
    /// How many datasets keep a visibility, record status or owner that is not the file's; only an import keeps them.
    #[serde(skip)]
    pub kept: usize,
    /// How much of each kind was removed.
    pub removals: Vec<RemovalCount>,
    /// Whether nothing was changed, and this is what would be.
    pub is_dry_run: bool,
    /// Why the file would not be applied; only after a dry run.
    pub refused: Option<RemovalRefusal>,
    /// The version of the catalog now.
    pub version: i64,
}

/// What happened to one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemReport {
    /// What happened to it.
    pub outcome: ItemOutcome,
    /// What kind of item it is.
    pub kind: ItemKind,
    /// The name of a role or user; the id and title of a dataset.
    pub name: String,
    /// The keys whose values changed, as a catalog file writes them.
    pub fields: Vec<&'static str>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

impl ItemReport {
    /// The report of one item.
    pub(super) fn new(kind: ItemKind, name: String, outcome: ItemOutcome) -> Self {
        Self {
            outcome,
            kind,
            name,
            fields: Vec::new(),
            note: None,
        }
    }

    /// Reports that these keys of an existing item changed, if there are any.
    pub(super) fn set_changed(&mut self, fields: Vec<&'static str>) {
        self.outcome = if fields.is_empty() {
            ItemOutcome::Unchanged
        } else {
            ItemOutcome::Changed
        };
        self.fields = fields;
    }

    /// Reports that a user of others is the operator's now.
    pub(super) fn set_adopted(&mut self) {
        self.outcome = ItemOutcome::Changed;
        self.note = Some("adopted");
    }

    /// Reports that a dataset of others is as the file says now.
    pub(super) fn set_taken_over(&mut self) {
        self.note = Some("not created by a catalog file");
    }

    /// Reports that an admin whom the file does not name stays.
    pub(super) fn set_kept_as_last_admin(&mut self) {
        self.note = Some(KEPT_AS_LAST_ADMIN);
    }

    fn is_kept_as_last_admin(&self) -> bool {
        self.outcome == ItemOutcome::Unchanged && self.note == Some(KEPT_AS_LAST_ADMIN)
    }

    /// What changed, in one line; empty if there is nothing to say.
    pub(super) fn details(&self) -> String {
        let fields = self.fields.join(", ");
        match self.note {
            None => fields,
            Some(note) if fields.is_empty() => note.to_owned(),
            Some(note) => format!("{fields}; {note}"),
        }
    }
}

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ItemOutcome {
    /// It was created.
    Created,
    /// It was changed.
    Changed,
    /// It was as the file says already; `left` in JSON.
    #[serde(rename = "left")]
    Unchanged,
    /// It was removed.
    Removed,
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, strum::EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ItemKind {
    /// A role.
    Role,
    /// A user.
    User,
    /// A dataset.
    Dataset,
}

impl ApplyReport {
    /// How many items had this outcome.
    pub fn count(&self, outcome: ItemOutcome) -> usize {
        self.lines.iter().filter(|l| l.outcome == outcome).count()
    }

    /// The report as text: one line of totals for each kind, and the totals.
    ///
    /// Before them, one line for each item if `is_verbose`. A dry run lists what it would change even so, up to
    /// [`MAX_LISTED_ITEMS`] of each outcome. An admin who was kept is always listed.
    pub fn render(&self, is_verbose: bool) -> String {
        let mut text = Vec::new();
        for outcome in ItemOutcome::iter() {
            let mut lines: Vec<_> = self.lines.iter().collect();
            lines.retain(|line| line.outcome == outcome);
            let is_listed = is_verbose || (self.is_dry_run && outcome != ItemOutcome::Unchanged);
            let mut more = 0;
            if !is_listed {
                lines.retain(|line| line.is_kept_as_last_admin());
            } else if !is_verbose {
                more = lines.len().saturating_sub(MAX_LISTED_ITEMS);
                lines.truncate(MAX_LISTED_ITEMS);
            }
            text.extend(lines.into_iter().map(ToString::to_string));
            if more > 0 {
                text.push(format!(
                    "... and {more} more {outcome}; --verbose lists all"
                ));
            }
        }
        text.extend(ItemKind::iter().filter_map(|kind| self.totals_of(kind)));
        let parts = self.removals.iter().filter(|count| count.is_of_parts());
        for count in parts.filter(|count| count.removed > 0) {
            let (kind, removed, before) = (count.kind, count.removed, count.before);
            text.push(format!("{kind}: {removed} of {before} removed"));
        }
        text.push(self.totals());
        text.join("\n") + "\n"
    }

    fn totals_of(&self, kind: ItemKind) -> Option<String> {
        let counts = ItemOutcome::iter().filter_map(|outcome| {
            let is_one = |line: &&ItemReport| line.kind == kind && line.outcome == outcome;
            let count = self.lines.iter().filter(is_one).count();
            (count > 0).then(|| format!("{count} {outcome}"))
        });
        let counts: Vec<_> = counts.collect();
        let kind = format!("{kind}s");
        (!counts.is_empty()).then(|| format!("{kind:<8}  {}", counts.join(", ")))
    }

    fn totals(&self) -> String {
        let mut parts = vec![format!(
            "{} created, {} changed, {} unchanged, {} removed",
            self.count(ItemOutcome::Created),
            self.count(ItemOutcome::Changed),
            self.count(ItemOutcome::Unchanged),
            self.count(ItemOutcome::Removed),
        )];
        if self.not_named > 0 {
            parts.push(format!("{} not named in the file, kept", self.not_named));
        }
        if self.is_dry_run {
            parts.push(String::from("dry run, nothing was changed"));
        }
        parts.push(format!("catalog version {}", self.version));
        parts.join("; ")
    }
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Display for ItemReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}  {:<7}  {}", self.outcome, self.kind, self.name)?;
        let details = self.details();
        if details.is_empty() {
            Ok(())
        } else {
            write!(f, "  ({details})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: ItemOutcome, name: &str) -> ItemReport {
        let fields = if outcome == ItemOutcome::Changed {
            vec!["roles", "disabled"]
        } else {
            Vec::new()
        };
        ItemReport {
            fields,
            ..ItemReport::new(ItemKind::User, name.to_owned(), outcome)
        }
    }

    fn report() -> ApplyReport {
        ApplyReport {
            lines: vec![
                line(ItemOutcome::Created, "ada"),
                line(ItemOutcome::Changed, "bob"),
                line(ItemOutcome::Unchanged, "eve"),
            ],
            not_named: 2,
            version: 7,
            ..ApplyReport::default()
        }
    }

    #[test]
    fn a_report_is_totals_and_each_item_where_it_is_verbose() {
        insta::assert_snapshot!(report().render(false), @r"
        users     1 created, 1 changed, 1 unchanged
        1 created, 1 changed, 1 unchanged, 0 removed; 2 not named in the file, kept; catalog version 7
        ");
        insta::assert_snapshot!(report().render(true), @r"
        created    user     ada
        changed    user     bob  (roles, disabled)
        unchanged  user     eve
        users     1 created, 1 changed, 1 unchanged
        1 created, 1 changed, 1 unchanged, 0 removed; 2 not named in the file, kept; catalog version 7
        ");
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["lines"][0]["outcome"], "created");
        assert_eq!(json["lines"][2]["outcome"], "left");
    }

    #[test]
    fn a_dry_run_lists_changes_up_to_a_bound() {
        let lines = (0..=MAX_LISTED_ITEMS).map(|_| line(ItemOutcome::Removed, "eve"));
        let report = ApplyReport {
            lines: lines.collect(),
            is_dry_run: true,
            ..ApplyReport::default()
        };
        let text = report.render(false);
        assert_eq!(text.matches("eve").count(), MAX_LISTED_ITEMS);
        assert!(text.contains("... and 1 more removed"), "{text}");
        assert_eq!(report.render(true).matches("eve").count(), 51);
    }

    #[test]
    fn an_admin_who_was_kept_is_always_listed() {
        let mut kept = line(ItemOutcome::Unchanged, "root");
        kept.set_kept_as_last_admin();
        let report = ApplyReport {
            lines: vec![kept, line(ItemOutcome::Unchanged, "eve")],
            ..ApplyReport::default()
        };
        let text = report.render(false);
        assert!(text.contains("root") && !text.contains("eve"), "{text}");
    }
}
