//! Access lists over HTTP: who may do something with a dataset, and with which datasets a user may, for those who may know.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::admin_client::AdminClient;
use crate::support::server::{
    CATALOG, INTERNAL, PASSWORD, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse,
    UNKNOWN,
};

/// Keepers may administer what is not private, people see users who are not hidden.
const POLICIES: &str = r#"
@id("admin") @reason("The user is an admin.")
permit (principal in Role::"admin", action, resource);
@id("people") @reason("x")
permit (principal in Role::"people", action == Action::"view_users", resource)
unless { resource is User && resource in Role::"hidden" };
@id("keepers-look") @reason("x")
permit (principal in Role::"keeper", action == Action::"view_datasets", resource);
@id("keepers") @reason("x")
permit (principal in Role::"keeper", action == Action::"administer", resource is Dataset)
unless { resource.visibility == Visibility::"private" };
@id("discovery") @reason("x")
permit (principal is User, action == Action::"discover", resource is Dataset)
when { resource.visibility != Visibility::"private" };
@id("owner") @reason("The user owns the dataset.")
permit (principal is User, action == Action::"read", resource is Dataset)
when { resource has owner && resource.owner == principal };
@id("night") @reason("At night everyone reads what is public.")
permit (principal, action == Action::"read", resource is Dataset)
when { resource.visibility == Visibility::"public" && context.time.toTime() < duration("4h") };
@id("office") @reason("The office reads it.")
permit (principal in Role::"people", action == Action::"read", resource is Dataset)
when { context.address.isInRange(ip("198.51.100.0/24")) };
"#;

async fn server_with_roles() -> Server {
    let of_role = |role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    };
    let added = ["people", "keeper", "hidden"].map(of_role).concat();
    let both = format!(
        "[[users]]\nusername = \"both\"\npassword = \"{PASSWORD}\"\nroles = [\"people\", \"keeper\"]\n"
    );
    Server::start_with(ServerOptions {
        catalog: Some([CATALOG, &added, &both].concat()),
        policies: Some(POLICIES),
        ..ServerOptions::default()
    })
    .await
}

fn principals(dataset: &str, action: &str) -> String {
    format!("/admin/datasets/{dataset}/principals?action={action}")
}

