//! The same text typed on another device: names in any case, width and composition, and passwords in any
//! composition and with any space, wherever they are entered.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use futures_util::future::join_all;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::cli::{cedargate, cedargate_with_input};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{PASSWORD, RESTRICTED, Server, ServerOptions, TestResponse};

const COMPOSED: &str = "Café au lait";
const DECOMPOSED: &str = "Cafe\u{301}\u{a0}au\u{3000}lait";

fn decompose(text: &str) -> String {
    DecomposingNormalizerBorrowed::new_nfd()
        .normalize(text)
        .into_owned()
}

/// A hash of the text as it is, as programs make it that know no normal form.
fn raw_hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2
        .hash_password(password.as_bytes())
        .unwrap()
        .to_string()
}

/// A server with one user in addition, whose hash is of the text as it is.
async fn start_with_older_hash(password: &str) -> Server {
    let server = Server::start().await;
    let hash = raw_hash(password);
    let catalog = format!("[[users]]\nusername = \"zoë\"\npassword_hash = \"{hash}\"\n");
    server.apply(&catalog).await;
    server
}

async fn stored_hash(server: &Server, name: &str) -> String {
    let database = server.database().await;
    let found = database.find_user_by_username(&name.parse().unwrap()).await;
    found
        .unwrap()
        .unwrap()
        .password_hash
        .unwrap()
        .reveal()
        .clone()
}

#[tokio::test]
async fn a_user_signs_in_with_its_name_in_any_form_and_is_on_record_with_its_own() {
    let catalog = format!(
        "[[users]]\nusername = \"mo\"\npassword = \"{PASSWORD}\"\n
        [[users]]\nusername = \"Mu\u{308}ller\"\npassword = \"{PASSWORD}\"\n
        [[users]]\nusername = \"ΟΔΥΣΣΕΥΣ\"\npassword = \"{PASSWORD}\"\n
        [[users]]\nusername = \"やまだ\"\npassword = \"{PASSWORD}\"\n"
    );
    let server = Server::start_with(ServerOptions {
        catalog: Some(catalog),
        ..ServerOptions::default()
    })
    .await;
    for (name, forms) in [
        (
            "mo",
            &["mo", "Mo", "MO", "ＭＯ", "ｍｏ", " mo", "Mo ", "mo\u{a0}"][..],
        ),
        (
            "müller",
            &["müller", "MÜLLER", "Mu\u{308}ller", "ＭＵ\u{308}LLER"][..],
        ),
        ("οδυσσευς", &["οδυσσευς", "οδυσσευσ", "ΟΔΥΣΣΕΥΣ"][..]),
        ("やまだ", &["やまだ", "やまた\u{3099}"][..]),
    ] {
        for typed in forms {
            let response = server.login(typed, PASSWORD).await;
            assert_eq!(response.status, 200, "{typed:?} {}", response.text());
            let session = response.json()["access_token"].as_str().unwrap().to_owned();
            let me = TestResponse::send(server.get("/auth/me").bearer_auth(&session)).await;
            assert_eq!(me.json()["username"], name, "{typed:?}");
        }
        let records = records(&server).await;
        let logins = records
            .iter()
            .filter(|record| record["event"] == "login" && record["username"] == name);
        assert_eq!(logins.count(), forms.len(), "{name}");
    }
    for other in ["m o", "m\u{200b}o", "mо", "mo.", "m", "straße"] {
        server.login(other, PASSWORD).await.problem(401);
    }
}

#[tokio::test]
async fn what_is_not_written_like_a_name_is_on_record_only_if_there_is_such_a_user() {
    let server = Server::start().await;
    for typed in ["OTTO", "Sommer2026", "sommer.2026"] {
        server.clock.advance(1);
        server.login(typed, "wrong password").await.problem(401);
    }
    let names: Vec<Value> = records(&server)
        .await
        .iter()
        .filter(|record| record["event"] == "login")
        .map(|record| record["username"].clone())
        .collect();
    assert_eq!(names, [json!("otto"), Value::Null, json!("sommer.2026")]);
}

#[tokio::test]
async fn no_spelling_of_a_name_gives_further_attempts() {
    let server = Server::start().await;
    for typed in ["otto", "Otto", "OTTO", "ＯＴＴＯ", "otto "] {
        server.login(typed, "wrong password").await.problem(401);
    }
    for typed in ["otto", "oTTo", "ｏtto"] {
        server.login(typed, PASSWORD).await.problem(429);
    }
}

