//! Outside issuers as they are written in the settings.

use super::*;
use crate::domain::issuer::{Algorithm, UserProvisioning};

fn with_issuer(lines: &str) -> TestConfig {
    let required = "issuer = \"https://id.example.org\"\naudience = \"maps\"";
    TestConfig::with_file(&[], &format!("[[issuers]]\n{required}\n{lines}\n"))
}

#[test]
fn an_external_issuer_needs_only_its_url_and_audience() {
    let place = with_issuer("");
    let settings = place.settings();
    let [issuer] = settings.issuers.as_slice() else {
        panic!("{:?}", settings.issuers)
    };
    assert_eq!(issuer.issuer, "https://id.example.org");
    assert_eq!(issuer.audience, "maps");
    assert_eq!(issuer.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert_eq!(issuer.username_claim.as_str(), "preferred_username");
    assert_eq!(issuer.verified_claim, None);
    assert_eq!(issuer.audience_claim, None);
    assert_eq!(issuer.roles_claim, None);
    assert_eq!(issuer.principals, UserProvisioning::Create);
    let shown = &row(&settings, "issuers").value;
    // What is shown can be given back.
    let again = TestConfig::new(&[("CEDARGATE_ISSUERS", shown)]).settings();
    assert_eq!(again.issuers, settings.issuers);
}

#[test]
fn every_property_of_an_external_issuer_can_be_set() {
    let place = with_issuer(
        "algorithms = [\"EdDSA\", \"PS256\"]\njwks_file = \"keys.json\"\n\
         username_claim = \"email\"\nverified_claim = \"email_verified\"\nroles_claim = \"realm_access.roles\"\n\
         audience_claim = \"ext.client_id\"\nprincipals = \"known\"\n[issuers.roles]\ngis-admins = \"admin\"\n\
         [issuers.claims]\ngroup = \"org.groups\"",
    );
    let settings = place.settings();
    let issuer = &settings.issuers[0];
    assert_eq!(issuer.algorithms, [Algorithm::Ps256, Algorithm::EdDsa]);
    let verified_claim = issuer.verified_claim.as_ref().unwrap();
    assert_eq!(verified_claim.as_str(), "email_verified");
    let audience_claim = issuer.audience_claim.as_ref().unwrap();
    assert_eq!(audience_claim.as_str(), "ext.client_id");
    assert_eq!(issuer.jwks_file, Some(place.path("keys.json")));
    assert_eq!(issuer.roles["gis-admins"].as_str(), "admin");
    assert_eq!(issuer.claims["group"].as_str(), "org.groups");
    assert_eq!(issuer.principals, UserProvisioning::Known);
}

#[test]
fn an_unusable_external_issuer_is_reported_with_its_table() {
    for (lines, expected) in [
        ("algorithms = [\"HS256\"]", "unknown algorithm \"HS256\""),
        ("algorithms = [\"none\"]", "unknown algorithm"),
        ("algorithms = []", "algorithms is empty"),
        ("principals = \"all\"", "expected one of create, known"),
        (
            "roles_claim = \"a..b\"",
            "roles_claim: \"a..b\" is not a path",
        ),
        ("role_claim = \"roles\"", "role_claim"),
        (
            "audience_claim = \"\"",
            "audience_claim: \"\" is not a path",
        ),
        ("roles = { x = \"No Role\" }", "is not a name"),
        (
            "[[issuers]]\nissuer = \"https://b.example\"",
            "missing field `audience`",
        ),
        (
            "[[issuers]]\nissuer = \"https://id.example.org\"\naudience = \"b\"",
            "is the issuer of another table",
        ),
        (
            "[[issuers]]\nissuer = \"http://127.0.0.1:8080\"\naudience = \"b\"",
            "is the issuer of this server",
        ),
        (
            "[[issuers]]\nissuer = \"http://id.example.com\"\naudience = \"b\"",
            "is not an https URL",
        ),
        (
            "[[issuers]]\nissuer = \"https://ada:pw@b.example\"\naudience = \"b\"",
            "is not an https URL",
        ),
    ] {
        let message = with_issuer(lines).failure().to_string();
        assert!(message.contains(expected), "{lines}: {message}");
        assert!(message.contains("table"), "{message}");
    }
    let many = "[[issuers]]\nissuer = \"https://id.example.org\"\naudience = \"maps\"\n".repeat(17);
    let message = TestConfig::with_file(&[], &many).failure().to_string();
    assert!(message.contains("at most 16"), "{message}");
    for text in ["[", "{}", "[1]", "maps"] {
        TestConfig::new(&[("CEDARGATE_ISSUERS", text)]).failure();
    }
}

#[test]
fn the_audience_stands_in_no_claim_that_says_something_else_or_that_users_choose() {
    for claim in [
        "aud",
        "azp",
        "client_id",
        "appid",
        "cid",
        "https://id.example/audience",
        "ext.aud",
    ] {
        with_issuer(&format!("audience_claim = \"{claim}\"")).settings();
    }
    for claim in [
        "iss",
        "sub",
        "scope",
        "email",
        "preferred_username",
        "upn",
        "roles",
        "address.country",
    ] {
        let message = with_issuer(&format!("audience_claim = \"{claim}\""))
            .failure()
            .to_string();
        assert!(
            message.contains("does not say who a token is for"),
            "{message}"
        );
    }
}

#[test]
fn plain_http_is_for_loopback_and_for_key_sets_in_files() {
    for (issuer, file) in [
        ("http://localhost:8000", ""),
        ("http://127.0.0.1:8000/realms/maps", ""),
        ("http://[::1]:8000", ""),
        ("http://id.internal", "jwks_file = \"keys.json\""),
    ] {
        let text = format!("[[issuers]]\nissuer = \"{issuer}\"\naudience = \"maps\"\n{file}\n");
        assert_eq!(
            TestConfig::with_file(&[], &text).settings().issuers.len(),
            1
        );
    }
}
