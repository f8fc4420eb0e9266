//! The source files of the repository, read from the disk or made up by a test, and their tokens.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The text of each file by its path from the top of the repository.
pub(super) struct SourceTree(BTreeMap<String, String>);

impl SourceTree {
    /// Reads the files of these folders whose names end in one of these extensions.
    pub(super) fn load(root: &Path, folders: &[&str], extensions: &[&str]) -> Self {
        let mut files = BTreeMap::new();
        let mut pending: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let extension = path.extension().and_then(|extension| extension.to_str());
                if path.is_dir() && !path.ends_with("node_modules") {
                    pending.push(path);
                } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    files.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
                }
            }
        }
        assert!(!files.is_empty(), "{folders:?}: no source files");
        Self(files)
    }

    pub(super) fn from_files(files: &[(&str, &str)]) -> Self {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        Self(files.iter().map(owned).collect())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.0.iter();
        files.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files of a folder as tokens, unit tests included.
    pub(super) fn rust_files(&self, folder: &str) -> impl Iterator<Item = (&str, TokenStream)> {
        self.files()
            .filter(move |(path, _)| path.starts_with(folder))
            .filter(|(path, _)| Path::new(path).extension().is_some_and(|it| it == "rs"))
            .map(|(path, text)| (path, tokens(path, text)))
    }
}

/// The tokens of a file; comments are none.
pub(super) fn tokens(path: &str, text: &str) -> TokenStream {
    text.parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Leaves out what is compiled for unit tests only.
pub(super) fn without_unit_tests(stream: TokenStream) -> TokenStream {
    let mut kept = TokenStream::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '#') && tokens.peek().is_some_and(is_test_attribute) {
            let ends_item = |token: &TokenTree| is_punct(token, ';') || is_braces(token);
            tokens.find(ends_item);
            tokens.next_if(|token| is_punct(token, ';'));
            continue;
        }
        kept.extend([match token {
            TokenTree::Group(group) => {
                let inside = without_unit_tests(group.stream());
                TokenTree::Group(Group::new(group.delimiter(), inside))
            }
            other => other,
        }]);
    }
    kept
}

fn is_test_attribute(brackets: &TokenTree) -> bool {
    let text = brackets.to_string().replace(' ', "");
    text == "[cfg(test)]" || text.starts_with("[cfg(all(test,")
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

pub(super) fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
