//! The literals that conditions compare the context with: networks, times, times of day, and how callers authenticate.
//!
//! A decision can change only where a request crosses one of them, so whoever wants to know everything that policies
//! may answer asks on both sides of each. What is computed from several literals (`datetime("2026-01-01").offset(
//! duration("30d"))`) is found as far as one comparison says it ([`super::time_comparisons`]); a literal of an unknown
//! form is none.

use cedar_policy::Policy;
use cedar_policy_core::ast::{Expr, ExprKind, Var};
use ipnet::IpNet;

use super::address::{ADDRESS, NETWORKS, context_attribute};
use super::key_literals::KeyLiterals;
use super::literal_values::{milliseconds_of_datetime, parse_network, push_all, whole_seconds};
use super::reach::string_literals;
use super::time_comparisons::{ComparedValues, TimeComparison, TimeEdges};

/// The networks that the functions without a network ask for.
const NAMED_NETWORKS: [(&str, &[&str]); 4] = [
    ("isIpv4", &["0.0.0.0/0"]),
    ("isIpv6", &["::/0"]),
    ("isLoopback", &["127.0.0.0/8", "::1/128"]),
    ("isMulticast", &["224.0.0.0/4", "ff00::/8"]),
];
/// What some policies compare the context with, in the order of the policies and without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says of one attribute whether it is read"
)]
pub struct ContextLiterals {
    /// The networks, an address alone with its full length.
    pub networks: Vec<IpNet>,
    /// The times, in seconds since 1970 UTC: the first whole second that is not before the literal.
    pub instants: Vec<i64>,
    /// The times of day, in seconds since midnight UTC.
    pub times_of_day: Vec<i64>,
    /// Whether `context.address` is read.
    pub reads_address: bool,
    /// Whether `context.time` is read.
    pub reads_time: bool,
    /// Whether `context.authentication` is read.
    pub reads_authentication: bool,
    /// The comparisons with `context.time` that read attributes.
    pub(super) time_comparisons: Vec<TimeComparison>,
    /// Whether a time counts by itself, as with `==`, and not what is before and after it alone.
    pub is_time_exact: bool,
    /// What is read of `context.key`.
    pub key: KeyLiterals,
    /// Whether there are more literals than are kept.
    pub is_cut: bool,
}

impl ContextLiterals {
    /// The literals of policies, in their order.
    #[must_use]
    pub fn of_policies<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut literals = Self::default();
        for policy in policies {
            // With the values of its slots, a linked policy is like the others.
            literals.add(&policy.as_ref().condition());
        }
        literals
    }

    /// These literals, and then others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.is_cut |= others.is_cut
            | push_all(&mut self.networks, others.networks)
            | push_all(&mut self.instants, others.instants)
            | push_all(&mut self.times_of_day, others.times_of_day)
            | push_all(&mut self.time_comparisons, others.time_comparisons);
        self.is_time_exact |= others.is_time_exact;
        self.reads_address |= others.reads_address;
        self.reads_time |= others.reads_time;
        self.reads_authentication |= others.reads_authentication;
        self.is_cut |= self.key.add(others.key);
        self
    }

    fn add(&mut self, condition: &Expr) {
        let mut found = ConditionLiterals::default();
        let (mut variables, mut attributes) = (0, 0);
        for expression in condition.subexpressions() {
            if let Some(name) = context_attribute(expression) {
                attributes += 1;
                self.add_attribute(name);
            }
            match expression.expr_kind() {
                ExprKind::Var(Var::Context) => variables += 1,
                ExprKind::ExtensionFunctionApp { fn_name, args } => {
                    found.add_function(&fn_name.to_string(), args);
                }
                _ => {}
            }
        }
        self.is_cut |= push_all(&mut self.networks, found.networks);
        self.is_cut |= push_all(&mut self.instants, found.instants);
        for comparison in TimeComparison::all_of(condition) {
            self.add_comparison(comparison);
        }
        let mut key = KeyLiterals::of_condition(condition);
        // The context as a whole: `context == context`.
        if variables > attributes {
            (self.reads_address, self.reads_time) = (true, true);
            self.reads_authentication = true;
            key = KeyLiterals::EVERYTHING;
            self.is_cut = true;
        }
        self.is_cut |= self.key.add(key);
    }

    fn add_comparison(&mut self, comparison: TimeComparison) {
        self.is_cut |= comparison.is_cut;
        self.is_time_exact |= comparison.is_exact;
        self.add_edges(comparison.edges(&ComparedValues::default()));
        if !comparison.attributes.is_empty() {
            self.is_cut |= push_all(&mut self.time_comparisons, [comparison]);
        }
    }

    /// Adds where the result of a comparison can change.
    pub(super) fn add_edges(&mut self, edges: TimeEdges) {
        self.is_cut |= edges.is_cut
            | push_all(&mut self.instants, edges.instants)
            | push_all(&mut self.times_of_day, edges.times_of_day);
    }

    /// Notes that an attribute of the context is read.
    fn add_attribute(&mut self, name: &str) {
        match name {
            ADDRESS | NETWORKS => self.reads_address = true,
            "time" => self.reads_time = true,
            "authentication" => self.reads_authentication = true,
            _ => {}
        }
    }
}

