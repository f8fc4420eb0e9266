//! Access evaluations (Authorization API 1.0, section 7): several questions in one request.
//!
//! The caller is admitted once, and one bundle and one time decide all of them. What several questions have in common
//! is looked up once.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::access_question::{AskedAction, AskedEntity};
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::domain::clock::Clock;
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;
use crate::service::identity::request_context::RequestContext;

use super::AccessApi;
use super::admission::Asker;
use super::answer::AccessAnswer;
use super::resolve::ResolvedEntity;

/// How many questions one batch may have.
pub const MAX_EVALUATIONS: usize = 250;
/// How many questions are decided at once, without a thread for blocking work.
const MAX_AT_ONCE: usize = 25;

/// The HTTP status of a question whose form is wrong.
const BAD_REQUEST: u16 = 400;

/// When a batch ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvaluationsSemantic {
    /// When all questions are decided.
    #[default]
    ExecuteAll,
    /// With the first deny.
    DenyOnFirstDeny,
    /// With the first permit.
    PermitOnFirstPermit,
}

impl EvaluationsSemantic {
    fn ends_with(self, is_permitted: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !is_permitted,
            Self::PermitOnFirstPermit => is_permitted,
        }
    }
}

/// One question of a batch; questions share what they inherit.
#[derive(Clone, Debug)]
pub struct BatchQuestion {
    /// Who would do it.
    pub subject: Arc<AskedEntity>,
    /// What would be done.
    pub action: Arc<AskedAction>,
    /// What it would be done to.
    pub resource: Arc<AskedEntity>,
    /// The circumstances.
    pub context: Arc<Map<String, Value>>,
}

/// A question of a batch, or what is wrong with its form.
pub type BatchItem = Result<BatchQuestion, String>;

/// A question whose entities were looked up.
struct ResolvedQuestion {
    subject: Arc<ResolvedEntity>,
    action: Arc<AskedAction>,
    resource: Arc<ResolvedEntity>,
    context: Arc<Map<String, Value>>,
}

/// Questions whose entities were looked up, and what is needed to decide them.
struct ResolvedBatch {
    asker: Asker,
    items: Vec<Result<ResolvedQuestion, String>>,
    semantic: EvaluationsSemantic,
    /// The record that each question begins with.
    record: AuditRecord,
    request: RequestContext,
    clock: Clock,
}

impl AccessApi {
    /// Decides each question, in order, until the batch ends; the answers leave only when their records are durable.
    /// Each question counts against the limit, also one that is not reached.
    pub async fn evaluate_each(
        &self,
        request: &RequestContext,
        items: &[BatchItem],
        semantic: EvaluationsSemantic,
    ) -> Result<Vec<AccessAnswer>, ServiceError> {
        let mut record = request.open_record(AuditEvent::Evaluate, &self.clock);
        let resolved = self
            .admit_and_resolve(request, items, semantic, &mut record)
            .await;
        let (credential, answered) = match resolved {
            Ok(batch) => judge(Arc::new(batch)).await?,
            Err(error) => return self.audit.close_record(record, Err(error)).await,
        };
        let (answers, records) = answered.into_iter().unzip();
        self.recorder.close_each(credential, records).await?;
        Ok(answers)
    }

    async fn admit_and_resolve(
        &self,
        request: &RequestContext,
        items: &[BatchItem],
        semantic: EvaluationsSemantic,
        record: &mut AuditRecord,
    ) -> Result<ResolvedBatch, ServiceError> {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let asker = self.admit(request, Action::Evaluate, count, record).await?;
        let mut known: HashMap<usize, Arc<ResolvedEntity>> = HashMap::new();
        let mut resolved = Vec::with_capacity(items.len());
        for item in items {
            resolved.push(match item {
                Ok(question) => Ok(ResolvedQuestion {
                    subject: self
                        .resolve_once(&asker, &mut known, &question.subject)
                        .await?,
                    action: Arc::clone(&question.action),
                    resource: self
                        .resolve_once(&asker, &mut known, &question.resource)
                        .await?,
                    context: Arc::clone(&question.context),
                }),
                Err(message) => Err(message.clone()),
            });
        }
        Ok(ResolvedBatch {
            asker,
            items: resolved,
            semantic,
            record: record.clone(),
            request: request.clone(),
            clock: self.clock.clone(),
        })
    }

    /// Finds an entity, once for all questions that share it.
    async fn resolve_once(
        &self,
        asker: &Asker,
        known: &mut HashMap<usize, Arc<ResolvedEntity>>,
        entity: &Arc<AskedEntity>,
    ) -> Result<Arc<ResolvedEntity>, ServiceError> {
        let address = Arc::as_ptr(entity) as usize;
        if let Some(resolved) = known.get(&address) {
            return Ok(Arc::clone(resolved));
        }
        let resolved = Arc::new(self.resolve(asker.bundle(), entity).await?);
        known.insert(address, Arc::clone(&resolved));
        Ok(resolved)
    }
}

type Answered = Vec<(AccessAnswer, AuditRecord)>;

/// Decides the questions; many of them on a thread where they hold up no other request.
async fn judge(batch: Arc<ResolvedBatch>) -> Result<(FoldedCredential, Answered), ServiceError> {
    let credential = batch.asker.credential;
    if batch.items.len() <= MAX_AT_ONCE {
        return Ok((credential, batch.judge()));
    }
    let authorizer = Arc::clone(&batch.asker.authorizer);
    let judged = authorizer.run_blocking(move |_| batch.judge()).await?;
    Ok((credential, judged))
}

impl ResolvedBatch {
    fn judge(&self) -> Answered {
        let mut answered = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let mut record = self.open_record();
            let answer = match item {
                Ok(question) => self.asker.judge(
                    &question.subject,
                    &question.action,
                    &question.resource,
                    &question.context,
                    &mut record,
                ),
                Err(message) => {
                    record.reason = Some(message.clone());
                    AccessAnswer::failed(BAD_REQUEST, message.clone())
                }
            };
            let is_permitted = answer.is_permitted;
            answered.push((answer, record));
            if self.semantic.ends_with(is_permitted) {
                break;
            }
        }
        answered
    }

    /// A record of one question; until it is decided its outcome is `refused`.
    fn open_record(&self) -> AuditRecord {
        let mut record = self.request.open_record(AuditEvent::Evaluate, &self.clock);
        record.user_id = self.record.user_id;
        record.authentication = self.record.authentication;
        record.key_id = self.record.key_id;
        record.action = self.record.action;
        record.revision.clone_from(&self.record.revision);
        record
    }
}
