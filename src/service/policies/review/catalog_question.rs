//! What is asked of a catalog: in which contexts, and what policies can tell apart in it.

use std::sync::Arc;

use crate::domain::dataset::Dataset;
use crate::domain::principal::{Tags, User};
use crate::policy::attributes::DeclaredAttributes;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::references::PolicyReferences;

use super::asked_contexts::{AskedContexts, ContextScope};
use super::named_attributes::named_by_attributes;
use super::projection::AttributeViews;

/// The most evaluation errors that a review lists.
pub(super) const MAX_ERRORS: usize = 20;

/// A catalog, and what policies say themselves.
pub(super) struct CatalogQuestion<'a> {
    /// All users.
    pub(super) users: &'a [Arc<User>],
    /// All datasets.
    pub(super) datasets: &'a [Arc<Dataset>],
    /// What the policies and whatever else matters compare the context with, the most important first.
    pub(super) literals: ContextLiterals,
    /// What the policies refer to.
    pub(super) references: PolicyReferences,
}

/// What is asked of a catalog.
pub(super) struct AskedOfCatalog {
    /// What policies refer to, by themselves or with what is in the catalog.
    pub(super) references: PolicyReferences,
    /// The contexts on all sides of what they compare with, by themselves or in the catalog.
    pub(super) asked: AskedContexts,
}

impl CatalogQuestion<'_> {
    /// What is asked, by the attributes that the schemas of the policies declare.
    pub(super) fn asked(
        self,
        schemas: &[&DeclaredAttributes],
        scope: &ContextScope,
    ) -> AskedOfCatalog {
        let literals = self.literals();
        let Self {
            users,
            datasets,
            mut references,
            ..
        } = self;
        // A key has the ids of its datasets as texts.
        references.datasets.extend(&literals.key.datasets);
        let views = AttributeViews {
            schemas: schemas.to_vec(),
            references: &references,
        };
        let named = named_by_attributes(&views, users, datasets);
        references.add_referred(named);
        AskedOfCatalog {
            asked: AskedContexts::new(&literals, scope),
            references,
        }
    }

    /// What the context is compared with, by the policies and by what they read of the catalog.
    fn literals(&self) -> ContextLiterals {
        let references = &self.references;
        let of_users = self.users.iter().map(|user| &user.attributes);
        let of_datasets = self.datasets.iter().map(|dataset| &dataset.attributes);
        let attributes = of_users.chain(of_datasets);
        let literals = self.literals.clone().and_attributes(references, attributes);
        if !literals.key.reads_datasets {
            return literals;
        }
        let of = |name: &str| references.has_attribute(name);
        let (reads_title, reads_username, reads_issuer) =
            (of("title"), of("username"), of("issuer"));
        let reads_tags = references.has_tags || references.is_everything;
        let of_users = self.users.iter().flat_map(|user| {
            let name = reads_username.then_some(user.username.as_str());
            let issuer = user.issuer.as_deref().filter(|_| reads_issuer);
            texts_of(&user.claims, reads_tags).chain(name).chain(issuer)
        });
        let of_datasets = self.datasets.iter().flat_map(|dataset| {
            let title = reads_title.then_some(dataset.title.as_str());
            texts_of(&dataset.tags, reads_tags).chain(title)
        });
        literals.and_texts(of_users.chain(of_datasets))
    }
}

/// The values of tags, if they are read.
fn texts_of(tags: &Tags, are_read: bool) -> impl Iterator<Item = &str> {
    let values = are_read.then(|| tags.values().flatten());
    values.into_iter().flatten().map(String::as_str)
}
