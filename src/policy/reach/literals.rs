//! Literals that no request has: words, ids and addresses that Cedargate never gives policies to compare with.
//!
//! - `context.authentication`: one of the words of [`Authentication`] but the command line's, and `none` for
//!   anonymous principals alone. As texts in a schema of old, as entities of an enumeration today.
//! - `issuer`: a URL; which ones there are is up to the settings.
//! - `username`: patterns of `like` are in the normal form of names, too.
//! - `context.key.actions`: words of `Action`. `context.key.datasets`: UUIDs in lower case with hyphens.
//! - `context.address`: one address, IPv4 where it is one, never a range and never IPv4 in IPv6.

use std::net::IpAddr;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, PatternElem, Var};
use cedar_policy_core::parser::Loc;
use ipnet::IpNet;

use crate::domain::caller::Authentication;
use crate::domain::id::DatasetId;
use crate::domain::name::may_be_in_names;
use crate::domain::normal_form::normalize_name;
use crate::domain::suggest::closest;
use crate::domain::text_enum::TextEnum;

use crate::policy::enumerations::Enumeration;

use super::scope::ScopeTypes;
use super::unreachable_part::UnreachablePart;

/// The prefix of IPv4 addresses in IPv6, in bits.
const MAPPED_PREFIX_LENGTH: u8 = 96;

/// An expression that Cedargate gives certain words or texts only.
#[derive(Clone, Copy)]
enum KnownTexts {
    Authentication,
    KeyActions,
    KeyDatasets,
    Issuer,
}

