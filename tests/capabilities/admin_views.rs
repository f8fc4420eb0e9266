//! Administrative reads: policies, signing keys, and a role for the audit log only.

use cedargate::policy::Bundle;
use serde_json::{Value, json};

use crate::support::server::{CATALOG, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN};

async fn get_as(server: &Server, path: &str, username: &str) -> TestResponse {
    let session = server.session(username).await;
    TestResponse::send(server.get(path).bearer_auth(session)).await
}

#[tokio::test]
async fn an_admin_sees_the_policies_in_force_with_their_files() {
    let server = Server::start().await;
    let shipped = Bundle::embedded().unwrap();
    let response = get_as(&server, "/admin/policies", "ada").await.json();
    let in_force = &response["in_force"];
    assert_eq!(in_force["revision"], shipped.revision().to_string());
    assert_eq!(in_force["warnings"], json!([]));
    let names = |member: &str, key: &str| -> Vec<String> {
        let listed = in_force[member].as_array().unwrap();
        let named = listed
            .iter()
            .map(|one| one[key].as_str().unwrap().to_owned());
        named.collect()
    };
    assert_eq!(names("files", "name"), shipped.files().collect::<Vec<_>>());
    assert_eq!(
        names("policies", "id"),
        shipped.policies().keys().cloned().collect::<Vec<_>>()
    );
    let shared = json!({
        "name": "shared.cedar",
        "size": shipped.file("shared.cedar").unwrap().len(),
        "policies": 2,
    });
    assert!(in_force["files"].as_array().unwrap().contains(&shared));
    let admin = &in_force["policies"][0];
    assert_eq!(admin["effect"], "permit");
    assert_eq!(admin["file"], "admin.cedar");
    assert_eq!(admin["reason"], "The user is an admin.");
}

#[tokio::test]
async fn an_admin_reads_each_policy_file_and_its_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let path_in = |name: &str| folder.path().join(name);
    std::fs::create_dir(path_in("more")).unwrap();
    let shipped = Bundle::embedded().unwrap();
    let admin = shipped.file("admin.cedar").unwrap();
    let odd = "@id(\"odd\")\n@maxttl(\"3\")\nforbid (principal, action == Action::\"read\", resource) when { false };\n";
    for (name, text) in [
        (
            "schema.cedarschema",
            &**shipped.file("schema.cedarschema").unwrap(),
        ),
        ("admin.cedar", &**admin),
        ("more/odd one.cedar", odd),
    ] {
        std::fs::write(path_in(name), text).unwrap();
    }
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", folder.path().display().to_string())],
        ..ServerOptions::default()
    })
    .await;
    let file = |name: &str| format!("/admin/policies/files/{name}");
    let response = get_as(&server, &file("admin.cedar"), "ada").await.json();
    assert_eq!(response["text"], admin.to_string());
    let response = get_as(&server, &file("more%2Fodd%20one.cedar"), "ada").await;
    let response = response.json();
    assert_eq!(response["name"], "more/odd one.cedar");
    assert_eq!(response["text"], odd);
    get_as(&server, &file("other.cedar"), "ada")
        .await
        .problem(404);
    for known_or_not in ["admin.cedar", "other.cedar"] {
        get_as(&server, &file(known_or_not), "mo")
            .await
            .problem(403);
    }
    let policies = get_as(&server, "/admin/policies", "ada").await.json();
    assert_eq!(response["revision"], policies["in_force"]["revision"]);
    let warnings = policies["in_force"]["warnings"].as_array().unwrap();
    let is_odd = |warning: &&Value| {
        warning["file"]
            .as_str()
            .unwrap()
            .ends_with("more/odd one.cedar")
            && warning["line"] == 2
    };
    let misspelt = warnings.iter().find(is_odd);
    let misspelt = misspelt.unwrap_or_else(|| panic!("{warnings:?}"));
    assert_eq!(misspelt["help"], "did you mean @max_ttl?");
}

