//! The catalog fit: whether the attributes that the catalog has fit the schema of an edit.
//!
//! An edit of the schema can require an attribute, change its type, or drop it ([`EditedAttributes`] has the rule). What
//! does not fit is denied to everybody as soon as the edit is in force, or does not count any more, so the policy gate
//! refuses it, and says what to do. What is written between this check and the edit's coming into force is checked with
//! the schema before it, and may be denied then: a decision never sees an attribute that does not fit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::policy::edited_attributes::EditedAttributes;
use crate::storage::{Catalog, Database, StorageError};

/// How many datasets or users are read at once.
const PAGE_SIZE: u32 = 1_000;
/// How many datasets or users are named for each attribute.
const MAX_EXAMPLES: usize = 10;
/// How many attributes that the schema does not declare are listed.
const MAX_UNDECLARED: usize = 100;

/// An attribute of a kind of owner.
type AttributeName = (AttributeOwner, String);

/// What of the catalog does not fit the attributes of a schema.
#[derive(Debug, Default)]
pub struct CatalogFit {
    edited: EditedAttributes,
    misfits: BTreeMap<AttributeName, Misfit>,
    undeclared: BTreeMap<AttributeName, Examples>,
    totals: BTreeMap<AttributeOwner, u64>,
    /// The version of the catalog that was looked at last.
    version: AtomicI64,
}

#[derive(Debug)]
struct Misfit {
    /// What is wrong with the first one.
    message: String,
    examples: Examples,
}

/// Some of the datasets or users with an attribute, and how many there are.
#[derive(Debug, Default)]
struct Examples {
    count: u64,
    ids: Vec<Uuid>,
}

impl CatalogFit {
    /// Looks at a catalog in memory.
    #[must_use]
    pub fn of_catalog(edited: EditedAttributes, catalog: &Catalog) -> Self {
        let mut fit = Self::new(edited, catalog.version);
        for dataset in &catalog.datasets {
            let (id, owner) = (dataset.id.0, AttributeOwner::Dataset);
            fit.add(owner, id, &dataset.attributes);
        }
        for record in &catalog.users {
            let user = &record.user;
            fit.add(AttributeOwner::User, user.id.0, &user.attributes);
        }
        fit
    }

    /// Looks at the whole catalog, a page at a time.
    pub async fn scan(database: &Database, edited: EditedAttributes) -> Result<Self, StorageError> {
        let mut fit = Self::new(edited, database.catalog_version().await?);
        for owner in AttributeOwner::ALL {
            let mut first = Some(Uuid::nil());
            while let Some(from) = first {
                let page = database.list_attributes(owner, from, PAGE_SIZE).await?;
                let is_last = page.len() < PAGE_SIZE as usize;
                first = page.last().filter(|_| !is_last).and_then(|last| {
                    let next = last.id.as_u128().checked_add(1);
                    next.map(Uuid::from_u128)
                });
                for stored in page {
                    fit.add(owner, stored.id, &stored.attributes);
                }
            }
        }
        Ok(fit)
    }

    fn new(edited: EditedAttributes, version: i64) -> Self {
        Self {
            edited,
            version: AtomicI64::new(version),
            ..Self::default()
        }
    }

    fn add(&mut self, owner: AttributeOwner, id: Uuid, attributes: &Attributes) {
        *self.totals.entry(owner).or_default() += 1;
        for error in self.edited.misfits(owner, attributes) {
            let attribute = (owner, error.attribute().to_owned());
            let misfit = self.misfits.entry(attribute).or_insert_with(|| Misfit {
                message: error.to_string(),
                examples: Examples::default(),
            });
            misfit.examples.add(id);
        }
        for name in self.edited.undeclared(owner, attributes) {
            let attribute = (owner, name.to_owned());
            if self.undeclared.len() < MAX_UNDECLARED || self.undeclared.contains_key(&attribute) {
                self.undeclared.entry(attribute).or_default().add(id);
            }
        }
    }

    /// Whether everything fits.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.misfits.is_empty()
    }

    /// What to do about what does not fit.
    pub const HINT: &str = "nothing of the catalog is lost: keep an attribute declared, and optional, until the \
        catalog fits. For a required one, fill it in first (catalog apply, or PUT at /admin); for another name or type, \
        declare the new one beside the old one, fill it in, and drop the old one when no policy in force reads it";

    /// What does not fit, and what to do about it, a sentence each.
    #[must_use]
    pub fn misfit_lines(&self) -> Vec<String> {
        let hint = (!self.is_fit()).then(|| Self::HINT.to_owned());
        self.misfits().into_iter().chain(hint).collect()
    }

    /// What does not fit, a sentence each. Neither values nor names: a log has these lines.
    #[must_use]
    pub fn misfits(&self) -> Vec<String> {
        let lines = self.misfits.iter().map(|((owner, _), misfit)| {
            let Misfit { message, examples } = misfit;
            let verb = if examples.count == 1 { "does" } else { "do" };
            let (of, ids) = (self.count_of(*owner, examples), examples.ids());
            format!("{of} {verb} not fit the schema: {message}: {ids}")
        });
        lines.collect()
    }

    /// What policies will not see any more, a sentence each.
    #[must_use]
    pub fn undeclared_lines(&self) -> Vec<String> {
        let lines = self.undeclared.iter().map(|((owner, name), examples)| {
            let (of, ids) = (self.count_of(*owner, examples), examples.ids());
            format!(
                "{of} with the attribute `{name}`, which the schema does not declare: the catalog keeps it, and \
                 policies do not see it: {ids}"
            )
        });
        lines.collect()
    }

    fn count_of(&self, owner: AttributeOwner, examples: &Examples) -> String {
        let total = self.totals.get(&owner).copied().unwrap_or_default();
        let plural = match owner {
            AttributeOwner::Dataset => "datasets",
            AttributeOwner::User => "users",
        };
        format!("{} of {total} {plural}", examples.count)
    }

    /// Whether a catalog that changed since fits now.
    pub(super) async fn is_fit_now(&self, database: &Database) -> Result<bool, StorageError> {
        let version = database.catalog_version().await?;
        if self.version.swap(version, Ordering::Relaxed) == version {
            return Ok(false);
        }
        Ok(Self::scan(database, self.edited.clone()).await?.is_fit())
    }
}

impl Examples {
    fn add(&mut self, id: Uuid) {
        self.count += 1;
        if self.ids.len() < MAX_EXAMPLES {
            self.ids.push(id);
        }
    }

    /// Their ids, and how many more there are.
    fn ids(&self) -> String {
        let listed = u64::try_from(self.ids.len()).unwrap_or(u64::MAX);
        let more = self.count.saturating_sub(listed);
        let ids = self.ids.iter().map(Uuid::to_string);
        let more = (more > 0).then(|| format!("and {more} more"));
        ids.chain(more).collect::<Vec<_>>().join(", ")
    }
}
