//! Shares with an end: shared until its second, and not after it, without anybody doing anything.

use serde_json::{Value, json};

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::AdminClient;
use crate::support::server::{RESTRICTED, Server};

/// A time so many seconds after the server's, as text.
fn after(server: &Server, seconds: i64) -> String {
    let now = server.clock.unix_seconds();
    cedargate::domain::rfc3339::format_seconds(now + seconds)
}

#[tokio::test]
async fn a_share_ends_at_its_second_for_mints_and_for_tokens_minted_before() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = server.session("otto").await;
    let until = after(&server, 60);
    // Requests of the client advance the clock by a millisecond each.
    let end = server.clock.unix_seconds() + 60;
    let shares = dataset_path(RESTRICTED) + "/shares";
    let added = ada
        .put(&format!("{shares}/users/otto?until={until}"), json!({}))
        .await;
    let expected =
        json!({"users": ["otto"], "roles": ["hydrology"], "users_until": {"otto": until}});
    assert_eq!(added.json(), expected);
    let token = server.mint(RESTRICTED, Some(&otto)).await.token();
    let other = server.replica().await;
    assert_eq!(other.mint(RESTRICTED, Some(&otto)).await.status, 200);

    server
        .clock
        .advance(end * 1_000 - 1 - server.clock.unix_millis());
    assert_eq!(server.mint(RESTRICTED, Some(&otto)).await.status, 200);
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    server.clock.advance(1);
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    server.download(RESTRICTED, &token).await.problem(403);
    other.mint(RESTRICTED, Some(&otto)).await.problem(403);
    // Others keep their shares, and an ended share is still on record.
    let mo = server.session("mo").await;
    assert_eq!(server.mint(RESTRICTED, Some(&mo)).await.status, 200);
    assert_eq!(ada.get(&shares).await.json(), expected);

    // Shared again without an end.
    let again = ada.put(&format!("{shares}/users/otto"), json!({})).await;
    assert_eq!(
        again.json(),
        json!({"users": ["otto"], "roles": ["hydrology"]})
    );
    assert_eq!(server.mint(RESTRICTED, Some(&otto)).await.status, 200);
}

#[tokio::test]
async fn a_share_with_a_role_ends_for_every_member_and_explanations_tell_it() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let until = after(&server, 60);
    let share = format!(
        "{}/shares/roles/hydrology?until={until}",
        dataset_path(RESTRICTED)
    );
    assert_eq!(ada.put(&share, json!({})).await.status, 200);
    let explained = ada.explanation("mo", RESTRICTED).await;
    assert_eq!(explained["is_permitted"], true);
    let expected = format!("The share with the role hydrology ends at {until}.");
    assert_eq!(explained["shares"], json!([expected]));
    server.clock.advance(60_000);
    let mint = server.mint(RESTRICTED, Some(&mo)).await;
    mint.problem(403);
    let explained = ada.explanation("mo", RESTRICTED).await;
    assert_eq!(explained["is_permitted"], false);
    let expected =
        format!("The share with the role hydrology ended at {until}: it is no share any more.");
    assert_eq!(explained["shares"], json!([expected]));
}

#[tokio::test]
async fn an_end_in_the_past_or_of_nobody_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = dataset_path(RESTRICTED);
    let before = ada.get(&path).await.json();
    let now = after(&server, 0);
    for until in [
        now.as_str(),
        "1999-01-01T00:00:00Z",
        "2027-01-01",
        "never",
        "",
    ] {
        let share = format!("{path}/shares/users/otto?until={until}");
        ada.put(&share, json!({})).await.problem(422);
    }
    let mut body = before.clone();
    body["reader_users_until"] = json!({"otto": after(&server, 60)});
    assert_eq!(
        ada.put(&path, body).await.problem_field(422),
        "reader_users_until"
    );
    assert_eq!(ada.get(&path).await.json(), before);
}

#[tokio::test]
async fn a_dataset_that_is_put_keeps_its_ends_unless_it_names_others() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = dataset_path(RESTRICTED);
    let until = after(&server, 60);
    let share = format!("{path}/shares/users/otto?until={until}");
    assert_eq!(ada.put(&share, json!({})).await.status, 200);
    let whole = ada.get(&path).await.json();
    assert_eq!(whole["reader_users_until"], json!({"otto": until}));
    let put = async |body: &Value| {
        let answer = ada.put(&path, body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(put(&whole).await, whole);
    // A client that does not know of ends.
    let mut known = whole.clone();
    known.as_object_mut().unwrap().remove("reader_users_until");
    known["title"] = json!("Another title");
    assert_eq!(
        put(&known).await["reader_users_until"],
        json!({"otto": until})
    );
    known["reader_users_until"] = json!({});
    assert_eq!(put(&known).await.get("reader_users_until"), None);
    known["reader_users_until"] = json!({"otto": until});
    assert_eq!(
        put(&known).await["reader_users_until"],
        json!({"otto": until})
    );
    known["reader_users"] = json!([]);
    known.as_object_mut().unwrap().remove("reader_users_until");
    assert_eq!(put(&known).await.get("reader_users_until"), None);
}

#[tokio::test]
async fn an_end_of_a_catalog_file_is_in_force_and_applying_it_again_changes_nothing() {
    let server = Server::start().await;
    let until = after(&server, 60);
    let catalog = format!(
        "[[datasets]]\nid = \"{RESTRICTED}\"\ntitle = \"T\"\nvisibility = \"restricted\"\n\
         record_status = \"published\"\nfile = \"salish-sea-topobathy.cog.tif\"\n\
         reader_users = [{{ name = \"otto\", until = {until} }}]\n\
         reader_roles = [{{ name = \"hydrology\", until = \"2999-01-01\" }}]\n"
    );
    server.apply(&catalog).await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let dataset = ada.get(&dataset_path(RESTRICTED)).await.json();
    assert_eq!(dataset["reader_users_until"], json!({"otto": until}));
    assert_eq!(
        dataset["reader_roles_until"],
        json!({"hydrology": "2999-01-01T00:00:00Z"})
    );
    let otto = server.session("otto").await;
    assert_eq!(server.mint(RESTRICTED, Some(&otto)).await.status, 200);
    server.clock.advance(60_000);
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    server.apply(&catalog).await;
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
}
