//! The policies in force in words: where they come from, and why not from the policy folder if it is refused or being proved.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::Settings;
use crate::domain::decision::Revision;
use crate::service::policies::reload::{RejectedBundle, ReloadStatus};

/// The most reasons of a refusal that are shown; the log has the others.
const MAX_REASONS: usize = 3;
/// The longest reason, in characters.
const MAX_REASON_LENGTH: usize = 300;

/// Where the policies in force come from, on one line.
pub(super) fn origin(settings: &Settings, status: &ReloadStatus) -> String {
    origin_of(settings.policy_dir.as_deref(), status)
}

fn origin_of(folder: Option<&Path>, status: &ReloadStatus) -> String {
    let Some(folder) = folder.map(Path::display) else {
        return "the bundle inside the program".to_owned();
    };
    let Some(rejected) = &status.rejected else {
        return folder.to_string();
    };
    let in_force = if status.is_closed {
        "none"
    } else {
        "the last good policies"
    };
    let state = if rejected.is_under_way() {
        "being proved"
    } else {
        "refused"
    };
    format!("{in_force}, since {folder} is {state}")
}

/// The policies in force for somebody who looks at the terminal alone: what is wrong with them comes first.
pub(super) fn describe(settings: &Settings, status: &ReloadStatus, revision: &Revision) -> String {
    describe_in(settings.policy_dir.as_deref(), status, revision)
}

fn describe_in(folder: Option<&Path>, status: &ReloadStatus, revision: &Revision) -> String {
    let mut text = String::new();
    if let Some(rejected) = &status.rejected {
        text.push_str(&describe_difference(folder, rejected, status.is_closed));
    }
    let _ = writeln!(text, "  Policies  {}", origin_of(folder, status));
    if !status.is_closed {
        let _ = writeln!(text, "            revision {revision}");
    }
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

/// That the folder is not in force, and why.
fn describe_difference(
    folder: Option<&Path>,
    rejected: &RejectedBundle,
    is_closed: bool,
) -> String {
    let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
    let in_force = if is_closed {
        "No policies are in force: nothing is decided."
    } else {
        "What was in force before it still is."
    };
    if rejected.is_under_way() {
        return format!(
            "The policy folder {folder} is being proved: {}.\n\
             It is not in force yet. {in_force} The log and /health/ready tell how far the proof is.\n\n",
            rejected.reason.lines().join("; ")
        );
    }
    let mut text = format!(
        "WARNING: the policy folder {folder} is refused: {}.\n\
         It is NOT in force. {in_force} Why it is refused:\n\n",
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::policy::folder::PolicyFolder;
    use crate::service::policies::reload::RejectionReason;

    use super::*;

    #[test]
    fn nothing_is_said_to_be_refused_that_is_being_proved_or_to_be_in_force_where_nothing_is() {
        let revision = PolicyFolder::embedded().unwrap().revision();
        let missing = || RejectionReason::SolverMissing("there is no solver".to_owned());
        let under_way = || RejectionReason::NotYetProved("201 are left".to_owned());
        let mut texts = Vec::new();
        for (reason, is_closed) in [
            (missing(), false),
            (missing(), true),
            (under_way(), false),
            (under_way(), true),
        ] {
            let rejected = RejectedBundle {
                revision: None,
                folder_revision: None,
                unix_millis: 0,
                reason,
            };
            let status = ReloadStatus {
                rejected: Some(Arc::new(rejected)),
                is_closed,
                ..ReloadStatus::default()
            };
            let text = describe_in(Some(Path::new("/p")), &status, &revision);
            assert_eq!(text.contains("revision"), !is_closed, "{text}");
            assert_eq!(
                text.contains("What was in force before it still is"),
                !is_closed,
                "{text}"
            );
            let has_refusal = text.contains("is refused");
            texts.push((origin_of(Some(Path::new("/p")), &status), has_refusal));
        }
        let expected = [
            ("the last good policies, since /p is refused", true),
            ("none, since /p is refused", true),
            ("the last good policies, since /p is being proved", false),
            ("none, since /p is being proved", false),
        ];
        assert_eq!(
            texts,
            expected.map(|(text, refused)| (text.to_owned(), refused))
        );
    }
}
