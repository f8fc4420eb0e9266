//! The paths that Rust code names: in `use` lines, in code and inside the arguments of macros.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, ItemUse, UseTree, Visibility};

use super::source_tree::is_punct;

/// The segments of a path.
pub(super) type ModulePath = Vec<String>;

/// The paths that a `use` brings in, each with its name here.
pub(super) fn flatten(tree: &UseTree) -> Vec<(String, ModulePath)> {
    match tree {
        UseTree::Path(path) => {
            let mut flat = flatten(&path.tree);
            for (name, rest) in &mut flat {
                rest.insert(0, path.ident.to_string());
                if rest.last().is_some_and(|last| last == "self") {
                    rest.pop();
                    if name == "self" {
                        name.clone_from(&rest[rest.len() - 1]);
                    }
                }
            }
            flat
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(rename) => {
            vec![(rename.rename.to_string(), vec![rename.ident.to_string()])]
        }
        UseTree::Glob(_) => vec![("*".to_owned(), Vec::new())],
        UseTree::Group(group) => group.items.iter().flat_map(flatten).collect(),
    }
}

/// The `use` lines inside functions.
pub(super) fn local_uses(stream: TokenStream) -> Vec<ItemUse> {
    let mut found = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => found.extend(local_uses(group.stream())),
            TokenTree::Ident(ident) if ident == "use" => {
                let mut line = TokenStream::from(TokenTree::Ident(ident));
                while let Some(token) = tokens.next_if(|token| !is_punct(token, ';')) {
                    line.extend([token]);
                }
                line.extend(tokens.next());
                found.extend(syn::parse2::<ItemUse>(line).ok());
            }
            _ => {}
        }
    }
    found
}

/// The paths that an item names. A re-export names none: who uses it names what it leads to.
pub(super) fn written_paths(item: &Item) -> Vec<ModulePath> {
    if let Item::Use(item) = item {
        return match item.vis {
            Visibility::Inherited => flatten(&item.tree)
                .into_iter()
                .map(|(_, path)| path)
                .collect(),
            _ => Vec::new(),
        };
    }
    let mut found = Vec::new();
    let stream = item.to_token_stream();
    for local in local_uses(stream.clone()) {
        found.extend(flatten(&local.tree).into_iter().map(|(_, path)| path));
    }
    collect_paths(stream, &mut found);
    found
}

fn collect_paths(stream: TokenStream, found: &mut Vec<ModulePath>) {
    let tokens: Vec<_> = stream.into_iter().collect();
    let punct = |index: usize, character| {
        tokens
            .get(index)
            .is_some_and(|token| is_punct(token, character))
    };
    let ident = |index: usize| match tokens.get(index) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let mut index = 0;
    while index < tokens.len() {
        if let TokenTree::Group(group) = &tokens[index] {
            collect_paths(group.stream(), found);
        }
        let before = |back, character| index >= back && punct(index - back, character);
        let is_continued = before(1, ':') && before(2, ':');
        let is_member = before(1, '.') && !before(2, '.');
        if let Some(name) = ident(index)
            && !is_continued
            && !is_member
            && !before(1, '\'')
        {
            let mut path = vec![name];
            while punct(index + 1, ':') && punct(index + 2, ':') {
                let Some(next) = ident(index + 3) else { break };
                path.push(next);
                index += 3;
            }
            found.push(path);
        }
        index += 1;
    }
}
