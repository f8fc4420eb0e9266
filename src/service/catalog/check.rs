//! Checks of a catalog file against the current catalog and the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::suggest::did_you_mean;
use crate::files::{MAX_TIFF_HEADER_LENGTH, is_tiff};

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

/// Finds every file that is missing, unreadable or not a TIFF. It blocks on the disk.
pub(super) fn check_files(files: &[Spanned<PathBuf>]) -> Vec<CatalogDiagnostic> {
    let check = |file: &Spanned<PathBuf>| {
        let message = check_file(file.get_ref())?;
        Some(CatalogDiagnostic::new(file.span(), message))
    };
    files.iter().filter_map(check).collect()
}

fn check_file(path: &Path) -> Option<String> {
    let shown = path.display();
    // The type is checked first: opening a pipe would wait for a writer.
    match std::fs::metadata(path) {
        Err(error) => return Some(format!("cannot read {shown}: {error}")),
        Ok(metadata) if !metadata.is_file() => return Some(format!("{shown} is not a file")),
        Ok(_) => {}
    }
    match read_header(path) {
        Err(error) => Some(format!("cannot read {shown}: {error}")),
        Ok(header) if is_tiff(&header) => None,
        Ok(_) => Some(format!("{shown} is not a TIFF file")),
    }
}

fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(MAX_TIFF_HEADER_LENGTH);
    File::open(path)?
        .take(MAX_TIFF_HEADER_LENGTH as u64)
        .read_to_end(&mut header)?;
    Ok(header)
}
