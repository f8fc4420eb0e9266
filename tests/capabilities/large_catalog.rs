//! A large catalog: a thousand users and ten thousand datasets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin_datasets::DATASETS;
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{Server, TestResponse};

const USER_COUNT: usize = 1000;
const DATASET_COUNT: usize = 10_000;
/// How many make at once.
const WRITER_COUNT: usize = 8;

/// Makes `count` things, some at once, and gives their ids.
async fn create_all(
    client: &AdminClient<'_>,
    path: &str,
    count: usize,
    body: impl Fn(usize) -> Value + Send + Sync,
) -> BTreeSet<String> {
    let maker = async |which: usize| {
        let mut ids = Vec::new();
        for number in (which..count).step_by(WRITER_COUNT) {
            let created =
                TestResponse::send(client.request(Method::POST, path).json(&body(number))).await;
            assert_eq!(created.status, 201, "{}", created.text());
            ids.push(created.json()["id"].as_str().unwrap().to_owned());
        }
        ids
    };
    let created = futures_util::future::join_all((0..WRITER_COUNT).map(maker)).await;
    created.into_iter().flatten().collect()
}

fn dataset_body(number: usize) -> Value {
    json!({
        "title": format!("Dataset {number}"),
        "visibility": "public",
        "record_status": "published",
        "owner": format!("user-{}", number % USER_COUNT),
    })
}

/// The ids of a list, after checking that there are no duplicates.
async fn list_ids(client: &AdminClient<'_>, path: &str) -> BTreeSet<String> {
    let all = client.list_all(path, 100).await;
    let ids = all
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned());
    let ids: Vec<_> = ids.collect();
    assert!(ids.is_sorted(), "{path}");
    let once: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(once.len(), ids.len(), "{path} lists something twice");
    once
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_users_and_ten_thousand_datasets_are_listed_once_each_while_others_are_created()
{
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let users = create_all(
        &ada,
        USERS,
        USER_COUNT,
        |number| json!({"username": format!("user-{number}")}),
    )
    .await;
    let datasets = create_all(&ada, DATASETS, DATASET_COUNT, dataset_body).await;
    assert_eq!((users.len(), datasets.len()), (USER_COUNT, DATASET_COUNT));

    let is_listed = Arc::new(AtomicBool::new(false));
    let making = async {
        let mut more = BTreeSet::new();
        let mut number = 0;
        while !is_listed.load(Ordering::SeqCst) {
            let user = json!({"username": format!("late-{number}")});
            assert_eq!(ada.post(USERS, user).await.status, 201);
            let created = ada.post(DATASETS, dataset_body(number)).await;
            more.insert(created.json()["id"].as_str().unwrap().to_owned());
            number += 1;
        }
        more
    };
    let listing = async {
        let seen_users = list_ids(&ada, USERS).await;
        let administered = list_ids(&ada, DATASETS).await;
        let discovered = list_ids(&ada, "/datasets").await;
        is_listed.store(true, Ordering::SeqCst);
        (seen_users, administered, discovered)
    };
    let (more, (seen_users, administered, discovered)) = tokio::join!(making, listing);
    assert!(!more.is_empty());
    assert!(users.is_subset(&seen_users));
    assert!(datasets.is_subset(&administered));
    assert!(datasets.is_subset(&discovered));

    // The others were created meanwhile, or are those of the server's own catalog.
    for listed in [administered, discovered] {
        let others = listed
            .difference(&datasets)
            .filter(|id| !more.contains(*id));
        assert_eq!(others.count(), 6);
    }
    let late = seen_users.difference(&users).count();
    assert!((5..=5 + more.len()).contains(&late), "{late}");
}
