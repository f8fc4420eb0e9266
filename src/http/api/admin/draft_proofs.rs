//! The proofs of drafts: `POST /admin/policies/drafts/{draft_id}/proofs`, a stream of events.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::registry::Registry;
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::ApiTag;
use crate::http::reply::event_stream::{EventStream, FinalEvent};
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses};
use crate::policy::prove::{InvariantVerdict, ProvedInvariant};
use crate::service::administration::Administration;
use crate::service::administration::drafts::DraftProof;

/// The most lines of a kind that an answer has.
const MAX_LINES: usize = 100;

/// The API of proofs of drafts.
pub struct DraftProofsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// What is proved of a draft, for every possible request: the data of the event `proof`.
#[derive(Object)]
#[oai(rename = "DraftProofAnswer")]
pub struct DraftProofResponse {
    /// The version of the draft.
    pub version: u64,
    /// Whether every invariant holds and no policy can fail to evaluate.
    pub is_complete: bool,
    /// How long it took.
    pub seconds: f64,
    /// Every invariant, by file and line.
    pub invariants: Vec<DraftProofInvariant>,
    /// The policies that can fail to evaluate, with a request for which they do, at most a hundred.
    pub failing: Vec<String>,
    /// What has no effect, a sentence each, at most a hundred.
    pub ineffective: Vec<String>,
    /// How many questions about failing policies and effects are open.
    pub unanswered: u64,
}

/// An invariant of a draft.
#[derive(Object)]
pub struct DraftProofInvariant {
    /// Its `@id`.
    pub id: String,
    /// The file that contains it.
    pub file: String,
    /// The line it starts on.
    pub line: u64,
    /// Its `@reason`.
    pub reason: String,
    /// Whether it holds.
    pub verdict: InvariantVerdictWord,
    /// The policies that violate it, by `@id`.
    pub policies: Vec<String>,
    /// What to do: how to narrow each policy, or the exception to write, one line each.
    pub suggestions: Vec<String>,
    /// What is not known, and why.
    pub open: Vec<String>,
    /// A readable request and entities for which it does not hold.
    #[oai(skip_serializing_if_is_none)]
    pub counterexample: Option<String>,
    /// Whether the counterexample can be kept as a case.
    pub can_be_kept: bool,
    /// How to get by other means what the policies that violate it are probably for, such as stopping a user.
    #[oai(skip_serializing_if_is_none)]
    pub hint: Option<String>,
}

/// The verdict about an invariant.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum InvariantVerdictWord {
    /// It holds for every possible request.
    Holds,
    /// It does not hold for the counterexample.
    Violated,
    /// It is not known within the time of the policy gate.
    Unknown,
}

impl From<DraftProof> for DraftProofResponse {
    fn from(proved: DraftProof) -> Self {
        let proof = &proved.proof;
        let first_lines = |mut lines: Vec<String>| {
            lines.truncate(MAX_LINES);
            lines
        };
        Self {
            version: proved.version,
            is_complete: proof.is_complete(),
            seconds: proof.time.took.as_secs_f64(),
            invariants: proof
                .invariants
                .iter()
                .map(DraftProofInvariant::from)
                .collect(),
            failing: first_lines(proof.failing_lines()),
            ineffective: first_lines(proof.ineffective_lines()),
            unanswered: (proof.unanswered.len() + proof.unproven.len()) as u64,
        }
    }
}

impl From<&ProvedInvariant> for DraftProofInvariant {
    fn from(invariant: &ProvedInvariant) -> Self {
        let example = invariant.counterexamples.first();
        Self {
            id: invariant.id.clone(),
            file: invariant.file.clone(),
            line: invariant.line as u64,
            reason: invariant.reason.clone(),
            verdict: match invariant.verdict {
                InvariantVerdict::Holds => InvariantVerdictWord::Holds,
                InvariantVerdict::Violated => InvariantVerdictWord::Violated,
                InvariantVerdict::Unproven => InvariantVerdictWord::Unknown,
            },
            policies: invariant.ways_on.policy_ids(),
            suggestions: invariant.suggestions(),
            open: invariant.unproven.iter().take(MAX_LINES).cloned().collect(),
            counterexample: example.map(|example| example.render("")),
            can_be_kept: example.is_some_and(|example| example.case.is_some()),
            hint: invariant.hint.clone(),
        }
    }
}

impl FinalEvent for DraftProofResponse {
    const DESCRIPTION: &'static str = "A stream of events: `progress` with a `ProgressEvent` at most five times a \
        second, a comment every ten seconds, and at the end `proof` with a `DraftProofAnswer`, or `problem` with a \
        problem.";

    fn name(&self) -> &'static str {
        "proof"
    }

    fn to_json_text(&self) -> String {
        self.to_json_string()
    }

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }
}

/// The error statuses of proving a draft.
pub struct ProveStatuses;

impl ErrorStatuses for ProveStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, "The policies do not permit you to do this."),
        (404, "You have no such draft."),
        (
            409,
            "The draft is not valid; `detail` is its first problem.",
        ),
    ];
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftProofsApi {
    /// Evaluate invariants of draft
    ///
    /// Proves the invariants of a draft for every possible request, within the time of the policy gate, and looks for
    /// policies without effect. To go away gives the proof up. One proof runs at a time for a user, and two on the
    /// server. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/proofs",
        method = "post",
        operation_id = "prove_policy_draft"
    )]
    async fn prove(
        &self,
        /// The id of the draft.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<EventStream<DraftProofResponse>, ErrorResponse<ProveStatuses>> {
        let administration = Arc::clone(&self.administration);
        let stream = EventStream::follow(async move |work| {
            let proving = administration.prove_draft(&credentials.0, draft_id.0, work);
            proving.await.map(DraftProofResponse::from)
        });
        Ok(stream.await?)
    }
}
