//! What an author has to look at before a draft is published: files that somebody else changed too, and its newest
//! version.

use reqwest::Method;
use serde_json::{Value, json};

use crate::policy_reload::public_policy_with_ttl;
use crate::support::admin_client::AdminClient;
use crate::support::events::last_event;
use crate::support::server::{Server, TestResponse};

use super::{
    DRAFTS, draft, files, folder_revision, publish, publish_version, published, publishing_server,
};

async fn change(client: &AdminClient<'_>, draft: &str, files: Value) -> Value {
    let request = client.request(Method::PATCH, &format!("{DRAFTS}/{draft}"));
    let response = TestResponse::send(request.json(&json!({"files": files}))).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

async fn authors(server: &Server) -> (AdminClient<'_>, AdminClient<'_>) {
    (
        AdminClient::sign_in(server, "ada").await,
        AdminClient::sign_in(server, "eve").await,
    )
}

#[tokio::test]
async fn what_two_authors_changed_is_published_only_when_somebody_has_decided_about_it() {
    let (folder, server) = publishing_server().await;
    let (ada, eve) = authors(&server).await;
    let of_ada = draft(&ada, json!({"public.cedar": public_policy_with_ttl(50)})).await;
    let mine = public_policy_with_ttl(70);
    let of_eve = draft(
        &eve,
        json!({"public.cedar": mine, "more.cedar": "// of eve\n"}),
    )
    .await;
    published(&ada, &of_ada).await;
    let path = format!("{DRAFTS}/{of_eve}");
    // A lost response or a page that is opened again changes nothing.
    for _ in 0..2 {
        let rebased = eve.post(&format!("{path}/rebase"), json!({})).await.json();
        assert_eq!(rebased["conflicts"], json!(["public.cedar"]));
        assert_eq!(rebased["draft"]["conflicts"], json!(["public.cedar"]));
        assert_eq!(rebased["draft"]["is_current"], true);
    }
    let now = folder_revision(&eve).await;
    let detail = publish(&eve, &of_eve, &now).await.problem(409);
    assert!(detail.contains("\"public.cedar\""), "{detail}");
    assert_eq!(
        files(folder.path())["public.cedar"],
        public_policy_with_ttl(50)
    );
    let other = change(&eve, &of_eve, json!({"more.cedar": "// more of eve\n"})).await;
    assert_eq!(other["conflicts"], json!(["public.cedar"]));
    assert_eq!(
        eve.get(&path).await.json()["conflicts"],
        json!(["public.cedar"])
    );
    // To write it as it is says that it is meant.
    let settled = change(&eve, &of_eve, json!({"public.cedar": mine})).await;
    assert_eq!(settled["conflicts"], json!([]));
    last_event(&publish(&eve, &of_eve, &now).await, "published");
    assert_eq!(files(folder.path())["public.cedar"], mine);
}

#[tokio::test]
async fn a_version_that_is_not_the_newest_one_is_not_published() {
    let (folder, server) = publishing_server().await;
    let (ada, _) = authors(&server).await;
    let before = files(folder.path());
    let id = draft(&ada, json!({"public.cedar": public_policy_with_ttl(50)})).await;
    change(
        &ada,
        &id,
        json!({"public.cedar": public_policy_with_ttl(70)}),
    )
    .await;
    let now = folder_revision(&ada).await;
    for version in [1, 3] {
        let refused = publish_version(&ada, (&id, version), &now).await;
        refused.problem(412);
    }
    assert_eq!(files(folder.path()), before);
    last_event(&publish_version(&ada, (&id, 2), &now).await, "published");
    assert_eq!(
        files(folder.path())["public.cedar"],
        public_policy_with_ttl(70)
    );
}
