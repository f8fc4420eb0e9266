//! Nesting: how deep policies and schemas go, looked at before they are parsed.
//!
//! Cedar's parser and validator call themselves for each level, and some of it doubles the work with
//! each `if`. A text without bounds would take the stack, and with it the whole process, or time
//! without end. This module looks at brackets, operators and words alone, in one walk; it refuses to
//! know what they mean.

use std::sync::Arc;

use super::diagnostic::BundleDiagnostic;

/// How deep brackets may nest.
pub const MAX_NESTING_DEPTH: usize = 24;
/// The most operators of one policy, or of one declaration of a schema: chains of them nest too.
pub const MAX_OPERATORS: usize = 100;
/// The most attributes of attributes, and calls of what was called, in a row.
pub const MAX_MEMBER_ACCESSES: usize = 24;
/// The most times that one policy says `if`.
pub const MAX_IFS: usize = 8;

/// The stack, in bytes, on which whatever is within the bounds can be decided, in a debug build too: where
/// Cedar runs short of stack it denies. Memory is taken only where it is needed.
pub const DECISION_STACK_SIZE: usize = 8 * 1024 * 1024;

/// What makes expressions nest without a bracket around them.
const OPERATORS: [&[u8]; 6] = [b"||", b"&&", b"+", b"-", b"*", b"!"];
/// What ends a row of attributes and calls, besides operators.
const MEMBER_CHAIN_ENDS: [&[u8]; 11] = [
    b";", b",", b"{", b"=", b"<", b">", b"in", b"has", b"like", b"then", b"else",
];

/// What is too deep in a text, at its place.
pub(super) fn check(label: &str, text: &Arc<str>) -> Option<BundleDiagnostic> {
    let (at, bound) = ComplexityScanner::default().first_violation(text)?;
    let (message, help) = match bound {
        ComplexityLimit::Nesting => (
            format!("brackets nest deeper than {MAX_NESTING_DEPTH}"),
            "write it flatter, or as several policies",
        ),
        ComplexityLimit::Operators => (
            format!(
                "there are more than {MAX_OPERATORS} operators between here and the last semicolon"
            ),
            "write several policies, or put values into a set and ask whether it contains one",
        ),
        ComplexityLimit::Members => (
            format!("there are more than {MAX_MEMBER_ACCESSES} attributes or calls in a row"),
            "a policy may look at the attributes of the principal and the resource alone",
        ),
        ComplexityLimit::Ifs => (
            format!("there are more than {MAX_IFS} times if between here and the last semicolon"),
            "write several policies, each with its own condition",
        ),
    };
    Some(BundleDiagnostic::at_span(label, text, at..at + 1, message).with_help(help))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComplexityLimit {
    Nesting,
    Operators,
    Members,
    Ifs,
}

/// What was met since the last semicolon.
#[derive(Default)]
struct ComplexityScanner {
    depth: usize,
    operators: usize,
    members: usize,
    ifs: usize,
    /// How many of the open brackets are those of `Set<`.
    sets: usize,
    is_after_set: bool,
}

impl ComplexityScanner {
    /// The first byte at which a bound is passed.
    fn first_violation(mut self, text: &str) -> Option<(usize, ComplexityLimit)> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = token_length(rest);
            if let Some(bound) = rest.get(..length).and_then(|token| self.scan_token(token)) {
                return Some((at, bound));
            }
            at += length;
        }
        None
    }

    fn scan_token(&mut self, token: &[u8]) -> Option<ComplexityLimit> {
        let is_after_set = std::mem::replace(&mut self.is_after_set, token == b"Set");
        match token {
            b"(" | b"[" | b"{" => self.depth += 1,
            b")" | b"]" | b"}" => self.depth = self.depth.saturating_sub(1),
            b"<" if is_after_set => {
                self.depth += 1;
                self.sets += 1;
            }
            b">" if self.sets > 0 => {
                self.depth = self.depth.saturating_sub(1);
                self.sets -= 1;
            }
            // Brackets are not closed by it: if some are missing, that is for the parser to tell.
            b";" => (self.operators, self.ifs) = (0, 0),
            b"if" => self.ifs += 1,
            _ => {}
        }
        if OPERATORS.contains(&token) {
            self.operators += 1;
            self.members = 0;
        } else if MEMBER_CHAIN_ENDS.contains(&token) {
            self.members = 0;
        } else if matches!(token, b"." | b"[") {
            self.members += 1;
        }
        if self.depth > MAX_NESTING_DEPTH {
            Some(ComplexityLimit::Nesting)
        } else if self.operators > MAX_OPERATORS {
            Some(ComplexityLimit::Operators)
        } else if self.members > MAX_MEMBER_ACCESSES {
            Some(ComplexityLimit::Members)
        } else {
            (self.ifs > MAX_IFS).then_some(ComplexityLimit::Ifs)
        }
    }
}