#[tokio::test]
async fn a_password_is_the_same_in_any_composition_and_with_any_space() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for (number, set) in [COMPOSED, DECOMPOSED].iter().enumerate() {
        let name = format!("user{number}");
        let created = ada
            .post(USERS, json!({"username": name, "password": set}))
            .await;
        assert_eq!(created.status, 201, "{}", created.text());
        for typed in [COMPOSED, DECOMPOSED, "Café\u{2003}au lait"] {
            assert_eq!(server.login(&name, typed).await.status, 200, "{typed:?}");
        }
        for wrong in [
            "Cafe au lait",
            "café au lait",
            "Café au lait ",
            "Ｃafé au lait",
        ] {
            server.login(&name, wrong).await.problem(401);
        }
    }
}

#[tokio::test]
async fn passwords_of_any_characters_are_accepted_up_to_a_length_of_their_normal_form() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = {
        let user = ada.post(USERS, json!({"username": "zoë"})).await.json();
        format!("{USERS}/{}/password", user["id"].as_str().unwrap())
    };
    let longest = "é".repeat(512);
    for (set, typed) in [
        ("🫠👩‍👩‍👧🏳️‍🌈 ok ok", "🫠👩‍👩‍👧🏳️‍🌈 ok ok"),
        ("tab\tCR\r\nend\n", "tab\tCR\r\nend\n"),
        ("new \u{378}\u{10fffe} code", "new \u{378}\u{10fffe} code"),
        ("ＦＵＬＬ ｗｉｄｔｈ", "ＦＵＬＬ\u{3000}ｗｉｄｔｈ"),
        (&longest, &decompose(&longest)),
        (&decompose(&longest), &longest),
    ] {
        let answered = ada.put(&path, json!({"password": set})).await;
        assert_eq!(answered.status, 200, "{set:?} {}", answered.text());
        assert_eq!(server.login("Zoë", typed).await.status, 200, "{typed:?}");
        assert_eq!(server.login("ZOË", set).await.status, 200, "{set:?}");
    }
    for refused in ["é".repeat(513), "e\u{301}".repeat(7), "a".repeat(2000)] {
        let answered = ada.put(&path, json!({"password": refused})).await;
        assert_eq!(answered.problem_field(422), "password");
    }
}

#[tokio::test]
async fn an_older_hash_works_as_it_was_typed_and_from_then_on_in_any_form() {
    let server = start_with_older_hash(DECOMPOSED).await;
    let before = stored_hash(&server, "zoë").await;
    server.login("zoë", COMPOSED).await.problem(401);
    let first = server.login("zoë", DECOMPOSED).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_ne!(stored_hash(&server, "zoë").await, before, "hashed anew");
    for typed in [COMPOSED, DECOMPOSED] {
        assert_eq!(server.login("zoë", typed).await.status, 200, "{typed:?}");
    }
    let session = first.json()["access_token"].as_str().unwrap().to_owned();
    let me = TestResponse::send(server.get("/auth/me").bearer_auth(&session)).await;
    assert_eq!(me.status, 200, "the same password ends no session");
    let after = stored_hash(&server, "zoë").await;
    server.login("zoë", DECOMPOSED).await;
    assert_eq!(stored_hash(&server, "zoë").await, after, "once is enough");
}

#[tokio::test]
async fn logins_at_once_with_an_older_hash_all_succeed() {
    let server = start_with_older_hash(DECOMPOSED).await;
    let replica = server.replica().await;
    let logins = [&server, &replica, &server, &replica].map(|to| to.login("zoë", DECOMPOSED));
    for response in join_all(logins).await {
        assert_eq!(response.status, 200, "{}", response.text());
        let session = response.json()["access_token"].as_str().unwrap().to_owned();
        for to in [&server, &replica] {
            let me = TestResponse::send(to.get("/auth/me").bearer_auth(&session)).await;
            assert_eq!(me.status, 200, "{}", me.text());
        }
    }
}

#[tokio::test]
async fn an_older_hash_of_a_disabled_user_is_as_good_as_none() {
    let server = start_with_older_hash(DECOMPOSED).await;
    let before = stored_hash(&server, "zoë").await;
    server
        .apply("[[users]]\nusername = \"ZOË\"\ndisabled = true\n")
        .await;
    let disabled = server.login("zoë", DECOMPOSED).await;
    let unknown = server.login("nobody", DECOMPOSED).await;
    disabled.problem(401);
    assert_eq!(disabled.body, unknown.body);
    assert_eq!(stored_hash(&server, "zoë").await, before);
}

#[tokio::test]
async fn a_password_that_costs_two_checks_counts_as_two_logins() {
    let environment = vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "4".to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    for name in ["nobody", "otto"] {
        server.login(name, DECOMPOSED).await.problem(401);
    }
    server.login("mo", COMPOSED).await.problem(429);
}

