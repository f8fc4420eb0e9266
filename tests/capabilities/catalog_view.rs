//! The list of datasets as each caller sees it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::server::{
    DRAFT, INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN, WITHOUT_FILE,
};

async fn page(server: &Server, query: &str, session: Option<&str>) -> Value {
    let request = server.get(&format!("/datasets{query}"));
    let response = TestResponse::send(match session {
        Some(session) => request.bearer_auth(session),
        None => request,
    })
    .await;
    assert_eq!(
        response.status,
        200,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    response.json()
}

/// All datasets that a caller sees, read in pages, with `can_read`.
async fn all(server: &Server, limit: usize, session: Option<&str>) -> Vec<(String, bool)> {
    let mut listed = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let page = page(server, &query, session).await;
        for dataset in page["items"].as_array().unwrap() {
            let id = dataset["id"].as_str().unwrap().to_owned();
            listed.push((id, dataset["can_read"].as_bool().unwrap()));
        }
        match page["next"].as_str() {
            Some(next) => {
                assert_eq!(
                    next,
                    listed.last().unwrap().0,
                    "a cursor names nothing hidden"
                );
                query = format!("?limit={limit}&after={next}");
            }
            None => return listed,
        }
    }
}

/// A user name, and the datasets that the user sees with `can_read`.
type Row = (Option<&'static str>, &'static [(&'static str, bool)]);

#[tokio::test]
async fn each_caller_sees_exactly_what_it_may_discover() {
    let server = Server::start().await;
    let rows: [Row; 4] = [
        (None, &[(PUBLIC, true), (WITHOUT_FILE, true)]),
        (
            Some("otto"),
            &[
                (PUBLIC, true),
                (WITHOUT_FILE, true),
                (RESTRICTED, false),
                (INTERNAL, true),
            ],
        ),
        (
            Some("mo"),
            &[
                (PUBLIC, true),
                (WITHOUT_FILE, true),
                (RESTRICTED, true),
                (INTERNAL, true),
            ],
        ),
        (
            Some("olivia"),
            &[
                (PUBLIC, true),
                (WITHOUT_FILE, true),
                (RESTRICTED, true),
                (INTERNAL, true),
                (PRIVATE, true),
                (DRAFT, true),
            ],
        ),
    ];
    for (username, expected) in rows {
        let session = match username {
            Some(username) => Some(server.session(username).await),
            None => None,
        };
        let listed: BTreeMap<_, _> = all(&server, 100, session.as_deref())
            .await
            .into_iter()
            .collect();
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(id, can_read)| ((*id).to_owned(), *can_read))
            .collect();
        assert_eq!(listed, expected, "{username:?}");
        for (id, can_read) in listed.iter().filter(|(id, _)| *id != WITHOUT_FILE) {
            let mint = server.mint(id, session.as_deref()).await;
            assert_eq!(mint.status == 200, *can_read, "{username:?} {id}");
        }
    }
}

#[tokio::test]
async fn pages_of_any_length_list_the_same_datasets_once_each() {
    let server = Server::start().await;
    let session = server.session("ada").await;
    let whole = all(&server, 100, Some(&session)).await;
    assert_eq!(whole.len(), 6);
    assert!(whole.is_sorted());
    for limit in 1..=6 {
        assert_eq!(all(&server, limit, Some(&session)).await, whole, "{limit}");
    }
    let usual = page(&server, "", Some(&session)).await;
    assert_eq!(usual["items"].as_array().unwrap().len(), 6);
    assert!(usual.get("next").is_none());
}

#[tokio::test]
async fn a_dataset_is_returned_with_its_file_and_hidden_ones_are_not_found() {
    let server = Server::start().await;
    let listed =
        TestResponse::send(server.get(&format!("/datasets/{}", PUBLIC.to_uppercase()))).await;
    assert_eq!(listed.status, 200);
    let dataset = listed.json();
    assert_eq!(dataset["id"], PUBLIC);
    assert_eq!(dataset["visibility"], "public");
    assert_eq!(dataset["record_status"], "published");
    assert_eq!(dataset["file"]["name"], "jacksboro-fault-dem.cog.tif");
    let token = server.mint(PUBLIC, None).await.token();
    let download = server.download(PUBLIC, &token).await;
    assert_eq!(dataset["file"]["etag"], download.header("etag"));
    assert_eq!(dataset["file"]["size"], download.body.len());

    let unknown = TestResponse::send(server.get(&format!("/datasets/{UNKNOWN}"))).await;
    unknown.problem(404);
    for hidden in [INTERNAL, RESTRICTED, PRIVATE, DRAFT] {
        let response = TestResponse::send(server.get(&format!("/datasets/{hidden}"))).await;
        assert_eq!(
            (response.status, &response.body),
            (404, &unknown.body),
            "{hidden}"
        );
    }
}

#[tokio::test]
async fn an_invalid_page_is_unprocessable_and_an_invalid_credential_is_refused() {
    let server = Server::start().await;
    for query in ["?limit=0", "?limit=101", "?limit=x", "?after=x"] {
        TestResponse::send(server.get(&format!("/datasets{query}")))
            .await
            .problem(422);
    }
    TestResponse::send(server.get("/datasets").bearer_auth("x"))
        .await
        .problem(401);
    TestResponse::send(server.get("/datasets").header("authorization", "Bearer"))
        .await
        .problem(401);
}

#[tokio::test]
async fn a_catalog_that_grows_meanwhile_is_listed_without_gaps_or_repeats() {
    let server = Server::start().await;
    let dataset = |number: u32| {
        format!(
            "[[datasets]]\nid = \"{number:08x}-0000-4000-8000-000000000000\"\n\
             title = \"{number}\"\nvisibility = \"public\"\nrecord_status = \"published\"\n"
        )
    };
    let some: String = (0..300).map(|number| dataset(number * 2)).collect();
    server.apply(&some).await;
    let mut listed = Vec::new();
    let mut query = "?limit=70".to_owned();
    let mut added = 1;
    loop {
        let page = page(&server, &query, None).await;
        let ids = page["items"].as_array().unwrap().iter();
        listed.extend(ids.map(|dataset| dataset["id"].as_str().unwrap().to_owned()));
        server.apply(&dataset(added)).await;
        added += 200;
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=70&after={next}"),
            None => break,
        }
    }
    assert!(listed.is_sorted());
    let mut once = listed.clone();
    once.dedup();
    assert_eq!(once, listed);
    for number in 0..300 {
        let id = format!("{:08x}-0000-4000-8000-000000000000", number * 2);
        assert!(listed.contains(&id), "{id}");
    }
}

#[tokio::test]
async fn many_hidden_datasets_are_not_revealed() {
    let server = Server::start().await;
    let private = |number: u32| {
        format!(
            "[[datasets]]\nid = \"{number:08x}-0000-4000-8000-000000000000\"\n\
             title = \"{number}\"\nvisibility = \"private\"\nrecord_status = \"published\"\n\
             owner = \"olivia\"\n"
        )
    };
    let private: String = (0..450).map(private).collect();
    server.apply(&private).await;
    let listed: Vec<_> = all(&server, 1, None)
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(listed, [PUBLIC, WITHOUT_FILE]);
    let last = page(&server, "?limit=2", None).await;
    assert!(last.get("next").is_none(), "{last}");
    let olivia = server.session("olivia").await;
    assert_eq!(all(&server, 100, Some(&olivia)).await.len(), 456);
}

#[tokio::test]
async fn a_file_is_described_only_to_callers_who_may_read_it() {
    let server = Server::start().await;
    for (username, is_told) in [("otto", false), ("mo", true)] {
        let session = server.session(username).await;
        let request = server
            .get(&format!("/datasets/{RESTRICTED}"))
            .bearer_auth(session);
        let dataset = TestResponse::send(request).await.json();
        assert_eq!(dataset["can_read"], is_told, "{username}");
        assert_eq!(dataset.get("file").is_some(), is_told, "{username}");
    }
}

#[tokio::test]
async fn a_search_finds_by_title_or_id_whatever_its_case_among_what_the_caller_sees() {
    let server = Server::start().await;
    let otto = server.session("otto").await;
    let found = async |text: &str, session: Option<&str>| {
        let page = page(&server, &format!("?q={text}"), session).await;
        let items = page["items"].as_array().unwrap().iter();
        let titles = items.map(|item| item["title"].as_str().unwrap().to_owned());
        titles.collect::<Vec<_>>()
    };
    assert_eq!(found("PUB", None).await, ["Public"]);
    assert_eq!(found("%20file%20", None).await, ["Without a file"]);
    assert_eq!(found("RESTR", Some(&otto)).await, ["Restricted"]);
    assert_eq!(found("6B1F0A52", Some(&otto)).await, ["Restricted"]);
    for hidden in ["restr", "6b1f0a52", "private", "draft", "nothing"] {
        assert_eq!(found(hidden, None).await, Vec::<String>::new(), "{hidden}");
    }
    assert_eq!(found("", Some(&otto)).await.len(), 4);
    let long = "x".repeat(201);
    TestResponse::send(server.get(&format!("/datasets?q={long}")))
        .await
        .problem(422);
}
