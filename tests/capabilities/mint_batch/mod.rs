//! The batch mint: each dataset of a request is answered on its own, as the mint would answer it alone.

mod limits;

use serde_json::{Value, json};

use crate::support::records::records;
use crate::support::server::{
    DRAFT, INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
    WITHOUT_FILE, decode_part,
};

const PATH: &str = "/auth/download-tokens";

fn batch_request(server: &Server, dataset_ids: &[&str]) -> reqwest::RequestBuilder {
    server
        .post(PATH)
        .json(&json!({ "dataset_ids": dataset_ids }))
}

async fn batch(server: &Server, dataset_ids: &[&str], session: Option<&str>) -> TestResponse {
    let request = batch_request(server, dataset_ids);
    TestResponse::send(match session {
        Some(session) => request.bearer_auth(session),
        None => request,
    })
    .await
}

fn results(response: &TestResponse) -> Vec<Value> {
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["results"].as_array().unwrap().clone()
}

/// 200, or the status of the problem, of each result.
fn statuses(response: &TestResponse) -> Vec<u64> {
    let status = |result: &Value| {
        assert_eq!(
            result.get("token").is_some(),
            result.get("problem").is_none()
        );
        result["problem"]["status"].as_u64().unwrap_or(200)
    };
    results(response).iter().map(status).collect()
}

