//! The rules that the tree is held to. Each one answers every offender.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::module_graph::Reference;
use super::source_tree::{SourceTree, is_punct};

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offender {
    /// What a list of exceptions calls it.
    pub name: String,
    /// What the author needs to know.
    pub detail: String,
}

impl Offender {
    fn new(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            detail: detail.into(),
        }
    }
}

/// Passes if the offenders are exactly the known ones: a new one fails, and so does an entry that is stale.
pub(super) fn check(rule: &str, found: &[Offender], known: &[&str]) -> Result<(), String> {
    let names: BTreeSet<&str> = found.iter().map(|offender| &*offender.name).collect();
    let mut lines: Vec<String> = found
        .iter()
        .filter(|offender| !known.contains(&&*offender.name))
        .map(|offender| format!("{}: {}", offender.name, offender.detail))
        .collect();
    for entry in known.iter().filter(|entry| !names.contains(**entry)) {
        lines.push(format!(
            "{entry}: no longer an offender, remove it from the list"
        ));
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(format!("{rule}:\n{}", lines.join("\n")))
}

/// The top-level module of a file: `http` of `src/http/reply/problem.rs`, `app` of `src/app/mod.rs`.
fn top_module(file: &str) -> &str {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    inside.split(['/', '.']).next().unwrap_or(inside)
}

/// Imports that do not point to a lower floor.
pub(super) fn upward_imports(
    references: &BTreeSet<Reference>,
    floors: &[(&str, u8)],
) -> Vec<Offender> {
    let floor = |module: &str| {
        floors
            .iter()
            .find(|(name, _)| *name == module)
            .map(|found| found.1)
    };
    let mut found = Vec::new();
    for reference in references {
        let from = top_module(&reference.from);
        if from == "lib" {
            continue;
        }
        let Some(own) = floor(from) else {
            found.push(Offender::new(from, "has no floor: add it to the table"));
            continue;
        };
        // A re-export counts for the module that it is named in too.
        let mut segments = reference.path.split("::");
        let is_absolute = segments.next() == Some("crate");
        let named = segments.next().filter(|_| is_absolute);
        let targets = [Some(top_module(&reference.to)), named];
        for to in targets.into_iter().flatten().collect::<BTreeSet<_>>() {
            if to != from && floor(to).is_some_and(|other| other >= own) {
                let detail = format!(
                    "`{}` points to {to}, which is no lower floor",
                    reference.path
                );
                found.push(Offender::new(&reference.from, detail));
            }
        }
    }
    found.dedup();
    found
}

/// Files that refer to each other in a circle, one offender a circle.
pub(super) fn circles(references: &BTreeSet<Reference>) -> Vec<Offender> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for reference in references {
        let targets = edges.entry(&reference.from).or_default();
        targets.insert(&reference.to);
    }
    let reachable: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|from| (*from, reachable_from(from, &edges)))
        .collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for (file, targets) in &reachable {
        if done.contains(file) || !targets.contains(file) {
            continue;
        }
        let leads_back = |other: &&&str| {
            reachable
                .get(**other)
                .is_some_and(|back| back.contains(file))
        };
        let circle: BTreeSet<&str> = targets.iter().filter(leads_back).copied().collect();
        let is_inside = |reference: &&Reference| {
            circle.contains(&*reference.from) && circle.contains(&*reference.to)
        };
        let steps: Vec<String> = references
            .iter()
            .filter(is_inside)
            .map(|step| format!("\n    {} -> {}: {}", step.from, step.to, step.path))
            .collect();
        let files: Vec<&str> = circle.iter().copied().collect();
        found.push(Offender::new(files.join(" "), steps.concat()));
        done.extend(circle);
    }
    found
}

fn reachable_from<'a>(
    from: &'a str,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(file) = pending.pop() {
        for target in edges.get(file).into_iter().flatten() {
            if reached.insert(*target) {
                pending.push(target);
            }
        }
    }
    reached
}

