//! Complexity limits of policies and schemas, checked before they are parsed.
//!
//! Cedar's parser and validator are recursive, and some of their work doubles with each `if`: a text
//! without limits could exhaust the stack, and with it the process, or run without end. One scan counts
//! brackets, operators and keywords.

use std::sync::Arc;

use crate::domain::diagnostic::SourceDiagnostic;

/// The deepest nesting of brackets.
const MAX_NESTING_DEPTH: usize = 24;
/// The most operators of one policy, or of one declaration of a schema: chains of them nest too.
const MAX_OPERATORS: usize = 100;
/// The most member accesses and calls in a row, such as `a.b.c()`.
const MAX_MEMBER_ACCESSES: usize = 24;
/// The most `if` of one policy.
const MAX_IFS: usize = 8;

/// The stack, in bytes, that is enough to decide with any policy within the limits, even in a debug build:
/// where Cedar runs short of stack it denies. Memory is used only as needed.
pub const DECISION_STACK_SIZE: usize = 8 * 1024 * 1024;

/// The operators, which nest expressions without brackets.
const OPERATORS: [&[u8]; 6] = [b"||", b"&&", b"+", b"-", b"*", b"!"];
/// What ends a row of member accesses and calls, besides operators.
const MEMBER_CHAIN_ENDS: [&[u8]; 11] = [
    b";", b",", b"{", b"=", b"<", b">", b"in", b"has", b"like", b"then", b"else",
];

/// The first limit that a text exceeds.
pub(super) fn check(label: &str, text: &Arc<str>) -> Option<SourceDiagnostic> {
    let (at, limit) = ComplexityScanner::default().first_violation(text)?;
    let (message, help) = match limit {
        ComplexityLimit::Nesting => (
            format!("brackets nest deeper than {MAX_NESTING_DEPTH}"),
            "simplify it, or split it into several policies",
        ),
        ComplexityLimit::Operators => (
            format!("more than {MAX_OPERATORS} operators since the last semicolon"),
            "split it into several policies, or test with `contains` whether a set has a value",
        ),
        ComplexityLimit::Members => (
            format!("more than {MAX_MEMBER_ACCESSES} attributes or calls in a row"),
            "a policy may read only the attributes of the principal and the resource themselves",
        ),
        ComplexityLimit::Ifs => (
            format!("more than {MAX_IFS} times `if` since the last semicolon"),
            "split it into several policies, each with its own condition",
        ),
    };
    Some(SourceDiagnostic::at_span(label, text, at..at + 1, message).with_help(help))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComplexityLimit {
    Nesting,
    Operators,
    Members,
    Ifs,
}

/// The counts since the last semicolon.
#[derive(Default)]
struct ComplexityScanner {
    depth: usize,
    operators: usize,
    members: usize,
    ifs: usize,
    /// The number of open brackets that are those of `Set<`.
    sets: usize,
    is_after_set: bool,
}

impl ComplexityScanner {
    /// The first byte at which a limit is exceeded.
    fn first_violation(mut self, text: &str) -> Option<(usize, ComplexityLimit)> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = token_length(rest);
            if let Some(limit) = rest.get(..length).and_then(|token| self.scan_token(token)) {
                return Some((at, limit));
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
            // Open brackets stay open: the parser reports missing ones.
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

/// The length of the first token of a text: a string, a comment, a word, or one byte.
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
    use crate::policy::tests::fixtures::{ADA, bundle, decide, folder, problem_lines, signed_in};

    fn policy(condition: &str) -> String {
        format!(
            "@id(\"a\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource is Dataset)\n\
             when {{ {condition} }};\n"
        )
    }

    /// Every way to nest, as deep as allowed, with `inner` innermost.
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

    /// A test has the stack of a blocking thread of the server, and a debug build uses most of it.
    #[test]
    fn policies_within_the_limits_are_validated_on_a_small_stack() {
        for condition in nested("resource.titel == \"x\"") {
            let folder = folder(&[("a.cedar", &policy(&condition))]);
            let check = PolicyCheck::run(PolicyFolder::load(folder.path())).unwrap();
            let messages = check.problems.iter().map(SourceDiagnostic::message);
            let lines: Vec<&str> = messages.collect();
            assert!(
                lines.iter().any(|message| message.contains("titel")),
                "{condition:.60}: {lines:?}"
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

    /// The innermost expression must be evaluated without running short of stack.
    #[test]
    fn policies_within_the_limits_can_be_decided() {
        let decide_all = || {
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
        thread.spawn(decide_all).unwrap().join().unwrap();
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
            ("if true then ".repeat(MAX_IFS + 1), "times `if`"),
        ] {
            let lines = problem_lines(&folder(&[("a.cedar", &policy(&condition))]));
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(
                lines[0].starts_with("a.cedar:3:") && lines[0].contains(message),
                "{lines:?}"
            );
        }
        let schema = include_str!("../../policies/schema.cedarschema");
        let nested = format!(
            "type Deep = {}Long{};\n",
            "Set<".repeat(50_000),
            ">".repeat(50_000)
        );
        let lines = problem_lines(&folder(&[
            ("a.cedar", &policy("true")),
            ("schema.cedarschema", &(nested + schema)),
        ]));
        assert!(lines[0].starts_with("schema.cedarschema:1:"), "{lines:?}");
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
