//! Who fills in which member of the context.

use super::*;

#[test]
fn the_context_is_filled_from_properties_of_the_action_and_the_context() {
    let bundle = bundle(&permit(
        "write_record",
        "when { context has soft && context.soft && context has level && context.level > 2 }",
    ));
    let (ada, resource) = (person("ada"), active());
    let asked = |properties: Value, context: Value| {
        Asked::new(&ada, "write", &resource)
            .with_properties(properties)
            .with(context)
    };
    for (properties, context, expected) in [
        (json!({"soft": true}), json!({"level": 3}), true),
        (json!({}), json!({"level": 3, "soft": true}), true),
        (json!({"level": 3, "soft": true}), json!({}), true),
        (
            json!({"level": 3, "soft": true}),
            json!({"soft": true, "level": null}),
            true,
        ),
        (
            json!({"level": 3, "soft": true, "x": 1}),
            json!({"x": 2, "time": 3}),
            true,
        ),
        (json!({"level": 2, "soft": true}), json!({}), false),
        (json!({"soft": true}), json!({"level": null}), false),
        (json!({}), json!({}), false),
    ] {
        let asked = asked(properties.clone(), context.clone());
        assert_eq!(
            asked.is_permitted(&bundle),
            expected,
            "{properties} {context}"
        );
    }
    assert_eq!(
        asked(json!({"soft": true}), json!({"soft": false})).refusal(&bundle),
        "422 `soft` has one value in action.properties and another in context"
    );
    assert_eq!(
        asked(json!({"soft": "true", "level": "3"}), json!({})).refusal(&bundle),
        "422 context: `level`: expected a whole number such as 3, found the string \"3\"; \
         `soft`: expected true or false, found the string \"true\""
    );
}

#[test]
fn a_required_member_of_the_context_must_be_given() {
    let bundle = bundle(&permit("delete_record", "when { context.soft }"));
    let (ada, resource) = (person("ada"), active());
    let asked = |context| Asked::new(&ada, "delete", &resource).with(context);
    assert_eq!(
        asked(json!({})).refusal(&bundle),
        "the context lacks \"soft\""
    );
    assert_eq!(
        asked(json!({"soft": null})).refusal(&bundle),
        "the context lacks \"soft\""
    );
    assert!(asked(json!({"soft": true, "time": "whatever"})).is_permitted(&bundle));
}