#[tokio::test]
async fn administrators_name_users_and_roles_in_any_form() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "Ada").await;
    let created = ada
        .post(USERS, json!({"username": "Ünal", "roles": ["Hydrology"]}))
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.json()["username"], "ünal");
    assert_eq!(created.json()["roles"], json!(["hydrology"]));
    for taken in ["ünal", "U\u{308}NAL", "ＭＯ", "Ada"] {
        let refused = ada.post(USERS, json!({"username": taken})).await;
        assert_eq!(refused.problem_field(409), "username", "{taken}");
    }
    for refused in [
        "m\u{430}x",
        "a\u{200b}b",
        "ANONYMOUS",
        "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",
    ] {
        let response = ada.post(USERS, json!({"username": refused})).await;
        assert_eq!(response.problem_field(422), "username", "{refused}");
    }
    let found = async |query: &str| -> Vec<Value> {
        let request = ada.request(Method::GET, &format!("{USERS}?{query}"));
        TestResponse::send(request).await.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["username"].clone())
            .collect()
    };
    assert_eq!(found("username=%C3%9CNAL").await, ["ünal"]);
    assert_eq!(found("username=U%CC%88nal").await, ["ünal"]);
    assert_eq!(found("role=HYDROLOGY&username=Mo").await, ["mo"]);
    let share = format!("/admin/datasets/{RESTRICTED}/shares/users/OTTO");
    let shared = TestResponse::send(ada.request(Method::PUT, &share)).await;
    assert!(shared.status < 300, "{}", shared.text());
    let otto = server.session("otto").await;
    server.mint(RESTRICTED, Some(&otto)).await.token();
}

#[tokio::test]
async fn catalog_files_and_commands_name_users_in_any_form() {
    let server = Server::start().await;
    server
        .apply(&format!(
            "[[users]]\nusername = \"Otto\"\nroles = [\"HYDROLOGY\"]\n
            [[datasets]]\nid = \"{RESTRICTED}\"\ntitle = \"Restricted\"\nvisibility = \"restricted\"
            record_status = \"published\"\nowner = \"OLIVIA\"
            file = \"salish-sea-topobathy.cog.tif\"\nreader_users = [\"ＭＯ\"]\n"
        ))
        .await;
    let otto = server.session("OTTO").await;
    eventually(async || server.mint(RESTRICTED, Some(&otto)).await.status == 403).await;
    let mo = server.session("mo").await;
    server.mint(RESTRICTED, Some(&mo)).await.token();

    let folder = server.folder.path();
    let set = cedargate_with_input(folder, "user password OTTO", "Gru\u{308}ß\u{a0}Gott\n");
    assert_eq!(set.code, 0, "{}", set.messages);
    assert_eq!(server.login("otto", "Grüß Gott").await.status, 200);
    let explained = cedargate(
        folder,
        &[
            "policy",
            "explain",
            "--principal",
            "ＭＯ",
            "--action",
            "read",
            "--dataset",
            RESTRICTED,
        ],
        &[("CEDARGATE_DATA_DIR", &folder.display().to_string())],
    );
    assert_eq!(explained.code, 0, "{}", explained.messages);
    let file = folder.join("twice.toml");
    std::fs::write(
        &file,
        "[[users]]\nusername = \"nina\"\n[[users]]\nusername = \"NINA\"\n",
    )
    .unwrap();
    let twice = cedargate_with_input(folder, "catalog apply twice.toml", "");
    assert_eq!(twice.code, 1, "{}", twice.messages);
    assert!(twice.messages.contains("nina"), "{}", twice.messages);
}

/// Names of letters that have one lower case.
fn some_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zà-öø-þ]{1,12}",
        "[а-яё]{1,12}",
        "[α-ρτ-ω]{1,12}",
        "[ぁ-ゖ]{1,12}",
        "[가-힣]{1,12}",
        "[ऄ-ह]{1,12}",
        "[ա-ֆ]{1,12}",
    ]
}

#[test]
fn any_name_and_password_sign_in_however_they_are_typed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let database = runtime.block_on(server.database());
    let inputs = (some_name(), "[à-öa-z ]{3}\\PC{8,24}");
    runner
        .run(&inputs, |(name, password)| {
            runtime.block_on(async {
                let catalog = toml::to_string(&json!({
                    "users": [{"username": name, "password": password}]
                }))
                .unwrap();
                server.apply(&catalog).await;
                let normal: cedargate::domain::name::Username = name.parse().unwrap();
                assert!(database.find_user_id(&normal).await.unwrap().is_some());
                let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&password);
                for (typed, with) in [
                    (name.clone(), password.clone()),
                    (name.to_uppercase(), decompose(&password)),
                    (decompose(&name), composed.into_owned()),
                    (
                        decompose(&name.to_uppercase()),
                        password.replace(' ', "\u{a0}"),
                    ),
                ] {
                    let response = server.login(&typed, &with).await;
                    assert_eq!(response.status, 200, "{typed:?} {with:?}");
                    // The limits are not what is tested here.
                    server.clock.advance(60_000);
                }
            });
            Ok(())
        })
        .unwrap();
}
