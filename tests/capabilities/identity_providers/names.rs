//! Names of federated users: whatever a provider calls somebody, the subject gets a user of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::server::{PASSWORD, Server, ServerOptions, TestResponse};

use super::provider::{AUDIENCE, IdentityProvider, ProviderKey};
use super::{me, mint_status, provider_and_server};

/// Signs a token of a subject with these claims besides the ordinary ones; null removes one.
fn sign(
    provider: &IdentityProvider,
    key: &ProviderKey,
    server: &Server,
    subject: &str,
    more: &Value,
) -> String {
    let mut claims = provider.claims(&server.clock, subject);
    claims.as_object_mut().unwrap().remove("preferred_username");
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    key.sign(&claims)
}

async fn get_as_admin(server: &Server, path: &str) -> TestResponse {
    let admin = server.session("ada").await;
    TestResponse::send(server.get(path).bearer_auth(admin)).await
}

#[tokio::test]
async fn every_subject_gets_a_user_whatever_its_provider_calls_it() {
    let (provider, key, server) = provider_and_server().await;
    let mut ids = BTreeSet::new();
    for (subject, claims, username, display_name) in [
        (
            "1",
            json!({"preferred_username": "ines_example.com#EXT#@tenant.onmicrosoft.com"}),
            "ines_example.com-ext@tenant.onmicrosoft.com",
            Some("ines_example.com#EXT#@tenant.onmicrosoft.com"),
        ),
        (
            "2",
            json!({"preferred_username": "Ines Maria", "name": "Inés \u{202e}María\n"}),
            "ines-maria",
            Some("Inés María"),
        ),
        (
            "nightly-job",
            json!({"client_id": "nightly-job"}),
            "nightly-job",
            None,
        ),
        (
            "with blanks\tand #",
            json!({"preferred_username": null}),
            "with-blanks-and",
            None,
        ),
        (
            "5",
            json!({"preferred_username": 70_123}),
            "70123",
            Some("70123"),
        ),
        (
            "6",
            json!({"preferred_username": "", "email": "Ines@Example.org"}),
            "ines@example.org",
            Some("Ines@Example.org"),
        ),
        (
            "7",
            json!({"preferred_username": {"x": 1}, "upn": "ines@corp.example"}),
            "ines@corp.example",
            Some("ines@corp.example"),
        ),
    ] {
        let token = sign(&provider, &key, &server, subject, &claims);
        let response = me(&server, &token).await;
        assert_eq!(response.status, 200, "{claims}");
        let user = response.json();
        assert_eq!(user["username"], username, "{claims}");
        assert_eq!(
            user.get("display_name").and_then(Value::as_str),
            display_name,
            "{claims}"
        );
        assert_eq!(mint_status(&server, &token).await, 200);
        assert!(ids.insert(user["user_id"].to_string()));
    }
    // Names that are nothing but what nobody can read or type still are of somebody.
    for (number, name) in ["#!", "\u{200d}\u{202e}", "\u{1}\u{2}", "𝕿", "👩\u{200d}🔬"]
        .iter()
        .enumerate()
    {
        let subject = format!("subject {number}");
        let token = sign(
            &provider,
            &key,
            &server,
            &subject,
            &json!({"preferred_username": name}),
        );
        assert_eq!(mint_status(&server, &token).await, 200, "{name}");
    }
    // Subjects are compared byte for byte, whatever they consist of.
    for subject in [
        "a",
        "A",
        "ä",
        "a\u{308}",
        " a",
        "a ",
        "a\nb",
        "\u{202e}a",
        &"s".repeat(255),
    ] {
        let token = sign(
            &provider,
            &key,
            &server,
            subject,
            &json!({"name": "Same Name"}),
        );
        let user = me(&server, &token).await.json();
        assert!(ids.insert(user["user_id"].to_string()), "{subject}");
    }
}

