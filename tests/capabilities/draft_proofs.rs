//! Proofs of drafts: their progress and result are streamed, and to go away gives them up.

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::events::{events, last_event};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{Server, ServerOptions, TestResponse};
use crate::support::server_process::{ProcessSettings, ServerProcess};

const DRAFTS: &str = "/admin/policies/drafts";
const EVERYTHING: &str =
    "@id(\"everything\") @reason(\"x\")\npermit (principal, action, resource);\n";

async fn proof_of(client: &AdminClient<'_>, files: Value) -> TestResponse {
    let draft = client.post(DRAFTS, json!({"files": files})).await.json();
    let id = draft["id"].as_str().unwrap();
    let request = client.request(Method::POST, &format!("{DRAFTS}/{id}/proofs"));
    TestResponse::send(request).await
}

#[tokio::test]
async fn a_proof_tells_of_each_invariant_whether_it_holds_and_of_a_request_for_which_it_does_not() {
    let folder = copy_of_shipped_policies();
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", folder.path().display().to_string())],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let unchanged = proof_of(&ada, json!({})).await;
    assert!(events(&unchanged).len() > 1, "{}", unchanged.text());
    let proof = last_event(&unchanged, "proof");
    assert_eq!(
        (&proof["version"], &proof["is_complete"]),
        (&json!(1), &json!(true))
    );
    let verdicts = |proof: &Value| -> Vec<String> {
        let invariants = proof["invariants"].as_array().unwrap().iter();
        invariants
            .map(|one| one["verdict"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(verdicts(&proof).iter().all(|verdict| verdict == "holds"));
    let proof = last_event(
        &proof_of(&ada, json!({"everything.cedar": EVERYTHING})).await,
        "proof",
    );
    assert_eq!(proof["is_complete"], false);
    let invariants = proof["invariants"].as_array().unwrap();
    let violated = invariants.iter().find(|one| one["verdict"] == "violated");
    let violated = violated.unwrap();
    assert_eq!(violated["policies"], json!(["everything"]));
    assert_eq!(violated["can_be_kept"], true);
    let example = violated["counterexample"].as_str().unwrap();
    assert!(
        example.contains("Anonymous") || example.contains("User"),
        "{example}"
    );
    let proved = records(&server).await;
    let proved = proved.iter().filter(|record| {
        let reason = record["reason"].as_str().unwrap_or_default();
        reason.ends_with(" proved") && record["outcome"] == "granted"
    });
    assert_eq!(proved.count(), 2);
    // What was proved of drafts is no concern of the policy gate.
    let health = TestResponse::send(server.get("/health/ready")).await.json();
    assert_eq!(health["status"], "ready");
}

#[tokio::test]
async fn a_draft_that_is_not_valid_or_of_somebody_else_is_not_proved() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let broken = json!({"broken.cedar": "permit ("});
    let detail = proof_of(&ada, broken).await.problem(409);
    assert!(detail.contains("broken.cedar:1"), "{detail}");
    let unknown = "/admin/policies/drafts/00000000-0000-4000-8000-000000000000/proofs";
    ada.post(unknown, json!({})).await.problem(404);
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    olivia.post(unknown, json!({})).await.problem(403);
}

/// Begins a proof, and reads its first event.
async fn begin_proof(process: &ServerProcess, session: &str) -> reqwest::Response {
    let edit = json!({"files": {"everything.cedar": EVERYTHING}});
    let request = process.post(DRAFTS, session).json(&edit);
    let draft = TestResponse::send(request).await.json();
    let path = format!("{DRAFTS}/{}/proofs", draft["id"].as_str().unwrap());
    let response = process.post(&path, session).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_solver_soon_and_lets_the_next_proof_begin() {
    let folder = copy_of_shipped_policies();
    let policies = folder.path().display().to_string();
    let run = ProcessSettings::new(&[
        ("CEDARGATE_POLICY_DIR", &policies),
        ("CEDARGATE_GATE_PROOFS", "off"),
    ]);
    let (process, solver) = run.start_with_hanging_solver().await;
    let session = process.session("ada").await;
    let first = begin_proof(&process, &session).await;
    let mut body = first.bytes_stream();
    let event = body.next().await.unwrap().unwrap();
    assert!(event.starts_with(b"event: progress\n"));
    eventually(async || solver.is_running()).await;
    drop(body);
    eventually(async || !solver.is_running()).await;
    // A second proof of the same user begins only when the first one is over.
    drop(begin_proof(&process, &session).await);
}
