//! Two bundles, before and after an edit.

use crate::policy::Bundle;
use crate::policy::attributes::DeclaredAttributes;
use crate::policy::references::PolicyReferences;

use super::projection::AttributeViews;

/// Two bundles, before and after an edit.
#[derive(Clone, Copy)]
pub struct BundlePair<'a> {
    /// The bundle before.
    pub from: &'a Bundle,
    /// The bundle after.
    pub to: &'a Bundle,
}

impl<'a> BundlePair<'a> {
    /// The attributes that each of them declares.
    pub(super) fn schemas(self) -> Vec<&'a DeclaredAttributes> {
        vec![
            self.from.declared_attributes(),
            self.to.declared_attributes(),
        ]
    }

    /// What both can observe of attributes.
    pub(super) fn views<'r>(self, references: &'r PolicyReferences) -> AttributeViews<'r>
    where
        'a: 'r,
    {
        AttributeViews {
            schemas: self.schemas(),
            references,
        }
    }
}
