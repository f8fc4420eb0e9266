//! Questions about entities of the author's own types: what the caller says, what the bundle says, and what is refused.

mod contexts;
mod properties;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::*;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::policy::tests::fixtures::{
    ADA, BEA, bundle_with_schema, dataset, folder, signed_in, user,
};

const SHIPPED: &str = include_str!("../../../../policies/schema.cedarschema");
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
    assert_eq!(
        answer.recorded_errors(),
        ["error while evaluating policy `fails`"]
    );
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