fn names(items: &[Value]) -> BTreeSet<String> {
    let names = items.iter().map(|item| &item["user"]["username"]);
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn titles(items: &[Value]) -> BTreeSet<String> {
    let titles = items.iter().map(|item| &item["dataset"]["title"]);
    titles
        .map(|title| title.as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn ok(client: &AdminClient<'_>, path: &str) -> Value {
    let response = client.get(path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response.json()
}

#[tokio::test]
async fn access_lists_equal_what_the_policies_decide_about_each_user_and_dataset() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for dataset in [PUBLIC, INTERNAL, RESTRICTED, PRIVATE] {
        let listed = ada.list_all(&principals(dataset, "read"), 2).await;
        assert_eq!(
            listed,
            ada.list_all(&principals(dataset, "read"), 100).await
        );
        for user in ["ada", "olivia", "mo", "otto", "dora"] {
            let explained = ada.explanation(user, dataset).await;
            let id = ada.user_id(user).await;
            let item = listed.iter().find(|item| item["user"]["id"] == *id);
            assert_eq!(
                explained["is_permitted"],
                item.is_some(),
                "{user} {dataset}"
            );
            let of_user = format!("/admin/users/{id}/datasets?action=read");
            let of_user = ada.list_all(&of_user, 3).await;
            let on_dataset = of_user
                .iter()
                .find(|item| item["dataset"]["id"] == *dataset);
            assert_eq!(on_dataset.is_some(), item.is_some());
            let Some((item, on_dataset)) = item.zip(on_dataset) else {
                continue;
            };
            assert_eq!(item["access"], on_dataset["access"]);
            let policies = |list: &Value, member: &str| {
                let all = list.as_array().unwrap().iter();
                let ids = all.map(|one| one[member].as_str().unwrap().to_owned());
                ids.collect::<BTreeSet<_>>()
            };
            assert_eq!(
                policies(&item["access"]["grants"], "policy"),
                policies(&explained["determining"], "id")
            );
        }
    }
    let page = ok(&ada, &principals(RESTRICTED, "read")).await;
    let of = |name: &str| {
        let items = page["items"].as_array().unwrap().iter();
        let mut found = items.filter(|item| item["user"]["username"] == name);
        found.next().unwrap()["access"].clone()
    };
    let reason = "The dataset is restricted, published and shared with a role of this user.";
    let by_role = json!({"is_always": true, "is_cut": false, "grants": [{"through": "role", "role": "hydrology",
        "policy": "shared-with-role", "reason": reason, "when": []}]});
    assert_eq!(of("mo"), by_role);
    assert_eq!(of("olivia")["grants"][0]["through"], "owner");
    assert_eq!(page.get("anonymous"), None);
    let public = ok(&ada, &principals(PUBLIC, "read")).await;
    assert_eq!(public["anonymous"]["grants"][0]["policy"], "public");
    let next = ok(&ada, &(principals(PUBLIC, "read") + "&limit=1")).await["next"].clone();
    let next = format!(
        "{}&after={}",
        principals(PUBLIC, "read"),
        next.as_str().unwrap()
    );
    assert_eq!(ok(&ada, &next).await.get("anonymous"), None);
}

#[tokio::test]
async fn an_access_list_shows_only_what_its_reader_may_see() {
    let server = server_with_roles().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let everyone = names(&ada.list_all(&principals(PUBLIC, "discover"), 100).await);
    assert!(everyone.contains("of-hidden") && !everyone.contains("dora"));

    // Who may not see users learns of none, and who sees some of those.
    let keeper = AdminClient::sign_in(&server, "of-keeper").await;
    let page = ok(&keeper, &principals(PUBLIC, "discover")).await;
    let anyone = json!({"is_always": true, "is_cut": false, "grants": [{"through": "policy"}]});
    assert_eq!(page, json!({"items": [], "signed_in": anyone}));
    let both = AdminClient::sign_in(&server, "both").await;
    let listed = both.list_all(&principals(PUBLIC, "discover"), 2).await;
    let mut visible = everyone.clone();
    visible.remove("of-hidden");
    assert_eq!(names(&listed), visible);
    // What policies say is for those who may view them.
    let grant = &listed[0]["access"]["grants"][0];
    for member in ["policy", "reason", "when"] {
        assert_eq!(grant.get(member), None, "{grant}");
    }

    // Datasets that one may not administer are as good as none.
    for (client, dataset, status) in [
        (&keeper, PRIVATE, 404),
        (&keeper, UNKNOWN, 404),
        (
            &AdminClient::sign_in(&server, "of-people").await,
            PUBLIC,
            403,
        ),
        (
            &AdminClient::sign_in(&server, "of-people").await,
            UNKNOWN,
            403,
        ),
    ] {
        let response = client.get(&principals(dataset, "read")).await;
        assert_eq!(response.status, status, "{}", response.text());
    }

    // Of a user's datasets those that the caller may discover or administer.
    let people = AdminClient::sign_in(&server, "of-people").await;
    let olivia = ada.user_id("olivia").await;
    let of_olivia = format!("/admin/users/{olivia}/datasets?action=read");
    let all = titles(&ada.list_all(&of_olivia, 2).await);
    assert!(all.contains("Private"));
    let mut discovered = all.clone();
    discovered.remove("Private");
    let listed = people.list_all(&of_olivia, 2).await;
    assert_eq!(titles(&listed), discovered);
    // Who owns a dataset, and with whom it is shared, is for those who may administer it.
    let through = |items: &[Value]| -> BTreeSet<String> {
        let grants = items
            .iter()
            .flat_map(|item| item["access"]["grants"].as_array().unwrap());
        grants
            .map(|grant| grant["through"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(through(&ada.list_all(&of_olivia, 2).await).contains("owner"));
    assert_eq!(through(&listed), set(&["policy"]));
    let hidden = ada.user_id("of-hidden").await;
    for (client, user, status) in [(&people, &hidden, 404), (&keeper, &olivia, 403)] {
        let path = format!("/admin/users/{user}/datasets?action=read");
        assert_eq!(client.get(&path).await.status, status);
    }
    let dora = ada.user_id("dora").await;
    let of_dora = format!("/admin/users/{dora}/datasets?action=discover");
    assert_eq!(ok(&ada, &of_dora).await, json!({"items": []}));
}

#[tokio::test]
async fn an_access_list_says_in_which_contexts_and_is_confined_to_one() {
    let server = server_with_roles().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = principals(PUBLIC, "read");
    let listed = ada.list_all(&path, 100).await;
    let of = |name: &str| {
        let mut found = listed
            .iter()
            .filter(|item| item["user"]["username"] == name);
        found.next().unwrap()["access"].clone()
    };
    assert_eq!(of("olivia")["is_always"], true);
    let night = &of("mo")["grants"][0];
    assert_eq!(of("mo")["is_always"], false);
    assert_eq!(night["when"], json!(["between 00:00 and 04:00 UTC"]));
    let office = &of("of-people")["grants"];
    let office = office.as_array().unwrap().iter();
    let office = office.filter(|grant| grant["policy"] == "office");
    let when: Vec<_> = office.map(|grant| grant["when"].clone()).collect();
    assert_eq!(when, [json!(["from 198.51.100.0/24"])]);
    let day = format!("{path}&time=2026-03-01T12:00:00Z");
    let readers = names(&ada.list_all(&day, 100).await);
    assert_eq!(readers, set(&["ada", "olivia", "of-people", "both"]));
    let elsewhere = format!("{day}&address=192.0.2.7");
    let readers = names(&ada.list_all(&elsewhere, 100).await);
    assert_eq!(readers, set(&["ada", "olivia"]));
    let night = format!("{path}&time=2026-03-01T03:00:00Z&address=unknown");
    assert!(names(&ada.list_all(&night, 100).await).contains("otto"));
}

#[tokio::test]
async fn an_access_list_is_on_record_and_refuses_what_it_cannot_read() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let olivia = ada.user_id("olivia").await;
    ok(&ada, &principals(RESTRICTED, "read")).await;
    ok(
        &ada,
        &format!("/admin/users/{olivia}/datasets?action=discover"),
    )
    .await;
    let records = ok(&ada, "/admin/audit?limit=2").await;
    let [of_user, of_dataset] = [&records["items"][0], &records["items"][1]];
    assert_eq!(of_user["reason"], "listed what the user may discover");
    assert_eq!(of_user["resource_user_id"], *olivia);
    assert_eq!(of_dataset["reason"], "listed who may read the dataset");
    assert_eq!(of_dataset["dataset_id"], *RESTRICTED);
    assert_eq!(of_dataset["outcome"], "granted");

    let base = format!("/admin/datasets/{RESTRICTED}/principals");
    for query in [
        "",
        "?action=mint",
        "?action=read&address=here",
        "?action=read&time=noon",
        "?action=read&limit=0",
        "?action=read&after=1",
        "?action=read&more=1",
    ] {
        let response = ada.get(&format!("{base}{query}")).await;
        let status = response.status;
        assert!(matches!(status, 400 | 422), "{query}: {}", response.text());
    }
    let response = TestResponse::send(server.get(&principals(PUBLIC, "read"))).await;
    assert_eq!(response.status, 401);
}