/// The literals of a condition that no request has.
pub(super) fn findings(condition: &Expr, scope: &ScopeTypes) -> Vec<UnreachablePart> {
    let mut found = Vec::new();
    for expression in condition.subexpressions() {
        match expression.expr_kind() {
            ExprKind::BinaryApp {
                op:
                    op @ (BinaryOp::Eq
                    | BinaryOp::In
                    | BinaryOp::Contains
                    | BinaryOp::ContainsAll
                    | BinaryOp::ContainsAny),
                arg1,
                arg2,
            } => {
                found.extend(unknown_texts(arg1, arg2, scope));
                if *op == BinaryOp::Eq {
                    found.extend(equal_to_range(arg1, arg2));
                }
                if let (BinaryOp::Contains, ExprKind::Set(elements)) = (op, arg1.expr_kind()) {
                    let ranges = elements.iter();
                    found.extend(ranges.filter_map(|range| equal_to_range(range, arg2)));
                }
            }
            ExprKind::Like { expr, pattern } => {
                found.extend(unmatched_pattern(expression, expr, pattern, scope));
                found.extend(sql_pattern(expression, pattern));
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                match (fn_name.to_string().as_str(), args.as_slice()) {
                    ("isInRange", [range, address])
                        if is_address(address) && as_ip(range).is_some() =>
                    {
                        found.push(swapped_range(expression, range));
                    }
                    ("ip", [text]) => found.extend(unusual_range(text)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether `context.authentication` is this word in some request.
fn is_of_a_caller(word: &str) -> bool {
    Enumeration::Authentication.words().contains(&word)
}

/// The words of `context.authentication` for the principals of a scope.
fn authentication_words(scope: &ScopeTypes) -> Vec<&'static str> {
    let has = |kind: &str| scope.principals.iter().any(|name| name.to_string() == kind);
    let (has_users, has_anonymous) = (has("User"), has("Anonymous"));
    let is_given = |word: &&str| {
        if *word == Authentication::None.as_str() {
            has_anonymous || !has_users
        } else {
            has_users || !has_anonymous
        }
    };
    let words = Enumeration::Authentication.words().into_iter();
    words.filter(is_given).collect()
}

/// A pattern of `like` that nothing matches which Cedargate gives.
fn unmatched_pattern(
    like: &Expr,
    expression: &Expr,
    pattern: &Pattern,
    scope: &ScopeTypes,
) -> Option<UnreachablePart> {
    if let Some(KnownTexts::Authentication) = known_texts(expression, scope) {
        let words = authentication_words(scope);
        let is_matched = words.iter().any(|word| pattern.wildcard_match(word));
        return (!is_matched).then(|| {
            let reason = format!("`context.authentication` is never like \"{pattern}\"");
            let help = format!("it is one of {}", words.join(", "));
            UnreachablePart::new(like.source_loc(), reason).with_help(help)
        });
    }
    if !is_username(expression, scope) {
        return None;
    }
    // What is between the wildcards, in normal form.
    let mut kept: Vec<PatternElem> = Vec::new();
    for part in pattern
        .get_elems()
        .split_inclusive(|part| *part == PatternElem::Wildcard)
    {
        let is_wildcard = |part: &&PatternElem| **part == PatternElem::Wildcard;
        let text = part.iter().filter_map(|part| match part {
            PatternElem::Char(character) => Some(*character),
            PatternElem::Wildcard => None,
        });
        let text = normalize_name(&text.collect::<String>());
        kept.extend(text.chars().map(PatternElem::Char));
        kept.extend(part.last().filter(is_wildcard).copied());
    }
    let finding = |why: &str| {
        let reason = format!("no user name is like \"{pattern}\": {why}");
        UnreachablePart::new(like.source_loc(), reason)
    };
    let is_strange = |part: &PatternElem| match part {
        PatternElem::Char(character) => !may_be_in_names(*character),
        PatternElem::Wildcard => false,
    };
    if kept.iter().any(is_strange) {
        return Some(finding("names have letters, digits and . _ - @ only"));
    }
    // How a small sigma is written depends on what the wildcards stand for.
    let is_sigma = |part: &PatternElem| matches!(part, PatternElem::Char('σ' | 'ς'));
    let elements = pattern.get_elems();
    let is_kept = kept.len() == elements.len()
        && kept
            .iter()
            .zip(elements)
            .all(|(one, other)| one == other || (is_sigma(one) && is_sigma(other)));
    (!is_kept).then(|| {
        let kept = Pattern::from(kept);
        finding("names are kept in lower case").with_help(format!("write \"{kept}\""))
    })
}

/// A pattern of SQL, where `%` stands for any text.
fn sql_pattern(like: &Expr, pattern: &Pattern) -> Option<UnreachablePart> {
    let elements = pattern.get_elems();
    let has_wildcard = elements.contains(&PatternElem::Wildcard);
    let is_sql = |part: Option<&PatternElem>| part == Some(&PatternElem::Char('%'));
    if has_wildcard || !(is_sql(elements.first()) || is_sql(elements.last())) {
        return None;
    }
    let meant: String = pattern.to_string().replace('%', "*");
    let reason = format!("`like \"{pattern}\"` matches `%` itself: only `*` stands for any text");
    let finding = UnreachablePart::new(like.source_loc(), reason);
    Some(finding.with_help(format!("write `like \"{meant}\"`")))
}

/// `principal.username` or `resource.username` of a user.
fn is_username(expression: &Expr, scope: &ScopeTypes) -> bool {
    matches!(expression.expr_kind(), ExprKind::GetAttr { expr, attr }
        if attr == "username" && scope.may_be_user(expr))
}

fn unknown_texts(one: &Expr, other: &Expr, scope: &ScopeTypes) -> Vec<UnreachablePart> {
    let pairs = [(one, other), (other, one)];
    let known = pairs
        .into_iter()
        .find_map(|(known, texts)| Some((known_texts(known, scope)?, texts)));
    let Some((known, texts)) = known else {
        return Vec::new();
    };
    string_literals(texts)
        .chain(known.entity_literals(texts))
        .filter_map(|(text, location)| known.check(text, location, scope))
        .collect()
}

impl KnownTexts {
    /// The words of the entities of an expression, if a schema declares the words as entities.
    fn entity_literals(self, expression: &Expr) -> impl Iterator<Item = (&str, Option<&Loc>)> {
        let enumeration = match self {
            Self::Authentication => Some(Enumeration::Authentication),
            Self::KeyActions => Some(Enumeration::KeyAction),
            Self::KeyDatasets | Self::Issuer => None,
        };
        elements(expression)
            .into_iter()
            .filter_map(move |element| match element.expr_kind() {
                ExprKind::Lit(Literal::EntityUID(uid)) => {
                    Some((enumeration?.word_of(uid)?, element.source_loc()))
                }
                _ => None,
            })
    }

    fn check(
        self,
        text: &str,
        location: Option<&Loc>,
        scope: &ScopeTypes,
    ) -> Option<UnreachablePart> {
        let words: Vec<&str> = match self {
            Self::Authentication => authentication_words(scope),
            Self::KeyActions => Enumeration::KeyAction.words(),
            Self::Issuer => {
                if text.starts_with("https://") || text.starts_with("http://") {
                    return None;
                }
                let reason = format!("no user has the issuer {text:?}");
                let help =
                    "an issuer is the URL of an identity provider, as in the setting `issuers`";
                return Some(UnreachablePart::new(location, reason).with_help(help));
            }
            Self::KeyDatasets => {
                let id = text.parse::<DatasetId>().ok();
                let written = id.map(|id| id.to_string());
                if written.as_deref() == Some(text) {
                    return None;
                }
                let reason = format!("no API key has the dataset {text:?}");
                let finding = UnreachablePart::new(location, reason);
                return Some(finding.with_help(match written {
                    Some(id) => format!("did you mean {id:?}?"),
                    None => "the id of a dataset is its UUID in lower case".to_owned(),
                }));
            }
        };
        if words.contains(&text) {
            return None;
        }
        let what = match self {
            Self::Authentication if is_of_a_caller(text) => {
                "with the principals of the scope, `context.authentication` is never"
            }
            Self::Authentication => "`context.authentication` is never",
            Self::KeyActions | Self::KeyDatasets | Self::Issuer => "no API key has the action",
        };
        let help = match closest(&text.to_ascii_lowercase(), words.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it is one of {}", words.join(", ")),
        };
        Some(UnreachablePart::new(location, format!("{what} {text:?}")).with_help(help))
    }
}

/// Which texts an expression can have, if they are known.
fn known_texts(expression: &Expr, scope: &ScopeTypes) -> Option<KnownTexts> {
    match Enumeration::of_expression(expression) {
        Some(Enumeration::Authentication) => return Some(KnownTexts::Authentication),
        Some(Enumeration::KeyAction) => return Some(KnownTexts::KeyActions),
        // Cedar's validator knows these.
        Some(Enumeration::Visibility | Enumeration::RecordStatus) => return None,
        None => {}
    }
    let ExprKind::GetAttr { expr, attr } = expression.expr_kind() else {
        return None;
    };
    let is_context = |part: &Expr| matches!(part.expr_kind(), ExprKind::Var(Var::Context));
    let is_key = matches!(expr.expr_kind(), ExprKind::GetAttr { expr, attr } if attr == "key" && is_context(expr));
    if attr == "issuer" && scope.may_be_user(expr) {
        return Some(KnownTexts::Issuer);
    }
    (attr == "datasets" && is_key).then_some(KnownTexts::KeyDatasets)
}

/// The string literals of an expression: itself, or the elements of a set.
pub(in crate::policy) fn string_literals(
    expression: &Expr,
) -> impl Iterator<Item = (&str, Option<&Loc>)> {
    elements(expression)
        .into_iter()
        .filter_map(|element| match element.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => Some((text.as_str(), element.source_loc())),
            _ => None,
        })
}

/// The elements of a set, or the expression itself.
fn elements(expression: &Expr) -> Vec<&Expr> {
    match expression.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![expression],
    }
}

fn is_address(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::GetAttr { expr, attr }
        if attr == "address" && matches!(expr.expr_kind(), ExprKind::Var(Var::Context)))
}

/// The text of `ip("...")`.
fn as_ip(expression: &Expr) -> Option<&str> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    match args.as_slice() {
        [text] if fn_name.to_string() == "ip" => string_literals(text).next().map(|found| found.0),
        _ => None,
    }
}

/// `context.address == ip("192.0.2.0/24")`.
fn equal_to_range(one: &Expr, other: &Expr) -> Option<UnreachablePart> {
    let pairs = [(one, other), (other, one)];
    let (_, range) = pairs.into_iter().find(|(address, _)| is_address(address))?;
    let text = as_ip(range)?;
    let network: IpNet = text.parse().ok()?;
    (network.prefix_len() < network.max_prefix_len()).then(|| {
        let reason = format!("`context.address` is one address and never equals the range {text}");
        UnreachablePart::new(range.source_loc(), reason)
            .with_help(format!("write `context.address.isInRange(ip({text:?}))`"))
    })
}

/// `ip("192.0.2.0/24").isInRange(context.address)`.
fn swapped_range(expression: &Expr, range: &Expr) -> UnreachablePart {
    let text = as_ip(range).unwrap_or_default();
    let reason = format!("{text} is asked to be in the range of one address");
    UnreachablePart::new(expression.source_loc(), reason)
        .with_help(format!("write `context.address.isInRange(ip({text:?}))`"))
}

/// A range with more bits than its prefix, or of IPv4 addresses written as IPv6.
fn unusual_range(argument: &Expr) -> Option<UnreachablePart> {
    let (text, location) = string_literals(argument).next()?;
    let address: IpAddr = match text.split_once('/') {
        Some((address, _)) => address.parse().ok()?,
        None => text.parse().ok()?,
    };
    if let Some(meant) = unmapped(text, address) {
        let reason =
            format!("no client has an address like {text}: IPv4 addresses are written as such");
        let finding = UnreachablePart::new(location, reason);
        return Some(finding.with_help(format!("write \"{meant}\"")));
    }
    let network: IpNet = text.parse().ok()?;
    let trunc = network.trunc();
    (trunc != network).then(|| {
        let reason =
            format!("the range {text} is the whole network {trunc}, not the address alone");
        let help = format!("write \"{trunc}\" for the network, or \"{address}\" for the address");
        UnreachablePart::new(location, reason).with_help(help)
    })
}

/// IPv4 addresses in IPv6 (RFC 4291 section 2.5.5.2), as IPv4; `None` for a range that holds others too.
fn unmapped(text: &str, address: IpAddr) -> Option<String> {
    let canonical = address.to_canonical();
    let network = text.parse::<IpNet>().ok();
    match network.map(|network| network.prefix_len().checked_sub(MAPPED_PREFIX_LENGTH)) {
        _ if canonical == address => None,
        None => Some(canonical.to_string()),
        Some(prefix) => prefix.map(|prefix| format!("{canonical}/{prefix}")),
    }
}
