//! The conditions of an audit search, the indexes that serve them, and the SQL text of both.

use std::fmt::Write;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome};

/// How many parameters a statement has before those of its conditions.
const FIXED_PARAMETERS: usize = 3;

/// An index, and the columns that it has before the id.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: &'static str,
    columns: &'static [&'static str],
}

/// The indexes of the audit records, as the migrations create them.
static INDEXES: [Index; 16] = [
    index("audit_records_by_token", &["jti"]),
    index("audit_records_by_request", &["request_id"]),
    index("audit_records_by_client_request", &["client_request_id"]),
    index("audit_records_by_username", &["username"]),
    index("audit_records_by_asked_principal", &["asked_principal"]),
    index("audit_records_by_asked_resource", &["asked_resource"]),
    index("audit_records_by_user_and_outcome", &["user_id", "outcome"]),
    index("audit_records_by_user_and_event", &["user_id", "event"]),
    index(
        "audit_records_by_dataset_and_outcome",
        &["dataset_id", "outcome"],
    ),
    index(
        "audit_records_by_dataset_and_event",
        &["dataset_id", "event"],
    ),
    index("audit_records_by_resource_user", &["resource_user_id"]),
    index("audit_records_by_user", &["user_id"]),
    index("audit_records_by_dataset", &["dataset_id"]),
    index("audit_records_by_action", &["action"]),
    index("audit_records_by_event", &["event"]),
    index("audit_records_by_outcome", &["outcome"]),
];

const fn index(name: &'static str, columns: &'static [&'static str]) -> Index {
    Index { name, columns }
}

/// A value that is bound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument<'a> {
    Id(Uuid),
    Text(&'a str),
}

/// One condition.
struct Condition<'a> {
    column: &'static str,
    test: Test<'a>,
    /// Whether an index has the records that meet it.
    is_indexed: bool,
}

enum Test<'a> {
    Equals(Argument<'a>),
    /// The name of an enum variant. It is written into the statement and not bound, because a partial index is
    /// used only if its condition is in the statement.
    Literal(String),
}

/// The conditions of a filter, except its times.
pub(super) struct Conditions<'a>(Vec<Condition<'a>>);

/// SQL with the arguments of its conditions.
pub(super) struct Statement<'a> {
    pub(super) sql: String,
    pub(super) arguments: Vec<Argument<'a>>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(filter: &'a AuditFilter) -> Self {
        let id = |column, id: Option<Uuid>| Some((column, Argument::Id(id?)));
        let text =
            |column, text: &'a Option<String>| Some((column, Argument::Text(text.as_deref()?)));
        let equalities = [
            id("jti", filter.jti.map(|id| id.0)),
            text("request_id", &filter.request_id),
            text("client_request_id", &filter.client_request_id),
            text("asked_principal", &filter.asked_principal),
            text("asked_resource", &filter.asked_resource),
            text("username", &filter.username),
            id("user_id", filter.user_id.map(|id| id.0)),
            id("dataset_id", filter.dataset_id.map(|id| id.0)),
            id("resource_user_id", filter.resource_user_id.map(|id| id.0)),
        ];
        let equal = equalities
            .into_iter()
            .flatten()
            .map(|(column, argument)| Condition {
                column,
                test: Test::Equals(argument),
                is_indexed: true,
            });
        let literals = [
            filter.outcome.map(outcome),
            filter.event.map(event),
            filter.action.map(action),
        ];
        Self(equal.chain(literals.into_iter().flatten()).collect())
    }

    /// The indexes that can serve the search, without those that another one serves better.
    pub(super) fn indexes(&self) -> Vec<&'static Index> {
        let is_indexed = |column: &&'static str| {
            let mut conditions = self.0.iter();
            conditions.any(|condition| condition.column == *column && condition.is_indexed)
        };
        let usable: Vec<&'static Index> = INDEXES
            .iter()
            .filter(|index| index.columns.iter().all(is_indexed))
            .collect();
        let is_inside = |index: &Index, other: &Index| {
            index.columns.len() < other.columns.len()
                && index.columns.iter().all(|c| other.columns.contains(c))
        };
        let is_best = |index: &&&'static Index| !usable.iter().any(|other| is_inside(index, other));
        usable.iter().filter(is_best).copied().collect()
    }

    /// Whether an index has all conditions, so that each record that is walked matches.
    pub(super) fn is_covered_by(&self, index: Option<&Index>) -> bool {
        self.0.iter().all(|condition| is_walked(condition, index))
    }
}

/// Whether a walk through `index` meets only records that match `condition`.
fn is_walked(condition: &Condition<'_>, index: Option<&Index>) -> bool {
    index.is_some_and(|index| condition.is_indexed && index.columns.contains(&condition.column))
}

impl<'a> Statement<'a> {
    pub(super) fn new(sql: String) -> Self {
        Self {
            sql,
            arguments: Vec::new(),
        }
    }

    /// Adds the conditions that `index` serves.
    pub(super) fn push_walked(&mut self, conditions: &Conditions<'a>, index: Option<&Index>) {
        self.push_where(conditions, |condition| is_walked(condition, index));
    }

    /// Adds the conditions that `index` does not serve.
    pub(super) fn push_others(&mut self, conditions: &Conditions<'a>, index: Option<&Index>) {
        self.push_where(conditions, |condition| !is_walked(condition, index));
    }

    fn push_where(
        &mut self,
        conditions: &Conditions<'a>,
        is_meant: impl Fn(&Condition<'a>) -> bool,
    ) {
        for condition in conditions.0.iter().filter(|condition| is_meant(condition)) {
            match &condition.test {
                Test::Equals(argument) => {
                    self.arguments.push(*argument);
                    let parameter = FIXED_PARAMETERS + self.arguments.len();
                    // Writing to a String cannot fail.
                    let _ = write!(self.sql, " AND {} = ${parameter}", condition.column);
                }
                Test::Literal(test) => self.sql.push_str(test),
            }
        }
    }
}

fn outcome(outcome: AuditOutcome) -> Condition<'static> {
    let is_indexed = outcome != AuditOutcome::Granted;
    literal("outcome", &outcome.to_string(), is_indexed, &["granted"])
}

fn event(event: AuditEvent) -> Condition<'static> {
    let is_indexed = !matches!(
        event,
        AuditEvent::Mint | AuditEvent::Download | AuditEvent::Evaluate
    );
    let common = ["mint", "download", "evaluate"];
    literal("event", &event.to_string(), is_indexed, &common)
}

fn action(action: Action) -> Condition<'static> {
    let is_indexed = !matches!(action, Action::Read | Action::Evaluate);
    let common = ["read", "evaluate"];
    literal("action", &action.to_string(), is_indexed, &common)
}

/// A condition on an enum; its index does not have the `common` variants, and is used only if the statement
/// says so too.
fn literal(
    column: &'static str,
    variant: &str,
    is_indexed: bool,
    common: &[&str],
) -> Condition<'static> {
    let mut test = format!(" AND {column} = '{variant}'");
    for variant in common.iter().filter(|_| is_indexed) {
        // Writing to a String cannot fail.
        let _ = write!(test, " AND {column} <> '{variant}'");
    }
    Condition {
        column,
        test: Test::Literal(test),
        is_indexed,
    }
}
