//! The comparisons that `context.time` takes part in, and the times at which their results can change.
//!
//! Cedar computes with times in few ways: `offset` moves one, `durationSince` takes the span between two, `toDate` and
//! `toTime` leave the day or the time of day, and `toHours` and others count a span. So a result can change only at a
//! time that is compared with, moved by spans of the same comparison. A comparison that computes in another way says
//! that it is cut.

use std::collections::{BTreeSet, HashSet};

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};

use super::address::context_attribute;
use super::literal_values::{
    MAX_LITERALS, milliseconds_of_datetime, milliseconds_of_duration, whole_seconds,
};
use super::reach::string_literals;

/// The milliseconds of a day.
const DAY: i64 = 86_400_000;
/// The functions that turn a duration into a number, and the milliseconds of one.
const UNITS: [(&str, i64); 5] = [
    ("toDays", DAY),
    ("toHours", 3_600_000),
    ("toMinutes", 60_000),
    ("toSeconds", 1_000),
    ("toMilliseconds", 1),
];
/// How often a time may be moved in one comparison.
const MAX_MOVES: usize = 3;

/// What one comparison with `context.time` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is written, or not, without the others"
)]
pub(super) struct TimeComparison {
    /// The attributes that it reads, by name.
    pub(super) attributes: BTreeSet<String>,
    /// Whether it says something of a single time, as `==` and `<=` do, and not of what is before and after it alone.
    pub(super) is_exact: bool,
    /// Whether its result may change elsewhere, too.
    pub(super) is_cut: bool,
    /// The times, and the spans that times are moved by and that others are compared with, in milliseconds.
    datetimes: Vec<i64>,
    moves: Vec<i64>,
    spans: Vec<i64>,
    /// The numbers, and the milliseconds of the units that are counted.
    numbers: Vec<i64>,
    units: Vec<i64>,
    /// How many times are moved, and how many spans between times are taken.
    moved: usize,
    distances: usize,
    /// Whether days, times of day, and times of day of other times are compared.
    has_date: bool,
    is_of_day: bool,
    has_other_time_of_day: bool,
    /// How often `context.time` is read.
    reads: usize,
    has_arithmetic: bool,
    is_reversed: bool,
}

/// The values of attributes that a comparison reads, in milliseconds or as they are.
#[derive(Debug, Default)]
pub(super) struct ComparedValues {
    pub(super) datetimes: Vec<i64>,
    pub(super) spans: Vec<i64>,
    pub(super) numbers: Vec<i64>,
}

/// Where the result of a comparison can change: times in seconds since 1970 UTC, and times of a day.
#[derive(Debug, Default)]
pub(super) struct TimeEdges {
    pub(super) instants: Vec<i64>,
    pub(super) times_of_day: Vec<i64>,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

impl TimeComparison {
    /// The comparisons of a condition that `context.time` takes part in.
    pub(super) fn all_of(condition: &Expr) -> impl Iterator<Item = Self> {
        condition.subexpressions().filter_map(Self::of)
    }

    fn of(expression: &Expr) -> Option<Self> {
        let (operator, left, right) = compared(expression)?;
        let mut found = Self::default();
        found.gather(left, false);
        let of_left = found.reads;
        found.gather(right, false);
        if found.reads == 0 {
            return None;
        }
        let is_open = match operator {
            BinaryOp::Less => of_left > 0,
            BinaryOp::LessEq => of_left == 0,
            _ => false,
        };
        let has_units = !found.units.is_empty();
        found.is_exact = !found.is_of_day && (!is_open || found.is_reversed || has_units);
        found.is_cut |= found.reads > 1
            || found.distances > 1
            || found.moved > MAX_MOVES
            || (has_units && found.has_arithmetic);
        // What is past of a day: `context.time.durationSince(context.time.toDate())`.
        found.is_of_day |= found.reads > 1 && found.has_date;
        Some(found)
    }

    /// Collects what an operand computes with; `is_move` in the second argument of `offset`.
    fn gather(&mut self, operand: &Expr, is_move: bool) {
        if let Some(name) = context_attribute(operand) {
            self.reads += usize::from(name == "time");
            return;
        }
        match operand.expr_kind() {
            ExprKind::Lit(Literal::Long(number)) => self.numbers.push(*number),
            ExprKind::GetAttr { expr, attr } => {
                self.attributes.insert(attr.to_string());
                self.gather(expr, is_move);
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                self.gather_function(&fn_name.to_string(), args, is_move);
            }
            // Whether it holds is another comparison.
            ExprKind::If {
                then_expr,
                else_expr,
                ..
            } => {
                self.gather(then_expr, is_move);
                self.gather(else_expr, is_move);
            }
            ExprKind::BinaryApp { op, arg1, arg2 } if is_arithmetic(*op) => {
                self.has_arithmetic = true;
                self.gather(arg1, is_move);
                self.gather(arg2, is_move);
            }
            ExprKind::UnaryApp { arg, .. } => self.gather(arg, is_move),
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.gather(left, is_move);
                self.gather(right, is_move);
            }
            ExprKind::Set(elements) => elements.iter().for_each(|one| self.gather(one, is_move)),
            ExprKind::Record(members) => {
                members.values().for_each(|one| self.gather(one, is_move));
            }
            ExprKind::Var(Var::Context) => self.is_cut = true,
            _ => {}
        }
    }

