//! Attributes that the author's schema declares: given by administrators and catalog files, seen by policies, and
//! kept from being in the way of a schema that changes.

mod schema_edits;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::policy_reload::server_on;
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::cli::{cedargate, copy_folder, copy_of_shipped_policies, edit, repository};
use crate::support::eventually;
use crate::support::server::{PUBLIC, Server, TestResponse};

const SCHEMA: &str = "schema.cedarschema";
const TITLE: &str = "  \"title\": String,\n";

/// The shipped policies with the example of an embargo until a date.
fn with_embargo() -> TempDir {
    let folder = copy_of_shipped_policies();
    let example = repository().join("docs/examples/embargo-until");
    copy_folder(&example, folder.path());
    folder
}

fn public_path() -> String {
    format!("/admin/datasets/{PUBLIC}")
}

/// The body of the public dataset with these attributes.
async fn body_with(admin: &AdminClient<'_>, attributes: Value) -> Value {
    let mut body = admin.get(&public_path()).await.json();
    body["attributes"] = attributes;
    body
}

async fn put_attributes(admin: &AdminClient<'_>, attributes: Value) -> TestResponse {
    let body = body_with(admin, attributes).await;
    admin.put(&public_path(), body).await
}

/// Runs a command on the data of a server.
fn run(server: &Server, folder: &Path, arguments: &[&str]) -> (i32, String) {
    let data = server.settings.data_dir.display().to_string();
    let policies = folder.display().to_string();
    let environment = [
        ("CEDARGATE_DATA_DIR", data.as_str()),
        ("CEDARGATE_POLICY_DIR", policies.as_str()),
    ];
    let output = cedargate(folder, arguments, &environment);
    (output.code, format!("{}{}", output.data, output.messages))
}

#[test]
fn the_schema_of_the_example_is_the_shipped_one_with_two_attributes() {
    let shipped = std::fs::read_to_string(repository().join("policies").join(SCHEMA)).unwrap();
    let own = "  \"licence\"?: String,\n  \"embargo_until\"?: datetime,\n";
    let expected = shipped.replace(TITLE, &format!("{TITLE}{own}"));
    let example = repository()
        .join("docs/examples/embargo-until")
        .join(SCHEMA);
    assert_eq!(std::fs::read_to_string(example).unwrap(), expected);
}

#[tokio::test]
async fn an_embargo_until_a_date_is_declared_filled_in_enforced_and_explained() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "require", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    server.mint(PUBLIC, None).await.token();
    let attributes = json!({"licence": "CC-BY-4.0", "embargo_until": "2100-01-01T01:00:00+01:00"});
    let changed = put_attributes(&admin, attributes).await.json();
    let kept = json!({"embargo_until": "2100-01-01T00:00:00Z", "licence": "CC-BY-4.0"});
    assert_eq!(changed["attributes"], kept);
    assert_eq!(admin.get(&public_path()).await.json()["attributes"], kept);
    let shown = admin.get(&format!("/datasets/{PUBLIC}")).await.json();
    assert_eq!(shown["attributes"], kept);
    let listed = admin.get("/datasets").await.json();
    let mut items = listed["items"].as_array().unwrap().iter();
    assert_eq!(
        items.find(|item| item["id"] == PUBLIC).unwrap()["attributes"],
        kept
    );

    server.mint(PUBLIC, None).await.problem(404);
    let explanation = admin.explanation("anonymous", PUBLIC).await.to_string();
    assert!(explanation.contains("embargo-until"), "{explanation}");
    assert!(
        explanation.contains("resource.embargo_until"),
        "{explanation}"
    );
    assert!(explanation.contains("2100-01-01"), "{explanation}");

    let over = json!({"embargo_until": "2020-01-01"});
    assert_eq!(put_attributes(&admin, over).await.status, 200);
    server.mint(PUBLIC, None).await.token();
}

