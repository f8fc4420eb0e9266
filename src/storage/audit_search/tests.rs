//! Query plans of audit searches on SQLite.

use std::collections::HashSet;

use sqlx::Row;
use strum::VariantArray;

use super::*;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome};
use crate::domain::id::{DatasetId, UserId};

/// How SQLite would run a statement.
async fn plan(database: &Database, sql: String) -> String {
    let reader = database.reader().await.unwrap();
    let crate::storage::database::Either::Sqlite(mut reader) = reader else {
        panic!("not SQLite")
    };
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&mut *reader)
        .await;
    let lines: Vec<String> = rows.unwrap().iter().map(|row| row.get("detail")).collect();
    lines.join("; ")
}

/// Every combination of filters, with each variant where one has an index and another has none.
fn all_filters() -> Vec<AuditFilter> {
    let mut filters = vec![AuditFilter::default()];
    let mut extend = |change: &dyn Fn(&mut AuditFilter)| {
        let changed: Vec<AuditFilter> = filters
            .iter()
            .cloned()
            .map(|mut filter| {
                change(&mut filter);
                filter
            })
            .collect();
        filters.extend(changed);
    };
    extend(&|filter| filter.user_id = Some(UserId(Uuid::nil())));
    extend(&|filter| filter.dataset_id = Some(DatasetId(Uuid::nil())));
    extend(&|filter| filter.resource_user_id = Some(UserId(Uuid::nil())));
    extend(&|filter| filter.username = Some("ada".to_owned()));
    extend(&|filter| filter.request_id = Some("1".to_owned()));
    extend(&|filter| filter.client_request_id = Some("1".to_owned()));
    let mut all = Vec::new();
    let outcomes = [
        None,
        Some(AuditOutcome::Granted),
        Some(AuditOutcome::Denied),
    ];
    let events = [None, Some(AuditEvent::Mint), Some(AuditEvent::Login)];
    let actions = [None, Some(Action::Read), Some(Action::ViewAudit)];
    for filter in filters {
        for outcome in outcomes {
            for event in events {
                all.extend(actions.map(|action| AuditFilter {
                    outcome,
                    event,
                    action,
                    ..filter.clone()
                }));
            }
        }
    }
    // An id of a token is found as that of a request is: with some of the other filters is enough.
    let step = all.len() / 100;
    let of_token = all.iter().step_by(step).cloned().map(|filter| AuditFilter {
        jti: Some(RecordId(Uuid::nil())),
        ..filter
    });
    let of_token: Vec<AuditFilter> = of_token.collect();
    all.extend(of_token);
    all
}

#[tokio::test]
async fn every_combination_of_filters_walks_an_index_and_none_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("cedargate.db").display());
    let database = Database::open(&url, 1).await.unwrap();
    database.migrate().await.unwrap();
    let mut planned = HashSet::new();
    let filters = all_filters();
    for filter in &filters {
        let conditions = Conditions::new(filter);
        let indexes = conditions.indexes();
        let has_rare = filter.outcome == Some(AuditOutcome::Denied)
            || filter.event == Some(AuditEvent::Login)
            || filter.action == Some(Action::ViewAudit);
        let has_id = filter.user_id.is_some()
            || filter.dataset_id.is_some()
            || filter.resource_user_id.is_some()
            || filter.username.is_some()
            || filter.jti.is_some()
            || filter.request_id.is_some()
            || filter.client_request_id.is_some();
        assert_eq!(!indexes.is_empty(), has_rare || has_id, "{filter:?}");
        let mut indexes: Vec<_> = indexes.into_iter().map(Some).collect();
        if indexes.is_empty() {
            indexes.push(None);
        }
        for index in indexes {
            for order in [AuditOrder::NewestFirst(None), AuditOrder::OldestFirst(None)] {
                let name = index.map_or("PRIMARY KEY", |index| index.name);
                for statement in [
                    database.select_statement(&conditions, index, order),
                    database.bound_statement(&conditions, index, order),
                ] {
                    if !planned.insert(statement.sql.clone()) {
                        continue;
                    }
                    let plan = plan(&database, statement.sql).await;
                    let is_searched = plan.starts_with("SEARCH audit_records USING");
                    assert!(is_searched && plan.contains(name), "{plan}");
                    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
                }
            }
        }
    }
}

#[test]
fn every_variant_of_an_enum_that_has_an_index_is_found_in_it() {
    for event in AuditEvent::VARIANTS {
        let filter = AuditFilter {
            event: Some(*event),
            ..AuditFilter::default()
        };
        let is_common = matches!(
            event,
            AuditEvent::Mint | AuditEvent::Download | AuditEvent::Evaluate
        );
        assert_eq!(Conditions::new(&filter).indexes().is_empty(), is_common);
    }
}
