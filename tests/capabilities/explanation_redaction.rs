//! Explanations for callers who may not see the user or the dataset.

use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{
    CATALOG, INTERNAL, PASSWORD, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, UNKNOWN,
};

/// A policy for each way to read a user or a dataset, and roles that may see only one of the two.
const RESTRICTED_VIEWER_POLICIES: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("authors") @reason("x")
permit (principal in Role::"author", action == Action::"view_policies", resource);
@id("people") @reason("x")
permit (principal in Role::"people", action in [Action::"view_policies", Action::"view_users"], resource)
unless { resource is User && resource in Role::"hidden" };
@id("keepers-look") @reason("x")
permit (principal in Role::"keeper", action in [Action::"view_policies", Action::"view_datasets"], resource);
@id("keepers") @reason("x")
permit (principal in Role::"keeper", action == Action::"administer", resource)
unless { resource.visibility == Visibility::"private" };
@id("discovery") @reason("x")
permit (principal, action == Action::"discover", resource)
when { resource.visibility != Visibility::"private" };

@id("scope") @reason("x")
permit (principal in Role::"elsewhere", action == Action::"read", resource);
@id("name") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.username == "somebody" };
@id("claim") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.hasTag("project") && principal.getTag("project").contains("x") };
@id("either") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { (if resource has owner then principal has issuer else false) || resource.reader_roles.contains(Role::"elsewhere") };
@id("reader") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal in resource.reader_roles };
@id("reader-user") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource.reader_users.contains(principal) };
@id("owner") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource has owner && resource.owner == principal };
@id("tag") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { resource.hasTag("state") && resource.getTag("state").contains("x") };
@id("circumstances") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { context.authentication == Authentication::"issuer" };
@id("holds") @reason("x")
permit (principal is User, action == Action::"read", resource)
when { principal.hasTag("project") && resource has owner && !(principal in Role::"elsewhere") };
@id("fails") @reason("x")
forbid (principal is User, action == Action::"read", resource)
when { resource.visibility == Visibility::"internal" && 9223372036854775807 + 1 > 0 };
"#;

/// Values that only a caller who may see the user may read.
const USER_SECRETS: [&str; 4] = ["nathaniel", "secret-role", "secret-claim", "\"password\""];
/// Values that only a caller who may administer the dataset may read.
const DATASET_SECRETS: [&str; 3] = ["secret-reader", "secret-tag", "the owner's id"];

