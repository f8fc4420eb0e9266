//! Checks of a catalog file against what it names outside: the current catalog, and the disk.
//!
//! Nothing is written here. This module refuses to know how a catalog is changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::suggest::did_you_mean;

use super::diagnostic::CatalogDiagnostic;
use super::file::CatalogFile;

/// The names that a file may refer to.
pub struct KnownNames {
    /// Users of the file and of the catalog that stays.
    pub users: BTreeSet<Username>,
    /// Roles of the file and of the catalog that stays.
    pub roles: BTreeSet<RoleName>,
}

/// Finds every reference of `file` to a user or a role that there is not.
pub fn check_references(file: &CatalogFile, known: &KnownNames) -> Vec<CatalogDiagnostic> {
    let mut problems = Vec::new();
    for user in &file.users {
        check_roles(&user.roles, known, &mut problems);
    }
    for dataset in &file.datasets {
        check_roles(&dataset.reader_roles, known, &mut problems);
        for user in dataset.owner.iter().chain(&dataset.reader_users) {
            let (name, users) = (user.get_ref(), &known.users);
            if !users.contains(name) {
                let advice = "add it under [[users]], in this file or in one applied before";
                let near = did_you_mean(name.as_str(), users.iter().map(Username::as_str));
                let message = format!("there is no user {name}");
                let help = near.unwrap_or_else(|| advice.to_owned());
                problems.push(CatalogDiagnostic::new(user.span(), message).with_help(help));
            }
        }
    }
    problems
}

fn check_roles(
    roles: &[Spanned<RoleName>],
    known: &KnownNames,
    problems: &mut Vec<CatalogDiagnostic>,
) {
    for role in roles {
        let (name, roles) = (role.get_ref(), &known.roles);
        if name.as_str() == ADMIN_ROLE || roles.contains(name) {
            continue;
        }
        let advice = "add it under [[roles]], in this file or in one applied before";
        let near = did_you_mean(name.as_str(), roles.iter().map(RoleName::as_str));
        let message = format!("there is no role {name}");
        let help = near.unwrap_or_else(|| advice.to_owned());
        problems.push(CatalogDiagnostic::new(role.span(), message).with_help(help));
    }
}

/// Finds every file that is missing, unreadable or no TIFF. It reads the disk: not for async threads.
pub fn check_files(files: &[Spanned<PathBuf>]) -> Vec<CatalogDiagnostic> {
    let wrong = |file: &Spanned<PathBuf>| {
        let message = check_file(file.get_ref())?;
        Some(CatalogDiagnostic::new(file.span(), message))
    };
    files.iter().filter_map(wrong).collect()
}

fn check_file(path: &Path) -> Option<String> {
    let shown = path.display();
    // The kind is looked at first: opening a pipe would wait for a writer.
    match std::fs::metadata(path) {
        Err(error) => return Some(format!("cannot read {shown}: {error}")),
        Ok(found) if !found.is_file() => return Some(format!("{shown} is not a file")),
        Ok(_) => {}
    }
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Some(format!("cannot read {shown}: {error}"))
        }
        Ok(()) if is_tiff(start) => None,
        _ => Some(format!("{shown} is not a TIFF file")),
    }
}

/// TIFF 6.0 section 2 (version 42) and `BigTIFF` (version 43), in either byte order.
fn is_tiff(start: [u8; 4]) -> bool {
    matches!(
        &start,
        b"II\x2a\0" | b"MM\0\x2a" | b"II\x2b\0" | b"MM\0\x2b"
    )
}
