//! What an author can name: the vocabulary of a draft, and the names of the catalog.

use serde_json::{Value, json};

use super::{TestDraft, server_with_authors, server_with_authors_and};
use crate::support::admin_client::AdminClient;
use crate::support::records::records;
use crate::support::server::{INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server};

const NAMES: &str = "/admin/policies/names";

async fn found(client: &AdminClient<'_>, text: &str) -> Vec<Value> {
    let found = client.get(&format!("{NAMES}?text={text}")).await;
    assert_eq!(found.status, 200, "{}", found.text());
    found.json()["items"].as_array().unwrap().clone()
}

/// What is found, as `type name`.
async fn found_names(client: &AdminClient<'_>, text: &str) -> Vec<String> {
    let found = found(client, text).await;
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let named = found.iter();
    named
        .map(|one| format!("{} {}", word(&one["type"]), word(&one["name"])))
        .collect()
}

#[tokio::test]
async fn users_roles_and_datasets_are_found_by_a_part_of_their_name() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_id("otto").await;
    assert_eq!(
        found(&ada, "OTT").await,
        [json!({"type": "User", "id": otto, "name": "otto", "cedar": format!("User::\"{otto}\"")})]
    );
    assert_eq!(
        found(&ada, "hydro").await,
        [json!({
            "type": "Role", "id": "hydrology", "name": "hydrology", "cedar": "Role::\"hydrology\""
        })]
    );
    let [public] = &found(&ada, &PUBLIC[..9]).await[..] else {
        panic!("one dataset has this id");
    };
    assert_eq!(public["cedar"], format!("Dataset::\"{PUBLIC}\""));
    // Those that begin with the text come first.
    assert_eq!(
        found_names(&ada, "re").await,
        ["Dataset Restricted"],
        "a text in no other name"
    );
    assert_eq!(
        found_names(&ada, "in").await,
        ["Dataset Internal", "Role admin"]
    );
    assert_eq!(found_names(&ada, "adm").await, ["Role admin"]);
    assert!(found_names(&ada, "%25%25").await.is_empty());
    let limited = ada.get(&format!("{NAMES}?text=in&limit=1")).await.json();
    assert_eq!(limited["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_author_finds_what_it_may_see_alone() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    // Neither the other users nor any role.
    assert_eq!(found_names(&author, "of-").await, ["User of-shown"]);
    assert!(found_names(&author, "hydro").await.is_empty());
    assert!(found_names(&author, "otto").await.is_empty());
    // A public dataset may be administered, an internal one discovered.
    assert_eq!(found_names(&author, "ublic").await, ["Dataset Public"]);
    assert_eq!(found_names(&author, "intern").await, ["Dataset Internal"]);
    for hidden in [RESTRICTED, PRIVATE] {
        assert!(found_names(&author, hidden).await.is_empty());
    }
    // What a draft permits changes nothing.
    let permits = "@id(\"all\") @reason(\"x\") permit (principal, action, resource);";
    let draft = TestDraft::create(&author, json!({"all.cedar": permits})).await;
    let vocabulary = author.get(&draft.path("vocabulary")).await;
    assert_eq!(vocabulary.status, 200, "{}", vocabulary.text());
    assert!(found_names(&author, "otto").await.is_empty());
}

#[tokio::test]
async fn an_author_finds_a_dataset_behind_very_many_that_it_may_not_see() {
    let of = |number: usize| {
        let visibility = if number < 450 { "private" } else { "public" };
        format!(
            "[[datasets]]\nid = \"{}\"\ntitle = \"Many {number}\"\nvisibility = \"{visibility}\"\nrecord_status = \"published\"\n",
            uuid::Uuid::from_u128(u128::try_from(number).unwrap())
        )
    };
    let many: Vec<String> = (100..=450).map(of).collect();
    let server = server_with_authors_and(&many.concat()).await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    let found = author.get(&format!("{NAMES}?text=many")).await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["name"], "Many 450");
    assert_eq!(found["is_cut"], false);
    let ada = AdminClient::sign_in(&server, "ada").await;
    let found = ada.get(&format!("{NAMES}?text=many")).await.json();
    assert_eq!(found["is_cut"], true);
}

