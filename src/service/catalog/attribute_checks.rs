//! The attributes of users and datasets in a catalog file, checked with the schema of the policies in force.

use std::collections::BTreeMap;

use super::diagnostic::CatalogDiagnostic;
use super::file::CatalogFile;
use super::given_attributes::GivenAttributes;
use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::id::DatasetId;
use crate::domain::name::Username;
use crate::policy::attributes::DeclaredAttributes;

/// The attributes of a file in the form of the catalog.
#[derive(Default)]
pub(super) struct CheckedAttributes {
    users: BTreeMap<Username, Attributes>,
    datasets: BTreeMap<DatasetId, Attributes>,
}

impl CheckedAttributes {
    /// The attributes of a user of the file.
    pub(super) fn of_user(&self, username: &Username) -> Attributes {
        self.users.get(username).cloned().unwrap_or_default()
    }

    /// The attributes of a dataset of the file.
    pub(super) fn of_dataset(&self, id: DatasetId) -> Attributes {
        self.datasets.get(&id).cloned().unwrap_or_default()
    }
}

/// Checks the attributes of every item with the schema in force, or says why there is none.
///
/// Without a schema, a file that has no attributes passes.
pub(super) fn check_attributes(
    file: &CatalogFile,
    declared: &Result<DeclaredAttributes, String>,
) -> Result<CheckedAttributes, Vec<CatalogDiagnostic>> {
    let mut check = AttributeChecks {
        declared,
        diagnostics: Vec::new(),
    };
    let mut found = CheckedAttributes::default();
    for user in &file.users {
        let attributes = check.of(AttributeOwner::User, &user.attributes);
        let name = user.username.get_ref().clone();
        found.users.extend(attributes.map(|of_one| (name, of_one)));
    }
    for dataset in &file.datasets {
        let attributes = check.of(AttributeOwner::Dataset, &dataset.attributes);
        let id = *dataset.id.get_ref();
        found.datasets.extend(attributes.map(|of_one| (id, of_one)));
    }
    if check.diagnostics.is_empty() {
        Ok(found)
    } else {
        Err(check.diagnostics)
    }
}

struct AttributeChecks<'a> {
    declared: &'a Result<DeclaredAttributes, String>,
    diagnostics: Vec<CatalogDiagnostic>,
}

impl AttributeChecks<'_> {
    fn of(&mut self, owner: AttributeOwner, given: &GivenAttributes) -> Option<Attributes> {
        match self.declared {
            Ok(declared) => match declared.check(owner, given.values(), None) {
                Ok(checked) => return Some(checked),
                Err(errors) => {
                    let errors = errors.0.iter();
                    let diagnostics = errors.map(|error| given.diagnostic(error));
                    self.diagnostics.extend(diagnostics);
                }
            },
            Err(_) if given.values().is_empty() => {}
            Err(reason) => {
                let message = format!("attributes cannot be checked: {reason}");
                let diagnostic = CatalogDiagnostic::new(given.span(), message);
                let help = "their types are in the schema of the policies: see policy_dir";
                self.diagnostics.push(diagnostic.with_help(help));
            }
        }
        None
    }
}
