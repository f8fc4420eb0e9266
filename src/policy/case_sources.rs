//! Reads one case file with the files that its cases need, and nothing else of its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};
use std::sync::Arc;

use serde_json::Value;

use crate::domain::diagnostic::SourceDiagnostic;

use super::error::BundleError;
use super::situation::SITUATION_FILE;
use super::sources::{MAX_FOLDER_DEPTH, SCHEMA_FILE, SourceFiles};

/// Reads a case file, the entity files that its cases name, and the situations beside it and above it in the
/// policy folder.
///
/// A case file that is not there has no cases.
pub(super) fn read_with_what_it_names(file: &Path) -> Result<SourceFiles, BundleError> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    // From the policy folder down to the folder of the file.
    let root = policy_folder(folder);
    let inside = folder.strip_prefix(root).unwrap_or(Path::new(""));
    let name_of = |folder: &Path, name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut texts = BTreeMap::new();
    if let Some(text) = read_if_there(file)? {
        for name in entity_files(&text) {
            if let Some(entities) = read_if_there(&folder.join(&name))? {
                texts.insert(name_of(inside, &name), entities);
            }
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        texts.insert(name_of(inside, &name), text);
    }
    for above in inside.ancestors() {
        let path = root.join(above).join(SITUATION_FILE);
        if let Some(situation) = read_if_there(&path)? {
            texts.insert(name_of(above, SITUATION_FILE), situation);
        }
    }
    Ok(SourceFiles::from_texts(&root.display().to_string(), texts))
}

/// The policy folder that a folder is in: the nearest one with a schema, or else the folder itself.
fn policy_folder(folder: &Path) -> &Path {
    let mut above = folder.ancestors().take(MAX_FOLDER_DEPTH);
    above
        .find(|folder| *folder != Path::new("") && folder.join(SCHEMA_FILE).is_file())
        .unwrap_or(folder)
}

fn read_if_there(path: &Path) -> Result<Option<Arc<str>>, BundleError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => SourceFiles::read_file(path).map(Some),
        // Opening a named pipe would wait for a writer.
        Ok(_) => Err(BundleError::Invalid {
            problems: vec![SourceDiagnostic::for_file(
                &path.display().to_string(),
                "this is not a regular file",
            )],
        }),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(source) => Err(BundleError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The entity files that the cases of a file name, as far as they are in its folder or below it.
fn entity_files(text: &str) -> Vec<String> {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let names = cases
        .iter()
        .filter_map(|case| case.get("entities")?.as_str());
    let is_below = |name: &&str| {
        let mut parts = Path::new(name).components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    names
        .filter(is_below)
        .map(|name| name.strip_prefix("./").unwrap_or(name).to_owned())
        .collect()
}
