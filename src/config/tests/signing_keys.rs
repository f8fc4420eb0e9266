use super::*;

#[test]
fn a_key_is_published_longer_than_caches_may_use_the_key_set() {
    let ahead = |max_age: &str, ahead: Option<&str>| {
        let mut environment = vec![("CEDARGATE_JWKS_MAX_AGE", max_age)];
        environment.extend(ahead.map(|ahead| ("CEDARGATE_KEY_PUBLISH_AHEAD", ahead)));
        TestConfig::new(&environment)
    };
    // Caches use it for `max-age`, and for at most a minute more while they fetch it again.
    for (max_age, least) in [
        ("1", "3"),
        ("59", "119"),
        ("60", "121"),
        ("300", "361"),
        ("86400", "86461"),
    ] {
        let settings = ahead(max_age, Some(least)).settings();
        assert_eq!(settings.key_publish_ahead.as_secs().to_string(), least);
        let short = (settings.key_publish_ahead.as_secs() - 1).to_string();
        let failure = ahead(max_age, Some(&short)).failure().to_string();
        assert!(failure.contains("CEDARGATE_KEY_PUBLISH_AHEAD"), "{failure}");
        let needed = format!("jwks_max_age of {max_age}");
        let is_bound = short == "2";
        assert!(is_bound || failure.contains(&needed), "{failure}");
    }
    assert_eq!(
        ahead("300", None).settings().key_publish_ahead,
        Duration::from_hours(24)
    );
    // A server of before the setting starts with any `jwks_max_age` that it had.
    let settings = ahead("86400", None).settings();
    assert_eq!(
        settings.key_publish_ahead,
        Duration::from_mins(24 * 60 + 1 + 60)
    );
    assert_eq!(row(&settings, "key_publish_ahead").value, "90060");
}

#[test]
fn keys_end_by_age_no_sooner_than_their_successor_may_sign() {
    let with_age = |age| TestConfig::new(&[("CEDARGATE_KEY_ROTATION_AGE", age)]);
    assert_eq!(
        with_age("86400").settings().key_rotation_age,
        Some(Duration::from_hours(24))
    );
    assert_eq!(with_age("0").settings().key_rotation_age, None);
    let failure = with_age("86399").failure().to_string();
    assert!(
        failure.contains("0, or at least the key_publish_ahead of 86400 seconds"),
        "{failure}"
    );
}
