//! Access evaluation (Authorization API 1.0, section 6): one question of a service.
//!
//! Open the record, authenticate, check the limit, ask whether the caller may ask, decide, close the record, reply.

use crate::domain::access_question::AccessQuestion;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;
use crate::service::identity::request_context::RequestContext;

use super::AccessApi;
use super::answer::AccessAnswer;

impl AccessApi {
    /// Decides one question; the answer leaves only when its record is durable, if it has one.
    pub async fn evaluate(
        &self,
        request: &RequestContext,
        question: &AccessQuestion,
    ) -> Result<AccessAnswer, ServiceError> {
        let mut record = request.open_record(AuditEvent::Evaluate, &self.clock);
        match self.admit_and_judge(request, question, &mut record).await {
            Ok((credential, answer)) => {
                self.recorder.close(credential, record).await?;
                Ok(answer)
            }
            Err(error) => self.audit.close_record(record, Err(error)).await,
        }
    }

    async fn admit_and_judge(
        &self,
        request: &RequestContext,
        question: &AccessQuestion,
        record: &mut AuditRecord,
    ) -> Result<(FoldedCredential, AccessAnswer), ServiceError> {
        let asker = self.admit(request, Action::Evaluate, 1, record).await?;
        let subject = self.resolve(asker.bundle(), &question.subject).await?;
        let resource = self.resolve(asker.bundle(), &question.resource).await?;
        let answer = asker.judge(
            &subject,
            &question.action,
            &resource,
            &question.context,
            record,
        );
        Ok((asker.credential, answer))
    }
}
