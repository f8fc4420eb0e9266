//! The floor plan: imports point down only, and floor-1 siblings never import each other.

use std::fs;
use std::path::{Path, PathBuf};

const FLOORS: [(&str, u8); 10] = [
    ("domain", 0),
    ("config", 1),
    ("files", 1),
    ("policy", 1),
    ("storage", 1),
    ("token", 1),
    ("service", 2),
    ("http", 3),
    ("cli", 4),
    ("app", 4),
];

fn floor_of(module: &str) -> u8 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found
        .unwrap_or_else(|| panic!("{module} has no floor: add it to DESIGN's table and here"))
        .1
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules a source text names after `crate::`, in `use` lines, nested braces and paths alike.
fn modules_named_in(text: &str) -> Vec<String> {
    let first_word = |rest: &str| {
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    text.match_indices("crate::")
        .filter(|(at, _)| !text[..*at].ends_with('$'))
        .flat_map(|(at, found)| {
            let rest = &text[at + found.len()..];
            match rest.strip_prefix('{') {
                Some(list) => list
                    .split_once(';')
                    .map_or(list, |(list, _)| list)
                    .split(',')
                    .map(|item| first_word(item.trim()))
                    .collect(),
                None => vec![first_word(rest)],
            }
        })
        .filter(|module| FLOORS.iter().any(|(name, _)| name == module))
        .collect()
}

#[test]
fn imports_point_down_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let own = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if ["lib", "main"].contains(&own) {
            continue;
        }
        for other in modules_named_in(&fs::read_to_string(&file).unwrap()) {
            checked += 1;
            let is_down = floor_of(&other) < floor_of(own) || other == own;
            let is_top = floor_of(own) == 4 && floor_of(&other) == 4;
            assert!(
                is_down || is_top,
                "{}: {own} may not import {other}",
                inside.display()
            );
        }
    }
    assert!(checked > 0, "no import was looked at");
}

#[test]
fn each_library_that_has_one_home_is_named_in_it_alone() {
    let homes = [
        ("cedar_policy", "policy"),
        ("josekit", "token"),
        ("sqlx", "storage"),
        ("object_store", "files"),
        ("figment", "config"),
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&source) {
        let text = fs::read_to_string(&file).unwrap();
        let inside = file.strip_prefix(&source).unwrap();
        for (library, home) in homes {
            let is_named = text.contains(&format!("{library}::"));
            assert!(
                !is_named || inside.starts_with(home),
                "{}: {library} is at home in {home}",
                inside.display()
            );
        }
    }
}
