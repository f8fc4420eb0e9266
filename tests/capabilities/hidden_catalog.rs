//! A catalog of which a caller may see almost nothing: lists read a bounded part of it for each page, are
//! charged for that, and take turns.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::support::server::{CATALOG, PUBLIC, Server, ServerOptions, TestResponse};

const HIDDEN: usize = 2_500;

/// The ordinary catalog, and many private datasets, with their ids.
fn hidden_catalog() -> (String, BTreeSet<String>) {
    let mut catalog = CATALOG.to_owned();
    let mut ids = BTreeSet::new();
    for number in 0..HIDDEN {
        let id = uuid::Uuid::new_v4();
        writeln!(
            catalog,
            "[[datasets]]\nid = \"{id}\"\ntitle = \"Hidden {number}\"\n\
             visibility = \"private\"\nrecord_status = \"published\"\nowner = \"olivia\""
        )
        .unwrap();
        ids.insert(id.to_string());
    }
    (catalog, ids)
}

async fn server_with(catalog: String, request_limit: u32) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            (
                "CEDARGATE_REQUEST_LIMIT_PER_MINUTE",
                request_limit.to_string(),
            ),
            ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
        ],
        catalog: Some(catalog),
        ..ServerOptions::default()
    })
    .await
}

async fn list_from(server: &Server, address: &str, after: Option<&str>) -> TestResponse {
    let after = after.map(|after| format!("?after={after}"));
    let path = format!("/datasets{}", after.unwrap_or_default());
    let request = server.get(&path);
    TestResponse::send(request.header("x-forwarded-for", address)).await
}

#[tokio::test]
async fn a_list_of_a_hidden_catalog_is_paged_and_its_cursors_disclose_no_id() {
    let (catalog, hidden) = hidden_catalog();
    let server = server_with(catalog, 0).await;
    let (mut after, mut found, mut pages) = (None::<String>, Vec::new(), 0);
    loop {
        let page = list_from(&server, "192.0.2.1", after.as_deref()).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        let items = page["items"].as_array().unwrap();
        found.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        assert!(!hidden.contains(next));
        after = Some(next.to_owned());
    }
    assert!(found.contains(&PUBLIC.to_owned()), "{found:?}");
    assert!((3..=4).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_list_is_charged_for_what_it_reads() {
    let (catalog, _) = hidden_catalog();
    let server = server_with(catalog, 30).await;
    let mut after = None::<String>;
    for _ in 0..3 {
        let page = list_from(&server, "192.0.2.1", after.as_deref()).await;
        assert_eq!(page.status, 200);
        after = page.json()["next"].as_str().map(str::to_owned);
    }
    // One more page owes the bucket what it read.
    assert_eq!(list_from(&server, "192.0.2.1", None).await.status, 200);
    let refused = list_from(&server, "192.0.2.1", None).await;
    refused.problem(429);
    assert_eq!(refused.header("retry-after"), "18");
    assert_eq!(list_from(&server, "192.0.2.2", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lists_of_one_caller_do_not_hold_up_the_list_of_another() {
    let (catalog, _) = hidden_catalog();
    let server = server_with(catalog, 0).await;
    let flood = async {
        let requests = (0..60).map(|_| list_from(&server, "192.0.2.1", None));
        futures_util::future::join_all(requests).await
    };
    let other = async {
        tokio::task::yield_now().await;
        list_from(&server, "192.0.2.2", None).await
    };
    let (ended_first, other) = tokio::select! {
        _ = flood => (true, None),
        other = other => (false, Some(other)),
    };
    assert!(!ended_first, "the other caller waited for all of them");
    assert_eq!(other.unwrap().status, 200);
}
