//! Which file of the crate refers to which other one, by `use` lines and paths.
//!
//! A path counts for the file that defines the item it names: re-exports are followed, the modules on
//! the way do not count. Method calls name no path, so they are not seen.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use syn::{Item, ItemUse};

use super::paths::{ModulePath, flatten, local_uses, written_paths};
use super::source_tree::{SourceTree, tokens, without_unit_tests};

#[derive(Default)]
struct Module {
    file: String,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<ModulePath>,
    /// What the module consists of, its modules aside.
    body: Vec<Item>,
}

#[derive(Clone)]
enum Name {
    Item,
    Module,
    /// Brought in by `use` with this path.
    Alias(ModulePath),
}

enum Resolved {
    Module(ModulePath),
    /// An item of this file.
    Item(String),
}

/// One file that names items of another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub from: String,
    pub to: String,
    /// The path as it is written.
    pub path: String,
}

#[derive(Default)]
pub(super) struct ModuleGraph {
    modules: BTreeMap<ModulePath, Module>,
}

impl ModuleGraph {
    /// Follows the `mod` lines from `src/lib.rs`, those for unit tests aside.
    pub(super) fn from_crate_root(tree: &SourceTree) -> Self {
        let mut graph = Self::default();
        graph.add_file(tree, vec!["crate".to_owned()], "src/lib.rs", "src");
        graph
    }

    /// Adds the module of a file whose child modules are in `folder`.
    fn add_file(&mut self, tree: &SourceTree, path: ModulePath, file: &str, folder: &str) {
        let text = tree
            .text(file)
            .unwrap_or_else(|| panic!("{file} is missing"));
        let parsed: syn::File = syn::parse2(without_unit_tests(tokens(file, text)))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        self.add_module(tree, path, file, folder, parsed.items);
    }

    fn add_module(
        &mut self,
        tree: &SourceTree,
        path: ModulePath,
        file: &str,
        folder: &str,
        items: Vec<Item>,
    ) {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        for item in items {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                module
                    .names
                    .entry(name.clone())
                    .or_default()
                    .push(Name::Module);
                let child_path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                let child_folder = format!("{folder}/{name}");
                if let Some((_, items)) = child.content {
                    self.add_module(tree, child_path, file, &child_folder, items);
                } else {
                    let beside = format!("{child_folder}.rs");
                    let inside = format!("{child_folder}/mod.rs");
                    let file = if tree.text(&beside).is_some() {
                        beside
                    } else {
                        inside
                    };
                    self.add_file(tree, child_path, &file, &child_folder);
                }
            } else {
                module.add_names(&item);
                module.body.push(item);
            }
        }
        self.modules.insert(path, module);
    }

    /// Every reference from one file to another, each pair of files and path once.
    pub(super) fn references(&self) -> BTreeSet<Reference> {
        let mut found = BTreeSet::new();
        for (module_path, module) in &self.modules {
            for item in &module.body {
                for path in written_paths(item) {
                    if let Some(Resolved::Item(to)) = self.resolve(module_path, &path, 0)
                        && to != module.file
                    {
                        found.insert(Reference {
                            from: module.file.clone(),
                            to,
                            path: path.join("::"),
                        });
                    }
                }
            }
        }
        found
    }

    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<Resolved> {
        // Two modules that re-export each other by `*` would go on for ever.
        if depth > 20 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Resolved::Module(from[..1].to_vec()),
            "self" => Resolved::Module(from.clone()),
            "super" => Resolved::Module(from.split_last()?.1.to_vec()),
            name => self.look_up(from, name, rest.is_empty(), depth)?,
        };
        while let Resolved::Module(module) = &at {
            let Some((name, after)) = rest.split_first() else {
                return Some(at);
            };
            rest = after;
            at = if name == "super" {
                Resolved::Module(module.split_last()?.1.to_vec())
            } else {
                // What a macro defines cannot be seen: it counts for the module that the path names.
                self.look_up(module, name, rest.is_empty(), depth)
                    .unwrap_or_else(|| Resolved::Item(self.modules[module].file.clone()))
            };
        }
        Some(at)
    }

    /// What a name means in a module; an item before a module if the path ends there, else the reverse.
    fn look_up(
        &self,
        at: &ModulePath,
        name: &str,
        is_last: bool,
        depth: usize,
    ) -> Option<Resolved> {
        let module = self.modules.get(at)?;
        let mut meanings: Vec<Resolved> = module
            .names
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|meaning| match meaning {
                Name::Item => Some(Resolved::Item(module.file.clone())),
                Name::Module => Some(Resolved::Module(
                    [at.as_slice(), &[name.to_owned()]].concat(),
                )),
                // `use super::name` must not find itself.
                Name::Alias(path) => self.resolve(at, path, depth + 1),
            })
            .collect();
        meanings.sort_by_key(|meaning| matches!(meaning, Resolved::Item(_)) != is_last);
        meanings.into_iter().next().or_else(|| {
            module.globs.iter().find_map(|path| {
                let Resolved::Module(glob) = self.resolve(at, path, depth + 1)? else {
                    return None;
                };
                self.look_up(&glob, name, is_last, depth + 1)
            })
        })
    }
}

impl Module {
    fn add_names(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => item.ident.to_string(),
            Item::Enum(item) => item.ident.to_string(),
            Item::Fn(item) => item.sig.ident.to_string(),
            Item::Static(item) => item.ident.to_string(),
            Item::Struct(item) => item.ident.to_string(),
            Item::Trait(item) => item.ident.to_string(),
            Item::Type(item) => item.ident.to_string(),
            Item::Union(item) => item.ident.to_string(),
            Item::Macro(item) => item
                .ident
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            Item::Use(item) => return self.add_aliases(item),
            _ => String::new(),
        };
        self.names.entry(name).or_default().push(Name::Item);
        // A function's own `use` lines count as the module's.
        for item in local_uses(item.to_token_stream()) {
            self.add_aliases(&item);
        }
    }

    fn add_aliases(&mut self, item: &ItemUse) {
        for (name, path) in flatten(&item.tree) {
            if name == "*" {
                self.globs.push(path);
            } else if path != [name.clone()] {
                self.names.entry(name).or_default().push(Name::Alias(path));
            }
        }
    }
}