/// How long the token is with which a text begins: a string, a comment, a word, or one byte.
fn token_length(text: &[u8]) -> usize {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match text {
        [b'"', rest @ ..] => {
            let mut is_escaped = false;
            let end = rest.iter().position(|byte| {
                let is_end = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                is_end
            });
            end.map_or(text.len(), |end| end + 2)
        }
        [b'/', b'/', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'\n');
            end.map_or(text.len(), |end| end + 2)
        }
        [b'|', b'|', ..] | [b'&', b'&', ..] | [b'!', b'=', ..] => 2,
        [byte, ..] if is_word(byte) => {
            let end = text.iter().position(|byte| !is_word(byte));
            end.unwrap_or(text.len())
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::action::Action;
    use crate::policy::Bundle;
    use crate::policy::check::PolicyCheck;
    use crate::policy::folder::PolicyFolder;
    use crate::policy::tests::asked::{ADA, bundle, decide, folder, problem_lines, signed_in};

    fn policy(condition: &str) -> String {
        format!(
            "@id(\"a\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource is Dataset)\n\
             when {{ {condition} }};\n"
        )
    }

    /// What nests in every way there is as deep as it may, around `inner` at its deepest.
    fn nested(inner: &str) -> Vec<String> {
        // The braces of the condition count too.
        let depth = MAX_NESTING_DEPTH - 1;
        let around = |open: &str, times: usize, close: &str| {
            format!("{}{inner}{}", open.repeat(times), close.repeat(times))
        };
        vec![
            around("", 1, &" || resource has owner".repeat(MAX_OPERATORS)),
            around("", 1, &" && resource has owner".repeat(MAX_OPERATORS)),
            format!("({inner}){} > 0", " + 1".repeat(MAX_OPERATORS)),
            around("(", depth, ")"),
            around("!(", depth, ")"),
            around("(1 + 1 > 1 && ", depth, ")"),
            around("(resource has owner || ", depth, ")"),
            around("if resource has owner then ", MAX_IFS, " else false"),
            around("if (", MAX_IFS, ") then true else false"),
            around("if resource has owner then false else ", MAX_IFS, ""),
            around("[", depth, "]") + ".isEmpty()",
            around("{\"a\": ", depth, "}") + " == 1",
        ]
    }

    /// A test has the stack of a blocking thread of the server, and a debug build takes most of it.
    #[test]
    fn policies_within_the_limits_are_validated_on_a_small_stack() {
        for condition in nested("resource.titel == \"x\"") {
            let folder = folder(&[("a.cedar", &policy(&condition))]);
            let check = PolicyCheck::run(PolicyFolder::load(folder.path())).unwrap();
            let told = check.problems.iter().map(BundleDiagnostic::message);
            let told: Vec<&str> = told.collect();
            assert!(
                told.iter().any(|said| said.contains("titel")),
                "{condition:.60}: {told:?}"
            );
        }
        for condition in nested("resource has owner") {
            let folder = folder(&[("a.cedar", &policy(&condition))]);
            let check = PolicyCheck::run(PolicyFolder::load(folder.path())).unwrap();
            let is_of_booleans = !condition.contains(['[', '{', '+']);
            assert!(
                check.is_passed() || !is_of_booleans,
                "{condition:.60}: {:?}",
                check.problems
            );
        }
    }

    /// Deciding must come to the depths without running short.
    #[test]
    fn policies_within_the_limits_can_be_decided() {
        let decided = || {
            let user = signed_in(ADA, &["a"]);
            for condition in nested("1 == 1") {
                let Ok(bundle) = bundle(&policy(&condition)) else {
                    continue;
                };
                let decision = decide(&bundle, &user, Action::Read);
                assert_eq!(decision.errors, Vec::<String>::new(), "{condition:.60}");
            }
        };
        let thread = std::thread::Builder::new().stack_size(DECISION_STACK_SIZE);
        thread.spawn(decided).unwrap().join().unwrap();
    }

    #[test]
    fn policies_beyond_the_limits_are_reported_and_not_parsed() {
        let deep = MAX_NESTING_DEPTH;
        for (condition, message) in [
            (
                format!("{}true{}", "(".repeat(deep), ")".repeat(deep)),
                "nest deeper",
            ),
            ("(".repeat(500_000), "nest deeper"),
            (vec!["true"; MAX_OPERATORS + 2].join(" || "), "operators"),
            (format!("context{}", ".a".repeat(400_000)), "in a row"),
            (format!("context{}", "[\"a\"]".repeat(25)), "in a row"),
            ("if true then ".repeat(MAX_IFS + 1), "times if"),
        ] {
            let told = problem_lines(&folder(&[("a.cedar", &policy(&condition))]));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(
                told[0].starts_with("a.cedar:3:") && told[0].contains(message),
                "{told:?}"
            );
        }
        let schema = include_str!("../../policies/schema.cedarschema");
        let nested = format!(
            "type Deep = {}Long{};\n",
            "Set<".repeat(50_000),
            ">".repeat(50_000)
        );
        let told = problem_lines(&folder(&[
            ("a.cedar", &policy("true")),
            ("schema.cedarschema", &(nested + schema)),
        ]));
        assert!(told[0].starts_with("schema.cedarschema:1:"), "{told:?}");
        let invariants = folder(&[("invariants/i.cedar", &policy(&"(".repeat(100_000)))]);
        let invariants = PolicyFolder::load(invariants.path()).unwrap();
        let schema = Bundle::embedded().unwrap().schema;
        assert!(invariants.invariants().unwrap().parse(&schema).is_err());
    }

    #[test]
    fn many_policies_strings_and_comments_do_not_count() {
        let odd = format!(
            "// {0}\n@id(\"a\") @reason(\"{0}\\\"{0}\")\npermit (principal, action, resource)\n\
             when {{ 1 < 2 && \"{0}\" != \"if\" }};\n",
            "(".repeat(100)
        );
        assert!(bundle(&odd).is_ok());
        let many =
            (0..600).map(|n| policy("1 < 2 && !(1 > 2)").replace("\"a\"", &format!("\"{n}\"")));
        assert!(bundle(&many.collect::<String>()).is_ok());
    }
}
