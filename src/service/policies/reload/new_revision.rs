//! A revision that comes into force, for the history: what it changes, in a list and in a sentence.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::policy_revision::{MAX_LISTED_CHANGES, RevisionChange, RevisionChanges};
use crate::policy::Bundle;
use crate::policy::effect::PolicyDifference;
use crate::service::policies::patch::{FileChange, FileTexts, FolderEdit};

/// The most names in a sentence; the rest are counted.
const MAX_NAMES: usize = 3;

/// The files of a folder, and its bundle if there is one.
pub(super) struct RevisionSide {
    pub(super) files: FileTexts,
    pub(super) bundle: Option<Arc<Bundle>>,
}

/// What changes from one folder to another one.
pub(super) fn find_changes(before: &RevisionSide, after: &RevisionSide) -> RevisionChanges {
    let edit = FolderEdit {
        before: &before.files,
        after: &after.files,
        marked: &std::collections::BTreeSet::new(),
    };
    let files = edit.changes().filter_map(|(name, change)| {
        let change = match change {
            FileChange::Unchanged => return None,
            FileChange::Changed => RevisionChange::Changed,
            FileChange::Added => RevisionChange::Added,
            FileChange::Removed => RevisionChange::Removed,
        };
        Some((name.to_owned(), change))
    });
    let (files, more_files) = cut(files.collect());
    let (policies, more_policies) = cut(changed_policies(before, after));
    RevisionChanges {
        files,
        policies,
        more_files,
        more_policies,
    }
}

fn changed_policies(before: &RevisionSide, after: &RevisionSide) -> Vec<(String, RevisionChange)> {
    let Some(bundle) = &after.bundle else {
        return Vec::new();
    };
    let Some(before) = &before.bundle else {
        let ids = bundle.policies().keys();
        return ids.map(|id| (id.clone(), RevisionChange::Added)).collect();
    };
    let differences = bundle.differences(before).into_iter();
    let mut changed: Vec<_> = differences
        .map(|(id, difference)| {
            let change = match difference {
                PolicyDifference::Added => RevisionChange::Added,
                PolicyDifference::Changed => RevisionChange::Changed,
                PolicyDifference::Removed => RevisionChange::Removed,
            };
            (id, change)
        })
        .collect();
    changed.sort_by(|(one, _), (other, _)| one.cmp(other));
    changed
}

fn cut<T>(mut all: Vec<T>) -> (Vec<T>, usize) {
    let more = all.len().saturating_sub(MAX_LISTED_CHANGES);
    all.truncate(MAX_LISTED_CHANGES);
    (all, more)
}

/// What a revision changes, in one sentence: its policies, or else its files, and what there is to note.
pub(super) fn summarize(changes: &RevisionChanges, is_first: bool, notes: &[String]) -> String {
    let mut parts = Vec::new();
    if is_first {
        parts.push("the first policies".to_owned());
    } else if changes.policies.is_empty() {
        let files = (changes.files.as_slice(), changes.more_files);
        parts.push(if files.0.is_empty() {
            "no file changed".to_owned()
        } else {
            format!(
                "no policy says anything else; {}",
                name_changes("file", files)
            )
        });
    } else {
        parts.push(name_changes(
            "policy",
            (changes.policies.as_slice(), changes.more_policies),
        ));
    }
    parts.extend(notes.iter().cloned());
    parts.join("; ")
}

fn name_changes(noun: &str, (listed, more): (&[(String, RevisionChange)], usize)) -> String {
    let mut text = String::new();
    for (change, verb) in [
        (RevisionChange::Added, "added"),
        (RevisionChange::Changed, "changed"),
        (RevisionChange::Removed, "removed"),
    ] {
        let names = listed.iter().filter(|(_, one)| *one == change);
        let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() {
            continue;
        }
        let separator = if text.is_empty() { noun } else { ";" };
        let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator} {}", shown.join(", "));
        if let Some(unnamed @ 1..) = names.len().checked_sub(MAX_NAMES) {
            let _ = write!(text, " and {unnamed} more");
        }
        let _ = write!(text, " {verb}");
    }
    if more > 0 {
        let _ = write!(text, "; {more} more not listed");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::policy::folder::PolicyFolder;

    use super::*;

    fn side(files: &[(&str, &str)]) -> RevisionSide {
        let shipped = PolicyFolder::embedded().unwrap();
        let schema = shipped
            .files()
            .find(|(name, _)| *name == "schema.cedarschema");
        let mut texts: FileTexts = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)))
            .collect();
        texts.extend(schema.map(|(name, text)| (name.to_owned(), Arc::clone(text))));
        let folder = PolicyFolder::from_files("test", texts.clone());
        RevisionSide {
            files: texts,
            bundle: Some(Arc::new(folder.bundle().unwrap())),
        }
    }

    #[test]
    fn a_revision_names_the_policies_that_say_something_else() {
        let before = side(&[
            (
                "a.cedar",
                "@id(\"a\") permit (principal, action == Action::\"read\", resource);\n\
                 @id(\"b\") permit (principal, action == Action::\"read\", resource);",
            ),
            (
                "gone.cedar",
                "@id(\"gone\") forbid (principal, action, resource);",
            ),
        ]);
        let after = side(&[
            (
                "a.cedar",
                "@id(\"a\") permit (principal, action == Action::\"discover\", resource);\n\
                 @id(\"b\") @reason(\"why\") permit (principal, action == Action::\"read\", resource);",
            ),
            (
                "new.cedar",
                "@id(\"new\") forbid (principal, action, resource);",
            ),
        ]);
        let changes = find_changes(&before, &after);
        insta::assert_snapshot!(
            serde_json::to_string(&changes).unwrap(),
            @r#"{"files":[["a.cedar","changed"],["gone.cedar","removed"],["new.cedar","added"]],"policies":[["a","changed"],["gone","removed"],["new","added"]],"more_files":0,"more_policies":0}"#
        );
        insta::assert_snapshot!(
            summarize(&changes, false, &["accepted".to_owned()]),
            @"policy `new` added; `a` changed; `gone` removed; accepted"
        );
    }

    #[test]
    fn a_revision_without_another_policy_names_its_files_and_many_names_are_counted() {
        let files = (0..5).map(|n| (format!("{n}.cases.json"), RevisionChange::Changed));
        let changes = RevisionChanges {
            files: files.collect(),
            more_files: 7,
            ..RevisionChanges::default()
        };
        insta::assert_snapshot!(
            summarize(&changes, false, &[]),
            @"no policy says anything else; file `0.cases.json`, `1.cases.json`, `2.cases.json` and 2 more changed; 7 more not listed"
        );
        insta::assert_snapshot!(summarize(&changes, true, &[]), @"the first policies");
    }
}
