//! `POST /admin/policies/explain`: the decision of the policies in force, and its reasons.

use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, EXPLAIN};
use crate::support::records::records;
use crate::support::server::{
    DRAFT, INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
    WITHOUT_FILE,
};

#[tokio::test]
async fn a_decision_is_explained_with_the_policy_that_determined_it_and_with_near_misses() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let explanation = ada.explanation("mo", RESTRICTED).await;
    let mo = ada.user_id("mo").await;
    assert_eq!(explanation["principal"], format!("User::\"{mo}\""));
    assert_eq!(explanation["username"], "mo");
    assert_eq!(explanation["dataset_id"], RESTRICTED);
    assert_eq!(explanation["title"], "Restricted");
    assert_eq!(explanation["is_permitted"], true);
    assert_eq!(explanation["max_ttl"], 120);
    assert_eq!(explanation["authentication"], "password");
    assert_eq!(explanation["mint"]["status"], 200);
    assert_eq!(
        explanation["withheld"],
        json!({"principal": false, "dataset": false, "errors": 0})
    );
    let policies = ada.get("/admin/policies").await.json();
    assert_eq!(explanation["revision"], policies["in_force"]["revision"]);
    let [determining] = &explanation["determining"].as_array().unwrap()[..] else {
        panic!("one policy permits: {explanation}")
    };
    assert_eq!(determining["id"], "shared-with-role");
    assert_eq!(determining["effect"], "permit");
    assert_eq!(
        determining["reason"],
        "The dataset is restricted, published and shared with a role of this user."
    );
    let file = ada.get("/admin/policies/files/shared.cedar").await.json();
    let text = file["text"].as_str().unwrap();
    let line = usize::try_from(determining["line"].as_u64().unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().skip(line - 1).collect();
    assert_eq!(determining["file"], "shared.cedar");
    assert_eq!(determining["text"], lines.join("\n"));
    assert_eq!(determining["held"], determining["part_count"]);

    let near = explanation["others"].as_array().unwrap();
    let near = near.iter().find(|near| near["id"] == "shared-with-user");
    let near = near.unwrap();
    let line = near["parts"][0]["line"].as_u64().unwrap();
    assert_eq!(
        text.lines().nth(usize::try_from(line).unwrap() - 1),
        Some("  resource.reader_users.contains(principal)")
    );
    let expected = json!([{
        "text": "resource.reader_users.contains(principal)",
        "line": line,
        "is_negated": false,
        "value": "false",
        "is_met": false,
        "meaning": "so the policy does not apply",
        "seen": [
            {"name": "resource.reader_users", "value": "[]", "is_withheld": false},
            {"name": "principal", "value": format!("User::\"{mo}\""), "is_withheld": false},
        ],
    }]);
    assert_eq!(near["parts"], expected);
    for same in [mo.clone(), format!("User::\"{mo}\"")] {
        assert_eq!(
            ada.explanation(&same, RESTRICTED).await["others"],
            explanation["others"]
        );
    }
}

#[tokio::test]
async fn the_explained_status_is_the_status_of_the_mint() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for person in ["anonymous", "olivia", "mo", "otto"] {
        let session = match person {
            "anonymous" => None,
            person => Some(server.session(person).await),
        };
        for dataset in [PUBLIC, INTERNAL, RESTRICTED, PRIVATE, DRAFT, WITHOUT_FILE] {
            let explanation = ada.explanation(person, dataset).await;
            let minted = server.mint(dataset, session.as_deref()).await;
            assert_eq!(
                explanation["mint"]["status"], minted.status,
                "{person} {dataset}"
            );
        }
    }
    let disabled = ada.explanation("dora", PUBLIC).await;
    assert_eq!(disabled["is_disabled"], true);
    assert_eq!(disabled["is_permitted"], false);
    assert_eq!(disabled["mint"]["status"], 401);
    assert_eq!(disabled["determining"], json!([]));
    let discover = json!({"principal": "mo", "action": "discover", "dataset_id": PUBLIC});
    let explanation = ada.post(EXPLAIN, discover).await.json();
    assert_eq!(
        (&explanation["is_permitted"], &explanation["mint"]),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_change_is_explained_immediately() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(
        ada.explanation("otto", RESTRICTED).await["is_permitted"],
        false
    );
    let share = format!("/admin/datasets/{RESTRICTED}/shares/users/otto");
    let shared = ada.put(&share, json!({})).await;
    assert_eq!(shared.status, 200, "{}", shared.text());
    let explanation = ada.explanation("otto", RESTRICTED).await;
    assert_eq!(explanation["determining"][0]["id"], "shared-with-user");
}

