//! One question.

use serde_json::{Value, json};

use super::{AccessServer, EVALUATION, question};
use crate::support::admin_client::AdminClient;
use crate::support::server::{PRIVATE, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN};

#[tokio::test]
async fn a_service_asks_about_users_and_datasets_of_the_catalog() {
    let access = AccessServer::start().await;
    let ada = AdminClient::sign_in(&access.server, "ada").await;
    let (mo, restricted) = (ada.user_id("mo").await, RESTRICTED.to_uppercase());
    for (subject, action, dataset, expected) in [
        ("mo", "read", RESTRICTED, true),
        ("MO", "read", &restricted, true),
        (&mo, "read", RESTRICTED, true),
        ("otto", "read", RESTRICTED, false),
        ("otto", "discover", RESTRICTED, true),
        ("ada", "administer", PRIVATE, true),
        ("olivia", "administer", PRIVATE, false),
        ("anonymous", "read", PUBLIC, true),
        ("anonymous", "read", PRIVATE, false),
        ("dora", "read", PUBLIC, false),
        ("nobody", "read", PUBLIC, false),
        ("not a name!", "read", PUBLIC, false),
        ("mo", "read", UNKNOWN, false),
        ("mo", "read", "x", false),
        ("mo", "fly", PUBLIC, false),
    ] {
        let asked = question(("user", subject), action, ("dataset", dataset));
        let answer = access.evaluate(&asked).await;
        assert_eq!(answer["decision"], expected, "{asked} {answer}");
    }
    // What a service says of them counts for nothing.
    let mut asked = question(("user", "otto"), "read", ("dataset", RESTRICTED));
    asked["subject"]["properties"] = json!({"roles": ["hydrology", "admin"], "username": "mo"});
    asked["resource"]["properties"] = json!({"visibility": "public", "owner": "otto"});
    assert_eq!(access.evaluate(&asked).await, json!({"decision": false}));
}

#[tokio::test]
async fn a_service_asks_about_types_of_the_authors_own() {
    let access = AccessServer::start().await;
    let mut soft = question(("person", "zoe"), "view", ("record", "r0"));
    soft["context"] =
        json!({"soft": true, "network": {"undeclared": [1]}, "time": "2025-06-27T18:03-07:00"});
    let mut opened = question(("person", "alice"), "view", ("record", "r1"));
    opened["resource"]["properties"] = json!({"status": "open", "undeclared": {}});
    let mut invented = question(("person", "alice"), "view", ("record", "r-new"));
    invented["resource"]["properties"] = json!({"status": "open"});
    let mut ill_typed = question(("person", "alice"), "view", ("record", "r0"));
    ill_typed["resource"]["properties"] = json!({"status": 7});
    for (asked, expected) in [
        (
            question(("person", "alice"), "view", ("record", "r0")),
            true,
        ),
        (
            question(
                ("Docs::Person", "alice"),
                "viewRecord",
                ("Docs::Record", "r0"),
            ),
            true,
        ),
        (question(("person", "bob"), "view", ("record", "r0")), false),
        (
            question(("person", "alice"), "view", ("record", "r1")),
            false,
        ),
        (question(("person", "bob"), "edit", ("record", "r3")), true),
        (
            question(("person", "alice"), "edit", ("record", "r3")),
            false,
        ),
        (question(("user", "mo"), "view", ("record", "r0")), false),
        (soft, true),
        (opened, true),
        (invented, true),
        (ill_typed, false),
        (
            question(("person", "alice"), "view", ("record", "r-new")),
            false,
        ),
        (
            question(("spaceship", "alice"), "view", ("record", "r0")),
            false,
        ),
        (
            question(("person", "alice"), "view", ("Record", "r0")),
            false,
        ),
    ] {
        let answer = access.evaluate(&asked).await;
        assert_eq!(answer["decision"], expected, "{asked} {answer}");
    }
    let unknown = question(("spaceship", "x"), "view", ("record", "r0"));
    let reason = access.evaluate(&unknown).await["context"]["reason"].clone();
    assert_eq!(reason, "unknown type \"spaceship\"");
}

