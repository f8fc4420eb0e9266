//! The summary of an applied catalog file for auditors, in one sentence of bounded length.

use std::fmt::Write;

use super::options::ApplyOptions;
use super::report::{ApplyReport, ItemKind, ItemOutcome, ItemReport};

/// The most items of a kind that a summary names for each outcome.
const MAX_NAMED_ITEMS: usize = 20;
/// The longest file name in a summary, in characters.
const MAX_FILE_NAME_LENGTH: usize = 200;

/// Describes what applying the file changed: users, roles and removed datasets by name, others by number.
pub(super) fn summarize(file: &str, report: &ApplyReport, options: &ApplyOptions<'_>) -> String {
    let skipped = file.chars().count().saturating_sub(MAX_FILE_NAME_LENGTH);
    let file: String = file.chars().skip(skipped).collect();
    let mut summary = format!("applied the catalog file {file}");
    for (is_set, flag) in [
        (options.is_pruning, "pruning"),
        (options.is_adopting, "adopting users of others"),
        (options.removal_limits.is_empty_allowed, "allowing empty"),
    ] {
        if is_set {
            summary.push_str(", ");
            summary.push_str(flag);
        }
    }
    if let Some(most) = options.removal_limits.max_removals {
        // Writing to a String cannot fail.
        let _ = write!(summary, ", allowing {most} removals");
    }
    let mut parts = Vec::new();
    for outcome in [
        ItemOutcome::Created,
        ItemOutcome::Changed,
        ItemOutcome::Removed,
    ] {
        for kind in [ItemKind::User, ItemKind::Role] {
            parts.extend(describe_named(report, outcome, kind));
        }
        if outcome == ItemOutcome::Removed {
            parts.extend(describe_named(report, outcome, ItemKind::Dataset));
            continue;
        }
        let datasets = items(report, outcome, ItemKind::Dataset).count();
        if datasets > 0 {
            parts.push(format!(
                "{outcome} {datasets} {}",
                plural(ItemKind::Dataset, datasets)
            ));
        }
    }
    let lost = report.removals.iter().filter(|count| count.is_of_parts());
    let lost = lost.filter(|count| count.removed > 0);
    parts.extend(lost.map(|count| format!("removed {} {}", count.removed, count.kind)));
    format!("{summary}: {}", parts.join("; "))
}

fn items(
    report: &ApplyReport,
    outcome: ItemOutcome,
    kind: ItemKind,
) -> impl Iterator<Item = &ItemReport> {
    let lines = report.lines.iter();
    lines.filter(move |line| line.outcome == outcome && line.kind == kind)
}

fn describe_named(report: &ApplyReport, outcome: ItemOutcome, kind: ItemKind) -> Option<String> {
    let count = items(report, outcome, kind).count();
    let named = items(report, outcome, kind)
        .take(MAX_NAMED_ITEMS)
        .map(|line| {
            let details = line.details();
            if kind == ItemKind::Dataset {
                // The id: a title is long.
                line.name.chars().take_while(|c| *c != ' ').collect()
            } else if details.is_empty() {
                line.name.clone()
            } else {
                format!("{} ({details})", line.name)
            }
        });
    let mut named: Vec<_> = named.collect();
    if count > named.len() {
        named.push(format!("and {} more", count - named.len()));
    }
    (count > 0).then(|| {
        format!(
            "{outcome} {count} {}: {}",
            plural(kind, count),
            named.join(", ")
        )
    })
}

fn plural(kind: ItemKind, count: usize) -> String {
    if count == 1 {
        kind.to_string()
    } else {
        format!("{kind}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;

    #[test]
    fn a_summary_names_users_and_what_was_removed_and_counts_other_datasets() {
        let line = ItemReport::new;
        let mut ada = line(ItemKind::User, "ada".into(), ItemOutcome::Created);
        ada.set_changed(vec!["roles"]);
        ada.set_adopted();
        let dataset = line(ItemKind::Dataset, "id title".into(), ItemOutcome::Removed);
        let created = line(ItemKind::Dataset, "new".into(), ItemOutcome::Created);
        let many = (0..30).map(|n| line(ItemKind::Role, format!("r{n}"), ItemOutcome::Created));
        let report = ApplyReport {
            lines: many
                .chain([ada, dataset.clone(), dataset, created])
                .collect(),
            ..ApplyReport::default()
        };
        let options = ApplyOptions {
            is_pruning: true,
            ..ApplyOptions::new(Clock::system())
        };
        let summary = summarize(&"x".repeat(5000), &report, &options);
        assert!(summary.len() < 1000, "{summary}");
        let tail = summary.split_once(": ").unwrap().1;
        assert!(tail.starts_with("created 30 roles: r0, r1,"), "{tail}");
        assert!(
            tail.ends_with(
                "r19, and 10 more; created 1 dataset; changed 1 user: ada (roles; adopted); removed 2 \
                 datasets: id, id"
            ),
            "{tail}"
        );
    }
}
