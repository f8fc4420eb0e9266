//! The names of the users and datasets that an explanation mentions by their ids.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::domain::id::{DatasetId, UserId};
use crate::policy::explain::PolicyExplanation;

use super::report::ExplanationReport;

/// The most users, and the most datasets, whose names are told.
const MAX_NAMES: usize = 50;

impl ExplanationReport {
    /// The users that the values and the policies name.
    #[must_use]
    pub fn mentioned_users(&self) -> BTreeSet<UserId> {
        self.mentioned("User").into_iter().map(UserId).collect()
    }

    /// The datasets that the values and the policies name.
    #[must_use]
    pub fn mentioned_datasets(&self) -> BTreeSet<DatasetId> {
        self.mentioned("Dataset")
            .into_iter()
            .map(DatasetId)
            .collect()
    }

    /// Adds the name of a user, or the title of a dataset.
    pub fn add_name(&mut self, kind: &str, id: Uuid, name: &str) {
        self.names
            .insert(format!("{kind}::\"{id}\""), name.to_owned());
    }

    fn mentioned(&self, kind: &str) -> BTreeSet<Uuid> {
        let opening = format!("{kind}::\"");
        let policies = self.determining.iter().chain(&self.others);
        let texts = policies.flat_map(PolicyExplanation::told);
        let ids: BTreeSet<Uuid> = texts
            .flat_map(|text| ids_after(text, &opening))
            .filter(|id| !self.principal.contains(&id.to_string()))
            .collect();
        ids.into_iter().take(MAX_NAMES).collect()
    }

    /// The text with the name after each id that has one in a line of values, and below a part of a policy.
    pub(super) fn with_names(&self, text: &str) -> String {
        let mut names = self.names.clone();
        if let Some(username) = &self.username {
            names.insert(self.principal.clone(), username.clone());
        }
        let lines = text.split_inclusive('\n');
        lines.map(|line| with_names(line, &names)).collect()
    }
}

/// The ids that follow a text, up to the next quote.
fn ids_after(text: &str, opening: &str) -> Vec<Uuid> {
    let found = text.split(opening).skip(1);
    found
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect()
}

/// Values have six blanks before them, parts of policies four; the source of a policy stays as it is.
fn with_names(line: &str, names: &BTreeMap<String, String>) -> String {
    let is_value = line.starts_with("      ") && line.contains(" = ") && !line.contains(" | ");
    let is_part = ["true", "false", "unknown", "error"].iter().any(|value| {
        line.strip_prefix("    ")
            .is_some_and(|rest| rest.starts_with(&format!("{value}: ")))
    });
    let mut shown = line.to_owned();
    for (uid, name) in names.iter().filter(|(uid, _)| line.contains(uid.as_str())) {
        if is_value {
            shown = shown.replace(uid, &format!("{uid} ({name})"));
        } else if is_part {
            shown.extend(["      ", uid, " is ", name, "\n"]);
        }
    }
    shown
}
