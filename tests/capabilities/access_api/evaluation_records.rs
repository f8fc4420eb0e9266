//! Records of what services asked.

use serde_json::{Value, json};

use super::{AccessServer, EVALUATIONS, question};
use crate::support::admin_client::AdminClient;
use crate::support::cli::cedargate;
use crate::support::server::RESTRICTED;

#[tokio::test]
async fn a_question_is_on_record_with_who_asked_about_whom() {
    let access = AccessServer::start().await;
    let ada = AdminClient::sign_in(&access.server, "ada").await;
    let (mo, gateway) = (ada.user_id("mo").await, ada.user_id("the-gateway").await);
    let mut asked = question(("user", "mo"), "read", ("dataset", RESTRICTED));
    asked["context"] = json!({"secret": "hunter2"});
    access.evaluate(&asked).await;
    access
        .evaluate(&question(("person", "alice"), "view", ("record", "r1")))
        .await;
    let records = access.asked().await;
    let expected = json!({
        "event": "evaluate",
        "outcome": "granted",
        "user_id": gateway,
        "action": "evaluate",
        "dataset_id": RESTRICTED,
        "determining_policies": ["shared-with-role"],
        "asked_principal": format!("User::\"{mo}\""),
        "asked_action": "Action::\"read\"",
        "asked_resource": format!("Dataset::\"{RESTRICTED}\""),
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(records[0][member], *value, "{member}");
    }
    let mut ill_typed = question(("person", "alice"), "view", ("record", "r0"));
    ill_typed["subject"]["properties"] = json!({"level": "hunter2"});
    let told = access.evaluate(&ill_typed).await;
    assert!(told.to_string().contains("hunter2"), "{told}");
    let all = access.asked().await;
    assert!(!json!(all).to_string().contains("hunter2"), "{all:?}");
    assert!(all[2]["reason"].as_str().unwrap().contains("`level`"));
    assert_eq!(records[1]["outcome"], "denied");
    assert_eq!(records[1]["determining_policies"], json!(["secret"]));
    assert_eq!(records[1]["asked_action"], "Docs::Action::\"viewRecord\"");
    for (filter, count) in [
        (format!("asked_principal=User::\"{mo}\""), 1),
        ("asked_resource=Docs::Record::\"r1\"".to_owned(), 1),
        ("asked_resource=Docs::Record::\"r2\"".to_owned(), 0),
        ("event=evaluate&action=evaluate".to_owned(), 3),
    ] {
        let found = ada.list_all(&format!("/admin/audit?{filter}"), 10).await;
        assert_eq!(found.len(), count, "{filter}");
    }
}

/// The outcomes on record, and how many requests each record stands for.
async fn outcomes(access: &AccessServer) -> Vec<(Value, Value)> {
    let records = access.asked().await.into_iter();
    let outcomes = records.map(|record| (record["outcome"].clone(), record["requests"].clone()));
    outcomes.collect()
}

#[tokio::test]
async fn permits_that_are_alike_are_folded_and_denials_never() {
    let fold = ("CEDARGATE_EVALUATION_RECORDS", "folded".to_owned());
    let access = AccessServer::start_with(vec![fold]).await;
    let permitted = question(("person", "alice"), "view", ("record", "r0"));
    let denied = question(("person", "bob"), "view", ("record", "r0"));
    for asked in [&permitted, &denied, &permitted, &denied] {
        access.evaluate(asked).await;
    }
    let batch = json!({"evaluations": [permitted, permitted, denied]});
    assert_eq!(access.ask(EVALUATIONS, &batch).await.status, 200);
    let of_carol = question(("person", "carol"), "view", ("record", "r0"));
    access.evaluate(&of_carol).await;
    let mut access = access;
    assert!(access.server.stop().await);
    let found = outcomes(&access).await;
    let folded: Vec<_> = found
        .iter()
        .filter(|(outcome, _)| outcome == "granted")
        .collect();
    assert_eq!(
        folded,
        [&(json!("granted"), json!(4)), &(json!("granted"), json!(1))]
    );
    let denied = found.iter().filter(|(outcome, _)| outcome == "denied");
    assert_eq!(denied.count(), 3);
}

#[tokio::test]
async fn of_a_sample_every_so_many_permits_are_on_record_and_every_denial() {
    let sample = ("CEDARGATE_EVALUATION_RECORDS", "1/5".to_owned());
    let access = AccessServer::start_with(vec![sample]).await;
    let permitted = question(("person", "alice"), "view", ("record", "r0"));
    let denied = question(("person", "bob"), "view", ("record", "r0"));
    for _ in 0..6 {
        access.evaluate(&permitted).await;
        access.evaluate(&denied).await;
    }
    let batch = json!({"evaluations": vec![permitted; 10]});
    assert_eq!(access.ask(EVALUATIONS, &batch).await.status, 200);
    let found = outcomes(&access).await;
    let count = |outcome: &str| found.iter().filter(|(found, _)| found == outcome).count();
    assert_eq!((count("granted"), count("denied")), (4, 6));
}

#[tokio::test]
async fn what_a_service_was_told_about_the_catalog_is_explained_from_its_record() {
    let access = AccessServer::start().await;
    for user in ["mo", "otto"] {
        let asked = question(("user", user), "read", ("dataset", RESTRICTED));
        access.evaluate(&asked).await;
    }
    access
        .evaluate(&question(("person", "alice"), "view", ("record", "r0")))
        .await;
    let records = access.asked().await;
    let explain = |record: &Value| {
        let (data, policies) = (access.server.folder.path(), access.policies.path());
        let environment = [
            ("CEDARGATE_DATA_DIR", data.to_str().unwrap()),
            ("CEDARGATE_POLICY_DIR", policies.to_str().unwrap()),
        ];
        let id = record["id"].as_str().unwrap();
        cedargate(data, &["policy", "explain", "--record", id], &environment)
    };
    for (record, verdict) in records.iter().zip(["PERMITTED: mo (", "DENIED: otto ("]) {
        let explained = explain(record);
        assert!(explained.data.contains(verdict), "{}", explained.data);
        assert!(
            explained
                .data
                .contains("circumstances that it named are not on record")
        );
        assert!(!explained.data.contains("would be another one now"));
    }
    let own = explain(&records[2]);
    assert_eq!(own.code, 1);
    assert!(
        own.messages.contains("/access/v1/evaluation"),
        "{}",
        own.messages
    );
}

#[tokio::test]
async fn a_name_that_is_too_long_is_cut_on_record() {
    let access = AccessServer::start().await;
    let ids = ["a", "b"].map(|end| "\u{20000}".repeat(1023) + end);
    for id in &ids {
        access
            .evaluate(&question(("person", "alice"), "view", ("record", id)))
            .await;
    }
    let records = access.asked().await;
    let names = [0, 1].map(|place| records[place]["asked_resource"].as_str().unwrap());
    assert_ne!(names[0], names[1]);
    assert!(names[0].len() <= 512, "{}", names[0]);
    assert!(names[0].starts_with("Docs::Record::\"\u{20000}"));
}