#[test]
fn time_and_address_are_cedargates_unless_the_caller_is_believed() {
    let bundle = bundle(&format!(
        "{}\n{}",
        permit(
            "delete_record",
            r#"when { context.time < datetime("2026-01-01") }"#
        ),
        r#"@id("address") @reason("x") permit (principal, action == Action::"open_record", resource is Record)
            when { context.address.isInRange(ip("192.0.2.0/24")) };
        @id("word") @reason("x") permit (principal, action == Action::"open_record", resource is State)
            when { context.authentication == Authentication::"issuer" };
        @id("key") @reason("x") permit (principal, action == Action::"open_record", resource is State)
            when { context has key.actions && context.key.actions.contains(KeyAction::"read") };"#
    ));
    let (ada, resource) = (person("ada"), active());
    let state = own("State", "active", json!({}));
    let at = |time: &str| {
        let context = json!({"soft": true, "time": time});
        Asked::new(&ada, "delete", &resource).with(context)
    };
    assert!(!at("2025-06-27T18:03-07:00").is_permitted(&bundle));
    assert!(
        at("2025-06-27T18:03-07:00")
            .believed()
            .is_permitted(&bundle)
    );
    assert!(!at("2026-06-27T18:03:00Z").believed().is_permitted(&bundle));
    let open = |resource, context| Asked::new(&ada, "open", resource).with(context);
    let office = json!({"address": "192.0.2.7"});
    assert!(!open(&resource, office.clone()).is_permitted(&bundle));
    assert!(open(&resource, office).believed().is_permitted(&bundle));
    let issuer = json!({"authentication": "issuer"});
    assert!(!open(&state, issuer.clone()).is_permitted(&bundle));
    assert!(open(&state, issuer).believed().is_permitted(&bundle));
    let key = json!({"key": {"actions": ["read"], "x": 1}});
    assert!(!open(&state, key.clone()).is_permitted(&bundle));
    assert!(open(&state, key).believed().is_permitted(&bundle));
    let found: Vec<String> = [
        json!({"address": "192.0.2.0/24"}),
        json!({"address": "0:0:0:0:0:ffff:0:0/96"}),
        json!({"address": 7}),
        json!({"time": "10000-01-01T00:00:00Z"}),
        json!({"time": 1}),
        json!({"authentication": "command_line"}),
        json!({"authentication": "trusted"}),
        json!({"key": {"actions": ["fly"]}}),
    ]
    .into_iter()
    .map(|context| open(&state, context).believed().refusal(&bundle))
    .collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn networks_are_computed_and_of_an_unknown_address_decide_in_nobodys_favour() {
    let schema = format!(
        "{SHIPPED}\n{OWN}\n@authzen(\"enter\") action \"enter\" appliesTo {{\n  principal: [Person], \
         resource: [Record],\n  context: {{ \"soft\"?: Bool }},\n}};"
    );
    let policies = r#"@id("permit") @reason("x") permit (principal, action, resource is Record);
        @id("forbid") @reason("x") forbid (principal, action == Action::"enter", resource)
            when { context.networks.contains(Network::"office") };
        @id("spares") @reason("x") forbid (principal, action == Action::"open_record", resource)
            unless { context.networks.contains(Network::"office") };"#;
    let files = [
        ("schema.cedarschema", schema.as_str()),
        ("networks.toml", "office = [\"192.0.2.0/24\"]"),
        ("a.cedar", policies),
    ];
    let bundle = Bundle::load(folder(&files).path()).unwrap();
    let (ada, resource) = (person("ada"), active());
    // The schema declares no address for `enter`, only the networks of it.
    for (action, context, believed, expected) in [
        ("enter", json!({}), false, false),
        (
            "enter",
            json!({"networks": [], "address": "2001:db8::1"}),
            false,
            false,
        ),
        ("enter", json!({"networks": []}), true, false),
        ("open", json!({"networks": ["office"]}), false, false),
        ("open", json!({"networks": ["office"]}), true, false),
        ("open", json!({"address": "192.0.2.7"}), true, true),
        (
            "open",
            json!({"address": "2001:db8::1", "networks": ["office"]}),
            true,
            false,
        ),
    ] {
        let asked = Asked::new(&ada, action, &resource).with(context.clone());
        let asked = if believed { asked.believed() } else { asked };
        assert_eq!(
            asked.is_permitted(&bundle),
            expected,
            "{action} {context} {believed}"
        );
    }
}

#[test]
fn an_entity_that_the_context_names_is_known_or_the_question_is_refused() {
    let follows = |condition| bundle(&permit("write_record", condition));
    let (ada, resource) = (person("ada"), active());
    let sponsor = "00000000-0000-0000-0000-000000000bea";
    let asked = |context| Asked::new(&ada, "write", &resource).with(context);
    let of_delegate = follows("when { context has delegate && !(context.delegate has email) }");
    assert!(asked(json!({"delegate": "bea"})).is_permitted(&of_delegate));
    let equal = follows("when { context has delegate && context.delegate == principal }");
    assert!(asked(json!({"delegate": "ada"})).is_permitted(&equal));
    assert!(!asked(json!({"delegate": "bea"})).is_permitted(&equal));
    // Who is equal to whom is known without facts; attributes and roles are not.
    let equal = follows("when { context has sponsor && context.sponsor != principal }");
    assert!(asked(json!({"sponsor": sponsor})).is_permitted(&equal));
    let message = format!(
        "422 context: User::\"{sponsor}\" is neither subject nor resource, so nothing is known about it"
    );
    for condition in [
        "unless { context has sponsor && context.sponsor in Role::\"contractor\" }",
        "unless { context has sponsor && context.sponsor.username == \"bea\" }",
        "unless { context has sponsor.issuer }",
        "unless { context has sponsor && context.sponsor.hasTag(\"x\") }",
    ] {
        let bundle = follows(condition);
        assert_eq!(
            asked(json!({"sponsor": sponsor})).refusal(&bundle),
            message,
            "{condition}"
        );
        assert!(asked(json!({})).is_permitted(&bundle));
        let subject = QuestionEntity::Principal(signed_in(BEA, &[]));
        let asked = Asked::new(&subject, "write", &resource).with(json!({"sponsor": sponsor}));
        assert_eq!(asked.answer(&bundle).refusal, None);
    }
}
