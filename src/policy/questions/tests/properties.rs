//! What the caller may say about subject and resource.

use super::*;

#[test]
fn properties_of_an_own_type_are_its_attributes_for_one_question() {
    let bundle = bundle(&permit(
        "read_record",
        r#"when { resource.status == State::"active" && resource has owner && resource.owner == principal }"#,
    ));
    let ada = person("ada");
    for (properties, expected) in [
        (json!({"status": "active", "owner": "ada"}), true),
        (
            json!({"status": "active", "owner": "ada", "colour": {"__entity": 1}}),
            true,
        ),
        (
            json!({"status": "active", "owner": "ada", "note": "two\nlines\tof text"}),
            true,
        ),
        (
            json!({"status": "active", "owner": "ada", "since": "1985-10-26T01:22-07:00"}),
            true,
        ),
        (json!({"status": "active", "owner": "bea"}), false),
        (json!({"status": "archived", "owner": "ada"}), false),
        (json!({"status": "active", "owner": null}), false),
        (json!({"status": "active"}), false),
    ] {
        let resource = record(properties.clone());
        let asked = Asked::new(&ada, "read", &resource);
        assert_eq!(asked.is_permitted(&bundle), expected, "{properties}");
    }
}

#[test]
fn what_the_schema_does_not_allow_is_refused_and_not_left_out() {
    // A forbid that the value would get around if it were dropped.
    let bundle = bundle(&format!(
        "{}\n@id(\"forbid\") @reason(\"x\") forbid (principal, action, resource is Record) when {{ resource has size }};",
        permit("read_record", "")
    ));
    let ada = person("ada");
    let refusal = |properties: Value| {
        let resource = record(properties);
        Asked::new(&ada, "read", &resource).refusal(&bundle)
    };
    let found: Vec<String> = [
        json!({}),
        json!({"status": null}),
        json!({"status": "actve"}),
        json!({"status": ["active"]}),
        json!({"status": {"__entity": {"type": "State", "id": "active"}}}),
        json!({"status": "active", "size": {"height": 1}}),
        json!({"status": "active", "size": {"width": 1.5}}),
        json!({"status": "active", "size": {"width": 9_223_372_036_854_775_808_u64}}),
        json!({"status": "active", "note": "a\u{0}b"}),
        json!({"status": "active", "note": "a".repeat(1025)}),
        json!({"status": "active", "steward": "ada"}),
        json!({"status": "active", "owner": "", "note": 7}),
        json!({"status": "active", "owner": "Person::\"ada\""}),
    ]
    .into_iter()
    .map(refusal)
    .collect();
    insta::assert_snapshot!(found.join("\n"));
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let somebody = own("Person", "ada", json!({"roles": many}));
    let asked = Asked::new(&somebody, "read", &ada);
    assert!(
        asked
            .refusal(&bundle)
            .starts_with("no action \"read\" applies to")
    );
    let resource = active();
    let asked = Asked::new(&somebody, "read", &resource);
    assert!(
        asked
            .refusal(&bundle)
            .starts_with("422 subject.properties: `roles`: a list has at most 256")
    );
}

#[test]
fn what_the_caller_said_is_not_on_record() {
    let bundle = bundle(&permit("write_record", ""));
    let (ada, resource) = (person("ada"), active());
    let secret = own(
        "Person",
        "ada",
        json!({"email": ["078-05-1120"], "roles": "secret"}),
    );
    let recorded = |asked: Asked<'_>| asked.answer(&bundle).refusal.unwrap().recorded;
    let of_properties = recorded(Asked::new(&secret, "write", &resource));
    let of_context = Asked::new(&ada, "write", &resource)
        .with(json!({"level": "F32"}))
        .with_properties(json!({"soft": "secret"}));
    let found = format!("{of_properties}\n{}", recorded(of_context));
    insta::assert_snapshot!(found, @r#"
    subject.properties: `email`: expected a string such as "text", found a list; `roles`: expected a list of strings such as ["text"], found a string
    context: `level`: expected a whole number such as 3, found a string; `soft`: expected true or false, found a string
    "#);
}

#[test]
fn members_of_records_that_the_schema_does_not_declare_are_ignored_and_null_is_absent() {
    let bundle = bundle(&permit(
        "read_record",
        "when { resource has size && resource.size.width == 3 && !(resource.size has height) }",
    ));
    let ada = person("ada");
    let resource = record(json!({
        "status": "active", "size": {"width": 3, "height": null, "depth": {"x": [1]}},
    }));
    assert!(Asked::new(&ada, "read", &resource).is_permitted(&bundle));
}

#[test]
fn properties_of_users_datasets_and_roles_change_nothing() {
    let bundle = bundle(
        r#"@id("a") @reason("x") permit (principal in Role::"admin", action, resource);
        @id("b") @reason("x") permit (principal, action == Action::"open_record", resource is Dataset)
            when { resource.visibility == Visibility::"public" };"#,
    );
    // The service hands over who was looked up; a type of the catalog is never an own one.
    for kind in ["User", "Dataset", "Role", "Anonymous"] {
        let forged = own(kind, "x", json!({"username": "x", "roles": ["admin"]}));
        let resource = active();
        let asked = Asked::new(&forged, "open", &resource);
        assert!(
            asked.refusal(&bundle).contains("no action")
                || asked.refusal(&bundle).contains("unknown type")
        );
    }
    let hidden = Arc::new(dataset(Visibility::Private, RecordStatus::Published));
    let hidden = QuestionEntity::Dataset(hidden);
    let ada = QuestionEntity::Principal(signed_in(ADA, &[]));
    let asked = Asked::new(&ada, "open", &hidden)
        .with(json!({"visibility": "public"}))
        .with_properties(json!({"visibility": "public", "roles": ["admin"]}));
    assert!(!asked.is_permitted(&bundle));
    let admin = QuestionEntity::Principal(signed_in(BEA, &["admin"]));
    assert!(Asked::new(&admin, "open", &hidden).is_permitted(&bundle));
    let resource = active();
    assert!(Asked::new(&admin, "open", &resource).is_permitted(&bundle));
}

#[test]
fn an_id_that_nobody_has_is_an_entity_without_attributes_if_the_schema_allows_it() {
    let bundle = bundle(&format!(
        "{}\n{}",
        permit("greet", ""),
        r#"@id("open") @reason("x") permit (principal, action == Action::"open_record", resource);"#
    ));
    let (ada, nobody) = (person("ada"), person("Person::\"x\" \u{202e}"));
    assert!(Asked::new(&ada, "greet", &nobody).is_permitted(&bundle));
    let names = Asked::new(&ada, "greet", &nobody).answer(&bundle).names;
    assert_eq!(names.principal, r#"Person::"ada""#);
    assert_eq!(names.action, r#"Action::"greet""#);
    assert_eq!(names.resource, r#"Person::"Person::\"x\" \u{202e}""#);
    let unknown = own("Record", "r9", json!({"note": "x"}));
    let asked = Asked::new(&ada, "open", &unknown);
    assert_eq!(
        asked.refusal(&bundle),
        "there is no record \"r9\", and the schema requires status"
    );
    let state = own("State", "active", json!({"x": 1}));
    assert!(Asked::new(&ada, "open", &state).is_permitted(&bundle));
    let no_state = own("State", "paused", json!({}));
    assert_eq!(
        Asked::new(&ada, "open", &no_state).refusal(&bundle),
        "there is no State \"paused\""
    );
}
