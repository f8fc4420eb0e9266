//! Questions about entities of the author's own types: what the caller says, what the bundle says, and what is refused.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::*;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::policy::tests::fixtures::{
    ADA, BEA, bundle_with_schema, dataset, folder, signed_in, user,
};

const SHIPPED: &str = include_str!("../../../policies/schema.cedarschema");
const NOW: i64 = 1_772_366_400_123;

const OWN: &str = r#"
@authzen("person") entity Person in [Team] = { "email"?: String, "roles"?: Set<String> };
entity Team;
entity State enum ["active", "archived"];
entity Level enum ["", "low"];
@authzen("record") entity Record = {
  "status": State, "owner"?: Person, "steward"?: User, "note"?: String,
  "size"?: { "width": Long, "height"?: Long }, "since"?: datetime,
};
@authzen("read") action "read_record" appliesTo { principal: [Person, User, Anonymous], resource: [Record] };
@authzen("write") action "write_record" appliesTo {
  principal: [Person, User], resource: [Record],
  context: { "soft"?: Bool, "level"?: Long, "delegate"?: Person, "sponsor"?: User },
};
@authzen("delete") action "delete_record" appliesTo {
  principal: [Person], resource: [Record], context: { "soft": Bool, "time": datetime },
};
@authzen("open") action "open_record" appliesTo {
  principal: [Person, User], resource: [Record, Dataset, State], context: Context,
};
@authzen("greet") action "greet" appliesTo { principal: [Person, Dataset], resource: [Person, User, Dataset, Anonymous] };
"#;

/// A bundle with one permit for everything and these policies instead of, or beside, it.
fn bundle(policies: &str) -> Bundle {
    bundle_with_schema(&format!("{SHIPPED}\n{OWN}"), policies).unwrap()
}

fn permit(action: &str, condition: &str) -> String {
    format!(
        "@id(\"permit\") @reason(\"x\") permit (principal, action == Action::{action:?}, resource) {condition};"
    )
}

fn own(kind: &str, id: &str, properties: Value) -> QuestionEntity {
    QuestionEntity::Own {
        kind: kind.parse().unwrap(),
        id: id.to_owned(),
        properties: object(properties).into(),
    }
}

fn person(id: &str) -> QuestionEntity {
    own("Person", id, json!({}))
}

fn record(properties: Value) -> QuestionEntity {
    own("Record", "r1", properties)
}

fn active() -> QuestionEntity {
    record(json!({"status": "active"}))
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else {
        panic!("{value} is no object")
    };
    members
}

struct Asked<'a> {
    subject: &'a QuestionEntity,
    action: &'a str,
    resource: &'a QuestionEntity,
    properties: Value,
    context: Value,
    is_believed: bool,
}

impl<'a> Asked<'a> {
    fn new(subject: &'a QuestionEntity, action: &'a str, resource: &'a QuestionEntity) -> Self {
        Self {
            subject,
            action,
            resource,
            properties: json!({}),
            context: json!({}),
            is_believed: false,
        }
    }

    fn with(self, context: Value) -> Self {
        Self { context, ..self }
    }

    fn with_properties(self, properties: Value) -> Self {
        Self { properties, ..self }
    }

    fn believed(self) -> Self {
        Self {
            is_believed: true,
            ..self
        }
    }

    fn answer(&self, bundle: &Bundle) -> QuestionAnswer {
        let action = AskedAction {
            name: self.action.to_owned(),
            properties: object(self.properties.clone()),
        };
        let circumstances = QuestionCircumstances {
            unix_millis: NOW,
            is_context_believed: self.is_believed,
        };
        let context = object(self.context.clone());
        bundle.decide_question(
            self.subject,
            &action,
            self.resource,
            &context,
            &circumstances,
        )
    }

    /// Whether it is permitted; what is refused fails the test.
    fn is_permitted(&self, bundle: &Bundle) -> bool {
        let answer = self.answer(bundle);
        assert_eq!(answer.refusal, None);
        assert_eq!(answer.decision.errors, Vec::<String>::new());
        answer.decision.is_permitted
    }

    /// The status and the message of the refusal; a refusal never permits, and is no evaluation error.
    fn refusal(&self, bundle: &Bundle) -> String {
        let answer = self.answer(bundle);
        assert!(!answer.decision.is_permitted && answer.decision.errors.is_empty());
        let refusal = answer.refusal.unwrap();
        let status = refusal
            .status
            .map_or(String::new(), |status| format!("{status} "));
        format!("{status}{}", refusal.message)
    }
}

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

#[test]
fn an_action_that_does_not_apply_is_a_refusal() {
    let bundle = bundle(&permit("read_record", ""));
    let (ada, resource) = (person("ada"), active());
    for (subject, action, object) in [
        (&ada, "write ", &resource),
        (&ada, "discover", &resource),
        (&resource, "read", &ada),
    ] {
        let refusal = Asked::new(subject, action, object).refusal(&bundle);
        assert!(refusal.starts_with(&format!(
            "no action {action:?} applies to a subject of type"
        )));
    }
    let anonymous = QuestionEntity::Principal(Principal::Anonymous);
    assert!(Asked::new(&anonymous, "read", &resource).is_permitted(&bundle));
    assert_eq!(
        Asked::new(&anonymous, "write", &resource).refusal(&bundle),
        "no action \"write\" applies to a subject of type \"anonymous\" and a resource of type \"record\""
    );
}

