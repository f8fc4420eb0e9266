//! Counts decisions from audit records: over time, by policy, and what was denied.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::domain::audit::AuditOutcome;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::text_enum::TextEnum;
use crate::storage::DecisionRecord;

/// The decisions of one part of the interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageBucket {
    /// When it begins, in milliseconds since 1970 UTC.
    pub start: i64,
    /// How many requests were granted.
    pub granted: u64,
    /// How many the policies denied.
    pub denied: u64,
    /// How many never came to a decision.
    pub failed: u64,
}

/// How often a policy determined a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyUse {
    /// The policy, by `@id`.
    pub id: String,
    /// How many requests it granted.
    pub granted: u64,
    /// How many it denied.
    pub denied: u64,
    /// When it did so last, in milliseconds since 1970 UTC.
    pub last_used: i64,
}

/// Who was denied something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeniedPrincipal {
    /// Somebody who did not sign in.
    Anonymous,
    /// A user.
    User(UserId),
    /// Somebody about whom a service asked, as Cedar writes it.
    Other(String),
}

/// A request that was denied, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRequest {
    /// Who.
    pub principal: DeniedPrincipal,
    /// What.
    pub action: String,
    /// The dataset, if it is one.
    pub dataset_id: Option<DatasetId>,
    /// The resource of a service's question that is no dataset, as Cedar writes it.
    pub resource: Option<String>,
    /// How often.
    pub count: u64,
    /// When last, in milliseconds since 1970 UTC.
    pub last_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct DenialKey {
    principal: DeniedPrincipal,
    action: String,
    dataset_id: Option<DatasetId>,
    resource: Option<String>,
}

#[derive(Default)]
struct Count {
    granted: u64,
    denied: u64,
    last_at: i64,
}

/// Counts records in any order.
pub(super) struct UsageCounter {
    from: i64,
    to: i64,
    records: u64,
    buckets: Vec<UsageBucket>,
    policies: HashMap<String, Count>,
    denials: HashMap<DenialKey, Count>,
}

impl UsageCounter {
    /// Counts nothing yet, in equal parts of an interval.
    pub(super) fn new((from, to): (i64, i64), buckets: u32) -> Self {
        let length = i128::from(to) - i128::from(from);
        let start = |place: u32| {
            let offset = length * i128::from(place) / i128::from(buckets.max(1));
            from.saturating_add(i64::try_from(offset).unwrap_or(i64::MAX))
        };
        let bucket = |place| UsageBucket {
            start: start(place),
            ..UsageBucket::default()
        };
        Self {
            from,
            to,
            records: 0,
            buckets: (0..buckets).map(bucket).collect(),
            policies: HashMap::new(),
            denials: HashMap::new(),
        }
    }

    /// Counts a record.
    pub(super) fn add(&mut self, record: DecisionRecord) {
        if record.unix_millis < self.from || record.unix_millis >= self.to {
            return;
        }
        if record.is_access {
            self.add_to_bucket(&record);
        }
        let requests = record.requests;
        let (granted, denied) = match record.outcome {
            AuditOutcome::Granted => (requests, 0),
            AuditOutcome::Denied => (0, requests),
            // Nothing was decided.
            AuditOutcome::Refused => return,
        };
        for policy in &record.policies {
            let count = match self.policies.get_mut(policy) {
                Some(count) => count,
                None => self.policies.entry(policy.clone()).or_default(),
            };
            count.add((granted, denied), record.unix_millis);
        }
        if denied > 0 && record.is_access {
            let at = record.unix_millis;
            let count = self.denials.entry(DenialKey::of(record)).or_default();
            count.add((granted, denied), at);
        }
    }

