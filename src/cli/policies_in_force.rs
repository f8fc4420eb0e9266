//! The policies in force in words: where they come from, and why not from the policy folder if it is refused.

use std::fmt::Write as _;

use crate::config::Settings;
use crate::domain::decision::Revision;
use crate::service::policies::reload::{RejectedBundle, ReloadStatus};

/// The most reasons of a refusal that are shown; the log has the others.
const MAX_REASONS: usize = 3;
/// The longest reason, in characters.
const MAX_REASON_LENGTH: usize = 300;

/// Where the policies in force come from, on one line.
pub(super) fn origin(settings: &Settings, status: &ReloadStatus) -> String {
    match (&settings.policy_dir, &status.rejected) {
        (None, _) => "the bundle inside the program".to_owned(),
        (Some(folder), None) => folder.display().to_string(),
        (Some(folder), Some(_)) => {
            format!(
                "the last good policies, since {} is refused",
                folder.display()
            )
        }
    }
}

/// The policies in force for somebody who looks at the terminal alone: what is wrong with them comes first.
pub(super) fn describe(settings: &Settings, status: &ReloadStatus, revision: &Revision) -> String {
    let mut text = String::new();
    if let Some(rejected) = &status.rejected {
        text.push_str(&describe_refusal(settings, rejected));
    }
    let _ = writeln!(text, "  Policies  {}", origin(settings, status));
    let _ = writeln!(text, "            revision {revision}");
    if let Some(reason) = &status.unproved {
        let _ = writeln!(
            text,
            "            their invariants were not proved: {reason}"
        );
    }
    for missing in &status.unguarded {
        let _ = writeln!(text, "            {missing}");
    }
    text
}

fn describe_refusal(settings: &Settings, rejected: &RejectedBundle) -> String {
    let folder = settings.policy_dir.as_ref();
    let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
    let mut text = format!(
        "WARNING: the policy folder {folder} is refused: {}.\n\
         It is NOT in force. What was in force before it still is. Why it is refused:\n\n",
        rejected.reason.kind()
    );
    let reasons = rejected.reason.lines();
    for reason in reasons.iter().take(MAX_REASONS) {
        let short: String = reason.chars().take(MAX_REASON_LENGTH).collect();
        let _ = writeln!(text, "  {short}");
    }
    if let Some(more @ 1..) = reasons.len().checked_sub(MAX_REASONS) {
        let _ = writeln!(
            text,
            "  and {more} more: see the log, or GET /admin/policies"
        );
    }
    let _ = writeln!(
        text,
        "\nEdit the folder: the server follows it. `cedargate policy check {folder}` tells what is not valid, \
         `policy test`\nwhich cases fail, `policy prove` which invariants are violated and the ways on.\n"
    );
    text
}