#[tokio::test]
async fn reasons_are_told_as_the_policies_permit() {
    let access = AccessServer::start().await;
    let asked = question(("person", "alice"), "view", ("record", "r0"));
    let told = json!({"200": "The team views records."});
    let expected = json!({"decision": true, "context": {"reason_user": told}});
    assert_eq!(access.evaluate(&asked).await, expected);
    let secret = question(("person", "alice"), "view", ("record", "r1"));
    let told = json!({"403": "Secret records are closed."});
    let expected = json!({"decision": false, "context": {"reason_user": told}});
    assert_eq!(access.evaluate(&secret).await, expected);
    let ada = access.server.session("ada").await;
    let answer = access.ask_as(&ada, EVALUATION, &secret).await.json();
    let admin = &answer["context"]["reason_admin"];
    assert_eq!(admin["policies"], json!(["secret"]));
    assert_eq!(admin["errors"], json!([]));
    assert_eq!(admin["revision"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn the_time_of_a_question_is_believed_from_those_who_may_say_it() {
    let access = AccessServer::start().await;
    let clock = access.server.session("the-clock").await;
    let mut asked = question(("person", "bob"), "edit", ("record", "r3"));
    for (time, of_clock) in [
        ("2026-12-31T23:59:59Z", true),
        ("2027-01-01T00:00:00Z", false),
    ] {
        asked["context"] = json!({"time": time});
        assert_eq!(access.evaluate(&asked).await["decision"], true, "{time}");
        let answer = access.ask_as(&clock, EVALUATION, &asked).await.json();
        assert_eq!(answer["decision"], of_clock, "{time}");
    }
    asked["context"] = json!({"time": "tomorrow"});
    let answer = access.ask_as(&clock, EVALUATION, &asked).await.json();
    assert_eq!(answer["decision"], false);
    assert!(answer["context"]["error"]["status"].is_u64(), "{answer}");
}

#[tokio::test]
async fn whoever_may_not_ask_is_refused_before_anything_is_decided() {
    let access = AccessServer::start().await;
    let asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    let anonymous = TestResponse::send(access.server.post(EVALUATION).json(&asked)).await;
    anonymous.problem(401);
    assert!(anonymous.header("www-authenticate").contains("Bearer"));
    // Nobody learns without a credential what is wrong with a body.
    let empty = TestResponse::send(access.server.post(EVALUATION)).await;
    empty.problem(401);
    let mo = access.server.session("mo").await;
    access.ask_as(&mo, EVALUATION, &asked).await.problem(403);
    let clock = access.server.session("the-clock").await;
    let search = "/access/v1/search/action";
    access.ask_as(&clock, search, &asked).await.problem(403);
    let records = access.asked().await;
    let denied = records
        .iter()
        .find(|record| record["outcome"] == "denied")
        .unwrap();
    assert_eq!(denied["action"], "evaluate");
    assert_eq!(denied["asked_principal"], Value::Null);
}

#[tokio::test]
async fn a_schema_without_the_actions_of_services_refuses_them_and_is_healthy() {
    let policies = r#"@id("all") @reason("x") permit (principal, action, resource);"#;
    let folder = tempfile::tempdir().unwrap();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let schema = std::fs::read_to_string(shipped.join("schema.cedarschema")).unwrap();
    let (schema, _) = schema.split_once("// What other services may ask").unwrap();
    std::fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
    std::fs::write(folder.path().join("all.cedar"), policies).unwrap();
    let server = Server::start_with(crate::support::server::ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", folder.path().display().to_string())],
        ..Default::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    ada.post(EVALUATION, asked).await.problem(403);
    let ready = TestResponse::send(server.get("/health/ready")).await.json();
    assert!(!ready.to_string().contains("declare"), "{ready}");
    let policies = ada.get("/admin/policies").await.json();
    let warnings = policies["in_force"]["warnings"].to_string();
    assert!(warnings.contains("AuthZEN"), "{warnings}");
}

#[tokio::test]
async fn whoever_may_not_ask_fills_the_log_no_faster_than_with_other_requests() {
    let limit = ("CEDARGATE_REQUEST_LIMIT_PER_MINUTE", "5".to_owned());
    let access = AccessServer::start_with(vec![limit]).await;
    let mo = access.server.session("mo").await;
    let asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    for _ in 0..5 {
        access.ask_as(&mo, EVALUATION, &asked).await.problem(403);
    }
    access.ask_as(&mo, EVALUATION, &asked).await.problem(429);
    assert_eq!(access.evaluate(&asked).await["decision"], true);
    assert_eq!(access.asked().await.len(), 6);
}
