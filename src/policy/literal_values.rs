//! The values of literals: of times, durations and networks, as policies and the catalog write them.

use cedar_policy::{Entities, EntityUid, EvalResult, Expression, Request, eval_expression};
use ipnet::IpNet;

/// The most literals of a kind.
pub(super) const MAX_LITERALS: usize = 1_000;

/// Adds what is not there yet; whether something is left out because there are too many.
pub(super) fn push_all<T: PartialEq>(all: &mut Vec<T>, more: impl IntoIterator<Item = T>) -> bool {
    let mut is_cut = false;
    for one in more {
        if all.contains(&one) {
            continue;
        }
        if all.len() < MAX_LITERALS {
            all.push(one);
        } else {
            is_cut = true;
        }
    }
    is_cut
}

/// The first whole second that is not before a time in milliseconds.
pub(super) fn whole_seconds(milliseconds: i64) -> i64 {
    let second = milliseconds.div_euclid(1_000);
    second + i64::from(milliseconds.rem_euclid(1_000) > 0)
}

pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok();
    network.or_else(|| Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?)))
}

pub(super) fn milliseconds_of_datetime(text: &str) -> Option<i64> {
    evaluate_number(&format!(
        "datetime({text:?}).durationSince(datetime(\"1970-01-01\")).toMilliseconds()"
    ))
}

pub(super) fn milliseconds_of_duration(text: &str) -> Option<i64> {
    evaluate_number(&format!("duration({text:?}).toMilliseconds()"))
}

/// The value of a Cedar expression about no request, so that Cedar reads its own literals.
fn evaluate_number(expression: &str) -> Option<i64> {
    let expression: Expression = expression.parse().ok()?;
    let nobody: EntityUid = "Nobody::\"\"".parse().ok()?;
    let context = cedar_policy::Context::empty();
    let request = Request::new(nobody.clone(), nobody.clone(), nobody, context, None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(number)) => Some(number),
        Ok(_) | Err(_) => None,
    }
}
