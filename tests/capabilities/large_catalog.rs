//! A large catalog: a thousand users and ten thousand datasets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use uuid::Uuid;

use crate::admin_datasets::DATASETS;
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{CATALOG, Server, ServerOptions};

const USER_COUNT: usize = 1000;
const DATASET_COUNT: usize = 10_000;

/// The ordinary catalog, and in addition this many users and datasets; with the ids of these datasets.
fn large_catalog() -> (String, BTreeSet<String>) {
    let mut catalog = CATALOG.to_owned();
    let mut ids = BTreeSet::new();
    for number in 0..USER_COUNT {
        writeln!(catalog, "[[users]]\nusername = \"user-{number}\"").unwrap();
    }
    for number in 0..DATASET_COUNT {
        let id = Uuid::new_v4();
        let owner = number % USER_COUNT;
        writeln!(
            catalog,
            "[[datasets]]\nid = \"{id}\"\ntitle = \"Dataset {number}\"\nvisibility = \"public\"\n\
             record_status = \"published\"\nowner = \"user-{owner}\""
        )
        .unwrap();
        ids.insert(id.to_string());
    }
    (catalog, ids)
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
    let (catalog, datasets) = large_catalog();
    let server = Server::start_with(ServerOptions {
        catalog: Some(catalog),
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;

    let is_listed = Arc::new(AtomicBool::new(false));
    let create = async {
        let mut more = BTreeSet::new();
        let mut number = 0;
        while !is_listed.load(Ordering::SeqCst) {
            let user = json!({"username": format!("late-{number}")});
            assert_eq!(ada.post(USERS, user).await.status, 201);
            let dataset = json!({"title": format!("Late {number}"), "visibility": "public",
                "record_status": "published", "owner": "olivia"});
            let created = ada.post(DATASETS, dataset).await;
            more.insert(created.json()["id"].as_str().unwrap().to_owned());
            number += 1;
        }
        more
    };
    let list = async {
        let listed_users = list_ids(&ada, USERS).await;
        let administered = list_ids(&ada, DATASETS).await;
        let discovered = list_ids(&ada, "/datasets").await;
        is_listed.store(true, Ordering::SeqCst);
        (listed_users, administered, discovered)
    };
    let (more, (listed_users, administered, discovered)) = tokio::join!(create, list);
    assert!(!more.is_empty());
    assert!(datasets.is_subset(&administered));
    assert!(datasets.is_subset(&discovered));

    // The others were created meanwhile, or are those of the server's own catalog.
    for listed in [administered, discovered] {
        let others = listed
            .difference(&datasets)
            .filter(|id| !more.contains(*id));
        assert_eq!(others.count(), 6);
    }
    let late = listed_users.len() - USER_COUNT;
    assert!((5..=5 + more.len()).contains(&late), "{late}");
}