#[tokio::test]
async fn a_taken_name_gets_digits_and_nobody_is_taken_over() {
    let keys = [
        ProviderKey::generate("first"),
        ProviderKey::generate("first"),
    ];
    let providers = [
        IdentityProvider::start(&[&keys[0]]).await,
        IdentityProvider::start(&[&keys[1]]).await,
    ];
    let issuers = providers.each_ref().map(
        |provider| json!({"issuer": provider.url, "audience": AUDIENCE, "roles_claim": "roles"}),
    );
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_ISSUERS", json!(issuers).to_string())],
        ..ServerOptions::default()
    })
    .await;
    let ada = get_as_admin(&server, "/auth/me").await.json()["user_id"].clone();
    let mut names = BTreeSet::new();
    // The same name by two providers, two subjects, and in other forms; `ada` is a user of this server.
    for (number, subject, name) in [
        (0, "1", "ada"),
        (0, "2", "ADA"),
        (1, "1", "ada"),
        (1, "2", "A\u{202d}da!"),
        (1, "3", "ａｄａ"),
        (0, "4", "\"ada\""),
    ] {
        let claims =
            json!({"preferred_username": name, "roles": ["admin"], "email_verified": true});
        let token = sign(&providers[number], &keys[number], &server, subject, &claims);
        let user = me(&server, &token).await.json();
        assert_ne!(user["user_id"], ada);
        assert_eq!(user["roles"], json!([]));
        let username = user["username"].as_str().unwrap().to_owned();
        assert!(username.starts_with("ada-"), "{username}");
        // It is the same one every time.
        let again = sign(&providers[number], &keys[number], &server, subject, &claims);
        assert_eq!(me(&server, &again).await.json()["username"], username);
        assert!(names.insert(username));
    }
    // The digits depend on issuer and subject alone: another server gives the same ones.
    assert_eq!(server.login("ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_name_that_means_another_principal_gets_digits_too() {
    let (provider, key, server) = provider_and_server().await;
    for (subject, name) in [
        ("1", "anonymous"),
        ("2", "ANONYMOUS"),
        ("3", "2489E9AD-2ee2-8e00-8ec9-32d5f69181c0"),
    ] {
        let claims = json!({ "preferred_username": name });
        let user = me(&server, &sign(&provider, &key, &server, subject, &claims))
            .await
            .json();
        let username = user["username"].as_str().unwrap();
        let (start, digits) = username.rsplit_once('-').unwrap();
        assert_eq!(start, name.to_lowercase());
        assert!(digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit()));
    }
    // The id of a program may be a UUID as well.
    let program = "0b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981";
    let user = me(
        &server,
        &sign(&provider, &key, &server, program, &json!({})),
    )
    .await
    .json();
    assert!(
        user["username"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{program}-"))
    );
}

#[tokio::test]
async fn a_renamed_user_keeps_id_and_user_name_and_its_display_name_follows() {
    let (provider, key, server) = provider_and_server().await;
    let token = |claims: Value| sign(&provider, &key, &server, "7", &claims);
    let maiden = json!({"preferred_username": "ines", "name": "Inés Ruiz"});
    let before = me(&server, &token(maiden.clone())).await.json();
    let older = token(maiden);
    server.clock.advance(1_000);
    let married = json!({"preferred_username": "ines.may", "name": "Inés May"});
    let after = me(&server, &token(married)).await.json();
    assert_eq!(after["user_id"], before["user_id"]);
    assert_eq!(
        (&after["username"], &after["display_name"]),
        (&json!("ines"), &json!("Inés May"))
    );
    // An older token changes nothing, and neither does one without a name.
    assert_eq!(me(&server, &older).await.status, 200);
    server.clock.advance(1_000);
    assert_eq!(
        me(&server, &token(json!({}))).await.json()["display_name"],
        "Inés May"
    );

    // Administrators see it, may send it back, and do not choose it.
    let path = format!("/admin/users/{}", before["user_id"].as_str().unwrap());
    let shown = get_as_admin(&server, &path).await;
    let mut body = shown.json();
    assert_eq!(body["display_name"], "Inés May");
    let page = get_as_admin(&server, "/admin/users").await.json();
    let listed = page["items"].as_array().unwrap().iter();
    let listed: Vec<_> = listed
        .filter(|user| user["display_name"] == "Inés May")
        .collect();
    assert_eq!(listed, [&body]);
    let admin = server.session("ada").await;
    let put = async |body: &Value| {
        let request = server.http.put(format!("{}{path}", server.url));
        TestResponse::send(request.bearer_auth(&admin).json(body)).await
    };
    body["username"] = json!("ines-may");
    assert_eq!(put(&body).await.json()["display_name"], "Inés May");
    body["display_name"] = json!("Somebody Else");
    assert_eq!(put(&body).await.problem_field(422), "display_name");
    let renamed = me(&server, &token(json!({"name": "Inés May"})))
        .await
        .json();
    assert_eq!(
        (&renamed["user_id"], &renamed["username"]),
        (&before["user_id"], &json!("ines-may"))
    );
}

#[tokio::test]
async fn many_first_tokens_at_once_make_one_user_of_each_subject() {
    let (provider, key, server) = provider_and_server().await;
    let mut users = BTreeSet::new();
    for batch in 0..10 {
        // Two at once of each subject, and five names for all.
        let token = |number: usize| {
            let claims = json!({"preferred_username": format!("Name {}", number % 5)});
            sign(
                &provider,
                &key,
                &server,
                &format!("{batch}.{number}"),
                &claims,
            )
        };
        let tokens: Vec<_> = (0..20).map(|number| token(number / 2)).collect();
        let all = tokens.iter().map(|token| me(&server, token));
        for response in futures_util::future::join_all(all).await {
            assert_eq!(response.status, 200);
            let user = response.json();
            users.insert((user["user_id"].to_string(), user["username"].to_string()));
        }
    }
    let names: BTreeSet<_> = users.iter().map(|(_, name)| name).collect();
    assert_eq!((users.len(), names.len()), (100, 100));
}
