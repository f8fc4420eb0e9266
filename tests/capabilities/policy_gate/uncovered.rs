//! Edits whose new or changed policies have no case: warned of, or refused if the settings ask for a case each.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::policy_reload::reload;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::{Server, ServerOptions, TestResponse};

const NEW: &str = "@id(\"otto-until\")\n@reason(\"Otto checks it.\")\n\
    permit (principal is User, action == Action::\"read\", resource is Dataset)\n\
    when { principal.username == \"otto\" && resource.visibility == Visibility::\"internal\" };\n";

async fn server(folder: &Path) -> (Server, String) {
    let server = Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.display().to_string()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await;
    let session = server.session("ada").await;
    (server, session)
}

/// The warnings about cases that `GET /admin/policies` has, with what to do.
async fn warnings(server: &Server, session: &str) -> Vec<(String, String)> {
    let policies = TestResponse::send(server.get("/admin/policies").bearer_auth(session)).await;
    let policies = policies.json();
    let warnings = policies["in_force"]["warnings"].as_array().unwrap();
    let told =
        |warning: &Value, member: &str| warning[member].as_str().unwrap_or_default().to_owned();
    let all = warnings
        .iter()
        .map(|it| (told(it, "message"), told(it, "help")));
    all.filter(|(message, _)| message.starts_with("no case"))
        .collect()
}

/// A passing case of a policy that permits an internal dataset to otto, in short.
fn case_of(id: &str) -> String {
    format!(
        "[{{\"principal\": \"otto\", \"action\": \"read\", \
         \"resource\": \"Salish Sea: survey of the whole house\", \
         \"decision\": \"allow\", \"reason\": [\"{id}\"]}}]"
    )
}

#[tokio::test]
async fn an_edit_without_a_case_for_its_new_policy_is_warned_of_until_there_is_one() {
    let folder = copy_of_shipped_policies();
    let (server, session) = server(folder.path()).await;
    assert_eq!(warnings(&server, &session).await, []);
    fs::write(folder.path().join("otto.cedar"), NEW).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    let told = warnings(&server, &session).await;
    let [(message, help)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        message,
        "no case shows that the policy `otto-until` takes effect"
    );
    assert!(help.ends_with("--save-case otto.cases.json"), "{help}");
    let file = folder.path().join("otto.cases.json");
    // A case that only denies, or that another policy decides, shows nothing of it.
    let denied = case_of("public")
        .replace("otto", "anonymous")
        .replace("allow", "deny");
    fs::write(&file, denied.replace("\"public\"", "")).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    assert_eq!(warnings(&server, &session).await, told);
    fs::write(&file, case_of("otto-until")).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    assert_eq!(warnings(&server, &session).await, []);
}

#[tokio::test]
async fn an_edit_without_a_case_for_its_new_policy_is_refused_if_one_is_required() {
    let folder = copy_of_shipped_policies();
    let path_in = |name: &str| folder.path().join(name);
    // A policy that is in force already, and has no case, stands in nobody's way.
    let old = NEW
        .replace("otto-until", "old")
        .replace("internal", "public");
    fs::write(path_in("old.cedar"), &old).unwrap();
    let other = case_of("internal").replace("\"otto\"", "\"mo\"");
    fs::write(path_in("old.cases.json"), other).unwrap();
    let (first, session) = server(folder.path()).await;
    assert_eq!(warnings(&first, &session).await.len(), 1);
    let mut settings = first.settings.clone();
    settings.require_case_per_policy = true;
    let server = first.restarted_with(settings).await;
    let session = server.session("ada").await;
    fs::write(path_in("old.cedar"), format!("// A comment.\n{old}")).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);

    fs::write(path_in("otto.cedar"), NEW).unwrap();
    let detail = reload(&server, &session).await.problem(409);
    assert!(
        detail.contains("a new or changed policy has no case"),
        "{detail}"
    );
    assert!(
        detail.contains("`otto-until`") && detail.contains("--save-case"),
        "{detail}"
    );
    assert!(!detail.contains("`old`"), "{detail}");
    fs::write(path_in("otto.cases.json"), case_of("otto-until")).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);

    let changed = old.replace("\"otto\"", "\"zoe\"");
    fs::write(path_in("old.cedar"), changed).unwrap();
    let detail = reload(&server, &session).await.problem(409);
    assert!(detail.contains("`old`"), "{detail}");
}
