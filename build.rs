//! Rebuilds when a file is added to a folder that is compiled in; the macros notice edits alone. Tells the program what its
//! proofs depend on, so that no other program believes them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// What proofs of policies depend on: the versions of all dependencies, and how policies are read and proved.
const PROOF_SOURCES: [&str; 2] = ["Cargo.lock", "src/policy"];

#[allow(clippy::print_stdout, reason = "this is how a build script speaks")]
fn main() {
    for path in ["policies", "migrations", "src/http/web", "build.rs"]
        .iter()
        .chain(&PROOF_SOURCES)
    {
        println!("cargo::rerun-if-changed={path}");
    }
    let mut hasher = DefaultHasher::new();
    for path in PROOF_SOURCES {
        hash_files(Path::new(path), &mut hasher);
    }
    let program = hasher.finish();
    // Cargo gives it to programs that it runs, too: no name of a setting.
    println!("cargo::rustc-env=PROOF_PROGRAM={program:016x}");
}

/// Hashes a file, or all files of a folder; one that is not there has no part.
fn hash_files(path: &Path, hasher: &mut DefaultHasher) {
    if let Ok(entries) = fs::read_dir(path) {
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            hash_files(&path, hasher);
        }
    } else if let Ok(content) = fs::read(path) {
        (path.to_string_lossy(), content).hash(hasher);
    }
}
