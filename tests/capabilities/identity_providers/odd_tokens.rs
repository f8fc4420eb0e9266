//! Tokens as identity providers really send them: accepted where a standard allows it, or refused by name.

use serde_json::{Value, json};

use crate::support::server::{INTERNAL, TestResponse};

use super::provider::{AUDIENCE, IdentityProvider, ProviderKey};
use super::{me, mint_status, provider_and_server, server_trusting};

#[tokio::test]
async fn times_with_fractions_are_times() {
    let (provider, key, server) = provider_and_server().await;
    let now = server.clock.unix_seconds();
    let token = |iat: Value, exp: Value| {
        let mut claims = provider.claims(&server.clock, "ines");
        claims["iat"] = iat;
        claims["exp"] = exp;
        claims["auth_time"] = json!(0.5);
        key.sign(&claims)
    };
    let seconds = |offset: f64| json!(f64::from(i32::try_from(now).unwrap()) + offset);
    let fresh = token(seconds(-0.75), seconds(299.5));
    assert_eq!(mint_status(&server, &fresh).await, 200);
    let expires_at = me(&server, &fresh).await.json()["session_expires_at"].clone();
    let expires_at = chrono::DateTime::parse_from_rfc3339(expires_at.as_str().unwrap());
    assert_eq!(expires_at.unwrap().timestamp(), now + 299);
    // Remembered or new, it expires with the leeway to the millisecond.
    // The clock need not stand at a whole second.
    server
        .clock
        .advance((now + 329) * 1000 + 499 - server.clock.unix_millis());
    assert_eq!(mint_status(&server, &fresh).await, 200);
    server.clock.advance(1);
    assert_eq!(mint_status(&server, &fresh).await, 401);
    assert_eq!(
        mint_status(&server, &token(seconds(0.0), seconds(299.5))).await,
        401
    );
    assert_eq!(
        mint_status(&server, &token(seconds(0.0), seconds(299.501))).await,
        200
    );
}

