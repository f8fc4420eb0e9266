//! Drafts of the policies: made, changed, moved upon another edit, and dropped.

mod bases;
mod checks;
mod patches;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::admin_client::{AdminClient, DELEGATED_ADMIN_POLICIES};
use crate::support::records::records;
use crate::support::server::{CATALOG, PASSWORD, Server, ServerOptions, TestResponse};

pub(super) const DRAFTS: &str = "/admin/policies/drafts";

/// A policy that may be added to the shipped ones.
const ADDED: &str =
    "@id(\"added\")\n@reason(\"x\")\nforbid (principal, action, resource) when { false };\n";

/// Creates a draft, and returns it.
pub(super) async fn create(client: &AdminClient<'_>, body: Value) -> Value {
    let created = client.post(DRAFTS, body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()
}

pub(super) fn path_of(draft: &Value, of: &str) -> String {
    format!("{DRAFTS}/{}{of}", draft["id"].as_str().unwrap())
}

/// Changes files of a draft.
async fn change(client: &AdminClient<'_>, draft: &Value, files: Value) -> TestResponse {
    let request = client.request(Method::PATCH, &path_of(draft, ""));
    TestResponse::send(request.json(&json!({ "files": files }))).await
}

/// The files of a draft that are not as in its base, as `change name`.
fn changes(draft: &Value) -> Vec<String> {
    let files = draft["files"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = files.map(|file| (word(&file["change"]), word(&file["name"])));
    changes
        .filter(|(change, _)| change != "unchanged")
        .map(|(change, name)| format!("{change} {name}"))
        .collect()
}

async fn in_force(client: &AdminClient<'_>) -> String {
    let policies = client.get("/admin/policies").await.json();
    let revision = policies["in_force"]["folder_revision"].as_str();
    revision.unwrap().to_owned()
}

/// A server with two authors, `of-one` and `of-two`, who may view the policies and nothing else.
async fn server_with_two_authors() -> Server {
    const POLICIES: &str = "@id(\"authors\") @reason(\"x\")\npermit (principal in Role::\"author\", action == \
                            Action::\"view_policies\", resource);\n";
    let user = |name| {
        format!(
            "[[users]]\nusername = \"{name}\"\npassword = \"{PASSWORD}\"\nroles = [\"author\"]\n"
        )
    };
    let catalog = [
        CATALOG,
        "[[roles]]\nname = \"author\"\n",
        &user("of-one"),
        &user("of-two"),
    ];
    Server::start_with(ServerOptions {
        catalog: Some(catalog.concat()),
        policies: Some(POLICIES),
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_draft_starts_from_what_is_in_force_and_counts_its_changes() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let created = ada
        .post(DRAFTS, json!({"files": {"added.cedar": ADDED}}))
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
    let draft = created.json();
    assert_eq!(created.header("etag"), "\"1\"");
    let id = draft["id"].as_str().unwrap();
    assert_eq!(created.header("location"), format!("drafts/{id}"));
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!(draft["base_revision"], in_force(&ada).await);
    assert_ne!(draft["folder_revision"], draft["base_revision"]);
    assert_eq!(draft["is_current"], true);
    assert_eq!(changes(&draft), ["added added.cedar"]);
    let changed = change(
        &ada,
        &draft,
        json!({"added.cedar": null, "public.cedar": "", "owner.cedar": null}),
    )
    .await;
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.json();
    assert_eq!(changed["version"], 2);
    assert_eq!(
        changes(&changed),
        ["removed owner.cedar", "changed public.cedar"]
    );
    let file = async |name: &str| ada.get(&path_of(&draft, &format!("/files/{name}"))).await;
    let owner = file("owner.cedar").await.json();
    assert_eq!(
        (&owner["change"], &owner["version"]),
        (&json!("removed"), &json!(2))
    );
    assert!(owner.get("text").is_none());
    let base_text = owner["base_text"].as_str().unwrap();
    let public = file("public.cedar").await.json();
    assert_eq!(
        (&public["change"], &public["text"]),
        (&json!("changed"), &json!(""))
    );
    file("added.cedar").await.problem(404);
    // What was there before is no change at all.
    let public_text = public["base_text"].as_str().unwrap();
    let back = json!({"public.cedar": public_text, "owner.cedar": base_text});
    let back = change(&ada, &draft, back).await.json();
    assert_eq!(back["folder_revision"], back["base_revision"]);
    assert!(changes(&back).is_empty());
    let same = change(&ada, &draft, json!({"public.cedar": public_text})).await;
    assert_eq!(same.json()["version"], back["version"]);
    let read = ada.get(&path_of(&draft, "")).await;
    assert_eq!((read.header("etag"), read.json()), ("\"3\"", same.json()));
}

#[tokio::test]
async fn a_draft_that_has_changed_since_it_was_read_is_not_overwritten() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({})).await;
    let with_tag = async |tag: &str, text: &str| {
        let request = ada.request(Method::PATCH, &path_of(&draft, ""));
        let body = json!({"files": {"added.cedar": text}});
        TestResponse::send(request.header("If-Match", tag).json(&body)).await
    };
    assert_eq!(with_tag("\"1\"", "// one").await.status, 200);
    with_tag("\"1\"", "// two").await.problem(412);
    with_tag("1", "// two").await.problem(412);
    assert_eq!(with_tag("\"2\"", "// two").await.status, 200);
    let file = ada.get(&path_of(&draft, "/files/added.cedar")).await.json();
    assert_eq!(file["text"], "// two");
}

#[tokio::test]
async fn nobody_sees_changes_or_drops_the_draft_of_somebody_else() {
    let server = server_with_two_authors().await;
    let one = AdminClient::sign_in(&server, "of-one").await;
    let two = AdminClient::sign_in(&server, "of-two").await;
    let draft = create(&one, json!({})).await;
    let unknown = json!({"id": Uuid::new_v4().to_string()});
    let mut details = Vec::new();
    for draft in [&draft, &unknown] {
        let get = async |of: &str| two.get(&path_of(draft, of)).await.problem(404);
        details.push([
            get("").await,
            get("/check").await,
            get("/patch").await,
            get("/files/test.cedar").await,
            change(&two, draft, json!({"added.cedar": ADDED}))
                .await
                .problem(404),
            two.delete(&path_of(draft, "")).await.problem(404),
            TestResponse::send(two.request(Method::POST, &path_of(draft, "/rebase")))
                .await
                .problem(404),
            two.post(&path_of(draft, "/format"), json!({"file": "test.cedar"}))
                .await
                .problem(404),
        ]);
    }
    assert_eq!(details[0], details[1]);
    assert_eq!(two.get(DRAFTS).await.json(), json!({"items": []}));
    let items = one.get(DRAFTS).await.json();
    assert_eq!(items["items"].as_array().unwrap().len(), 1);
    assert_eq!(one.delete(&path_of(&draft, "")).await.status, 204);
    one.get(&path_of(&draft, "")).await.problem(404);
}

#[tokio::test]
async fn drafts_are_for_callers_who_may_view_the_policies() {
    let server = Server::start().await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    mo.post(DRAFTS, json!({})).await.problem(403);
    mo.get(DRAFTS).await.problem(403);
    mo.get(&format!("{DRAFTS}/{}", Uuid::new_v4()))
        .await
        .problem(403);
    let anonymous = server.post(DRAFTS).json(&json!({}));
    TestResponse::send(anonymous).await.problem(401);
}

#[tokio::test]
async fn a_fifth_draft_of_a_user_drops_the_one_that_was_used_least_recently() {
    let server = server_with_two_authors().await;
    let one = AdminClient::sign_in(&server, "of-one").await;
    let two = AdminClient::sign_in(&server, "of-two").await;
    let other = create(&two, json!({})).await;
    let mut drafts = Vec::new();
    for _ in 0..4 {
        drafts.push(create(&one, json!({})).await);
    }
    // The first one is used again, so that the second one is the oldest.
    assert_eq!(one.get(&path_of(&drafts[0], "")).await.status, 200);
    create(&one, json!({})).await;
    for (draft, status) in drafts.iter().zip([200, 404, 200, 200]) {
        assert_eq!(one.get(&path_of(draft, "")).await.status, status);
    }
    assert_eq!(two.get(&path_of(&other, "")).await.status, 200);
}

#[tokio::test]
async fn a_draft_is_dropped_an_hour_after_it_was_used_last() {
    const MINUTE: i64 = 60_000;
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({})).await;
    server.clock.advance(50 * MINUTE);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(ada.get(&path_of(&draft, "")).await.status, 200);
    server.clock.advance(50 * MINUTE);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(
        change(&ada, &draft, json!({"a.cedar": ADDED})).await.status,
        200
    );
    server.clock.advance(60 * MINUTE);
    let ada = AdminClient::sign_in(&server, "ada").await;
    ada.get(&path_of(&draft, "")).await.problem(404);
    assert_eq!(ada.get(DRAFTS).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn what_is_no_file_of_a_policy_folder_is_refused_by_its_name() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({})).await;
    for name in [
        "../outside.cedar",
        "/etc/passwd",
        ".hidden.cedar",
        "README.md",
        "a\nb.cedar",
        "invariants/x.json",
        "owner.cedar/inside.cedar",
    ] {
        let refused = change(&ada, &draft, json!({name: "x"})).await;
        assert_eq!(refused.problem_field(422), "files");
        assert!(
            refused.problem(422).contains(&format!("{name:?}")),
            "{name}"
        );
        let files = json!({"files": {name: "x"}});
        assert_eq!(ada.post(DRAFTS, files).await.problem_field(422), "files");
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let refused = change(&ada, &draft, json!({"large.cedar": large})).await;
    assert_eq!(refused.problem_field(422), "files");
    let too_much = "x".repeat(5 * 1024 * 1024);
    change(&ada, &draft, json!({"large.cedar": too_much}))
        .await
        .problem(413);
    for body in [
        json!({"files": {"a.cedar": 1}}),
        json!({"files": []}),
        json!({"from": "x"}),
    ] {
        ada.post(DRAFTS, body).await.problem(422);
    }
    let unknown = json!({"from": "0".repeat(64)});
    ada.post(DRAFTS, unknown).await.problem(404);
    assert_eq!(ada.get(&path_of(&draft, "")).await.json()["version"], 1);
}

#[tokio::test]
async fn every_operation_on_a_draft_is_on_record_and_a_refused_name_is_not() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(&ada, json!({})).await;
    change(
        &ada,
        &draft,
        json!({"b.cedar": "", "a.cedar": ADDED, "../x": ""}),
    )
    .await
    .problem(422);
    ada.get(&path_of(&draft, "/check")).await;
    ada.delete(&path_of(&draft, "")).await;
    let id = draft["id"].as_str().unwrap();
    let all = records(&server).await;
    let recorded: Vec<(&str, &str)> = all
        .iter()
        .filter(|record| record["action"] == "view_policies")
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap();
            (text("outcome"), text("reason"))
        })
        .collect();
    let created = format!("draft {id} of the policies created");
    let changed = format!("draft {id} changed: \"a.cedar\", \"b.cedar\"");
    let (checked, removed) = (format!("draft {id} checked"), format!("draft {id} removed"));
    assert_eq!(
        recorded,
        [
            ("granted", created.as_str()),
            ("refused", changed.as_str()),
            ("granted", checked.as_str()),
            ("granted", removed.as_str()),
        ]
    );
}

/// A server where `of-lookout` may list users, and `of-helpdesk` is an author who may not.
async fn delegating_server() -> Server {
    let catalog = ["lookout", "author"].map(|role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    });
    let authors = r#"
@id("authors") @reason("x")
permit (principal, action == Action::"view_policies", resource)
when { principal in Role::"author" || principal in Role::"lookout" };
"#;
    let policies: &'static str = Box::leak([DELEGATED_ADMIN_POLICIES, authors].concat().into());
    Server::start_with(ServerOptions {
        catalog: Some([CATALOG, &catalog.concat()].concat()),
        policies: Some(policies),
        ..ServerOptions::default()
    })
    .await
}
