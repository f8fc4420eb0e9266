//! Reading the source files of a policy folder within bounds, from a folder or from the program.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::text_file::{self, has_byte_order_mark};

use super::error::BundleError;
use super::sources::{
    INVARIANTS_FOLDER, MAX_FILE_SIZE, MAX_FILES, MAX_FOLDER_DEPTH, MAX_FOLDER_SIZE, SourceFiles,
    is_policy_file,
};

static SHIPPED_POLICIES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies");

impl SourceFiles {
    /// The embedded files whose names are wanted.
    pub(super) fn embedded(is_wanted: impl Fn(&str) -> bool) -> Result<Self, BundleError> {
        let mut reader = SourceReader::new("shipped policies".to_owned(), &is_wanted);
        reader.read_embedded(&SHIPPED_POLICIES)?;
        Ok(reader.sources)
    }

    /// The files of a folder, and of the folders in it, whose names are wanted.
    ///
    /// Hidden files and folders (`.git`, or `..data` of a Kubernetes volume) and the folder
    /// `invariants` are skipped; symbolic links are followed. A link that leads nowhere is an error: it may
    /// stand for a folder of policies that is away.
    pub(super) fn read(
        folder: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, BundleError> {
        let mut reader = SourceReader::new(folder.display().to_string(), &is_wanted);
        reader.read_folder(folder, "", 0)?;
        Ok(reader.sources)
    }

    /// The embedded invariants.
    pub(super) fn embedded_invariants() -> Result<Self, BundleError> {
        let mut reader = SourceReader::new("shipped policies".to_owned(), &is_policy_file);
        if let Some(folder) = SHIPPED_POLICIES.get_dir(INVARIANTS_FOLDER) {
            reader.read_embedded(folder)?;
        }
        Ok(reader.sources)
    }

    /// The invariants of a policy folder: every `.cedar` file in its folder `invariants` and below.
    ///
    /// A policy folder without that folder has none.
    pub(super) fn read_invariants(folder: &Path) -> Result<Self, BundleError> {
        let mut reader = SourceReader::new(folder.display().to_string(), &is_policy_file);
        let inner = folder.join(INVARIANTS_FOLDER);
        // A missing policy folder is an error; a missing folder of invariants is not. One that is there and
        // cannot be read, or a link that leads nowhere, must not pass for a missing one.
        fs::read_dir(folder).map_err(|source| unreadable_error(folder, source))?;
        if is_there(&inner)? {
            reader.read_folder(&inner, &format!("{INVARIANTS_FOLDER}/"), 1)?;
        }
        Ok(reader.sources)
    }

    /// Reads one file of any name, within the size of a policy file.
    pub(super) fn read_file(path: &Path) -> Result<Arc<str>, BundleError> {
        let content = read_bounded(path).map_err(|source| unreadable_error(path, source))?;
        let mut reader = SourceReader::new(path.display().to_string(), &|_| true);
        // The path is the origin and the name is empty, so that messages have the path as given.
        reader.add_file(String::new(), content)?;
        let SourceFiles {
            mut texts,
            problems,
            ..
        } = reader.sources;
        texts.remove("").ok_or(BundleError::Invalid { problems })
    }
}

/// Reads a folder within bounds.
struct SourceReader<'a> {
    sources: SourceFiles,
    is_wanted: &'a dyn Fn(&str) -> bool,
    bytes: u64,
}