#[tokio::test]
async fn searching_names_requires_view_policies_and_is_audited() {
    let server = Server::start().await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    mo.get(&format!("{NAMES}?text=otto")).await.problem(403);
    let ada = AdminClient::sign_in(&server, "ada").await;
    found(&ada, "otto").await;
    let records = records(&server).await;
    let record = records.last().unwrap();
    assert_eq!(record["action"], "view_policies");
    assert_eq!(record["outcome"], "granted");
    assert_eq!(record["reason"], "searched names for \"otto\"");
    for text in ["o", "", &"o".repeat(101), "o%0Ao"] {
        let refused = ada.get(&format!("{NAMES}?text={text}")).await;
        assert_eq!(refused.problem_field(422), "text", "{text}");
    }
}

#[tokio::test]
async fn the_vocabulary_has_the_words_of_the_draft_and_the_names_of_what_it_mentions() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_id("otto").await;
    let schema = ada.get("/admin/policies/files/schema.cedarschema").await;
    let schema = schema.json()["text"].as_str().unwrap().to_owned();
    let declared = schema.replace(
        "\"title\": String,",
        "\"title\": String,\n  \"rank\"?: Long,",
    );
    assert_ne!(declared, schema);
    let policy = format!(
        "@id(\"one\") @reason(\"x\") permit (principal == User::\"{otto}\", action, resource == \
         Dataset::\"{PRIVATE}\");"
    );
    let files = json!({"schema.cedarschema": declared, "one.cedar": policy});
    let draft = TestDraft::create(&ada, files).await;
    let vocabulary = ada.get(&draft.path("vocabulary")).await.json();
    let types = vocabulary["entity_types"].as_array().unwrap();
    let dataset = types.iter().find(|one| one["name"] == "Dataset").unwrap();
    let attributes = dataset["attributes"].as_array().unwrap();
    let rank = json!({"name": "rank", "type": "Long", "is_optional": true});
    assert!(attributes.contains(&rank), "{dataset}");
    let visibility = types
        .iter()
        .find(|one| one["name"] == "Visibility")
        .unwrap();
    assert_eq!(visibility["members"].as_array().unwrap().len(), 4);
    let actions = vocabulary["actions"].as_array().unwrap();
    let read = actions.iter().find(|one| one["id"] == "read").unwrap();
    assert_eq!(read["principals"], json!(["Anonymous", "User"]));
    let annotations = vocabulary["annotations"].as_array().unwrap();
    assert!(annotations.iter().any(|one| one["name"] == "max_ttl"));
    let names = vocabulary["names"].as_array().unwrap();
    for named in [
        json!({"type": "User", "id": otto, "name": "otto"}),
        json!({"type": "Dataset", "id": PRIVATE, "name": "Private"}),
    ] {
        assert!(names.contains(&named), "{named}: {names:?}");
    }
    // An id that nobody mentions has no name.
    assert!(!names.iter().any(|one| one["id"] == INTERNAL));
}

#[tokio::test]
async fn the_vocabulary_of_a_draft_with_a_broken_schema_is_that_in_force() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({"schema.cedarschema": "entity"})).await;
    let vocabulary = ada.get(&draft.path("vocabulary")).await.json();
    let types = vocabulary["entity_types"].as_array().unwrap();
    assert!(
        types.iter().any(|one| one["name"] == "Dataset"),
        "{types:?}"
    );
}

#[tokio::test]
async fn the_vocabulary_names_what_its_author_may_see_alone() {
    let server = server_with_authors().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let (otto, shown) = (ada.user_id("otto").await, ada.user_id("of-shown").await);
    let author = AdminClient::sign_in(&server, "of-author").await;
    let note = format!("// {otto} {shown} {PUBLIC} {INTERNAL} {RESTRICTED} {PRIVATE}\n");
    let draft = TestDraft::create(&author, json!({"note.cedar": note})).await;
    let vocabulary = author.get(&draft.path("vocabulary")).await.json();
    let named = vocabulary["names"].as_array().unwrap().iter();
    let named: Vec<&str> = named.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["of-shown", "Public", "Internal"]);
}
