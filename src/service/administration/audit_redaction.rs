//! Redaction of audit records: what quotes policies is for those who may see them.

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::resource::Resource;

use super::drafts::PUBLISH_REFUSED;
use super::operation::AdminOperation;
use super::policies::{RELOAD_REFUSED, WHERE_DETAILS_ARE};

/// Where the reasons are that a draft was refused for.
const WHERE_DETAILS_OF_DRAFTS_ARE: &str = "the author of the draft was told the details";

/// What is done to each record for a caller who may not see the policies.
pub(super) fn redaction(operation: &AdminOperation) -> Option<fn(&mut AuditRecord)> {
    let may_view = operation.is_permitted(Action::ViewPolicies, &Resource::Server);
    (!may_view).then_some(withhold_policy_texts)
}

/// Leaves only the kind of reason for which an edit of the policies was refused: the rest quotes the files.
fn withhold_policy_texts(record: &mut AuditRecord) {
    if record.outcome != AuditOutcome::Refused {
        return;
    }
    let (mark, where_details_are) = match (record.event, record.action) {
        (_, Some(Action::EditPolicies)) => (PUBLISH_REFUSED, WHERE_DETAILS_OF_DRAFTS_ARE),
        (_, Some(Action::ReloadPolicies)) => (RELOAD_REFUSED, WHERE_DETAILS_ARE),
        (AuditEvent::PolicyReload, _) => ("", WHERE_DETAILS_ARE),
        _ => return,
    };
    let Some(reason) = &record.reason else {
        return;
    };
    // The kinds of reasons contain no colon, and neither does what is before the mark.
    let start = reason.find(mark).map_or(0, |at| at + mark.len());
    let (start, rest) = reason.split_at(start);
    if let Some((kind, _)) = rest.split_once(": ") {
        record.reason = Some(format!("{start}{kind}; {where_details_are}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;
    use crate::service::identity::request_context::RequestContext;

    fn withheld(event: AuditEvent, action: Option<Action>, reason: &str) -> String {
        let context = RequestContext::local();
        let mut record = context.open_record(event, &Clock::fixed_at(0));
        record.action = action;
        record.reason = Some(reason.to_owned());
        withhold_policy_texts(&mut record);
        record.reason.unwrap_or_default()
    }

    #[test]
    fn the_reason_of_a_refused_edit_is_reduced_to_its_kind() {
        let reload = AuditEvent::PolicyReload;
        for (event, action, reason, kind) in [
            (
                reload,
                None,
                "it is not valid: a.cedar:1: x: y",
                "it is not valid",
            ),
            (
                reload,
                None,
                "at the start, an invariant is violated: x: y",
                "at the start, an invariant is violated",
            ),
            (
                AuditEvent::Administer,
                Some(Action::ReloadPolicies),
                "policies not reloaded: its cases are not met: a: b",
                "policies not reloaded: its cases are not met",
            ),
        ] {
            let expected = format!("{kind}; {WHERE_DETAILS_ARE}");
            assert_eq!(withheld(event, action, reason), expected);
        }
        let publish = "draft 1 not published: ";
        for rest in ["a.cedar:1:7: x", "b not published: c: d"] {
            let reason = format!("{publish}it is not valid: {rest}");
            let expected = format!("{publish}it is not valid; {WHERE_DETAILS_OF_DRAFTS_ARE}");
            let action = Some(Action::EditPolicies);
            assert_eq!(withheld(AuditEvent::Administer, action, &reason), expected);
        }
        let other = "username: there is no such user: x";
        assert_eq!(withheld(AuditEvent::Administer, None, other), other);
    }
}
