//! The report of what applying a catalog file did, item by item.

use std::fmt;

use serde::Serialize;

/// The most unchanged items that are listed one by one.
const MAX_LISTED_UNCHANGED: usize = 50;

/// What applying a catalog file did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Each item that the file names, and each that was removed.
    pub lines: Vec<ItemReport>,
    /// How many items of the catalog the file does not name; they are unchanged.
    pub not_named: usize,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
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
}

impl fmt::Display for ApplyReport {
    /// One line per item (unchanged items only when they are few), then the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unchanged = self.count(ItemOutcome::Unchanged);
        for line in &self.lines {
            if line.outcome == ItemOutcome::Unchanged && unchanged > MAX_LISTED_UNCHANGED {
                continue;
            }
            write!(f, "{:<9}  {:<7}  {}", line.outcome, line.kind, line.name)?;
            let details = line.details();
            if !details.is_empty() {
                write!(f, "  ({details})")?;
            }
            writeln!(f)?;
        }
        write!(
            f,
            "{} created, {} changed, {unchanged} unchanged, {} removed",
            self.count(ItemOutcome::Created),
            self.count(ItemOutcome::Changed),
            self.count(ItemOutcome::Removed),
        )?;
        if self.not_named > 0 {
            write!(f, "; {} not named in the file, kept", self.not_named)?;
        }
        writeln!(f, "; catalog version {}", self.version)
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

    #[test]
    fn a_report_reads_as_lines_and_totals() {
        let report = ApplyReport {
            lines: vec![
                line(ItemOutcome::Created, "ada"),
                line(ItemOutcome::Changed, "bob"),
                line(ItemOutcome::Unchanged, "eve"),
            ],
            not_named: 2,
            version: 7,
        };
        assert_eq!(
            report.to_string(),
            "created    user     ada\n\
             changed    user     bob  (roles, disabled)\n\
             unchanged  user     eve\n\
             1 created, 1 changed, 1 unchanged, 0 removed; \
             2 not named in the file, kept; catalog version 7\n"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["lines"][0]["outcome"], "created");
        assert_eq!(json["lines"][2]["outcome"], "left");
    }

    #[test]
    fn many_unchanged_items_are_only_counted() {
        let lines = (0..=MAX_LISTED_UNCHANGED).map(|_| line(ItemOutcome::Unchanged, "eve"));
        let report = ApplyReport {
            lines: lines.collect(),
            ..ApplyReport::default()
        };
        assert!(!report.to_string().contains("eve"));
        assert!(report.to_string().contains("51 unchanged"));
    }
}
