//! The requested attributes of a dataset or a user, checked with the schema of the policies that decide.

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::policy::attributes::AttributeReferences;
use crate::service::error::ServiceError;

use super::Administration;
use super::operation::AdminOperation;

/// Attributes, and what is wrong with those that were requested.
///
/// While the policies decide, others stand for wrong ones. Only a caller whom they permit the change sees the
/// error, which tells what the schema declares.
pub(super) struct AttributeInput {
    pub(super) attributes: Attributes,
    pub(super) error: Option<ServiceError>,
}

impl AttributeInput {
    /// The error, if there is one.
    pub(super) fn into_result(self) -> Result<Attributes, ServiceError> {
        self.error.map_or(Ok(self.attributes), Err)
    }
}

impl Administration {
    /// Checks the attributes that are requested for somebody or something that has those of `before` now, with the
    /// users, datasets and roles that they refer to, which the catalog must have.
    ///
    /// With local access there are no policies here: the command has checked them.
    pub(super) async fn read_attributes(
        &self,
        operation: &AdminOperation,
        owner: AttributeOwner,
        requested: &Attributes,
        before: Option<&Attributes>,
    ) -> Result<AttributeInput, ServiceError> {
        let Some(authorizer) = operation.authorizer() else {
            return Ok(AttributeInput {
                attributes: requested.clone(),
                error: None,
            });
        };
        let declared = authorizer.bundle().declared_attributes();
        let usernames = declared.references(owner, requested).usernames;
        let ids = self
            .database
            .find_user_ids(&usernames.iter().collect())
            .await?;
        let named = declared.with_user_ids(owner, requested, &ids);
        let error = match declared.check(owner, &named, before) {
            Ok(attributes) => {
                let known = before.map(|before| declared.references(owner, before));
                let new = declared.references(owner, &attributes);
                let new = new.without(&known.unwrap_or_default());
                match self.find_unknown_reference(&new).await? {
                    None => {
                        return Ok(AttributeInput {
                            attributes,
                            error: None,
                        });
                    }
                    Some(unknown) => unknown,
                }
            }
            Err(errors) => errors.to_string(),
        };
        let stand_in = before.cloned();
        Ok(AttributeInput {
            attributes: stand_in.unwrap_or_else(|| declared.samples(owner, false)),
            error: Some(ServiceError::invalid("attributes", error)),
        })
    }

    /// Says which of these the catalog does not have; those that it had when they were given may be gone since.
    async fn find_unknown_reference(
        &self,
        references: &AttributeReferences,
    ) -> Result<Option<String>, ServiceError> {
        let users = self.database.find_usernames(&references.users).await?;
        let mut ids = references.users.iter();
        if let Some(id) = ids.find(|id| !users.contains_key(id)) {
            return Ok(Some(format!("there is no user with the id {id}")));
        }
        let datasets = self.database.find_titles(&references.datasets).await?;
        let mut ids = references.datasets.iter();
        if let Some(id) = ids.find(|id| !datasets.contains_key(id)) {
            return Ok(Some(format!("there is no dataset with the id {id}")));
        }
        let roles = references.roles.iter().collect();
        let role = self.database.find_unknown_role(&roles).await?;
        Ok(role.map(|role| format!("there is no role {role}")))
    }
}
