//! Datasets with the names of their users, and filtered pages.

use std::collections::BTreeMap;

use cedargate::domain::dataset::{RecordStatus, Visibility};
use cedargate::domain::id::DatasetId;
use cedargate::storage::{CatalogChange, DatasetFilter};
use uuid::Uuid;

use crate::support::test_database::{TestDatabase, dataset, full_change, user, write_change};

on_both! {
    a_dataset_is_read_with_the_names_of_its_users,
    every_filter_narrows_and_pages_continue_after_an_id,
}

async fn a_dataset_is_read_with_the_names_of_its_users(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let database = &db.database;
    let (ada, ben) = (&change.users_put[0].user, &change.users_put[1].user);
    let (full, bare) = (&change.datasets_put[0], &change.datasets_put[1]);
    let found = database
        .find_dataset_with_names(full.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.dataset, *full);
    assert_eq!(found.owner.as_ref(), Some(&ada.username));
    let people = [ada, ben].map(|user| (user.username.clone(), user.id));
    assert_eq!(found.reader_users, BTreeMap::from(people));
    let found = database
        .find_dataset_with_names(bare.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&found.dataset, found.owner), (bare, None));
    assert!(found.reader_users.is_empty());
    let unknown = database
        .find_dataset_with_names(DatasetId(Uuid::nil()))
        .await;
    assert_eq!(unknown, Ok(None));
    assert_eq!(database.find_user_id(&ben.username).await, Ok(Some(ben.id)));
    assert_eq!(
        database.find_user_id(&"eve".parse().unwrap()).await,
        Ok(None)
    );
}

async fn every_filter_narrows_and_pages_continue_after_an_id(db: TestDatabase) {
    let owner = user("ada", &[]);
    let mut all: Vec<_> = (0..5).map(|n| dataset(&format!("Set {n}"), None)).collect();
    all[0].id = DatasetId(Uuid::nil());
    all[1].id = DatasetId(Uuid::max());
    all[2].visibility = Visibility::Public;
    all[3].record_status = RecordStatus::Draft;
    all[4].owner = Some(owner.user.id);
    all[4].title = String::from("100% É_x!");
    let expected = all.clone();
    all.sort_by_key(|dataset| dataset.id);
    write_change(
        &db,
        &CatalogChange {
            users_put: vec![owner],
            datasets_put: all.clone(),
            ..CatalogChange::default()
        },
    )
    .await;
    let found = async |filter: &DatasetFilter, after, limit| {
        let page = db
            .database
            .list_datasets_with_names(filter, after, limit)
            .await;
        let page = page.unwrap().into_iter();
        page.map(|named| named.dataset).collect::<Vec<_>>()
    };
    let none = DatasetFilter::default();
    assert_eq!(found(&none, None, 10).await, all);
    assert_eq!(found(&none, Some(all[0].id), 2).await, all[1..3]);
    assert_eq!(found(&none, Some(all[4].id), 10).await, []);
    let narrowed = async |filter: DatasetFilter| found(&filter, None, 10).await;
    let is = |at: usize| vec![expected[at].clone()];
    let public = DatasetFilter {
        visibility: Some(Visibility::Public),
        ..none.clone()
    };
    assert_eq!(narrowed(public.clone()).await, is(2));
    let draft = DatasetFilter {
        record_status: Some(RecordStatus::Draft),
        ..none.clone()
    };
    assert_eq!(narrowed(draft).await, is(3));
    let of = |name: &str| DatasetFilter {
        owner: Some(name.parse().unwrap()),
        ..none.clone()
    };
    assert_eq!(narrowed(of("ada")).await, is(4));
    assert_eq!(narrowed(of("eve")).await, []);
    let titled = |title: &str| DatasetFilter {
        title: Some(title.to_owned()),
        ..none.clone()
    };
    for part in ["0% É_X", "!", "%", "_", "É"] {
        assert_eq!(narrowed(titled(part)).await, is(4), "{part}");
    }
    assert_eq!(narrowed(titled("sET")).await.len(), 4);
    let both = DatasetFilter {
        title: Some("Set 3".to_owned()),
        ..public
    };
    assert_eq!(narrowed(both).await, []);
}