#[tokio::test]
async fn explaining_requires_view_policies_and_is_audited() {
    let server = Server::start().await;
    let body = json!({"principal": "anonymous", "action": "read", "dataset_id": PUBLIC});
    let anonymous = server.post(EXPLAIN).json(&body);
    TestResponse::send(anonymous).await.problem(401);
    let mo = AdminClient::sign_in(&server, "mo").await;
    let denied = mo.post(EXPLAIN, body).await;
    let detail = mo.get("/admin/policies").await.problem(403);
    assert_eq!(denied.problem(403), detail);

    let ada = AdminClient::sign_in(&server, "ada").await;
    ada.explanation("mo", PUBLIC).await;
    let mo = ada.user_id("mo").await;
    let records = records(&server).await;
    let is_explanation =
        |record: &&Value| record["action"] == "view_policies" && !record["reason"].is_null();
    let record = records.iter().rfind(is_explanation).unwrap();
    assert_eq!(record["event"], "administer");
    assert_eq!(record["outcome"], "granted");
    assert_eq!(record["dataset_id"], PUBLIC);
    assert_eq!(record["resource_user_id"], mo);
    assert_eq!(record["reason"], "explained the decision on read by mo");
}

#[tokio::test]
async fn a_malformed_request_or_an_unknown_user_is_refused() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let good = json!({"principal": "mo", "action": "read", "dataset_id": PUBLIC,
        "address": "192.0.2.7", "time": "2026-03-01T12:00:00Z"});
    let explanation = ada.post(EXPLAIN, good.clone()).await.json();
    assert_eq!(explanation["address"], "192.0.2.7");
    assert_eq!(explanation["time"], "2026-03-01T12:00:00Z");
    for (field, value) in [
        ("authentication", json!("cookie")),
        ("authentication", json!("none")),
        ("principal", json!(null)),
        ("action", json!("view_users")),
        ("action", json!("")),
        ("dataset_id", json!("public")),
        ("address", json!("here")),
        ("address", json!("192.0.2.0/24")),
        ("time", json!("tomorrow")),
        ("time", json!(1_772_366_400)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        ada.post(EXPLAIN, body).await.problem(422);
    }
    for principal in ["", "m o", "User::\"mo\"", "Role::\"admin\""] {
        let mut body = good.clone();
        body["principal"] = principal.into();
        let field = ada.post(EXPLAIN, body).await.problem_field(422);
        assert_eq!(field, "principal", "{principal}");
    }
    for unknown in ["nobody", UNKNOWN] {
        let detail = ada.explain(unknown, PUBLIC).await.problem(404);
        assert_eq!(detail, "there is no such user");
    }
    let detail = ada.explain("mo", UNKNOWN).await.problem(404);
    assert_eq!(detail, "there is no such dataset");
}

#[tokio::test]
async fn an_explanation_is_about_the_request_itself_unless_another_situation_is_given() {
    let server = Server::start_with(ServerOptions {
        policies: Some(
            r#"@id("admin") @reason("x") permit (principal in Role::"admin", action, resource);
            @id("here") @reason("x") permit (principal, action == Action::"read", resource)
            when { context.address.isLoopback() && context.time > datetime("2026-01-01")
                && context.authentication != Authentication::"api_key" };"#,
        ),
        ..ServerOptions::default()
    })
    .await;
    server.clock.advance(1);
    let ada = AdminClient::sign_in(&server, "ada").await;
    let explanation = ada.explanation("mo", PRIVATE).await;
    assert_eq!(explanation["is_permitted"], true, "{explanation}");
    assert_eq!(explanation["address"], "127.0.0.1");
    assert_eq!(explanation["authentication"], "password");
    for other in [
        json!({"address": "192.0.2.7"}),
        json!({"time": "2025-12-31T23:59:59Z"}),
        json!({"authentication": "api_key"}),
    ] {
        let mut body = json!({"principal": "mo", "action": "read", "dataset_id": PRIVATE});
        body.as_object_mut()
            .unwrap()
            .extend(other.as_object().unwrap().clone());
        let explanation = ada.post(EXPLAIN, body).await.json();
        assert_eq!(explanation["is_permitted"], false, "{explanation}");
    }
}

#[tokio::test]
async fn a_response_is_bounded_however_many_and_long_the_policies_are() {
    let many = (0..30).map(|number| {
        format!(
            "@id(\"p{number}\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
             when {{ resource.title == \"{number}{}\" }};\n",
            "x".repeat(10_000)
        )
    });
    let policies = many.collect::<String>()
        + "@id(\"admin\") @reason(\"x\") permit (principal in Role::\"admin\", action, resource);";
    let server = Server::start_with(ServerOptions {
        policies: Some(policies.leak()),
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let explanation = ada.explanation("mo", PUBLIC).await;
    assert_eq!(explanation["others"].as_array().unwrap().len(), 20);
    assert_eq!(explanation["left_off"], 11);
    for policy in explanation["others"].as_array().unwrap() {
        for text in [&policy["text"], &policy["parts"][0]["text"]] {
            assert!(text.as_str().unwrap().chars().count() <= 4_003);
        }
    }
}