#[tokio::test]
async fn the_bearer_is_told_which_check_failed_and_nothing_of_the_settings() {
    let (provider, key, server) = provider_and_server().await;
    let now = server.clock.unix_seconds();
    for (name, value, expected) in [
        ("aud", json!("account"), "audience"),
        ("aud", json!([]), "audience"),
        ("aud", json!(7), "audience"),
        ("aud", json!(null), "audience"),
        ("exp", json!(now - 1000), "expired"),
        (
            "exp",
            json!(format!("{}", now + 300)),
            "exp is missing or no number",
        ),
        ("exp", json!(null), "exp is missing"),
        ("iat", json!(null), "iat is missing"),
        ("iat", json!(1.0e15), "iat"),
        (
            "nbf",
            json!(format!("{now}.5").parse::<f64>().unwrap() + 60.0),
            "not valid yet",
        ),
        ("sub", json!(7), "sub"),
        ("iss", json!(format!("{}/", provider.url)), "issuer"),
        ("cnf", json!({}), "bound to a key"),
    ] {
        let mut claims = provider.claims(&server.clock, "ines");
        claims[name] = value.clone();
        let detail = server
            .mint(INTERNAL, Some(&key.sign(&claims)))
            .await
            .problem(401);
        assert!(detail.contains(expected), "{name} {value}: {detail}");
        assert!(
            !detail.contains(AUDIENCE) && !detail.contains("127.0.0.1"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn the_audience_may_stand_in_another_claim_which_then_decides_alone() {
    for (setting, accepted, refused) in [
        // Amazon Cognito: access tokens, and ID tokens besides.
        (
            "client_id",
            json!({"aud": null, "client_id": AUDIENCE, "token_use": "access"}),
            json!({"aud": AUDIENCE, "token_use": "id"}),
        ),
        // Keycloak.
        (
            "azp",
            json!({"aud": "account", "azp": AUDIENCE, "typ": "Bearer"}),
            json!({"aud": [AUDIENCE, "account"], "azp": "another"}),
        ),
        (
            "ext.targets",
            json!({"aud": "api", "ext": {"targets": ["x", AUDIENCE]}}),
            json!({"aud": AUDIENCE, "ext": {"targets": []}}),
        ),
    ] {
        let key = ProviderKey::generate("first");
        let provider = IdentityProvider::start(&[&key]).await;
        let server = server_trusting(&provider, json!({ "audience_claim": setting })).await;
        let token = |more: &Value| {
            let mut claims = provider.claims(&server.clock, "ines");
            let members = claims.as_object_mut().unwrap();
            for (name, value) in more.as_object().unwrap() {
                members.insert(name.clone(), value.clone());
            }
            members.retain(|_, value| !value.is_null());
            key.sign(&claims)
        };
        assert_eq!(
            mint_status(&server, &token(&accepted)).await,
            200,
            "{setting}"
        );
        assert_eq!(
            mint_status(&server, &token(&refused)).await,
            401,
            "{setting}"
        );
        assert_eq!(
            mint_status(&server, &token(&json!({}))).await,
            401,
            "{setting}"
        );
    }
}

#[tokio::test]
async fn without_a_kid_the_only_key_counts_and_a_new_one_is_fetched() {
    let (provider, first, server) = provider_and_server().await;
    let sign = |key: &ProviderKey| {
        key.sign_with(
            &json!({"alg": "ES256"}),
            &provider.claims(&server.clock, "ines"),
        )
    };
    assert_eq!(mint_status(&server, &sign(&first)).await, 200);
    let second = ProviderKey::generate("second");
    provider.publish(&[&second]);
    assert_eq!(mint_status(&server, &sign(&second)).await, 200);
    assert_eq!(mint_status(&server, &sign(&first)).await, 401);
    assert_eq!(provider.fetch_count(), 2);
    // With several keys for the algorithm, a token must name one.
    provider.publish(&[&first, &second]);
    server.clock.advance(600_000);
    assert_eq!(mint_status(&server, &sign(&second)).await, 401);
    assert_eq!(
        mint_status(
            &server,
            &second.sign(&provider.claims(&server.clock, "ines"))
        )
        .await,
        200
    );
}

#[tokio::test]
async fn mapped_claims_of_odd_types_are_refused_and_bounded_ones_are_mapped() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let settings = json!({"roles_claim": "groups", "claims": {"dept": "dept"}});
    let server = server_trusting(&provider, settings).await;
    let status = async |more: Value| {
        let mut claims = provider.claims(&server.clock, "ines");
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        mint_status(&server, &key.sign(&claims)).await
    };
    for fine in [
        json!({"groups": null}),
        json!({"groups": "hydrology archive"}),
        json!({"groups": []}),
        json!({"groups": ["/hydrology", "", "a".repeat(1000), "Ünïcode", "a\nb"]}),
        json!({"groups": (0..500).map(|n| format!("group-{n}")).collect::<Vec<_>>()}),
        json!({"dept": [1, true, "x", 2.5]}),
    ] {
        assert_eq!(status(fine.clone()).await, 200, "{fine}");
    }
    for odd in [
        json!({"groups": 7}),
        json!({"groups": {"hydrology": true}}),
        json!({"groups": [null]}),
        json!({"groups": [["hydrology"]]}),
        json!({"groups": [{"value": "hydrology"}]}),
        json!({"dept": {"name": "x"}}),
        json!({"dept": [null]}),
        json!({"dept": "a\0b"}),
        json!({"_claim_names": {"groups": "src1"}}),
        json!({"groups": "a".repeat(20_000)}),
    ] {
        let shown: String = odd.to_string().chars().take(60).collect();
        assert_eq!(status(odd).await, 401, "{shown}");
    }
}

#[tokio::test]
async fn refusals_are_counted_by_reason_and_every_reason_is_there_from_the_start() {
    let (provider, key, server) = provider_and_server().await;
    let count = async |reason: &str| {
        let metrics = TestResponse::send(server.get("/metrics")).await;
        let metrics = String::from_utf8(metrics.body).unwrap();
        let start = format!("cedargate_external_tokens_refused_total{{reason=\"{reason}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start}"))
            .parse::<u64>()
            .unwrap()
    };
    for reason in [
        "form",
        "iss",
        "alg",
        "header",
        "typ",
        "kid",
        "signature",
        "aud",
        "sub",
        "iat",
        "nbf",
        "exp",
        "cnf",
        "claims",
        "principals",
        "verified_claim",
        "disabled",
    ] {
        count(reason).await;
    }
    // Other servers of this process count as well, so that only the growth is certain.
    let before = count("cnf").await;
    let mut claims = provider.claims(&server.clock, "ines");
    claims["cnf"] = json!({"jkt": "x"});
    assert_eq!(mint_status(&server, &key.sign(&claims)).await, 401);
    assert!(count("cnf").await > before);
}