    fn gather_function(&mut self, name: &str, args: &[Expr], is_move: bool) {
        let text = || Some(string_literals(args.first()?).next()?.0);
        match name {
            "datetime" => {
                let found = text().and_then(milliseconds_of_datetime);
                return self.datetimes.extend(found);
            }
            "duration" => {
                let found = text().and_then(milliseconds_of_duration);
                let spans = if is_move {
                    &mut self.moves
                } else {
                    &mut self.spans
                };
                return spans.extend(found);
            }
            _ => {}
        }
        let before = self.reads;
        for (place, argument) in args.iter().enumerate() {
            let reads = self.reads;
            self.gather(argument, is_move || (name == "offset" && place == 1));
            self.is_reversed |= name == "durationSince" && place == 1 && self.reads > reads;
        }
        let is_of_now = self.reads > before;
        match name {
            "offset" => self.moved += 1,
            "durationSince" => {
                self.distances += 1;
                // A span between other times.
                self.is_cut |= !is_of_now;
            }
            "toDate" => self.has_date = true,
            "toTime" if is_of_now => self.is_of_day = true,
            "toTime" => self.has_other_time_of_day = true,
            _ => {
                let units = UNITS.iter().filter(|(of, _)| *of == name);
                self.units.extend(units.map(|(_, unit)| *unit));
            }
        }
    }

    /// Whether numbers of attributes are spans.
    pub(super) fn counts(&self) -> bool {
        !self.units.is_empty()
    }

    /// Where the result can change, with these values of attributes.
    pub(super) fn edges(&self, values: &ComparedValues) -> TimeEdges {
        let spans = self.all_spans(values);
        let moves: Vec<i64> = self.moves.iter().chain(&values.spans).copied().collect();
        let mut times = Distinct::default();
        times.extend(self.datetimes.iter().chain(&values.datetimes).copied());
        times.shift(&moves, self.moved);
        let mut edges = TimeEdges::default();
        if self.is_of_day {
            let mut of_day = Distinct::default();
            if self.has_other_time_of_day {
                of_day.extend(times.all.iter().map(|time| time.rem_euclid(DAY)));
            }
            of_day.extend(spans.iter().copied().filter(|span| (0..DAY).contains(span)));
            if self.moved > 0 {
                of_day.extend([0]);
                of_day.shift(&moves, self.moved);
            }
            let times = of_day.all.iter().map(|time| time.rem_euclid(DAY));
            let times = times.map(whole_seconds);
            edges.times_of_day = times.filter(|second| *second < DAY / 1_000).collect();
            edges.is_cut |= of_day.is_cut;
        }
        if !self.is_of_day || self.reads > 1 {
            if self.has_date {
                times.cut_to_days();
            }
            if self.distances > 0 {
                times.shift(&spans, self.distances);
                if self.has_date {
                    times.cut_to_days();
                }
            }
            if self.has_date {
                times.shift(&moves, self.moved);
            }
            edges.instants = times.all.into_iter().map(whole_seconds).collect();
        }
        edges.is_cut |= times.is_cut;
        edges
    }

    /// The spans that are compared with: what is counted begins and ends at whole units.
    fn all_spans(&self, values: &ComparedValues) -> Vec<i64> {
        let plain: Vec<i64> = self.spans.iter().chain(&values.spans).copied().collect();
        let mut all = Distinct::default();
        all.extend(plain.iter().copied());
        for unit in &self.units {
            let numbers = self.numbers.iter().chain(&values.numbers).copied();
            let rounded = plain.iter().map(|span| span / unit);
            for number in numbers.chain(rounded) {
                // Cedar rounds towards zero.
                let next = number.checked_add(if number < 0 { -1 } else { 1 });
                let ends = [Some(number), next].into_iter().flatten();
                all.extend(ends.filter_map(|end| end.checked_mul(*unit)));
            }
        }
        all.all
    }
}

/// The operands of a comparison.
fn compared(expression: &Expr) -> Option<(BinaryOp, &Expr, &Expr)> {
    match expression.expr_kind() {
        ExprKind::BinaryApp { op, arg1, arg2 } if is_comparison(*op) => Some((*op, arg1, arg2)),
        _ => None,
    }
}

fn is_comparison(operator: BinaryOp) -> bool {
    match operator {
        BinaryOp::Eq
        | BinaryOp::Less
        | BinaryOp::LessEq
        | BinaryOp::Contains
        | BinaryOp::ContainsAll
        | BinaryOp::ContainsAny => true,
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::In
        | BinaryOp::GetTag
        | BinaryOp::HasTag => false,
    }
}

fn is_arithmetic(operator: BinaryOp) -> bool {
    matches!(operator, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)
}

/// Numbers without repetitions, in their order and not too many.
#[derive(Default)]
struct Distinct {
    all: Vec<i64>,
    seen: HashSet<i64>,
    is_cut: bool,
}

impl Distinct {
    fn extend(&mut self, more: impl IntoIterator<Item = i64>) {
        for one in more {
            if self.all.len() >= MAX_LITERALS {
                self.is_cut |= !self.seen.contains(&one);
            } else if self.seen.insert(one) {
                self.all.push(one);
            }
        }
    }

    /// Adds what is one of some spans away, several times over.
    fn shift(&mut self, spans: &[i64], times: usize) {
        for _ in 0..times.min(MAX_MOVES) {
            let known = self.all.clone();
            for span in spans {
                if self.is_cut {
                    return;
                }
                self.extend(known.iter().filter_map(|time| time.checked_add(*span)));
                self.extend(known.iter().filter_map(|time| time.checked_sub(*span)));
            }
        }
    }

    /// Adds the beginnings and the ends of the days.
    fn cut_to_days(&mut self) {
        for time in self.all.clone() {
            let midnight = time.div_euclid(DAY) * DAY;
            self.extend(
                [Some(midnight), midnight.checked_add(DAY)]
                    .into_iter()
                    .flatten(),
            );
        }
    }
}
