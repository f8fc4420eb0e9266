//! Publishing drafts: `POST /admin/policies/drafts/{draft_id}/publish`, a stream of events.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::registry::Registry;
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::ApiTag;
use crate::http::reply::event_stream::{EventStream, FinalEvent};
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};
use crate::service::administration::Administration;
use crate::service::administration::drafts::PublishOutcome;

use super::rejected_bundle::RejectedBundleResponse;

const MISSING_IF_MATCH: &str =
    "send If-Match with the folder revision in force that the draft is to replace, in quotes";

/// The API that publishes drafts.
pub struct PublishingApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A draft that is in force: the data of the event `published`.
#[derive(Object)]
#[oai(rename = "PublishAnswer")]
pub struct PublishResponse {
    /// The revision in force.
    pub revision: String,
    /// The SHA-256 over the same with its cases and invariants.
    pub folder_revision: String,
    /// Whether it replaced another revision; not if cases or invariants alone were edited.
    pub is_changed: bool,
}

/// How publishing ends.
enum PublishEvent {
    Published(PublishResponse),
    Refused(Box<RejectedBundleResponse>),
}

impl From<PublishOutcome> for PublishEvent {
    fn from(outcome: PublishOutcome) -> Self {
        match outcome {
            PublishOutcome::Published {
                report,
                folder_revision,
            } => Self::Published(PublishResponse {
                revision: report.revision.to_string(),
                folder_revision,
                is_changed: report.is_changed,
            }),
            PublishOutcome::Refused(rejected) => Self::Refused(Box::new((&*rejected).into())),
        }
    }
}

impl FinalEvent for PublishEvent {
    const DESCRIPTION: &'static str = "A stream of events: `progress` with a `ProgressEvent` at most five times a \
        second, a comment every ten seconds, and at the end `published` with a `PublishAnswer`, `refused` with a \
        `RefusedEditAnswer`, or `problem` with a problem.";

    fn name(&self) -> &'static str {
        match self {
            Self::Published(_) => "published",
            Self::Refused(_) => "refused",
        }
    }

    fn to_json_text(&self) -> String {
        match self {
            Self::Published(published) => published.to_json_string(),
            Self::Refused(refused) => refused.to_json_string(),
        }
    }

    fn register(registry: &mut Registry) {
        PublishResponse::register(registry);
        RejectedBundleResponse::register(registry);
    }
}

/// The error statuses of publishing a draft.
pub struct PublishStatuses;

impl ErrorStatuses for PublishStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 412, 422, 428, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, "The policies do not permit you to do this."),
        (404, "You have no such draft."),
        (
            409,
            "This server publishes no drafts, or the policy folder cannot be written or has an edit that is not in force, \
             or the draft has conflicts that nobody has settled.",
        ),
        (
            412,
            "Another edit came into force beneath the draft; `detail` says when and by whom. Rebase the draft. Or the draft \
             has a newer version.",
        ),
    ];
}

#[OpenApi(tag = "ApiTag::Administration")]
impl PublishingApi {
    /// Update policies from draft
    ///
    /// Judges a draft as the policy gate judges an edit of the policy folder, writes it to the folder, wholly or not at
    /// all, and puts it in force. `If-Match` has the folder revision in force. Until the folder is written, to go away
    /// gives it up. Requires `edit_policies` and the setting `policy_writes`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/publish",
        method = "post",
        operation_id = "publish_policy_draft"
    )]
    async fn publish(
        &self,
        /// The id of the draft.
        draft_id: Path<DraftId>,
        /// The version of the draft that is to be published: the one that you have looked at.
        version: Query<u64>,
        /// The folder revision in force, in quotes.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> Result<EventStream<PublishEvent>, ErrorResponse<PublishStatuses>> {
        let administration = Arc::clone(&self.administration);
        let stream = EventStream::follow(async move |work| {
            // Asked of whoever may publish: others are refused first.
            let is_met = |in_force: &String| {
                if_match.require(MISSING_IF_MATCH)?;
                if_match.check_version(in_force)
            };
            let draft = (draft_id.0, version.0);
            let publishing = administration.publish_draft(&credentials.0, draft, &is_met, work);
            publishing.await.map(PublishEvent::from)
        });
        Ok(stream.await?)
    }
}
