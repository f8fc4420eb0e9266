//! The vocabulary of a draft: what its policies can name, and the names of what it mentions by id.

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::policy::vocabulary::Vocabulary;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::names::{NamedEntity, mentioned_ids};

/// The vocabulary of a draft.
#[derive(Clone, Debug)]
pub struct DraftVocabulary {
    /// What policies can name: of the schema of the draft, or of that in force if the draft's is not valid.
    pub words: Vocabulary,
    /// The users and datasets that the draft mentions and that the caller may see.
    pub names: Vec<NamedEntity>,
}

impl Administration {
    /// Returns what the policies of a draft can name, and the names of what it mentions.
    pub async fn get_draft_vocabulary(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<DraftVocabulary, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("viewed the vocabulary of a draft");
            let draft = self.open_draft(&operation, id)?;
            let in_force = operation.bundle()?;
            let read = move || {
                let words = draft.folder().vocabulary();
                let words = words.unwrap_or_else(|| in_force.vocabulary());
                (words, mentioned_ids(draft.files()))
            };
            let (words, ids) = self.run_draft_work(&operation, read).await?;
            let names = self.name_mentioned(&operation, &ids).await?;
            Ok(DraftVocabulary { words, names })
        })
        .await
    }
}