impl<'a> SourceReader<'a> {
    fn new(origin: String, is_wanted: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            sources: SourceFiles {
                origin,
                ..SourceFiles::default()
            },
            is_wanted,
            bytes: 0,
        }
    }

    fn read_embedded(&mut self, folder: &Dir<'_>) -> Result<(), BundleError> {
        for file in folder.files() {
            let name = file.path().to_string_lossy().replace('\\', "/");
            if (self.is_wanted)(&name) {
                self.add_file(name, file.contents().to_vec())?;
            }
        }
        for inner in folder.dirs() {
            if inner.path() != Path::new(INVARIANTS_FOLDER) {
                self.read_embedded(inner)?;
            }
        }
        Ok(())
    }

    fn read_folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), BundleError> {
        if depth > MAX_FOLDER_DEPTH {
            return Err(self.folder_error(
                prefix,
                format!("folders nest deeper than {MAX_FOLDER_DEPTH}"),
            ));
        }
        let mut paths = fs::read_dir(folder)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|e| e.path()))
                    .collect::<Result<Vec<PathBuf>, _>>()
            })
            .map_err(|source| unreadable_error(folder, source))?;
        paths.sort();
        for path in paths {
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
                let label = path.display().to_string();
                self.sources.problems.push(SourceDiagnostic::for_file(
                    &label,
                    "the file name is not UTF-8",
                ));
                continue;
            };
            if file_name.starts_with('.') || (depth == 0 && file_name == INVARIANTS_FOLDER) {
                continue;
            }
            let name = format!("{prefix}{file_name}");
            let metadata = match fs::metadata(&path) {
                Ok(metadata) => metadata,
                // Removed since the folder was listed.
                Err(_) if !is_there(&path)? => continue,
                Err(source) => return Err(unreadable_error(&path, source)),
            };
            if metadata.is_dir() {
                self.read_folder(&path, &format!("{name}/"), depth + 1)?;
            } else if !(self.is_wanted)(&name) {
                // Not part of what is read.
            } else if metadata.is_file() {
                let content =
                    read_bounded(&path).map_err(|source| unreadable_error(&path, source))?;
                self.add_file(name, content)?;
            } else {
                // Opening a named pipe would wait for a writer.
                let label = self.sources.label(&name);
                let problem = SourceDiagnostic::for_file(&label, "this is not a regular file");
                self.sources.problems.push(problem);
            }
        }
        Ok(())
    }

    /// Adds one file. Fails where a bound of the whole folder is exceeded.
    fn add_file(&mut self, name: String, content: Vec<u8>) -> Result<(), BundleError> {
        let length = content.len() as u64;
        if length > MAX_FILE_SIZE {
            let label = self.sources.label(&name);
            let message = format!("the file is larger than {} KiB", MAX_FILE_SIZE / 1024);
            let problem = SourceDiagnostic::for_file(&label, message);
            // A single file, without a folder, cannot be split.
            self.sources.problems.push(if name.is_empty() {
                problem
            } else {
                problem.with_help("split it into several files")
            });
            return Ok(());
        }
        self.bytes += length;
        if self.bytes > MAX_FOLDER_SIZE {
            let message = format!(
                "the files together are larger than {} KiB",
                MAX_FOLDER_SIZE / 1024
            );
            return Err(self.folder_error("", message));
        }
        if self.sources.texts.len() >= MAX_FILES {
            return Err(self.folder_error("", format!("more than {MAX_FILES} files")));
        }
        let is_marked = has_byte_order_mark(&content);
        match text_file::decode(content) {
            Ok(text) => {
                if is_marked {
                    self.sources.marked.insert(name.clone());
                }
                self.sources.texts.insert(name, text.into());
            }
            Err(error) => {
                let label = self.sources.label(&name);
                let problem = SourceDiagnostic::for_file(&label, error.to_string());
                self.sources.problems.push(problem);
            }
        }
        Ok(())
    }

    fn folder_error(&mut self, name: &str, message: String) -> BundleError {
        let label = self.sources.label(name);
        let mut problems = std::mem::take(&mut self.sources.problems);
        problems.push(SourceDiagnostic::for_file(&label, message));
        BundleError::Invalid { problems }
    }
}

/// Whether a folder has an entry of this name, even a link that leads nowhere.
fn is_there(path: &Path) -> Result<bool, BundleError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(unreadable_error(path, source)),
    }
}

/// Reads a file, at most one byte beyond the limit.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn unreadable_error(path: &Path, source: std::io::Error) -> BundleError {
    BundleError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
