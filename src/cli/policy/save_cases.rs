//! Adds cases to a case file, for the commands that find some.

use std::fs::File;
use std::path::Path;

use crate::cli::outcome::CommandError;
use crate::cli::print;
use crate::policy::Bundle;
use crate::policy::case_writer::{CaseWriterError, extend_case_file};
use crate::policy::new_case::NewCase;

use super::output_file::write;

/// The end of the name of a case file.
const CASE_FILE_SUFFIX: &str = ".cases.json";

/// Checks the name of a case file, before anything else is done.
pub(super) fn check_case_file_name(file: &Path) -> Result<(), CommandError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(CASE_FILE_SUFFIX) && name.len() > CASE_FILE_SUFFIX.len() {
        return Ok(());
    }
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    let stem = if stem.is_empty() { "new" } else { stem };
    let suggested = file.with_file_name(format!("{stem}{CASE_FILE_SUFFIX}"));
    let error = format!("{} is not a case file name", file.display());
    Err(CommandError::new(error).with_hint(format!(
        "the name must end in {CASE_FILE_SUFFIX}, such as {}",
        suggested.display()
    )))
}

/// Adds cases to a file, atomically, and says what became of them. A case that the file has is not added again.
///
/// Two commands that add to one file at once wait for each other.
pub(super) fn save_cases(
    bundle: &Bundle,
    file: &Path,
    cases: &[NewCase],
) -> Result<(), CommandError> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let cannot_write = |error: std::io::Error| {
        CommandError::new(format!("cannot write {}: {error}", file.display()))
    };
    let lock = File::open(folder).map_err(cannot_write)?;
    lock.lock().map_err(cannot_write)?;
    let extended = extend_case_file(bundle, file, cases).map_err(writer_error)?;
    if !extended.added.is_empty() {
        write(file, &extended.text).map_err(cannot_write)?;
    }
    drop(lock);
    let shown = file.display();
    match extended.added.as_slice() {
        [] => {}
        [name] => print::note(format!("added the case {name:?} to {shown}")),
        names => print::note(format!("added {} cases to {shown}", names.len())),
    }
    match extended.present.as_slice() {
        [] => {}
        [name] => print::note(format!("{shown} has this case already: {name:?}")),
        names => print::note(format!("{shown} has {} of the cases already", names.len())),
    }
    Ok(())
}

fn writer_error(error: CaseWriterError) -> CommandError {
    match error {
        CaseWriterError::Invalid(error) => error.into(),
        CaseWriterError::Contradiction { .. } => CommandError::new(error)
            .with_hint("the policies now decide otherwise: correct that case, or remove it"),
        CaseWriterError::TooLarge { .. } => {
            CommandError::new(error).with_hint("name another case file")
        }
        CaseWriterError::NoCase { .. } => CommandError::new(error),
    }
}
