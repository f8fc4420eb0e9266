//! Search (Authorization API 1.0, section 8): the subjects, resources or actions for which a decision is positive.
//!
//! A page is what evaluation would say of each candidate, in the order of their ids. It ends when it is full, or when
//! a bound of its work is reached: then it may have few results, or none, and still a token.

mod access_search;
mod candidates;
mod scan;
pub mod token;

use std::sync::Arc;

use serde_json::Map;

use crate::domain::access_question::{AskedAction, AskedEntity};
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::policy::access_types::AccessType;
use crate::policy::questions::QuestionEntity;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::AccessApi;
use super::admission::Asker;
use super::record::recorded_name;
use super::resolve::{ResolvedEntity, cedar_type_name};
pub use access_search::{AccessSearch, SearchKind, SearchPage};
use candidates::MAX_CANDIDATES;
use scan::{ScanState, ScanWork, ScannedQuestion, collect_texts};
use token::PagePosition;

/// As how many decisions a search counts, and so does each further part of the catalog that it reads.
const SEARCH_COST: u32 = 10;

impl AccessApi {
    /// Searches; the page leaves only when its record is durable.
    pub async fn search(
        &self,
        request: &RequestContext,
        search: &AccessSearch,
    ) -> Result<SearchPage, ServiceError> {
        let mut record = request.open_record(AuditEvent::Search, &self.clock);
        let result = self.admit_and_search(request, search, &mut record).await;
        self.audit.close_record(record, result).await
    }

    async fn admit_and_search(
        &self,
        request: &RequestContext,
        search: &AccessSearch,
        record: &mut AuditRecord,
    ) -> Result<SearchPage, ServiceError> {
        let asker = self
            .admit(request, Action::Search, SEARCH_COST, record)
            .await?;
        let position = PagePosition::of_request(search)?;
        let page = match search.kind {
            SearchKind::Subjects => {
                let resource = self.resolve(asker.bundle(), &search.resource).await?;
                record_question(record, &asker, search, (None, Some(&resource)));
                self.search_entities(&asker, search, &resource, position)
                    .await?
            }
            SearchKind::Resources => {
                let subject = self.resolve(asker.bundle(), &search.subject).await?;
                record_question(record, &asker, search, (Some(&subject), None));
                self.search_entities(&asker, search, &subject, position)
                    .await?
            }
            SearchKind::Actions => {
                let subject = self.resolve(asker.bundle(), &search.subject).await?;
                let resource = self.resolve(asker.bundle(), &search.resource).await?;
                record_question(record, &asker, search, (Some(&subject), Some(&resource)));
                search_actions(&asker, search, &subject, &resource, position)
            }
        };
        record.outcome = AuditOutcome::Granted;
        let more = if page.next_token.is_empty() {
            ""
        } else {
            ", more follow"
        };
        record.reason = Some(format!("{} results{more}", page.results.len()));
        Ok(page)
    }

    async fn search_entities(
        &self,
        asker: &Asker,
        search: &AccessSearch,
        known: &ResolvedEntity,
        mut position: PagePosition,
    ) -> Result<SearchPage, ServiceError> {
        let searched = match search.kind {
            SearchKind::Subjects => &search.subject,
            SearchKind::Resources | SearchKind::Actions => &search.resource,
        };
        let kind = asker.bundle().access_types().find(&searched.type_name);
        let (Some(kind), Ok(entity), Some(action)) = (kind, &known.entity, &search.action) else {
            return Ok(SearchPage::default());
        };
        if position.limit == 0 {
            return Ok(SearchPage {
                results: Vec::new(),
                next_token: position.encode(),
            });
        }
        let question = Arc::new(ask_of_each(asker, search, action, entity, known, &kind));
        let limit = position.limit as usize;
        let mut state = ScanState::starting_after(position.after.clone());
        let mut is_first = true;
        loop {
            if !is_first {
                let caller = &asker.authorizer.caller;
                self.rate_limits.charge_evaluations(caller, SEARCH_COST);
            }
            is_first = false;
            // The turn first: whoever waits holds nothing.
            let turn = asker.authorizer.list_turn().await?;
            let page = self.candidates(&kind, state.after.as_deref()).await?;
            let work = ScanWork {
                question: Arc::clone(&question),
                page,
                limit,
                state,
            };
            let scanned = asker
                .authorizer
                .filter_map(turn, vec![work], |authorizer, work| {
                    Some(work.run(authorizer))
                })
                .await?;
            let Some((scanned, is_end)) = scanned.into_iter().next() else {
                return Ok(SearchPage::default());
            };
            state = scanned;
            if is_end {
                return Ok(SearchPage {
                    results: state.found,
                    next_token: String::new(),
                });
            }
            let is_over = ScannedQuestion::is_over(&state) || state.scanned >= MAX_CANDIDATES;
            if state.found.len() >= limit || is_over {
                position.after = state.after;
                return Ok(SearchPage {
                    results: state.found,
                    next_token: position.encode(),
                });
            }
        }
    }
}

