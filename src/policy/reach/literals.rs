//! Literals that no request has: words, ids and addresses that Cedargate never gives policies to compare with.
//!
//! - `context.authentication`: one of the words of [`Authentication`] but the command line's.
//! - `context.key.actions`: words of [`Action`]. `context.key.datasets`: UUIDs in lower case with hyphens.
//! - `context.address`: one address, IPv4 where it is one, never a range and never IPv4 in IPv6.

use std::net::IpAddr;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};
use cedar_policy_core::parser::Loc;
use ipnet::IpNet;
use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::id::DatasetId;
use crate::domain::suggest::closest;
use crate::domain::text_enum::TextEnum;

use super::unreachable_part::UnreachablePart;

/// An expression that Cedargate gives certain texts only.
#[derive(Clone, Copy)]
enum KnownTexts {
    Authentication,
    KeyActions,
    KeyDatasets,
}

/// The literals of a condition that no request has.
pub(super) fn findings(condition: &Expr) -> Vec<UnreachablePart> {
    let mut found = Vec::new();
    for expression in condition.subexpressions() {
        match expression.expr_kind() {
            ExprKind::BinaryApp {
                op:
                    op @ (BinaryOp::Eq
                    | BinaryOp::Contains
                    | BinaryOp::ContainsAll
                    | BinaryOp::ContainsAny),
                arg1,
                arg2,
            } => {
                found.extend(unknown_texts(arg1, arg2));
                if *op == BinaryOp::Eq {
                    found.extend(equal_to_range(arg1, arg2));
                }
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

fn unknown_texts(one: &Expr, other: &Expr) -> Vec<UnreachablePart> {
    let pairs = [(one, other), (other, one)];
    let known = pairs
        .into_iter()
        .find_map(|(known, texts)| Some((known_texts(known)?, texts)));
    let Some((known, texts)) = known else {
        return Vec::new();
    };
    string_literals(texts)
        .filter_map(|(text, location)| known.check(text, location))
        .collect()
}

impl KnownTexts {
    fn check(self, text: &str, location: Option<&Loc>) -> Option<UnreachablePart> {
        let words: Vec<&str> = match self {
            Self::Authentication => Authentication::VARIANTS
                .iter()
                .copied()
                .filter(|word| *word != Authentication::CommandLine.as_str())
                .collect(),
            Self::KeyActions => Action::VARIANTS.to_vec(),
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
            Self::Authentication => "`context.authentication` is never",
            Self::KeyActions | Self::KeyDatasets => "no API key has the action",
        };
        let help = match closest(&text.to_ascii_lowercase(), words.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it is one of {}", words.join(", ")),
        };
        Some(UnreachablePart::new(location, format!("{what} {text:?}")).with_help(help))
    }
}

/// Which texts an expression can have, if they are known.
fn known_texts(expression: &Expr) -> Option<KnownTexts> {
    let ExprKind::GetAttr { expr, attr } = expression.expr_kind() else {
        return None;
    };
    let is_context = |part: &Expr| matches!(part.expr_kind(), ExprKind::Var(Var::Context));
    let is_key = |part: &Expr| matches!(part.expr_kind(), ExprKind::GetAttr { expr, attr } if attr == "key" && is_context(expr));
    match attr.as_str() {
        "authentication" if is_context(expr) => Some(KnownTexts::Authentication),
        "actions" if is_key(expr) => Some(KnownTexts::KeyActions),
        "datasets" if is_key(expr) => Some(KnownTexts::KeyDatasets),
        _ => None,
    }
}

/// The string literals of an expression: itself, or the elements of a set.
pub(in crate::policy) fn string_literals(
    expression: &Expr,
) -> impl Iterator<Item = (&str, Option<&Loc>)> {
    let elements: Vec<&Expr> = match expression.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![expression],
    };
    elements
        .into_iter()
        .filter_map(|element| match element.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => Some((text.as_str(), element.source_loc())),
            _ => None,
        })
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
    if address.to_canonical() != address {
        let reason =
            format!("no client has an address like {text}: IPv4 addresses are written as such");
        let finding = UnreachablePart::new(location, reason);
        return Some(finding.with_help(format!("write \"{}\"", address.to_canonical())));
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