#[tokio::test]
async fn an_admin_sees_the_signing_keys_without_private_members() {
    let server = Server::start().await;
    let published = TestResponse::send(server.get("/.well-known/jwks.json"))
        .await
        .json();
    let listed = get_as(&server, "/admin/keys", "ada").await;
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let text = String::from_utf8(listed.body.clone()).unwrap();
    assert!(!text.contains(&stored[0].sealed));
    let created = chrono::DateTime::from_timestamp(stored[0].created_at, 0).unwrap();
    let created = created.format("%FT%TZ").to_string();
    let items = listed.json()["items"].as_array().unwrap().clone();
    let current = items.iter().find(|key| key["state"] == "current").unwrap();
    let next = items.iter().find(|key| key["state"] == "next").unwrap();
    assert_eq!((items.len(), &current["created_at"]), (2, &json!(created)));
    assert_eq!(current["activated_at"], current["created_at"]);
    assert_eq!(
        (&current["next_state"], &next["next_state"]),
        (&json!("previous"), &json!("current"))
    );
    assert_eq!(current["next_state_at"], next["next_state_at"]);
    let kids: std::collections::BTreeSet<_> =
        items.iter().map(|key| key["kid"].to_string()).collect();
    let in_set = published["keys"].as_array().unwrap();
    assert_eq!(
        kids,
        in_set.iter().map(|key| key["kid"].to_string()).collect()
    );
    get_as(&server, "/admin/keys", "olivia").await.problem(403);
}

/// The smallest value that a schema of the OpenAPI document allows.
pub(crate) fn example_value(document: &Value, schema: &Value) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return example_value(document, document.pointer(&path[1..]).unwrap());
    }
    for given in [&schema["example"], &schema["default"], &schema["enum"][0]] {
        if !given.is_null() {
            return given.clone();
        }
    }
    for parts in [&schema["allOf"], &schema["oneOf"], &schema["anyOf"]] {
        if let Some(part) = parts.get(0) {
            return example_value(document, part);
        }
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("object"), _) => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let members = required.iter().map(|name| {
                let name = name.as_str().unwrap();
                (
                    name.to_owned(),
                    example_value(document, &schema["properties"][name]),
                )
            });
            Value::Object(members.collect())
        }
        (Some("array"), _) => {
            let least = schema["minItems"].as_u64().unwrap_or_default();
            let item = || example_value(document, &schema["items"]);
            (0..least).map(|_| item()).collect()
        }
        (Some("boolean"), _) => false.into(),
        (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(1.into()),
        (_, Some("uuid")) => UNKNOWN.into(),
        (_, Some("date-time")) => "2030-01-01T00:00:00Z".into(),
        _ if schema["pattern"]
            .as_str()
            .is_some_and(|p| p.contains("0-9a-f")) =>
        {
            UNKNOWN.into()
        }
        _ => "something-long-enough".into(),
    }
}

/// A request for an operation of the OpenAPI document, with everything that it requires.
pub(crate) fn request_as(
    server: &Server,
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
) -> reqwest::RequestBuilder {
    let mut path = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let value = match example_value(document, &parameter["schema"]) {
            Value::String(_) if name == "dataset_id" => PUBLIC.to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &value),
            "query" if parameter["required"] == true => query.push((name.to_owned(), value)),
            _ => {}
        }
    }
    let url = reqwest::Url::parse_with_params(&format!("{}{path}", server.url), &query).unwrap();
    let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = server.http.request(method, url);
    let body = operation["requestBody"]["content"].as_object();
    match body.and_then(|content| content.iter().next()) {
        Some((kind, content)) if kind.starts_with("application/json") => {
            request.json(&example_value(document, &content["schema"]))
        }
        Some((kind, _)) => request.header("content-type", kind).body("II*\0"),
        None => request,
    }
}

#[tokio::test]
async fn one_role_reads_the_audit_log_and_administers_nothing_else() {
    let server = Server::start_with(ServerOptions {
        policies: Some(concat!(
            include_str!("../../policies/admin.cedar"),
            include_str!("../../policies/public.cedar"),
            include_str!("../../docs/examples/audit-log-only/audit-log-only.cedar"),
        )),
        catalog: Some(format!(
            "{CATALOG}\n[[roles]]\nname = \"auditors\"\n\n[[users]]\nusername = \"audrey\"\n\
             password = \"correct horse\"\nroles = [\"auditors\"]\n"
        )),
        ..ServerOptions::default()
    })
    .await;
    let session = server.session("audrey").await;
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let (mut permitted, mut denied) = (Vec::new(), 0);
    for (path, operations) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/admin") {
            continue;
        }
        for (method, operation) in operations.as_object().unwrap() {
            let request = request_as(&server, &document, path, method, operation);
            let response = TestResponse::send(request.bearer_auth(&session)).await;
            if response.status == 403 {
                denied += 1;
            } else {
                permitted.push(format!("{method} {path} {}", response.status));
            }
        }
    }
    assert_eq!(
        permitted,
        ["get /admin/audit 200", "get /admin/audit/export 200"]
    );
    assert!(denied >= 3, "{denied}");
}