/// The literals of one policy.
#[derive(Default)]
struct ConditionLiterals {
    networks: Vec<IpNet>,
    /// In seconds.
    instants: Vec<i64>,
}

impl ConditionLiterals {
    fn add_function(&mut self, name: &str, args: &[Expr]) {
        let text = || args.first().and_then(|text| string_literals(text).next());
        match name {
            "ip" => {
                let network = text().and_then(|(text, _)| parse_network(text));
                self.networks.extend(network);
            }
            "datetime" => {
                let moment = text().and_then(|(text, _)| milliseconds_of_datetime(text));
                self.instants.extend(moment.map(whole_seconds));
            }
            _ => {
                let networks = NAMED_NETWORKS.iter().filter(|(of, _)| *of == name);
                let networks = networks.flat_map(|(_, networks)| networks.iter());
                self.networks
                    .extend(networks.filter_map(|text| parse_network(text)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn literals(conditions: &str) -> ContextLiterals {
        let text = format!("permit (principal, action, resource) {conditions};");
        ContextLiterals::of_policies([&Policy::parse(None, text).unwrap()])
    }

    #[test]
    fn networks_are_found_in_whatever_form() {
        let found = literals(
            r#"when { context.address.isInRange(ip("192.0.2.0/24")) || context.address == ip("2001:db8::1") }
            unless { [ip("192.0.2.0/24")].contains(context.address) || context.address.isLoopback() || context.address.isIpv4() }"#,
        );
        let networks = found.networks.iter().map(ToString::to_string);
        let networks: BTreeSet<String> = networks.collect();
        let expected = [
            "0.0.0.0/0",
            "127.0.0.0/8",
            "192.0.2.0/24",
            "2001:db8::1/128",
            "::1/128",
        ];
        assert_eq!(networks, expected.map(str::to_owned).into());
        assert!(found.reads_address && !found.reads_time);
    }

    #[test]
    fn times_are_found_in_whatever_form() {
        let day = |day: i64| 1_767_225_600 + day * 86_400;
        for (condition, instants) in [
            (r#"context.time < datetime("2026-01-02")"#, vec![day(1)]),
            (
                r#"context.time >= datetime("2026-01-01T00:00:00.001Z")"#,
                vec![day(0) + 1],
            ),
            (
                r#"context.time.toDate() == datetime("2026-01-01")"#,
                vec![day(0), day(1)],
            ),
            (
                r#"context.time < datetime("2026-01-02").offset(duration("1d"))"#,
                vec![day(1), day(2), day(0)],
            ),
            (
                r#"context.time.durationSince(datetime("2026-01-02")).toDays() < 1"#,
                vec![day(1), day(2), day(0), day(3), day(-1)],
            ),
            (
                r#"context.time.toDate() < datetime("2026-01-02T12:00:00Z")"#,
                vec![day(1) + 43_200, day(1), day(2)],
            ),
            (
                r#"context.time.offset(duration("5h")).toDate() == datetime("2026-01-02")"#,
                vec![
                    day(1),
                    day(1) + 18_000,
                    day(1) - 18_000,
                    day(2),
                    day(0),
                    day(1) + 36_000,
                    day(2) + 18_000,
                    day(0) + 18_000,
                    day(1) - 36_000,
                    day(2) - 18_000,
                    day(0) - 18_000,
                ],
            ),
        ] {
            let found = literals(&format!("when {{ {condition} }}"));
            assert!(found.reads_time);
            assert_eq!(found.instants, instants, "{condition}");
            assert_eq!(found.times_of_day, Vec::<i64>::new());
        }
    }

    #[test]
    fn times_of_day_are_found_in_whatever_unit() {
        for (condition, times) in [
            (r#"context.time.toTime() >= duration("22h")"#, vec![79_200]),
            (r#"context.time.toTime() < duration("1h30m")"#, vec![5_400]),
            ("context.time.toTime().toHours() == 9", vec![32_400, 36_000]),
            (r#"context.time.toTime() < duration("25h")"#, vec![]),
            // Nine in the morning, an hour east.
            (
                r#"context.time.offset(duration("1h")).toTime() < duration("9h")"#,
                vec![32_400, 0, 36_000, 3_600, 28_800, 82_800],
            ),
            (
                r#"context.time.toTime() < datetime("2026-01-01T09:00:00Z").toTime()"#,
                vec![32_400],
            ),
            (
                r#"context.time < datetime("2026-01-01").offset(duration("9h"))"#,
                vec![],
            ),
        ] {
            let found = literals(&format!("when {{ {condition} }}"));
            assert_eq!(found.times_of_day, times, "{condition}");
        }
    }

    #[test]
    fn a_comparison_that_computes_otherwise_is_said_to_be_cut() {
        for (condition, is_cut) in [
            (r#"context.time < datetime("2026-01-01")"#, false),
            (
                r#"context.time.offset(duration("1h")).offset(duration("1d")) < datetime("2026-01-01")"#,
                false,
            ),
            ("context.time.durationSince(resource.a) < resource.b", false),
            (
                "context.time.durationSince(context.time.toDate()) < resource.a",
                true,
            ),
            (
                "context.time.durationSince(resource.a) < resource.b.durationSince(resource.c)",
                true,
            ),
            (
                "context.time.durationSince(resource.a).toDays() * 2 < 9",
                true,
            ),
            ("context == {time: context.time}", true),
        ] {
            let found = literals(&format!("when {{ {condition} }}"));
            assert_eq!(found.is_cut, is_cut, "{condition}");
        }
    }

    #[test]
    fn a_time_counts_by_itself_if_it_is_neither_before_nor_after() {
        for (condition, is_exact) in [
            ("context.time < resource.a", false),
            ("context.time >= resource.a", false),
            ("context.time <= resource.a", true),
            ("resource.a < context.time", true),
            ("resource.a <= context.time", false),
            ("context.time == resource.a", true),
            ("[resource.a].contains(context.time)", true),
            (
                r#"resource.a.durationSince(context.time) < duration("1d")"#,
                true,
            ),
            ("context.time.durationSince(resource.a).toDays() < 2", true),
            (r#"context.time.toTime() <= duration("9h")"#, false),
        ] {
            let found = literals(&format!("when {{ {condition} }}"));
            assert_eq!(found.is_time_exact, is_exact, "{condition}");
        }
    }

    #[test]
    fn what_is_read_of_the_caller_is_found() {
        let found = literals(r#"unless { context.authentication == Authentication::"password" }"#);
        assert!(found.reads_authentication && !found.key.is_read);
        assert!(literals("when { context has key }").key.is_read);
        assert_eq!(
            literals(r#"when { resource.title == "x" }"#),
            ContextLiterals::default()
        );
    }
}