    fn add_to_bucket(&mut self, record: &DecisionRecord) {
        self.records += 1;
        let after = self
            .buckets
            .partition_point(|bucket| bucket.start <= record.unix_millis);
        let place = after.checked_sub(1);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            let count = match record.outcome {
                AuditOutcome::Granted => &mut bucket.granted,
                AuditOutcome::Denied => &mut bucket.denied,
                AuditOutcome::Refused => &mut bucket.failed,
            };
            *count = count.saturating_add(record.requests);
        }
    }

    /// How many records of access to data were counted.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Decisions over time.
    pub(super) fn buckets(&self) -> Vec<UsageBucket> {
        self.buckets.clone()
    }

    /// Whether a policy determined a decision.
    pub(super) fn is_used(&self, policy: &str) -> bool {
        self.policies.contains_key(policy)
    }

    /// The policies that determined decisions, those of most decisions first.
    pub(super) fn policies(&self) -> Vec<PolicyUse> {
        let policies = self.policies.iter().map(|(id, count)| PolicyUse {
            id: id.clone(),
            granted: count.granted,
            denied: count.denied,
            last_used: count.last_at,
        });
        let mut policies: Vec<PolicyUse> = policies.collect();
        policies.sort_by(|one, other| {
            let key = |policy: &PolicyUse| Reverse(policy.granted.saturating_add(policy.denied));
            key(one)
                .cmp(&key(other))
                .then_with(|| one.id.cmp(&other.id))
        });
        policies
    }

    /// At most `limit` requests that were denied, the most frequent ones first.
    pub(super) fn denials(&self, limit: usize) -> Vec<DeniedRequest> {
        let mut denials: Vec<(&DenialKey, &Count)> = self.denials.iter().collect();
        denials.sort_by(|(one, count), (other, other_count)| {
            let key = |count: &Count| Reverse((count.denied, count.last_at));
            key(count)
                .cmp(&key(other_count))
                .then_with(|| one.cmp(other))
        });
        let denials = denials.into_iter().take(limit);
        denials
            .map(|(key, count)| DeniedRequest {
                principal: key.principal.clone(),
                action: key.action.clone(),
                dataset_id: key.dataset_id,
                resource: key.resource.clone(),
                count: count.denied,
                last_at: count.last_at,
            })
            .collect()
    }
}

impl Count {
    fn add(&mut self, (granted, denied): (u64, u64), at: i64) {
        self.granted = self.granted.saturating_add(granted);
        self.denied = self.denied.saturating_add(denied);
        self.last_at = self.last_at.max(at);
    }
}

impl DenialKey {
    fn of(record: DecisionRecord) -> Self {
        let Some([principal, action, resource]) = record.asked else {
            let action = record.action.map(TextEnum::as_str);
            return Self {
                principal: record
                    .user_id
                    .map_or(DeniedPrincipal::Anonymous, DeniedPrincipal::User),
                action: action.unwrap_or_default().to_owned(),
                dataset_id: record.dataset_id,
                resource: None,
            };
        };
        let user = id_in("User", &principal).and_then(|id| id.parse().ok());
        let is_anonymous = id_in("Anonymous", &principal).is_some();
        let dataset_id = id_in("Dataset", &resource).and_then(|id| id.parse().ok());
        Self {
            principal: match user {
                Some(user) => DeniedPrincipal::User(user),
                None if is_anonymous => DeniedPrincipal::Anonymous,
                None => DeniedPrincipal::Other(principal),
            },
            action: id_in("Action", &action).map_or_else(|| action.clone(), str::to_owned),
            dataset_id,
            resource: dataset_id.is_none().then_some(resource),
        }
    }
}

