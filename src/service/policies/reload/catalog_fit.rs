//! The catalog fit: whether the attributes that the catalog has fit the schema of an edit.
//!
//! An edit of the schema can require an attribute or change its type. What does not fit is denied to everybody as soon
//! as the edit is in force, so the policy gate refuses it, and says what to do. What is written between this check and
//! the edit's coming into force is checked with the schema before it, and may be denied then: a decision never sees
//! an attribute that does not fit. An attribute that the schema does not declare any more is no obstacle: policies
//! cannot read it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::policy::attributes::DeclaredAttributes;
use crate::storage::{Catalog, Database, StorageError};

/// How many datasets or users are read at once.
const PAGE_SIZE: u32 = 1_000;
/// How many datasets or users that do not fit are named for each attribute.
const MAX_EXAMPLES: usize = 3;
/// The longest name of an example, in characters.
const MAX_EXAMPLE_LENGTH: usize = 80;
/// How many attributes that the schema does not declare are listed.
const MAX_UNDECLARED: usize = 100;

/// An attribute of a kind of owner.
type AttributeName = (AttributeOwner, String);

/// What of the catalog does not fit the attributes of a schema.
#[derive(Debug, Default)]
pub struct CatalogFit {
    declared: DeclaredAttributes,
    misfits: BTreeMap<AttributeName, Misfit>,
    undeclared: BTreeMap<AttributeName, u64>,
    totals: BTreeMap<AttributeOwner, u64>,
    /// The version of the catalog that was looked at last.
    version: AtomicI64,
}

#[derive(Debug)]
struct Misfit {
    count: u64,
    /// What is wrong with the first one.
    message: String,
    examples: Vec<String>,
}

impl CatalogFit {
    /// Looks at a catalog in memory.
    #[must_use]
    pub fn of_catalog(declared: &DeclaredAttributes, catalog: &Catalog) -> Self {
        let mut fit = Self::new(declared, catalog.version);
        for dataset in &catalog.datasets {
            let (id, owner) = (dataset.id.0, AttributeOwner::Dataset);
            fit.add(owner, id, &dataset.title, &dataset.attributes);
        }
        for record in &catalog.users {
            let user = &record.user;
            let name = user.username.as_str();
            fit.add(AttributeOwner::User, user.id.0, name, &user.attributes);
        }
        fit
    }

    /// Looks at the whole catalog, a page at a time.
    pub async fn scan(
        database: &Database,
        declared: &DeclaredAttributes,
    ) -> Result<Self, StorageError> {
        let mut fit = Self::new(declared, database.catalog_version().await?);
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
                    fit.add(owner, stored.id, &stored.name, &stored.attributes);
                }
            }
        }
        Ok(fit)
    }

    fn new(declared: &DeclaredAttributes, version: i64) -> Self {
        Self {
            declared: declared.clone(),
            version: AtomicI64::new(version),
            ..Self::default()
        }
    }

    fn add(&mut self, owner: AttributeOwner, id: Uuid, name: &str, attributes: &Attributes) {
        *self.totals.entry(owner).or_default() += 1;
        for error in self.declared.misfits(owner, attributes) {
            let attribute = (owner, error.attribute().to_owned());
            let misfit = self.misfits.entry(attribute).or_insert_with(|| Misfit {
                count: 0,
                message: error.to_string(),
                examples: Vec::new(),
            });
            misfit.count += 1;
            if misfit.examples.len() < MAX_EXAMPLES {
                let name: String = name.chars().take(MAX_EXAMPLE_LENGTH).collect();
                misfit.examples.push(format!("{id} ({name})"));
            }
        }
        for name in self.declared.undeclared(owner, attributes) {
            let attribute = (owner, name.to_owned());
            if self.undeclared.len() < MAX_UNDECLARED || self.undeclared.contains_key(&attribute) {
                *self.undeclared.entry(attribute).or_default() += 1;
            }
        }
    }

    /// Whether everything fits.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.misfits.is_empty()
    }

    /// What to do about what does not fit.
    pub const HINT: &str = "give them values that fit before the edit: declare an attribute as optional, fill it \
        in (catalog apply, or PUT at /admin), and require it then; for another type, declare another attribute";

    /// What does not fit, and what to do about it, a sentence each.
    #[must_use]
    pub fn misfit_lines(&self) -> Vec<String> {
        let hint = (!self.is_fit()).then(|| Self::HINT.to_owned());
        self.misfits().into_iter().chain(hint).collect()
    }

    /// What does not fit, a sentence each.
    #[must_use]
    pub fn misfits(&self) -> Vec<String> {
        let lines = self.misfits.iter().map(|((owner, _), misfit)| {
            let Misfit {
                count,
                message,
                examples,
            } = misfit;
            let of = self.count_of(*owner, *count);
            let examples = examples.join(", ");
            format!("{of} not fit the schema: {message}; for example {examples}")
        });
        lines.collect()
    }

    /// What policies will not see any more, a sentence each.
    #[must_use]
    pub fn undeclared_lines(&self) -> Vec<String> {
        let undeclared = self.undeclared.iter();
        let lines = undeclared.map(|((owner, name), count)| {
            let total = self.totals.get(owner).copied().unwrap_or_default();
            format!(
                "{count} of {total} {} have the attribute `{name}`, which the schema does not declare: the \
                 catalog keeps it, and policies do not see it",
                plural(*owner)
            )
        });
        lines.collect()
    }

    fn count_of(&self, owner: AttributeOwner, count: u64) -> String {
        let total = self.totals.get(&owner).copied().unwrap_or_default();
        let verb = if count == 1 { "does" } else { "do" };
        format!("{count} of {total} {} {verb}", plural(owner))
    }

    /// Whether a catalog that changed since fits now.
    pub(super) async fn is_fit_now(&self, database: &Database) -> Result<bool, StorageError> {
        let version = database.catalog_version().await?;
        if self.version.swap(version, Ordering::Relaxed) == version {
            return Ok(false);
        }
        Ok(Self::scan(database, &self.declared).await?.is_fit())
    }
}

fn plural(owner: AttributeOwner) -> &'static str {
    match owner {
        AttributeOwner::Dataset => "datasets",
        AttributeOwner::User => "users",
    }
}