/// Libraries named outside the one module that uses them: each with how its crates' names begin.
pub(super) fn misplaced_libraries(tree: &SourceTree, homes: &[(&str, &str)]) -> Vec<Offender> {
    let mut found = Vec::new();
    for (file, stream) in tree.rust_files("src/") {
        let mut named = BTreeSet::new();
        visit(stream, &mut |tokens, at| {
            if let Some(TokenTree::Ident(name)) = tokens.get(at)
                && tokens.get(at + 1).is_some_and(|next| is_punct(next, ':'))
                && tokens.get(at + 2).is_some_and(|next| is_punct(next, ':'))
            {
                named.insert(name.to_string());
            }
        });
        for (library, home) in homes {
            let is_named = named.iter().any(|name| name.starts_with(library));
            if is_named && top_module(file) != *home {
                found.push(Offender::new(
                    file,
                    format!("{library} belongs into {home}"),
                ));
            }
        }
    }
    found
}

/// Names that two type definitions share; private types are not compared.
pub(super) fn duplicate_types(tree: &SourceTree) -> Vec<Offender> {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, stream) in tree.rust_files("src/") {
        visit(
            super::source_tree::without_unit_tests(stream),
            &mut |tokens, at| {
                if let Some(name) = public_type(tokens, at) {
                    defined.entry(name).or_default().push(file.to_owned());
                }
            },
        );
    }
    defined
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| Offender::new(name, format!("defined in {}", files.join(", "))))
        .collect()
}

/// The name of the type that `pub` at this place makes public.
fn public_type(tokens: &[TokenTree], at: usize) -> Option<String> {
    let word = |index: usize| match tokens.get(index) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    if word(at)? != "pub" {
        return None;
    }
    let is_restricted = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
    let kind = at + 1 + usize::from(is_restricted);
    let is_type = ["struct", "enum", "trait", "type", "union"].contains(&&*word(kind)?);
    is_type.then(|| word(kind + 1)).flatten()
}

/// What the names of constants must not speak of: bounds are MAX and MIN, defaults DEFAULT.
const SUPERLATIVES: [&str; 12] = [
    "MOST", "LEAST", "FEWEST", "LONGEST", "SHORTEST", "LARGEST", "SMALLEST", "DEEPEST", "HIGHEST",
    "LOWEST", "WIDEST", "USUAL",
];

/// Constants that are named by a superlative.
pub(super) fn superlative_constants(tree: &SourceTree) -> Vec<Offender> {
    let mut found = Vec::new();
    for (file, stream) in tree.rust_files("") {
        visit(stream, &mut |tokens, at| {
            if let (Some(TokenTree::Ident(keyword)), Some(TokenTree::Ident(name))) =
                (tokens.get(at), tokens.get(at + 1))
                && (keyword == "const" || keyword == "static")
                && name
                    .to_string()
                    .split('_')
                    .any(|word| SUPERLATIVES.contains(&word))
            {
                let name = format!("{file} {name}");
                found.push(Offender::new(
                    name,
                    "bounds are MAX_ and MIN_, defaults DEFAULT_",
                ));
            }
        });
    }
    found
}

/// Files of more lines than `most`.
pub(super) fn long_files(tree: &SourceTree, max_lines: usize) -> Vec<Offender> {
    tree.files()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > max_lines)
        .map(|(file, lines)| Offender::new(file, format!("{lines} lines, at most {max_lines}")))
        .collect()
}

/// Module docs that say what a module refuses to do instead of what it does.
pub(super) fn refusing_module_docs(tree: &SourceTree) -> Vec<Offender> {
    let docs = |text: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//!"));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    };
    tree.files()
        .filter(|(_, text)| docs(text).contains("refuses to"))
        .map(|(file, _)| Offender::new(file, "say what the module does, and \"does not\""))
        .collect()
}

/// Calls `look` with each token's neighbours and place, inside brackets too.
fn visit(stream: TokenStream, look: &mut impl FnMut(&[TokenTree], usize)) {
    let tokens: Vec<_> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        look(&tokens, at);
        if let TokenTree::Group(group) = token {
            visit(group.stream(), look);
        }
    }
}