#[tokio::test]
async fn a_catalog_file_gives_attributes_and_the_command_line_shows_them() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "require", "off").await;
    let item = |attributes: &str| {
        let text = format!(
            "[[datasets]]\nid = \"{PUBLIC}\"\ntitle = \"Jacksboro\"\nvisibility = \"public\"\n\
             record_status = \"published\"\n{attributes}"
        );
        std::fs::write(folder.path().join("catalog.toml"), text).unwrap();
        run(
            &server,
            folder.path(),
            &["catalog", "apply", "catalog.toml"],
        )
    };
    let (code, output) = item("attributes = { licence = 4, embargo_untill = 2100-01-01 }\n");
    assert_eq!(code, 1, "{output}");
    assert!(
        output.contains("expected a string such as \"text\", found the number 4")
            || output.contains("did you mean \"embargo_until\"?"),
        "{output}"
    );
    assert!(output.contains("catalog.toml:6:"), "{output}");
    let given = "attributes = { licence = \"CC0\", embargo_until = 2100-01-01 }\n";
    let (code, output) = item(given);
    assert_eq!(code, 0, "{output}");
    let (_, shown) = run(&server, folder.path(), &["dataset", "show", PUBLIC]);
    assert!(shown.contains("embargo_until: \"2100-01-01\""), "{shown}");
    eventually(async || server.mint(PUBLIC, None).await.status == 404).await;
    let (_, explained) = run(
        &server,
        folder.path(),
        &[
            "policy",
            "explain",
            "--principal",
            "anonymous",
            "--action",
            "read",
            "--dataset",
            PUBLIC,
        ],
    );
    assert!(explained.contains("embargo-until"), "{explained}");
    assert!(
        explained.contains("datetime(\"2100-01-01\")"),
        "{explained}"
    );
    let (code, again) = item(given);
    assert_eq!(code, 0, "{again}");
    assert!(again.contains("1 unchanged"), "{again}");
}