#[test]
fn a_disabled_user_is_a_refusal_and_nobodys_alarm() {
    let bundle = bundle(&permit("read_record", ""));
    let disabled = crate::domain::principal::User {
        is_disabled: true,
        ..user(ADA, &["admin"])
    };
    let subject = QuestionEntity::Principal(Principal::User(Arc::new(disabled)));
    let resource = active();
    let asked = Asked::new(&subject, "read", &resource);
    assert_eq!(asked.refusal(&bundle), "the user is disabled");
}

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

#[test]
fn subject_and_resource_may_be_one_entity_with_one_set_of_properties() {
    let bundle = bundle(&permit(
        "greet",
        "when { principal is Person && principal has email && principal == resource }",
    ));
    let with = |email: &str| own("Person", "ada", json!({"email": email, "x": email}));
    let (one, same, other, bare) = (with("a@b"), with("a@b"), with("c@d"), person("ada"));
    assert!(Asked::new(&one, "greet", &same).is_permitted(&bundle));
    for other in [&other, &bare] {
        assert_eq!(
            Asked::new(&one, "greet", other).refusal(&bundle),
            "422 subject and resource are one entity with different properties"
        );
    }
    assert!(!Asked::new(&bare, "greet", &bare).is_permitted(&bundle));
}

#[test]
fn entities_of_the_catalog_and_own_ones_meet_in_one_question() {
    let bundle = bundle(
        r#"@id("a") @reason("x") permit (principal is Dataset, action == Action::"greet", resource is Dataset)
            when { principal.visibility == Visibility::"public" && resource.title like "*fault*" };
        @id("b") @reason("x") permit (principal is Person, action == Action::"greet", resource is User)
            when { principal has email && principal.email == resource.username };
        @id("c") @reason("x") permit (principal is Person, action == Action::"greet", resource is Dataset)
            when { resource.visibility == Visibility::"public" };
        @id("d") @reason("x") permit (principal is User, action == Action::"read_record", resource is Record)
            when { principal in Role::"hydrology" && resource has steward && resource.steward == principal };
        @id("e") @reason("x") permit (principal is Person, action == Action::"greet", resource is Anonymous);"#,
    );
    let public = QuestionEntity::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    let private = QuestionEntity::Dataset(Arc::new(crate::domain::dataset::Dataset {
        id: crate::domain::id::DatasetId(uuid::Uuid::from_u128(7)),
        ..dataset(Visibility::Private, RecordStatus::Published)
    }));
    let ada = own("Person", "ada", json!({"email": "somebody"}));
    let member = QuestionEntity::Principal(signed_in(ADA, &["hydrology"]));
    let stranger = QuestionEntity::Principal(signed_in(ADA, &[]));
    let anonymous = QuestionEntity::Principal(Principal::Anonymous);
    let stewarded = record(json!({"status": "active", "steward": ADA.to_string()}));
    for (subject, action, resource, expected) in [
        (&public, "greet", &private, true),
        (&private, "greet", &public, false),
        (&public, "greet", &public, true),
        (&ada, "greet", &member, true),
        (&person("ada"), "greet", &member, false),
        (&ada, "greet", &public, true),
        (&ada, "greet", &private, false),
        (&ada, "greet", &anonymous, true),
        (&member, "read", &stewarded, true),
        (&stranger, "read", &stewarded, false),
        (&member, "read", &active(), false),
    ] {
        let asked = Asked::new(subject, action, resource);
        assert_eq!(
            asked.is_permitted(&bundle),
            expected,
            "{subject:?} {resource:?}"
        );
    }
}

#[test]
fn an_evaluation_error_denies() {
    let bundle = bundle(&format!(
        "{}\n@id(\"fails\") @reason(\"x\") forbid (principal, action, resource is Record) when {{ 9223372036854775807 + 1 > 0 }};",
        permit("read_record", "")
    ));
    let (ada, resource) = (person("ada"), active());
    let answer = Asked::new(&ada, "read", &resource).answer(&bundle);
    assert!(!answer.decision.is_permitted);
    assert_eq!((answer.decision.errors.len(), answer.refusal), (1, None));
}

