//! Files that change many datasets: staged, interrupted, and applied while others change the catalog.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::api_key::{ApiKey, KeyName, KeyScope, KeyText};
use crate::domain::audit::AuditEvent;
use crate::domain::id::ApiKeyId;
use crate::service::catalog::options::ApplyProgress;
use crate::service::identity::request_context::RequestContext;
use crate::storage::StoredApiKey;

const DATASETS: usize = 700;

/// A file with many datasets; each is read by two users.
fn large(title: &str) -> String {
    let mut text = String::from(ROOT);
    for name in ["ada", "bob"] {
        let password = "password = 'correct horse'";
        writeln!(text, "\n[[users]]\nusername = '{name}'\n{password}").unwrap();
    }
    for number in 0..DATASETS {
        write!(
            text,
            "[[datasets]]\nid = '2489e9ad-2ee2-8e00-8ec9-{number:012x}'\ntitle = '{title}'
            visibility = 'private'\nrecord_status = 'draft'\nowner = 'ada'
            reader_users = ['ada', 'bob']\n"
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn many_datasets_are_created_changed_and_removed() {
    let fixture = CatalogFixture::new().await;
    let report = fixture.apply(&large("one")).await;
    assert_eq!(outcomes(&report), [DATASETS + 3, 0, 0, 0]);
    let catalog = fixture.catalog().await;
    assert_eq!((catalog.datasets.len(), catalog.version), (DATASETS, 1));
    assert!(catalog.datasets.iter().all(|d| d.reader_users.len() == 2));
    let report = fixture.apply(&large("two")).await;
    assert_eq!(outcomes(&report), [0, DATASETS, 3, 0]);
    let catalog = fixture.catalog().await;
    assert!(catalog.datasets.iter().all(|d| d.title == "two"));
    let report = fixture.try_apply(ROOT, true).await.unwrap();
    assert_eq!(outcomes(&report), [0, 0, 1, DATASETS + 2]);
    assert_eq!(fixture.catalog().await.datasets.len(), 0);
}

/// Options that stop when `step` has begun.
async fn apply_stopping_at(fixture: &CatalogFixture, text: &str, step: ApplyStep) -> bool {
    let stopping = tokio_util::sync::CancellationToken::new();
    let progress = |progress: ApplyProgress| {
        if progress.step == step {
            stopping.cancel();
        }
    };
    let options = ApplyOptions {
        stop: stopping.clone(),
        progress: &progress,
        ..ApplyOptions::new(clock(NOW))
    };
    match fixture.apply_with(&fixture.read(text), &options).await {
        Ok(_) => true,
        Err(ApplyError::Interrupted) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_apply_that_is_interrupted_before_the_commit_changes_nothing() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(&large("one")).await;
    let before = fixture.catalog().await;
    for step in [ApplyStep::Reading, ApplyStep::Staging] {
        assert!(!apply_stopping_at(&fixture, &large("two"), step).await);
        assert_eq!(fixture.catalog().await, before);
    }
    let state = fixture.database.apply_state().await.unwrap();
    assert!(!state.is_leased());
    fixture.apply(&large("two")).await;
}

#[tokio::test]
async fn an_apply_that_is_interrupted_after_the_commit_is_in_force_and_settled_by_the_next() {
    let fixture = CatalogFixture::new().await;
    assert!(apply_stopping_at(&fixture, &large("one"), ApplyStep::Settling).await);
    let catalog = fixture.catalog().await;
    assert_eq!(catalog.datasets.len(), DATASETS);
    assert!(fixture.database.apply_state().await.unwrap().is_committed());
    let versions = fixture.database.versions().await.unwrap();
    let report = fixture.apply(&large("one")).await;
    assert_eq!(outcomes(&report), [0, 0, DATASETS + 3, 0]);
    assert!(!fixture.database.apply_state().await.unwrap().is_committed());
    // What was cached stays right.
    assert_eq!(fixture.database.versions().await.unwrap(), versions);
    assert_eq!(fixture.catalog().await, catalog);
}

#[tokio::test]
async fn others_who_change_the_catalog_again_and_again_do_not_hold_it_up() {
    let fixture = CatalogFixture::new().await;
    fixture.apply(ROOT).await;
    let root = fixture.user("root").await.user.id;
    let create_keys = async {
        for number in 0.. {
            let text = KeyText::random();
            let stored = StoredApiKey {
                key: ApiKey {
                    id: ApiKeyId::generate_at(number),
                    user_id: root,
                    name: KeyName::new("k").unwrap(),
                    prefix: text.prefix(),
                    scope: KeyScope::default(),
                    created_at: 0,
                    expires_at: None,
                    last_used: None,
                },
                digest: text.digest(),
            };
            let context = RequestContext::local();
            let record = context.open_record(AuditEvent::ApiKeyCreate, &clock(NOW));
            let added = fixture.database.add_api_key(&stored, u32::MAX, 0, &record);
            added.await.unwrap();
        }
    };
    let checked = AtomicUsize::new(0);
    let progress = |progress: ApplyProgress| {
        if progress.step == ApplyStep::CheckingPasswords {
            checked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let options = ApplyOptions {
        progress: &progress,
        ..ApplyOptions::new(clock(NOW))
    };
    let file = fixture.read(&large("one"));
    let report = tokio::select! {
        applied = fixture.apply_with(&file, &options) => applied.unwrap(),
        () = create_keys => unreachable!("it creates keys for ever"),
    };
    assert_eq!(outcomes(&report), [DATASETS + 2, 0, 1, 0]);
    assert_eq!(checked.into_inner(), 3, "each password is checked once");
}