/// The id in the text of an entity of a type, if it has no escapes.
fn id_in<'a>(type_name: &str, entity: &'a str) -> Option<&'a str> {
    let id = entity.strip_prefix(type_name)?.strip_prefix("::\"")?;
    let id = id.strip_suffix('"')?;
    (!id.contains(['"', '\\'])).then_some(id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::domain::action::Action;

    use super::*;

    fn record(unix_millis: i64, outcome: AuditOutcome, policies: &[&str]) -> DecisionRecord {
        DecisionRecord {
            unix_millis,
            is_access: true,
            outcome,
            user_id: Some(UserId(Uuid::from_u128(1))),
            dataset_id: Some(DatasetId(Uuid::from_u128(2))),
            action: Some(Action::Read),
            policies: policies.iter().map(|id| (*id).to_owned()).collect(),
            requests: 1,
            asked: None,
        }
    }

    #[test]
    fn each_record_counts_its_requests_in_its_part_of_the_interval() {
        use AuditOutcome::{Denied, Granted, Refused};
        let mut counter = UsageCounter::new((100, 200), 4);
        let folded = DecisionRecord {
            requests: 7,
            ..record(125, Granted, &["a", "b"])
        };
        for record in [
            record(99, Granted, &["early"]),
            record(100, Granted, &["a"]),
            record(124, Denied, &["forbid"]),
            folded,
            record(199, Refused, &["none"]),
            DecisionRecord {
                is_access: false,
                ..record(150, Denied, &["admin"])
            },
            record(200, Granted, &["late"]),
        ] {
            counter.add(record);
        }
        let bucket = |start, granted, denied, failed| UsageBucket {
            start,
            granted,
            denied,
            failed,
        };
        let expected = [
            bucket(100, 1, 1, 0),
            bucket(125, 7, 0, 0),
            bucket(150, 0, 0, 0),
            bucket(175, 0, 0, 1),
        ];
        assert_eq!(counter.buckets(), expected);
        assert_eq!(counter.records(), 4);
        let used = |id: &str, granted, denied, last_used| PolicyUse {
            id: id.to_owned(),
            granted,
            denied,
            last_used,
        };
        let expected = [
            used("a", 8, 0, 125),
            used("b", 7, 0, 125),
            used("admin", 0, 1, 150),
            used("forbid", 0, 1, 124),
        ];
        assert_eq!(counter.policies(), expected);
        assert!(!counter.is_used("none"));
        let denials = counter.denials(10);
        assert_eq!(denials.len(), 1, "{denials:?}");
    }

    #[test]
    fn the_most_frequent_denials_come_first_and_a_question_is_about_its_subject() {
        let mut counter = UsageCounter::new((0, 100), 1);
        let user = format!("User::\"{}\"", Uuid::from_u128(1));
        let dataset = format!("Dataset::\"{}\"", Uuid::from_u128(2));
        let asked = |at, [principal, action, resource]: [&str; 3]| DecisionRecord {
            user_id: Some(UserId(Uuid::from_u128(9))),
            action: None,
            asked: Some([principal, action, resource].map(str::to_owned)),
            ..record(at, AuditOutcome::Denied, &[])
        };
        counter.add(record(1, AuditOutcome::Denied, &[]));
        counter.add(asked(5, [&user, "Action::\"read\"", &dataset]));
        counter.add(asked(
            3,
            ["Employee::\"x\"", "Action::\"open\"", "Door::\"1\""],
        ));
        counter.add(DecisionRecord {
            user_id: None,
            ..record(2, AuditOutcome::Denied, &[])
        });
        let denied = |principal, count, last_at| DeniedRequest {
            principal,
            action: "read".to_owned(),
            dataset_id: Some(DatasetId(Uuid::from_u128(2))),
            resource: None,
            count,
            last_at,
        };
        let expected = [
            denied(DeniedPrincipal::User(UserId(Uuid::from_u128(1))), 2, 5),
            DeniedRequest {
                action: "open".to_owned(),
                dataset_id: None,
                resource: Some("Door::\"1\"".to_owned()),
                ..denied(DeniedPrincipal::Other("Employee::\"x\"".to_owned()), 1, 3)
            },
            denied(DeniedPrincipal::Anonymous, 1, 2),
        ];
        assert_eq!(counter.denials(10), expected);
        assert_eq!(counter.denials(1), expected[..1]);
    }
}