fn ask_of_each(
    asker: &Asker,
    search: &AccessSearch,
    action: &AskedAction,
    entity: &QuestionEntity,
    known: &ResolvedEntity,
    kind: &AccessType,
) -> ScannedQuestion {
    let mut texts = format!("{}\n", known.name);
    let sides = [&search.subject, &search.resource].into_iter();
    for side in sides {
        texts.push_str(&side.id);
        texts.push('\n');
        side.properties
            .values()
            .for_each(|value| collect_texts(value, &mut texts));
    }
    let members = action.properties.values().chain(search.context.values());
    members.for_each(|value| collect_texts(value, &mut texts));
    let is_subject_given = search.kind == SearchKind::Resources;
    let searched = if is_subject_given {
        &search.resource
    } else {
        &search.subject
    };
    ScannedQuestion {
        kind: kind.clone(),
        properties: Arc::new(searched.properties.clone()),
        subject: is_subject_given.then(|| entity.clone()),
        action: action.clone(),
        resource: (!is_subject_given).then(|| entity.clone()),
        context: search.context.clone(),
        circumstances: asker.circumstances(action, &search.context),
        texts,
    }
}

/// Decides about each action that applies to the two entities; they are few.
fn search_actions(
    asker: &Asker,
    search: &AccessSearch,
    subject: &ResolvedEntity,
    resource: &ResolvedEntity,
    mut position: PagePosition,
) -> SearchPage {
    let (Ok(subject), Ok(resource)) = (&subject.entity, &resource.entity) else {
        return SearchPage::default();
    };
    let bundle = asker.bundle();
    let mut names: Vec<&str> = bundle
        .access_types()
        .actions(&subject.access_type(), &resource.access_type())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let limit = position.limit as usize;
    let mut results = Vec::new();
    for name in names {
        if position.after.as_deref().is_some_and(|after| name <= after) {
            continue;
        }
        if results.len() >= limit {
            return SearchPage {
                results,
                next_token: position.encode(),
            };
        }
        let action = AskedAction {
            name: name.to_owned(),
            properties: Map::new(),
        };
        let circumstances = asker.circumstances(&action, &search.context);
        let answer =
            bundle.decide_question(subject, &action, resource, &search.context, &circumstances);
        asker
            .authorizer
            .report_errors(&answer.recorded_errors(), &answer.names.action, None);
        position.after = Some(action.name);
        if answer.decision.is_permitted && answer.refusal.is_none() {
            results.push(name.to_owned());
        }
    }
    SearchPage {
        results,
        next_token: String::new(),
    }
}

/// Writes what is searched into its record: Cedar's names, as those of an evaluation.
fn record_question(
    record: &mut AuditRecord,
    asker: &Asker,
    search: &AccessSearch,
    (subject, resource): (Option<&ResolvedEntity>, Option<&ResolvedEntity>),
) {
    let types = asker.bundle().access_types();
    let name = |side: Option<&ResolvedEntity>, asked: &AskedEntity| match side {
        Some(entity) => entity.name.clone(),
        None => match types.find(&asked.type_name) {
            Some(kind) => format!("{}::*", cedar_type_name(&kind)),
            None => format!("{}::*", asked.type_name),
        },
    };
    let pair = (
        types.find(&search.subject.type_name),
        types.find(&search.resource.type_name),
    );
    let action = match (&search.action, &pair) {
        (None, _) => "*".to_owned(),
        (Some(action), (Some(subject), Some(resource))) => types
            .action_name(&action.name, subject, resource)
            .unwrap_or_else(|| format!("{:?}", action.name)),
        (Some(action), _) => format!("{:?}", action.name),
    };
    record.asked_principal = Some(recorded_name(name(subject, &search.subject)));
    record.asked_action = Some(recorded_name(action));
    record.asked_resource = Some(recorded_name(name(resource, &search.resource)));
    if let Some(entity) = resource {
        record.dataset_id = entity.dataset_id;
        record.resource_user_id = entity.user_id;
    }
}