#[tokio::test]
async fn attributes_that_do_not_fit_are_refused_with_what_would() {
    let folder = with_embargo();
    let server = server_on(folder.path(), "require", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let mut details = Vec::new();
    for attributes in [
        json!({"licence": 4}),
        json!({"embargo_until": "soon"}),
        json!({"embargo_until": "2100-01-01T00:00:00"}),
        json!({"embargo": "2100-01-01"}),
        json!({"visibility": "public"}),
    ] {
        let refused = put_attributes(&admin, attributes).await;
        assert_eq!(refused.problem_field(422), "attributes");
        details.push(refused.problem(422));
    }
    let mut body = body_with(&admin, json!({})).await;
    body["licence"] = json!("CC0");
    details.push(admin.put(&public_path(), body).await.problem(422));
    insta::assert_snapshot!(details.join("\n"));
    // Whoever may not change the dataset does not learn what the schema declares.
    let body = body_with(&admin, json!({"licence": 4})).await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    let refused = mo.put(&public_path(), body).await;
    assert!([403, 404].contains(&refused.status), "{}", refused.text());
    assert!(!refused.text().contains("licence"), "{}", refused.text());
}

#[tokio::test]
async fn attributes_of_users_are_seen_by_policies_and_not_set_by_the_users() {
    let folder = copy_of_shipped_policies();
    let username = "  \"username\": String,\n";
    let clearance = format!("{username}  \"clearance\"?: Long,\n");
    edit(folder.path(), SCHEMA, username, &clearance);
    edit(
        folder.path(),
        SCHEMA,
        TITLE,
        &format!("{TITLE}  \"level\"?: Long,\n"),
    );
    let policy = "@id(\"cleared\") @reason(\"x\")\n\
        forbid (principal, action == Action::\"read\", resource) when { resource has level }\n\
        unless { principal is User && principal has clearance && principal.clearance >= resource.level };\n";
    std::fs::write(folder.path().join("cleared.cedar"), policy).unwrap();
    let server = server_on(folder.path(), "require", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(
        put_attributes(&admin, json!({"level": 2})).await.status,
        200
    );
    let session = server.session("mo").await;
    let mint = async || server.mint(PUBLIC, Some(&session)).await.status;
    assert_eq!(mint().await, 403);
    let path = admin.user_path("mo").await;
    let update = json!({"username": "mo", "roles": ["hydrology"], "is_disabled": false});
    for (clearance, status) in [(1, 403), (2, 200)] {
        let mut body = update.clone();
        body["attributes"] = json!({ "clearance": clearance });
        let changed = admin.put(&path, body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!(changed.json()["attributes"]["clearance"], clearance);
        assert_eq!(mint().await, status);
    }
    // What is omitted stays, as the claims do.
    let unchanged = admin.put(&path, update.clone()).await.json();
    assert_eq!(unchanged["attributes"]["clearance"], 2);
    let mut wrong = update.clone();
    wrong["attributes"] = json!({"clearance": "high"});
    assert_eq!(
        admin.put(&path, wrong).await.problem_field(422),
        "attributes"
    );
    let mo = AdminClient {
        server: &server,
        session: session.clone(),
    };
    let mut own = update;
    own["attributes"] = json!({"clearance": 9});
    mo.put(&path, own).await.problem(403);
    let new = json!({"username": "new", "attributes": {"clearance": 3}});
    let created = admin.post(USERS, new).await.json();
    assert_eq!(created["attributes"], json!({"clearance": 3}));
}

#[tokio::test]
async fn an_attribute_that_makes_somebody_an_administrator_cannot_be_given_by_who_is_none() {
    let folder = copy_of_shipped_policies();
    let username = "  \"username\": String,\n";
    let department = format!("{username}  \"department\"?: String,\n");
    edit(folder.path(), SCHEMA, username, &department);
    edit(
        folder.path(),
        SCHEMA,
        TITLE,
        &format!("{TITLE}  \"department\"?: String,\n"),
    );
    let policies = "@id(\"stewards\") @reason(\"x\")\n\
        permit (principal is User, action == Action::\"administer\", resource)\n\
        when { principal has department && resource has department && \
        principal.department == resource.department };\n\
        @id(\"helpdesk\") @reason(\"x\")\n\
        permit (principal in Role::\"hydrology\", action in \
        [Action::\"administer_users\", Action::\"view_users\"], resource);\n";
    std::fs::write(folder.path().join("own.cedar"), policies).unwrap();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let tides = json!({"department": "tides"});
    assert_eq!(put_attributes(&admin, tides.clone()).await.status, 200);
    let otto = admin.user_path("otto").await;
    let helpdesk = AdminClient::sign_in(&server, "mo").await;
    let mut update = json!({"username": "otto", "roles": [], "is_disabled": false});
    update["attributes"] = tides;
    let refused = helpdesk.put(&otto, update.clone()).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    update["attributes"] = json!({"department": "nothing of the kind"});
    let harmless = helpdesk.put(&otto, update).await;
    assert_eq!(harmless.status, 200, "{}", harmless.text());
}

#[tokio::test]
async fn a_user_is_added_with_attributes_on_the_command_line() {
    let folder = copy_of_shipped_policies();
    let username = "  \"username\": String,\n";
    let own = format!(
        "{username}  \"clearance\"?: Long,\n  \"team\"?: String,\n  \"until\"?: datetime,\n"
    );
    edit(folder.path(), SCHEMA, username, &own);
    let server = server_on(folder.path(), "require", "off").await;
    let add = |name: &str, attributes: &[&str]| {
        let mut arguments = vec!["user", "add", name, "--no-password"];
        arguments.extend(attributes.iter().flat_map(|one| ["--attribute", one]));
        run(&server, folder.path(), &arguments)
    };
    let given = ["clearance=3", "team=tides", "until=2027-01-01"];
    assert_eq!(add("kai", &given).0, 0);
    let (_, listed) = run(&server, folder.path(), &["user", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut users = listed.as_array().unwrap().iter();
    let kai = users.find(|user| user["username"] == "kai").unwrap();
    assert_eq!(
        kai["attributes"],
        json!({"clearance": 3, "team": "tides", "until": "2027-01-01"})
    );
    let mut refused = Vec::new();
    for attributes in [
        &["clearance=high", "until=soon"][..],
        &["clearence=3"],
        &["clearance=3", "clearance=4"],
        &["clearance"],
    ] {
        let (code, message) = add("lea", attributes);
        refused.push(format!("{code} {message}"));
    }
    insta::assert_snapshot!(refused.concat());
}

#[tokio::test]
async fn an_attribute_refers_to_users_datasets_and_roles_that_there_are() {
    let folder = copy_of_shipped_policies();
    let own = "  \"steward\"?: User,\n  \"parent\"?: Dataset,\n  \"units\"?: Set<Role>,\n";
    edit(folder.path(), SCHEMA, TITLE, &format!("{TITLE}{own}"));
    let policy = "@id(\"steward\") @reason(\"x\")\n\
        permit (principal is User, action == Action::\"read\", resource)\n\
        when { resource has steward && resource.steward == principal };\n";
    std::fs::write(folder.path().join("steward.cedar"), policy).unwrap();
    let server = server_on(folder.path(), "off", "off").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let mo = admin.user_path("mo").await;
    let id = mo.rsplit('/').next().unwrap();
    let given = json!({"steward": "mo", "parent": PUBLIC.to_uppercase(), "units": ["hydrology"]});
    let changed = put_attributes(&admin, given).await.json();
    let kept = json!({"parent": PUBLIC, "steward": id, "units": ["hydrology"]});
    assert_eq!(changed["attributes"], kept);
    let again = put_attributes(&admin, kept).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let nobody = "00000000-0000-4000-8000-000000000001";
    let mut details = Vec::new();
    for attributes in [
        json!({"steward": "olga"}),
        json!({"steward": nobody}),
        json!({"parent": nobody}),
        json!({"units": ["hydrology", "tides"]}),
    ] {
        let refused = put_attributes(&admin, attributes).await;
        assert_eq!(refused.problem_field(422), "attributes");
        details.push(refused.problem(422));
    }
    insta::assert_snapshot!(details.join("\n"));
    // Whom an attribute names may go; what is sent back then is no error.
    assert_eq!(admin.delete(&mo).await.status, 204);
    let unchanged = json!({"parent": PUBLIC, "steward": id, "units": ["hydrology"]});
    let unchanged = put_attributes(&admin, unchanged).await;
    assert_eq!(unchanged.status, 200, "{}", unchanged.text());
}