async fn server_with_restricted_viewers() -> Server {
    let of_role = |role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    };
    let added = [
        "author",
        "people",
        "keeper",
        "hidden",
        "secret-role",
        "secret-reader",
    ];
    let catalog = CATALOG.replace(
        "reader_roles = [\"hydrology\"]",
        "reader_roles = [\"secret-reader\"]\ntags = { state = [\"secret-tag\"] }",
    );
    let server = Server::start_with(ServerOptions {
        catalog: Some([&catalog, &*added.map(of_role).concat()].concat()),
        policies: Some(RESTRICTED_VIEWER_POLICIES),
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let subject = json!({"username": "nathaniel", "roles": ["secret-role"],
        "claims": {"project": ["secret-claim"]}});
    let created = ada.post(USERS, subject).await;
    assert_eq!(created.status, 201, "{}", created.text());
    server
}

/// The values seen by the clauses of all policies in an explanation.
fn observed_values(explanation: &Value) -> Vec<Value> {
    let policies = ["determining", "others"].map(|of| explanation[of].as_array().unwrap().clone());
    let parts = policies.into_iter().flatten();
    let parts = parts.flat_map(|policy| policy["parts"].as_array().unwrap().clone());
    parts
        .flat_map(|part| part["seen"].as_array().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn values_are_included_only_for_callers_who_may_see_their_owner() {
    let server = server_with_restricted_viewers().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let (subject, owner) = (ada.user_id("nathaniel").await, ada.user_id("olivia").await);
    let whole = ada.explanation(&subject, RESTRICTED).await;
    for (who, sees_user, sees_dataset) in [
        ("ada", true, true),
        ("of-people", true, false),
        ("of-keeper", false, true),
        ("of-author", false, false),
    ] {
        let client = AdminClient::sign_in(&server, who).await;
        let response = client.explain(&subject, RESTRICTED).await;
        assert_eq!(response.status, 200, "{who}: {}", response.text());
        let (text, explanation) = (
            response.text().replace(&owner, "the owner's id"),
            response.json(),
        );
        for (secrets, is_told) in [
            (&USER_SECRETS[..], sees_user),
            (&DATASET_SECRETS, sees_dataset),
        ] {
            for secret in secrets {
                assert_eq!(text.contains(secret), is_told, "{who} {secret}: {text}");
            }
        }
        assert_eq!(
            explanation["withheld"],
            json!({"principal": !sees_user, "dataset": !sees_dataset, "errors": 0})
        );
        assert_eq!(explanation["username"].is_string(), sees_user);
        assert_eq!(explanation["mint"].is_object(), sees_dataset);
        // All callers get which clauses hold and what was read; a caller from whom values are withheld
        // also gets what Cedar did not evaluate.
        assert_eq!(explanation["determining"][0]["id"], "holds");
        let of = |explanation: &Value, member: &str| -> Vec<Value> {
            let all = observed_values(explanation).into_iter();
            all.map(|value| value[member].clone()).collect()
        };
        let names = of(&explanation, "name");
        assert!(of(&whole, "name").iter().all(|name| names.contains(name)));
        for value in observed_values(&explanation) {
            let name = value["name"].as_str().unwrap();
            let is_withheld = !sees_user
                && (name.contains("principal") || name == "context.authentication")
                || !sees_dataset && name.contains("resource");
            assert_eq!(value["is_withheld"], is_withheld, "{who} {value}");
            assert_eq!(value["value"].is_null(), is_withheld, "{who} {value}");
        }
    }
}

#[tokio::test]
async fn an_anonymous_caller_who_may_discover_would_be_asked_to_sign_in() {
    let server = server_with_restricted_viewers().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(server.mint(RESTRICTED, None).await.status, 401);
    let explanation = ada.explanation("anonymous", RESTRICTED).await;
    assert_eq!(explanation["mint"]["status"], 401);
}

#[tokio::test]
async fn the_text_of_an_error_requires_the_right_to_see_both() {
    let server = server_with_restricted_viewers().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let subject = ada.user_id("nathaniel").await;
    for (who, withheld) in [
        ("ada", 0),
        ("of-people", 1),
        ("of-keeper", 1),
        ("of-author", 1),
    ] {
        let explanation = AdminClient::sign_in(&server, who)
            .await
            .explanation(&subject, INTERNAL)
            .await;
        assert_eq!(explanation["is_permitted"], false);
        assert_eq!(explanation["withheld"]["errors"], withheld, "{who}");
        assert_eq!(
            explanation["errors"].as_array().unwrap().len(),
            1 - withheld
        );
        let others = explanation["others"].as_array().unwrap();
        let failing = others.iter().find(|policy| policy["id"] == "fails");
        let part = &failing.unwrap()["parts"][0];
        assert_eq!(part["value"], "error");
        assert_eq!(part["error"].is_string(), withheld == 0, "{who} {part}");
    }
}

#[tokio::test]
async fn explanations_do_not_reveal_which_users_exist() {
    let server = server_with_restricted_viewers().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let same = async |client: &AdminClient<'_>, known: &str, unknown: &str, status| {
        let known = client.explain(known, PUBLIC).await;
        let unknown = client.explain(unknown, PUBLIC).await;
        assert_eq!(known.problem(status), unknown.problem(status));
        assert_eq!(known.body, unknown.body);
        unknown.problem(status)
    };
    let (disabled, hidden) = (ada.user_id("dora").await, ada.user_id("of-hidden").await);
    let unknown = format!("{USERS}/{UNKNOWN}");
    let author = AdminClient::sign_in(&server, "of-author").await;
    let as_elsewhere = author.get(&unknown).await.problem(403);
    assert_eq!(same(&author, "mo", "nobody", 403).await, as_elsewhere);
    assert_eq!(same(&author, &disabled, UNKNOWN, 403).await, as_elsewhere);
    let people = AdminClient::sign_in(&server, "of-people").await;
    let as_elsewhere = people.get(&unknown).await.problem(404);
    assert_eq!(
        same(&people, "of-hidden", "nobody", 404).await,
        as_elsewhere
    );
    assert_eq!(same(&people, &hidden, UNKNOWN, 404).await, as_elsewhere);
    assert_eq!(
        people.explanation("dora", PUBLIC).await["is_disabled"],
        true
    );
}

#[tokio::test]
async fn explanations_do_not_reveal_which_datasets_exist() {
    let server = server_with_restricted_viewers().await;
    for (who, status) in [("of-author", 403), ("of-keeper", 404), ("of-people", 403)] {
        let client = AdminClient::sign_in(&server, who).await;
        let private = client.explain("anonymous", PRIVATE).await;
        let unknown = client.explain("anonymous", UNKNOWN).await;
        let path = format!("/admin/datasets/{UNKNOWN}");
        let as_elsewhere = client.get(&path).await.problem(status);
        assert_eq!(private.problem(status), as_elsewhere, "{who}");
        assert_eq!(unknown.problem(status), as_elsewhere, "{who}");
        assert_eq!(private.body, unknown.body);
        client.explanation("anonymous", RESTRICTED).await;
    }
}
