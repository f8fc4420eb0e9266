//! Checks of a catalog file against the current catalog and the disk.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::suggest::did_you_mean;
use crate::files::FileStore;

use super::diagnostic::CatalogDiagnostic;
use super::file::CatalogFile;

/// The names that a file may refer to.
pub(super) struct KnownNames<'a> {
    /// Users of the file, and of the catalog unless they are pruned.
    pub(super) users: BTreeSet<Username>,
    /// Roles of the file, and of the catalog unless they are pruned.
    pub(super) roles: BTreeSet<RoleName>,
    /// The identity provider of each user that signs in with one, by name.
    pub(super) provided: BTreeMap<&'a Username, &'a str>,
}

/// Finds every reference of `file` to an unknown user or role.
pub(super) fn check_references(
    file: &CatalogFile,
    known: &KnownNames<'_>,
) -> Vec<CatalogDiagnostic> {
    let mut diagnostics = Vec::new();
    for user in &file.users {
        let name = user.username.get_ref();
        if let Some(issuer) = known.provided.get(name) {
            let message = format!("{name} is a user of the identity provider {issuer}");
            let help =
                "choose another name: a catalog file cannot change users of identity providers";
            let diagnostic = CatalogDiagnostic::new(user.username.span(), message);
            diagnostics.push(diagnostic.with_help(help));
        }
        check_roles(&user.roles, known, &mut diagnostics);
    }
    for dataset in &file.datasets {
        check_roles(&dataset.reader_roles, known, &mut diagnostics);
        for user in dataset.owner.iter().chain(&dataset.reader_users) {
            if !known.users.contains(user.get_ref()) {
                let names = known.users.iter().map(Username::as_str);
                diagnostics.push(unknown_name("user", user, names));
            }
        }
    }
    diagnostics
}

/// Finds every user of `file` that would be created with a reserved name.
pub(super) fn check_new_names(
    file: &CatalogFile,
    exists: impl Fn(&Username) -> bool,
) -> Vec<CatalogDiagnostic> {
    let names = file.users.iter().map(|user| &user.username);
    let reserved = names.filter(|name| name.get_ref().is_reserved() && !exists(name.get_ref()));
    let refuse = |name: &Spanned<Username>| {
        let message = format!("the user name {} is reserved", name.get_ref());
        CatalogDiagnostic::new(name.span(), message).with_help("choose another name")
    };
    reserved.map(refuse).collect()
}

fn check_roles(
    roles: &[Spanned<RoleName>],
    known: &KnownNames<'_>,
    diagnostics: &mut Vec<CatalogDiagnostic>,
) {
    for role in roles {
        let name = role.get_ref();
        if name.as_str() != ADMIN_ROLE && !known.roles.contains(name) {
            let names = known.roles.iter().map(RoleName::as_str);
            diagnostics.push(unknown_name("role", role, names));
        }
    }
}

fn unknown_name<'a>(
    kind: &str,
    name: &Spanned<impl ToString>,
    known: impl Iterator<Item = &'a str>,
) -> CatalogDiagnostic {
    let span = name.span();
    let name = name.get_ref().to_string();
    let help = did_you_mean(&name, known).unwrap_or_else(|| {
        format!("add it under [[{kind}s]], in this file or in one that is applied before")
    });
    CatalogDiagnostic::new(span, format!("there is no {kind} {name}")).with_help(help)
}

/// Finds every file that is missing, unreadable or not a whole TIFF, and every place where no file may be.
pub(super) async fn check_files(store: &FileStore, file: &CatalogFile) -> Vec<CatalogDiagnostic> {
    let mut checked = BTreeMap::new();
    let mut diagnostics = Vec::new();
    for path in file.datasets.iter().filter_map(|item| item.file.as_ref()) {
        if !checked.contains_key(path.get_ref()) {
            let found = store.check_importable(path.get_ref()).await.err();
            checked.insert(path.get_ref(), found.map(|error| error.to_string()));
        }
        if let Some(Some(message)) = checked.get(path.get_ref()) {
            diagnostics.push(CatalogDiagnostic::new(path.span(), message.clone()));
        }
    }
    for place in file
        .datasets
        .iter()
        .filter_map(|item| item.remote_file.as_ref())
    {
        if let Err(error) = store.check_place(place.get_ref()) {
            diagnostics.push(CatalogDiagnostic::new(place.span(), error.to_string()));
        }
    }
    diagnostics
}
