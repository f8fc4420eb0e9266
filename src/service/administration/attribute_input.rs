//! The requested attributes of a dataset or a user, checked with the schema of the policies that decide.

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::service::error::ServiceError;

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

impl AdminOperation {
    /// Checks the attributes that are requested for somebody or something that has those of `before` now.
    ///
    /// With local access there are no policies here: the command has checked them.
    pub(super) fn read_attributes(
        &self,
        owner: AttributeOwner,
        requested: &Attributes,
        before: Option<&Attributes>,
    ) -> AttributeInput {
        let Some(authorizer) = self.authorizer() else {
            return AttributeInput {
                attributes: requested.clone(),
                error: None,
            };
        };
        let declared = authorizer.bundle().declared_attributes();
        match declared.check(owner, requested, before) {
            Ok(attributes) => AttributeInput {
                attributes,
                error: None,
            },
            Err(error) => AttributeInput {
                attributes: before
                    .cloned()
                    .unwrap_or_else(|| declared.samples(owner, false)),
                error: Some(ServiceError::invalid("attributes", error.to_string())),
            },
        }
    }
}