#[test]
fn only_a_decision_that_nothing_of_the_question_can_change_is_kept() {
    let bundle = bundle(
        r#"@id("a") @reason("x") permit (principal == Person::"ada", action == Action::"greet", resource);
        @id("b") @reason("x") permit (principal, action == Action::"open_record", resource is State)
            when { context.authentication == Authentication::"none" };"#,
    );
    let kept = |subject: &str, action: &str, resource: &str| {
        let key = [subject, action, resource].map(|uid| uid.parse().unwrap());
        let [subject, action, resource] = key;
        bundle
            .question_tables
            .kept
            .get(&(subject, action, resource))
    };
    let (ada, bea, state) = (
        person("ada"),
        person("bea"),
        own("State", "active", json!({})),
    );
    let with_email = own("Person", "cee", json!({"email": "x"}));
    for _ in 0..2 {
        assert!(Asked::new(&ada, "greet", &bea).is_permitted(&bundle));
        assert!(!Asked::new(&bea, "greet", &ada).is_permitted(&bundle));
        assert!(Asked::new(&ada, "greet", &with_email).is_permitted(&bundle));
        assert!(Asked::new(&ada, "open", &state).is_permitted(&bundle));
        let issuer = json!({"authentication": "issuer"});
        let asked = Asked::new(&ada, "open", &state).with(issuer).believed();
        assert!(!asked.is_permitted(&bundle));
    }
    let greet = r#"Action::"greet""#;
    let is_permitted = |one: Option<Decision>| one.map(|decision| decision.is_permitted);
    assert_eq!(
        is_permitted(kept(r#"Person::"ada""#, greet, r#"Person::"bea""#)),
        Some(true)
    );
    assert_eq!(
        is_permitted(kept(r#"Person::"bea""#, greet, r#"Person::"ada""#)),
        Some(false)
    );
    assert!(kept(r#"Person::"ada""#, greet, r#"Person::"cee""#).is_none());
    assert!(
        kept(
            r#"Person::"ada""#,
            r#"Action::"open_record""#,
            r#"State::"active""#
        )
        .is_none()
    );
}

#[test]
fn the_reasons_that_policies_tell_are_told_in_the_order_of_their_ids() {
    let bundle = bundle(
        r#"@id("b") @tell @reason("Second.") permit (principal, action == Action::"greet", resource);
        @id("a") @tell("true") @reason("First.") permit (principal, action == Action::"greet", resource);
        @id("c") @reason("Never.") permit (principal, action == Action::"greet", resource);
        @id("d") @tell("false") @reason("Never.") permit (principal, action == Action::"greet", resource);
        @id("e") @tell permit (principal, action == Action::"greet", resource);
        @id("f") @tell @reason("Stopped.") forbid (principal, action == Action::"greet", resource == Person::"bea");"#,
    );
    let (ada, bea) = (person("ada"), person("bea"));
    let told = |resource| {
        let answer = Asked::new(&ada, "greet", resource).answer(&bundle);
        bundle.told_reason(&answer.decision)
    };
    assert_eq!(told(&ada).as_deref(), Some("First. Second."));
    assert_eq!(told(&bea).as_deref(), Some("Stopped."));
    let silent = Asked::new(&ada, "read", &ada).answer(&bundle);
    assert_eq!(bundle.told_reason(&silent.decision), None);
}

#[test]
fn the_candidates_of_an_enumeration_are_its_members() {
    let bundle = bundle(&permit("greet", ""));
    let candidates = |kind: &str, after| {
        let found = bundle.own_candidates(&kind.parse().unwrap(), after);
        let found: Vec<&str> = found.map(|(id, _)| id).collect();
        found
    };
    assert_eq!(candidates("State", None), ["active", "archived"]);
    assert_eq!(candidates("State", Some("active")), ["archived"]);
    assert_eq!(candidates("State", Some("zoo")), Vec::<&str>::new());
    assert_eq!(candidates("Server", None), ["cedargate"]);
    // No question can have the empty id.
    assert_eq!(candidates("Level", None), ["low"]);
    assert_eq!(candidates("Person", None), Vec::<&str>::new());
    assert_eq!(candidates("Spaceship", None), Vec::<&str>::new());
}

#[test]
fn the_candidates_of_a_type_are_its_entities_in_the_order_of_their_ids() {
    let schema = format!("{SHIPPED}\n{OWN}");
    let policies = permit(
        "greet",
        "when { principal is Person && principal has email }",
    );
    let entities = r#"[
        {"uid": {"type": "Person", "id": "b"}}, {"uid": {"type": "Person", "id": "B"}},
        {"uid": {"type": "Person", "id": "\u00e9"}, "attrs": {"email": "x"}}, {"uid": {"type": "Person", "id": "a"}},
        {"uid": {"type": "Team", "id": "a"}}
    ]"#;
    let files = [
        ("schema.cedarschema", schema.as_str()),
        ("a.cedar", policies.as_str()),
        ("some.entities.json", entities),
    ];
    let bundle = Bundle::load(folder(&files).path()).unwrap();
    let kind = "Person".parse().unwrap();
    let all: Vec<_> = bundle.own_candidates(&kind, None).collect();
    let ids: Vec<&str> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, ["B", "a", "b", "\u{e9}"]);
    let classes: Vec<_> = all.iter().map(|(_, class)| class.unwrap()).collect();
    assert!(classes[0] == classes[1] && classes[1] == classes[2] && classes[2] != classes[3]);
    assert_eq!(bundle.own_candidates(&kind, Some("a")).count(), 2);
    assert_eq!(bundle.own_candidates(&kind, Some("aa")).count(), 2);
    assert_eq!(bundle.own_candidates(&kind, Some("\u{e9}")).count(), 0);
}
