//! The architecture: which way imports point, which names and sizes the tree allows.
//!
//! Each test prints every offender. A list of exceptions says why each is one; an entry that is no longer
//! needed fails, so the lists only shrink.

mod made_up;
mod module_graph;
mod paths;
mod rules;
mod source_tree;

use std::path::Path;

use module_graph::ModuleGraph;
use rules::{Offender, check};
use source_tree::SourceTree;

/// The floors, as in README.md: a module imports modules of lower floors only.
const FLOORS: [(&str, u8); 13] = [
    ("atomic_file", 0),
    ("domain", 0),
    ("memory_file", 0),
    ("thread_priority", 0),
    ("config", 1),
    ("files", 1),
    ("policy", 1),
    ("storage", 1),
    ("token", 1),
    ("service", 2),
    ("http", 3),
    ("app", 4),
    ("cli", 5),
];

/// How the crates of a library begin, and the module that alone uses it.
const LIBRARY_HOMES: [(&str, &str); 6] = [
    ("cedar_policy", "policy"),
    ("josekit", "token"),
    ("sqlx", "storage"),
    ("rusqlite", "storage"),
    ("object_store", "files"),
    ("figment", "config"),
];

const MAX_LINES: usize = 400;

fn repository(folders: &[&str], extensions: &[&str]) -> SourceTree {
    SourceTree::load(Path::new(env!("CARGO_MANIFEST_DIR")), folders, extensions)
}

#[track_caller]
fn assert_none(rule: &str, found: &[Offender], known: &[&str]) {
    if let Err(message) = check(rule, found, known) {
        panic!("{message}");
    }
}

#[test]
fn imports_point_to_lower_floors_only() {
    let references = ModuleGraph::from_crate_root(&repository(&["src"], &["rs"])).references();
    assert!(
        references.len() > 1000,
        "only {} references were found",
        references.len()
    );
    let found = rules::upward_imports(&references, &FLOORS);
    assert_none("imports point to lower floors only", &found, &[]);
}

#[test]
fn no_files_refer_to_each_other_in_a_circle() {
    let references = ModuleGraph::from_crate_root(&repository(&["src"], &["rs"])).references();
    let found = rules::circles(&references);
    assert_none("no files refer to each other in a circle", &found, &[]);
}

#[test]
fn each_library_is_used_by_one_module() {
    let found = rules::misplaced_libraries(&repository(&["src"], &["rs"]), &LIBRARY_HOMES);
    assert_none("each library is used by one module", &found, &[]);
}

#[test]
fn no_two_public_types_share_a_name() {
    let found = rules::duplicate_types(&repository(&["src"], &["rs"]));
    assert_none("no two public types share a name", &found, &[]);
}

#[test]
fn no_constant_is_named_by_a_superlative() {
    let found = rules::superlative_constants(&repository(&["src", "tests", "benches"], &["rs"]));
    assert_none("no constant is named by a superlative", &found, &[]);
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let tree = repository(&["src", "tests", "benches"], &["rs", "py", "mjs"]);
    assert_none(
        "no file is longer than 400 lines",
        &rules::long_files(&tree, MAX_LINES),
        &[],
    );
}

#[test]
fn module_docs_say_what_a_module_does() {
    let found = rules::refusing_module_docs(&repository(&["src", "tests", "benches"], &["rs"]));
    assert_none("module docs say what a module does", &found, &[]);
}
