//! The names of users and datasets by id, and a password hash that is replaced by a newer form of itself.

use std::collections::BTreeSet;

use cedargate::domain::dataset::Dataset;
use cedargate::domain::id::{DatasetId, UserId};
use cedargate::domain::secret::Secret;
use cedargate::storage::NameSearch;

use crate::support::test_database::{TestDatabase, full_change, write_change};

on_both! {
    users_and_datasets_are_named_by_their_ids,
    users_and_datasets_are_found_by_parts_of_their_names_and_ids,
    a_password_hash_is_replaced_once_by_whoever_read_it,
}

async fn users_and_datasets_are_named_by_their_ids(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let database = &db.database;

    let mut users: Vec<_> = change.users_put.iter().map(|record| &record.user).collect();
    users.sort_by(|a, b| a.username.cmp(&b.username));
    let ids = users.iter().map(|user| user.id).chain([UserId::random()]);
    let names = database.find_usernames(&ids.collect()).await.unwrap();
    let expected = users.iter().map(|user| (user.id, user.username.clone()));
    assert_eq!(names, expected.clone().collect());
    let listed = database.list_usernames(1).await.unwrap();
    assert_eq!(listed, expected.take(1).collect::<Vec<_>>());
    assert!(
        database
            .find_usernames(&BTreeSet::new())
            .await
            .unwrap()
            .is_empty()
    );

    let mut datasets: Vec<_> = change.datasets_put.iter().collect();
    datasets.sort_by_key(|dataset| dataset.id);
    let nobodys = DatasetId(uuid::Uuid::new_v4());
    let ids = datasets.iter().map(|dataset| dataset.id).chain([nobodys]);
    let titles = database.find_titles(&ids.collect()).await.unwrap();
    let expected = datasets
        .iter()
        .map(|dataset| (dataset.id, dataset.title.clone()));
    assert_eq!(titles, expected.clone().collect());
    let listed = database.list_titles(10).await.unwrap();
    assert_eq!(listed, expected.collect::<Vec<_>>());
    assert!(
        database
            .find_titles(&BTreeSet::new())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn users_and_datasets_are_found_by_parts_of_their_names_and_ids(db: TestDatabase) {
    let mut change = full_change();
    let titled = |title: &str| Dataset {
        id: DatasetId::random(),
        title: title.to_owned(),
        ..change.datasets_put[0].clone()
    };
    let all = ["Deep 100%_sea", "Sea of Ö", "Inland sea", "nothing like it"];
    let datasets = all.map(titled);
    change.datasets_put = datasets.to_vec();
    write_change(&db, &change).await;
    let database = &db.database;

    let search = async |text: &str, limit| -> Vec<String> {
        let found = database
            .search_titles(&NameSearch::new(text), limit, 0)
            .await;
        found.unwrap().into_iter().map(|(_, title)| title).collect()
    };
    assert_eq!(
        search("SEA", 9).await,
        ["Sea of Ö", "Deep 100%_sea", "Inland sea"]
    );
    assert_eq!(search("sea", 2).await, ["Sea of Ö", "Deep 100%_sea"]);
    assert_eq!(search("%_s", 9).await, ["Deep 100%_sea"]);
    assert_eq!(search("of Ö", 9).await, ["Sea of Ö"]);
    assert!(search("!", 9).await.is_empty());
    let id = datasets[3].id.to_string().to_uppercase();
    assert_eq!(search(&id[..13], 9).await, ["nothing like it"]);

    let ada = &change.users_put[0].user;
    let found = async |text: &str| {
        let found = database
            .search_usernames(&NameSearch::new(text), 9, 0)
            .await;
        found.unwrap().contains(&(ada.id, ada.username.clone()))
    };
    let name = ada.username.as_str();
    assert!(found(&name.to_uppercase()).await);
    assert!(found(&name[1..]).await);
    assert!(found(&ada.id.to_string()[..20]).await);
    assert!(!found(&format!("{name}{name}")).await);
}

async fn a_password_hash_is_replaced_once_by_whoever_read_it(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let ada = &change.users_put[0];
    let old = ada.password_hash.as_ref().unwrap();
    let new = Secret::new(old.reveal().replace("m=8", "m=16"));
    let before = db.database.catalog_version().await.unwrap();
    let replace = async || {
        db.database
            .replace_password_hash(ada.user.id, old, &new)
            .await
    };
    assert!(replace().await.unwrap());
    assert_ne!(db.database.catalog_version().await.unwrap(), before);
    assert!(!replace().await.unwrap());
    let stored = db
        .database
        .find_user_record(ada.user.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.password_hash.unwrap().reveal(), new.reveal());
}
