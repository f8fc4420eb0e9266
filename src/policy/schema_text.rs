//! The text of a schema: where its declarations and their annotations are.
//!
//! Cedar keeps no locations of annotations, so the text is scanned for them. It has been parsed by Cedar before; what
//! the scan does not understand has no location.

use std::ops::Range;

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DeclarationKind {
    /// An entity type.
    Entity,
    /// An action.
    Action,
}

/// A declaration of an entity type or of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SchemaDeclaration {
    pub(super) kind: DeclarationKind,
    /// The namespace, empty for none.
    pub(super) namespace: String,
    /// The name without the namespace.
    pub(super) name: String,
    /// Where the name is.
    pub(super) span: Range<usize>,
    /// The annotations before it: their names, and where each is as a whole.
    pub(super) annotations: Vec<(String, Range<usize>)>,
}

impl SchemaDeclaration {
    /// Where an annotation is; where the name is if there is none.
    pub(super) fn annotation_span(&self, name: &str) -> Range<usize> {
        let found = self.annotations.iter().find(|(known, _)| known == name);
        found.map_or_else(|| self.span.clone(), |(_, span)| span.clone())
    }
}

/// The declarations of entity types and actions in the order of the text.
pub(super) fn declarations(text: &str) -> Vec<SchemaDeclaration> {
    let tokens = tokens(text);
    let mut scan = DeclarationScan {
        tokens: &tokens,
        namespace: String::new(),
        found: Vec::new(),
    };
    while scan.next_declaration().is_some() {}
    scan.found
}

/// A word, a quoted text without its quotes, or one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(&'a str),
    Mark(char),
}

type Located<'a> = (Token<'a>, Range<usize>);

fn tokens(text: &str) -> Vec<Located<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            let length = quoted_length(rest);
            let inside = rest.get(1..length.saturating_sub(1)).unwrap_or_default();
            found.push((Token::Quoted(inside), at..at + length));
            length
        } else if is_of_word(first) {
            let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            found.push((Token::Word(word), at..at + length));
            length
        } else {
            found.push((Token::Mark(first), at..at + first.len_utf8()));
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The bytes of a quoted text with its quotes.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

struct DeclarationScan<'a> {
    tokens: &'a [Located<'a>],
    namespace: String,
    found: Vec<SchemaDeclaration>,
}

impl<'a> DeclarationScan<'a> {
    fn take(&mut self) -> Option<Located<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.first().map(|(token, _)| *token)
    }

    /// Reads one declaration with its annotations, or the head or the end of a namespace; `None` at the end.
    fn next_declaration(&mut self) -> Option<()> {
        let annotations = self.annotations();
        match self.take()?.0 {
            Token::Word("namespace") => {
                let mut name = String::new();
                while let Some((token, _)) = self.take() {
                    match token {
                        Token::Mark('{') => break,
                        Token::Word(part) => name.push_str(part),
                        Token::Mark(mark) => name.push(mark),
                        Token::Quoted(_) => {}
                    }
                }
                self.namespace = name;
            }
            Token::Mark('}') => self.namespace.clear(),
            Token::Word("entity") => self.names(DeclarationKind::Entity, &annotations),
            Token::Word("action") => self.names(DeclarationKind::Action, &annotations),
            _ => self.skip_to_end(),
        }
        Some(())
    }

    fn annotations(&mut self) -> Vec<(String, Range<usize>)> {
        let mut found = Vec::new();
        while self.peek() == Some(Token::Mark('@')) {
            let Some((_, at)) = self.take() else { break };
            let Some((Token::Word(name), of_name)) = self.take() else {
                break;
            };
            let mut end = of_name.end;
            if self.peek() == Some(Token::Mark('(')) {
                while let Some((token, span)) = self.take() {
                    end = span.end;
                    if token == Token::Mark(')') {
                        break;
                    }
                }
            }
            found.push((name.to_owned(), at.start..end));
        }
        found
    }

    /// Reads the names of a declaration and passes over the rest of it.
    fn names(&mut self, kind: DeclarationKind, annotations: &[(String, Range<usize>)]) {
        while let Some((Token::Word(name) | Token::Quoted(name), span)) = self.take() {
            self.found.push(SchemaDeclaration {
                kind,
                namespace: self.namespace.clone(),
                name: name.to_owned(),
                span,
                annotations: annotations.to_vec(),
            });
            if self.peek() != Some(Token::Mark(',')) {
                break;
            }
            self.take();
        }
        self.skip_to_end();
    }

    /// Passes over the rest of a declaration; no `;` is within braces.
    fn skip_to_end(&mut self) {
        while let Some((token, _)) = self.take() {
            if token == Token::Mark(';') {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_with_their_annotations_and_namespaces() {
        let text = r#"
// entity NotThis;
@doc("a; \" entity") @authzen("user, identity")
entity Person, Robot in [Team] = { @authzen("none") "name"?: String };
namespace Todo::List {
  @authzen("todo")
  entity Item;
  @tell action read, "can read" appliesTo { principal: Person, resource: Item };
  type Shape = { "x": Long };
}
entity Last enum ["a;b"];
action "read";
"#;
        let found: Vec<String> = declarations(text)
            .iter()
            .map(|one| {
                let annotations: Vec<_> = one.annotations.iter().map(|(name, _)| name).collect();
                let span = text.get(one.annotation_span("authzen")).unwrap();
                let (kind, namespace, name) = (one.kind, &one.namespace, &one.name);
                format!("{kind:?} {namespace}/{name} {annotations:?} {span}")
            })
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        Entity /Person ["doc", "authzen"] @authzen("user, identity")
        Entity /Robot ["doc", "authzen"] @authzen("user, identity")
        Entity Todo::List/Item ["authzen"] @authzen("todo")
        Action Todo::List/read ["tell"] read
        Action Todo::List/can read ["tell"] "can read"
        Entity /Last [] Last
        Action /read [] "read"
        "#);
    }

    #[test]
    fn a_text_that_ends_early_ends_the_scan() {
        for text in [
            "",
            "@",
            "@a(",
            "entity",
            "entity A",
            "\"",
            "action \"a",
            "namespace",
            "é",
        ] {
            declarations(text);
        }
    }
}
