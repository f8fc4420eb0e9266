//! The attributes of users and datasets in a catalog file, checked with the schema of the policies in force.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::CatalogDiagnostic;
use super::file::CatalogFile;
use super::given_attributes::GivenAttributes;
use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
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

/// What the attributes of a file may refer to. Datasets are not compared: another file may have them.
pub(super) struct KnownReferences {
    /// Every user that will be there, with its id.
    pub(super) users: BTreeMap<Username, UserId>,
    /// Their ids.
    pub(super) user_ids: BTreeSet<UserId>,
    /// The roles that will be there.
    pub(super) roles: BTreeSet<RoleName>,
}

/// Checks the attributes of every item with the schema in force, or says why there is none.
///
/// Without a schema, a file that has no attributes passes.
pub(super) fn check_attributes(
    file: &CatalogFile,
    declared: &Result<DeclaredAttributes, String>,
    known: &KnownReferences,
) -> Result<CheckedAttributes, Vec<CatalogDiagnostic>> {
    let mut check = AttributeChecks {
        declared,
        known,
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
    known: &'a KnownReferences,
    diagnostics: Vec<CatalogDiagnostic>,
}

impl AttributeChecks<'_> {
    fn of(&mut self, owner: AttributeOwner, given: &GivenAttributes) -> Option<Attributes> {
        match self.declared {
            Ok(declared) => {
                let named = declared.with_user_ids(owner, given.values(), &self.known.users);
                match declared.check(owner, &named, None) {
                    Ok(checked) => {
                        self.check_references(declared, owner, given, &checked);
                        return Some(checked);
                    }
                    Err(errors) => {
                        let errors = errors.0.iter();
                        let diagnostics = errors.map(|error| given.diagnostic(error));
                        self.diagnostics.extend(diagnostics);
                    }
                }
            }
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

    fn check_references(
        &mut self,
        declared: &DeclaredAttributes,
        owner: AttributeOwner,
        given: &GivenAttributes,
        checked: &Attributes,
    ) {
        for (name, value) in checked {
            let one = Attributes::from([(name.clone(), value.clone())]);
            let references = declared.references(owner, &one);
            let mut users = references.users.iter();
            let unknown = users.find(|id| !self.known.user_ids.contains(*id));
            let user = unknown.map(|id| format!("`{name}`: there is no user with the id {id}"));
            let mut roles = references.roles.iter();
            let unknown = roles.find(|role| !self.known.roles.contains(*role));
            let role = unknown.map(|role| format!("`{name}`: there is no role {role}"));
            let found = user.into_iter().chain(role);
            let diagnostics = found.map(|message| given.located(name, message));
            self.diagnostics.extend(diagnostics);
        }
    }
}