async fn server_with(environment: Vec<(&'static str, String)>) -> Server {
    Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await
}

async fn mint_records(server: &Server) -> Vec<Value> {
    let mut found = records(server).await;
    found.retain(|record| record["event"] == "mint");
    found
}

#[tokio::test]
async fn every_dataset_of_a_batch_is_answered_as_if_it_had_been_asked_for_alone() {
    let server = Server::start().await;
    let unhyphenated = PRIVATE.replace('-', "");
    let (uppercase, urn) = (PUBLIC.to_uppercase(), format!("urn:uuid:{INTERNAL}"));
    let asked = [
        PUBLIC,
        INTERNAL,
        RESTRICTED,
        PRIVATE,
        DRAFT,
        WITHOUT_FILE,
        UNKNOWN,
        &uppercase,
        &urn,
        &unhyphenated,
        "dem",
        "",
    ];
    for username in [None, Some("otto"), Some("mo"), Some("olivia"), Some("ada")] {
        let session = match username {
            Some(username) => Some(server.session(username).await),
            None => None,
        };
        let response = batch(&server, &asked, session.as_deref()).await;
        assert_eq!(response.header("cache-control"), "no-store");
        let answered = results(&response);
        assert_eq!(answered.len(), asked.len());
        for (id, result) in asked.iter().zip(answered) {
            // The mint has no place for an empty id: its path would be another one.
            let alone_id = if id.is_empty() { "%00" } else { id };
            let alone = server.mint(alone_id, session.as_deref()).await;
            if alone.status == 200 {
                assert_eq!(result["expires_in"], alone.json()["expires_in"]);
                let token = result["token"].as_str().unwrap();
                let mut claims = decode_part(token, 1);
                let mut claims_alone = decode_part(&alone.token(), 1);
                claims["jti"].take();
                claims_alone["jti"].take();
                assert_eq!(claims, claims_alone, "{username:?} {id}");
                assert_eq!(decode_part(token, 0), decode_part(&alone.token(), 0));
                let canonical = result["dataset_id"].as_str().unwrap();
                assert_eq!(claims["scope"], format!("dataset:{canonical}"));
                assert_eq!(server.download(canonical, token).await.status, 200);
            } else {
                assert_eq!(result["problem"], alone.json(), "{username:?} {id}");
                assert_eq!(result.get("token"), None);
                assert_eq!(result.get("expires_in"), None);
            }
        }
    }
}

#[tokio::test]
async fn a_result_names_its_dataset_canonically_and_repeats_what_is_no_id() {
    let server = Server::start().await;
    let asked = [&format!("urn:uuid:{}", PUBLIC.to_uppercase()), "{x}", "ü\n"];
    let answered = results(&batch(&server, &asked, None).await);
    let named: Vec<_> = answered
        .iter()
        .map(|result| &result["dataset_id"])
        .collect();
    assert_eq!(named, [PUBLIC, "{x}", "ü\n"]);
}

#[tokio::test]
async fn a_hidden_dataset_of_a_batch_looks_like_an_unknown_one() {
    let server = Server::start().await;
    let session = server.session("otto").await;
    let hidden = batch(&server, &[PRIVATE, PUBLIC, DRAFT], Some(&session)).await;
    let unknown_draft = UNKNOWN.replace("00000000-", "00000001-");
    let unknown = batch(&server, &[UNKNOWN, PUBLIC, &unknown_draft], Some(&session)).await;
    let without_token = |response: &TestResponse| {
        let mut text = response.text();
        for id in [PRIVATE, DRAFT, UNKNOWN, &unknown_draft] {
            text = text.replace(id, "ID");
        }
        let token = response.json()["results"][1]["token"].clone();
        text.replace(token.as_str().unwrap(), "TOKEN")
    };
    assert_eq!(without_token(&hidden), without_token(&unknown));
    assert_eq!(hidden.body.len(), unknown.body.len());
}

#[tokio::test]
async fn every_dataset_of_a_batch_is_on_record_before_the_answer() {
    let server = Server::start().await;
    let session = server.session("otto").await;
    let asked = [PUBLIC, PRIVATE, PUBLIC, "dem", RESTRICTED];
    let answered = results(&batch(&server, &asked, Some(&session)).await);
    let found = mint_records(&server).await;
    let told: Vec<_> = found
        .iter()
        .map(|record| {
            (
                record["dataset_id"].as_str().unwrap(),
                record["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told.len(), 4);
    for expected in [(PRIVATE, "denied"), (RESTRICTED, "denied")] {
        assert_eq!(
            told.iter().filter(|it| **it == expected).count(),
            1,
            "{told:?}"
        );
    }
    assert_eq!(
        told.iter().filter(|it| **it == (PUBLIC, "granted")).count(),
        2
    );
    let mut tokens: Vec<_> = [0, 2]
        .into_iter()
        .map(|index: usize| {
            decode_part(answered[index]["token"].as_str().unwrap(), 1)["jti"].clone()
        })
        .collect();
    let mut recorded: Vec<_> = found
        .iter()
        .filter(|record| record["outcome"] == "granted")
        .map(|record| record["jti"].clone())
        .collect();
    tokens.sort_by_key(Value::to_string);
    recorded.sort_by_key(Value::to_string);
    assert_eq!(tokens, recorded);
    assert_ne!(tokens[0], tokens[1]);
    let requests: std::collections::BTreeSet<_> = found
        .iter()
        .map(|record| record["request_id"].to_string())
        .collect();
    assert_eq!(requests.len(), 1, "one request has one id");
}

#[tokio::test]
async fn a_batch_has_at_most_a_hundred_datasets_and_a_hundred_are_granted() {
    let server = Server::start().await;
    let hundred = vec![PUBLIC; 100];
    let response = batch(&server, &hundred, None).await;
    assert_eq!(statuses(&response), vec![200; 100]);
    let jtis: std::collections::BTreeSet<_> = results(&response)
        .iter()
        .map(|result| decode_part(result["token"].as_str().unwrap(), 1)["jti"].to_string())
        .collect();
    assert_eq!(jtis.len(), 100);
    assert_eq!(mint_records(&server).await.len(), 100);
    for (refused, expected) in [
        (
            vec![PUBLIC; 101],
            "`dataset_ids`: expected at most 100 in the list, found 101",
        ),
        (
            vec![],
            "`dataset_ids`: expected at least 1 in the list, found 0",
        ),
    ] {
        let detail = batch(&server, &refused, None).await.problem(422);
        assert!(detail.ends_with(expected), "{detail}");
    }
    assert_eq!(mint_records(&server).await.len(), 100);
}

#[tokio::test]
async fn a_body_that_is_not_a_list_of_texts_is_refused_as_a_whole() {
    let server = Server::start().await;
    for body in [
        json!({}),
        json!({"dataset_ids": null}),
        json!({"dataset_ids": PUBLIC}),
        json!({"dataset_ids": [PUBLIC, 1]}),
        json!({"dataset_ids": [[PUBLIC]]}),
        json!({"dataset_ids": {"0": PUBLIC}}),
        json!({"dataset_id": [PUBLIC]}),
        json!({"dataset_ids": [PUBLIC], "ttl": 5}),
        json!([PUBLIC]),
    ] {
        let detail = TestResponse::send(server.post(PATH).json(&body))
            .await
            .problem(422);
        assert!(
            detail.starts_with("the request body is malformed"),
            "{detail}"
        );
    }
    let twice = format!(r#"{{"dataset_ids": ["{PUBLIC}"], "dataset_ids": []}}"#);
    let json_type = ("content-type", "application/json");
    let sent = server
        .post(PATH)
        .header(json_type.0, json_type.1)
        .body(twice);
    TestResponse::send(sent).await.problem(422);
    let text = server
        .post(PATH)
        .header("content-type", "text/plain")
        .body(PUBLIC);
    TestResponse::send(text).await.problem(415);
    let large = vec!["x".repeat(1000); 99];
    let large = server.post(PATH).json(&json!({ "dataset_ids": large }));
    TestResponse::send(large).await.problem(413);
    assert_eq!(mint_records(&server).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_bad_credential_refuses_the_batch_as_a_whole_with_one_record() {
    let server = Server::start().await;
    let response = batch(&server, &[PUBLIC, PRIVATE, "dem"], Some("abc")).await;
    response.problem(401);
    assert!(response.header("www-authenticate").starts_with("Bearer "));
    let found = mint_records(&server).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["outcome"], "refused");
    assert!(found[0]["dataset_id"].is_null(), "{}", found[0]);
    let session = server.session("ada").await;
    let two = batch_request(&server, &[PUBLIC])
        .bearer_auth(session)
        .header("x-api-key", "cg_0123456789_x");
    TestResponse::send(two).await.problem(400);
    // Not even an id that cannot be one tells more than the credential.
    batch(&server, &["dem"], Some("abc")).await.problem(401);
}

#[tokio::test]
async fn a_restricted_api_key_mints_for_its_own_datasets_of_a_batch_in_every_lane() {
    let server = Server::start().await;
    let session = server.session("olivia").await;
    let created = server
        .post("/auth/api-keys")
        .bearer_auth(session)
        .json(&json!({"name": "map", "datasets": [PRIVATE]}));
    let key = TestResponse::send(created).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = || batch_request(&server, &[PRIVATE, PUBLIC, RESTRICTED]);
    for request in [
        request().header("x-api-key", &key),
        request().basic_auth("any", Some(&key)),
    ] {
        let response = TestResponse::send(request).await;
        assert_eq!(statuses(&response), [200, 404, 404]);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_written_costs_the_token_of_its_dataset_alone() {
    use sqlx::Connection;
    let server = Server::start().await;
    let url = server.settings.database_url.reveal();
    let mut database = sqlx::SqliteConnection::connect(url).await.unwrap();
    let internal = INTERNAL.replace('-', "");
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_records WHEN hex(NEW.dataset_id) = upper('{internal}') \
         OR NEW.dataset_id = '{INTERNAL}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(trigger))
        .execute(&mut database)
        .await
        .unwrap();
    let session = server.session("ada").await;
    let response = batch(&server, &[PUBLIC, INTERNAL, PRIVATE], Some(&session)).await;
    assert_eq!(statuses(&response), [200, 503, 200]);
    assert_eq!(results(&response)[1]["problem"]["retry_after"], 2);
    assert_eq!(mint_records(&server).await.len(), 2);
    // Alone it is all of the batch.
    let refused = batch(&server, &[INTERNAL, INTERNAL], Some(&session)).await;
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), "2");
}

#[tokio::test]
async fn one_version_of_the_policies_decides_about_a_whole_batch() {
    let policies = r#"
        @id("everyone") @reason("Test.") @max_ttl("60")
        permit (principal, action, resource);
    "#;
    let server = Server::start_with(ServerOptions {
        policies: Some(policies),
        ..ServerOptions::default()
    })
    .await;
    let file = server.folder.path().join("policies/test.cedar");
    let ada = server.session("ada").await;
    let asked: Vec<_> = [PUBLIC, INTERNAL, RESTRICTED, PRIVATE].repeat(25);
    for ttl in [50, 40] {
        std::fs::write(&file, policies.replace("60", &ttl.to_string())).unwrap();
        let reload = server.post("/admin/policies/reload").bearer_auth(&ada);
        let (minted, reloaded) =
            tokio::join!(batch(&server, &asked, None), TestResponse::send(reload),);
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
        let lives: std::collections::BTreeSet<_> = results(&minted)
            .iter()
            .map(|result| result["expires_in"].as_u64().unwrap())
            .collect();
        assert_eq!(lives.len(), 1, "{lives:?}");
    }
    let after = batch(&server, &[PUBLIC], None).await;
    assert_eq!(results(&after)[0]["expires_in"], 40);
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_and_other_methods_are_named() {
    let server = Server::start().await;
    let request = server.post(&format!("{PATH}?ttl=1"));
    let body = json!({"dataset_ids": [PUBLIC]});
    TestResponse::send(request.json(&body)).await.problem(422);
    let response = TestResponse::send(server.get(PATH)).await;
    response.problem(405);
    assert_eq!(response.header("allow"), "POST, OPTIONS");
}
