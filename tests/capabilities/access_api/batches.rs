//! Several questions in one request.

use serde_json::{Value, json};

use super::{AccessServer, EVALUATIONS, entity, question};
use crate::support::server::PUBLIC;

async fn batch(access: &AccessServer, body: &Value) -> Vec<Value> {
    let response = access.ask(EVALUATIONS, body).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let answer = response.json();
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["evaluations"].as_array().unwrap().clone()
}

fn decisions(answers: &[Value]) -> Vec<bool> {
    answers
        .iter()
        .map(|answer| answer["decision"].as_bool().unwrap())
        .collect()
}

/// Questions of several kinds, more than are decided without a turn.
fn questions() -> Vec<Value> {
    let mut questions = Vec::new();
    for person in ["alice", "bob", "carol", "zoe"] {
        for record in 0..7 {
            let id = format!("r{record}");
            questions.push(question(("person", person), "view", ("record", &id)));
        }
    }
    questions.push(question(("user", "mo"), "read", ("dataset", PUBLIC)));
    questions.push(question(("ghost", "x"), "read", ("dataset", PUBLIC)));
    questions.push(json!({"subject": {"type": "person"}}));
    questions.push(json!({"action": {"name": 7}}));
    questions
}

#[tokio::test]
async fn a_batch_is_answered_as_each_question_alone_and_is_on_record_so() {
    let access = AccessServer::start().await;
    let questions = questions();
    let answers = batch(&access, &json!({"evaluations": questions})).await;
    assert_eq!(answers.len(), questions.len());
    let of_batch = access.asked().await;
    assert_eq!(of_batch.len(), questions.len());
    for (asked, answer) in questions.iter().zip(&answers) {
        if asked["resource"].is_null() {
            assert_eq!(answer["context"]["error"]["status"], 400, "{answer}");
            continue;
        }
        assert_eq!(*answer, access.evaluate(asked).await, "{asked}");
    }
    let members = [
        "outcome",
        "asked_principal",
        "asked_action",
        "asked_resource",
        "reason",
    ];
    // The records of one batch are of one time, and so in no order.
    let told = |records: &[Value]| {
        let told = records.iter().map(|record| {
            let told = members.map(|member| record[member].to_string());
            told.join(" ")
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        told
    };
    let decided: Vec<Value> = of_batch
        .into_iter()
        .filter(|record| record["outcome"] != "refused")
        .collect();
    let alone = access.asked().await;
    let alone = alone.get(questions.len()..).unwrap();
    assert_eq!(told(&decided), told(alone));
}

#[tokio::test]
async fn a_batch_ends_as_it_says() {
    let access = AccessServer::start().await;
    let view = |id: &str| json!({"resource": entity(("record", id))});
    let mut body = json!({
        "subject": entity(("person", "alice")),
        "action": {"name": "view"},
        "resource": {},
        "context": {"soft": false},
        "evaluations": [view("r0"), view("r1"), {}, view("r2")],
    });
    for (semantic, expected) in [
        (Value::Null, vec![true, false, false, true]),
        (json!("execute_all"), vec![true, false, false, true]),
        (json!("deny_on_first_deny"), vec![true, false]),
        (json!("permit_on_first_permit"), vec![true]),
    ] {
        body["options"] = json!({"evaluations_semantic": semantic, "other": 1});
        let answers = batch(&access, &body).await;
        assert_eq!(decisions(&answers), expected, "{semantic}");
    }
    // What a question has, it has whole: nothing of the default is merged into it.
    body["options"] = Value::Null;
    body["evaluations"] = json!([
        {"subject": entity(("person", "zoe")), "resource": entity(("record", "r0"))},
        {"subject": entity(("person", "zoe")), "resource": entity(("record", "r0")), "context": {"soft": true}},
    ]);
    assert_eq!(decisions(&batch(&access, &body).await), [false, true]);
}

#[tokio::test]
async fn without_questions_a_batch_is_one() {
    let access = AccessServer::start().await;
    let mut body = question(("person", "alice"), "view", ("record", "r0"));
    let alone = access.evaluate(&body).await;
    for evaluations in [None, Some(json!([])), Some(Value::Null)] {
        if let Some(evaluations) = evaluations {
            body["evaluations"] = evaluations;
        }
        assert_eq!(access.ask(EVALUATIONS, &body).await.json(), alone);
    }
}

#[tokio::test]
async fn a_batch_is_bounded_and_counts_as_its_questions() {
    let limit = ("CEDARGATE_EVALUATION_LIMIT_PER_MINUTE", "300".to_owned());
    let access = AccessServer::start_with(vec![limit]).await;
    let one = question(("person", "alice"), "view", ("record", "r0"));
    let many = |count: usize| json!({"evaluations": vec![one.clone(); count]});
    let detail = access.ask(EVALUATIONS, &many(10_000)).await.problem(413);
    assert!(!detail.is_empty());
    let short = |count: usize| json!({"evaluations": vec![json!({}); count]});
    access.ask(EVALUATIONS, &short(10_000)).await.problem(400);
    access.ask(EVALUATIONS, &short(251)).await.problem(400);
    assert_eq!(batch(&access, &many(250)).await.len(), 250);
    let refused = access.ask(EVALUATIONS, &many(60)).await;
    refused.problem(429);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(batch(&access, &many(50)).await.len(), 50);
    access.ask(super::EVALUATION, &one).await.problem(429);
    assert_eq!(access.asked().await.len(), 300);
}
