//! A scan: decides about one candidate after the other, until a page is full or its time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::domain::access_question::AskedAction;
use crate::policy::access_types::AccessType;
use crate::policy::bundle_entities::EntityClass;
use crate::policy::questions::{QuestionCircumstances, QuestionEntity};
use crate::service::access::decisions::Authorizer;

use super::candidates::{
    Candidate, CandidateEntity, CandidatePage, MAX_CANDIDATES, own_candidates,
};

/// How long one page may take to be decided.
const MAX_SCAN_TIME: Duration = Duration::from_millis(250);
/// How many candidates are looked at between two looks at the clock.
const CLOCK_INTERVAL: usize = 16;

/// The question that is asked about each candidate.
pub(super) struct ScannedQuestion {
    /// The subject that is given, or none if subjects are searched.
    pub(super) subject: Option<QuestionEntity>,
    pub(super) action: AskedAction,
    /// The type that is searched.
    pub(super) kind: AccessType,
    /// What is assumed of each entity of it.
    pub(super) properties: Arc<Map<String, Value>>,
    /// The resource that is given, or none if resources are searched.
    pub(super) resource: Option<QuestionEntity>,
    pub(super) context: Map<String, Value>,
    pub(super) circumstances: QuestionCircumstances,
    /// All texts of the question: a candidate whose id is in them is decided by itself.
    pub(super) texts: String,
}

/// How far a page is.
#[derive(Default)]
pub(super) struct ScanState {
    /// The ids that were found.
    pub(super) found: Vec<String>,
    /// The last candidate that was looked at.
    pub(super) after: Option<String>,
    /// How many candidates were looked at.
    pub(super) scanned: usize,
    time: Duration,
    classes: HashMap<EntityClass, bool>,
}

impl ScanState {
    /// A page that begins after a candidate, or at the start.
    pub(super) fn starting_after(after: Option<String>) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }
}

impl ScannedQuestion {
    /// Looks at the candidates until there are `limit` results or the time of the page is over; returns whether all
    /// were looked at.
    pub(super) fn scan(
        &self,
        authorizer: &Authorizer,
        candidates: Vec<Candidate>,
        limit: usize,
        state: &mut ScanState,
    ) -> bool {
        let started = Instant::now();
        for (index, candidate) in candidates.into_iter().enumerate() {
            let is_look = index % CLOCK_INTERVAL == CLOCK_INTERVAL - 1;
            let is_over = is_look && state.time + started.elapsed() >= MAX_SCAN_TIME;
            if is_over || state.found.len() >= limit {
                state.time += started.elapsed();
                return false;
            }
            let is_permitted = self.decide(authorizer, &candidate, state);
            state.scanned += 1;
            state.after = Some(candidate.id.clone());
            if is_permitted {
                state.found.push(candidate.id);
            }
        }
        state.time += started.elapsed();
        true
    }

    /// Looks at all candidates of an own type, in pieces; returns whether there are no more.
    fn scan_own(&self, authorizer: &Authorizer, limit: usize, state: &mut ScanState) -> bool {
        loop {
            let piece = own_candidates(authorizer.bundle(), &self.kind, state.after.as_deref());
            if !self.scan(authorizer, piece.candidates, limit, state) {
                return false;
            }
            if piece.is_last {
                return true;
            }
            let is_full = state.found.len() >= limit || state.scanned >= MAX_CANDIDATES;
            if is_full || Self::is_over(state) {
                return false;
            }
        }
    }

    /// Whether the time of the page is over.
    pub(super) fn is_over(state: &ScanState) -> bool {
        state.time >= MAX_SCAN_TIME
    }

    fn decide(
        &self,
        authorizer: &Authorizer,
        candidate: &Candidate,
        state: &mut ScanState,
    ) -> bool {
        let class = candidate.class.filter(|_| !self.names(&candidate.id));
        if let Some(known) = class.and_then(|class| state.classes.get(&class)) {
            return *known;
        }
        let own;
        let entity = match (&candidate.entity, &self.kind) {
            (CandidateEntity::Known(entity), _) => entity,
            (CandidateEntity::Own, AccessType::Own(kind)) => {
                own = QuestionEntity::Own {
                    kind: kind.clone(),
                    id: candidate.id.clone(),
                    properties: Arc::clone(&self.properties),
                };
                &own
            }
            (CandidateEntity::Own, _) => return false,
        };
        let subject = self.subject.as_ref().unwrap_or(entity);
        let resource = self.resource.as_ref().unwrap_or(entity);
        let answer = authorizer.bundle().decide_question(
            subject,
            &self.action,
            resource,
            &self.context,
            &self.circumstances,
        );
        authorizer.report_errors(&answer.recorded_errors(), &answer.names.action, None);
        let is_permitted = answer.decision.is_permitted && answer.refusal.is_none();
        if let Some(class) = class {
            state.classes.insert(class, is_permitted);
        }
        is_permitted
    }

    /// Whether the question may name a candidate, so that policies can tell it from others of its class. An id that
    /// Cedar writes in another way counts as named.
    fn names(&self, id: &str) -> bool {
        let is_plain = id.chars().all(|c| !c.is_control() && c != '"' && c != '\\');
        !is_plain || self.texts.contains(id)
    }
}

/// Appends all texts in a value.
pub(super) fn collect_texts(value: &Value, texts: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            texts.push_str(text);
            texts.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => members
            .values()
            .for_each(|value| collect_texts(value, texts)),
    }
}

/// What is moved to the thread that scans, and back.
pub(super) struct ScanWork {
    pub(super) question: Arc<ScannedQuestion>,
    /// Those of the catalog.
    pub(super) page: CandidatePage,
    pub(super) limit: usize,
    pub(super) state: ScanState,
}

impl ScanWork {
    /// Scans; returns how far the page is, and whether there are no more candidates.
    pub(super) fn run(self, authorizer: &Authorizer) -> (ScanState, bool) {
        let Self {
            question,
            page,
            limit,
            mut state,
        } = self;
        let is_end = if matches!(question.kind, AccessType::Own(_)) {
            question.scan_own(authorizer, limit, &mut state)
        } else {
            question.scan(authorizer, page.candidates, limit, &mut state) && page.is_last
        };
        (state, is_end)
    }
}
