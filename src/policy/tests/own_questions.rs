//! Property: a question about own entities is decided as Cedar decides it with every entity of the bundle, read by Cedar
//! itself, with the properties in their place.

use std::sync::LazyLock;

use cedar_policy::{Authorizer, Context, Entities, EntityId, EntityUid, Request};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::fixtures::{folder, slow_property};
use crate::domain::access_question::AskedAction;
use crate::policy::Bundle;
use crate::policy::questions::{QuestionCircumstances, QuestionEntity};

const SHIPPED: &str = include_str!("../../../policies/schema.cedarschema");
const OWN: &str = r#"
@authzen("person") entity Person in [Team] = { "email"?: String, "level"?: Long, "boss"?: Person } tags String;
entity Team in [Team];
entity State enum ["active", "archived"];
@authzen("record") entity Record in [Shelf] = { "status": State, "owner"?: Person, "readers"?: Set<Person> };
entity Shelf;
@authzen("write") action "write_record" in ["change"] appliesTo {
  principal: [Person], resource: [Record], context: { "soft"?: Bool, "delegate"?: Person },
};
@authzen("move") action "move_record" in ["change"] appliesTo { principal: [Person], resource: [Record] };
action "change";
@authzen("greet") action "greet" appliesTo { principal: [Person], resource: [Person] };
"#;

/// The entities of the files; `x` and `y` are in no file.
static FILE: LazyLock<Value> = LazyLock::new(|| {
    let uid = |kind: &str, id: &str| json!({"type": kind, "id": id});
    json!([
        {"uid": uid("Team", "all"), "attrs": {}, "parents": []},
        {"uid": uid("Team", "water"), "attrs": {}, "parents": [uid("Team", "all")]},
        {"uid": uid("Shelf", "old"), "attrs": {}, "parents": []},
        {"uid": uid("Person", "ada"), "attrs": {"email": "ada@x", "level": 3, "boss": uid("Person", "bea")},
         "parents": [uid("Team", "water")], "tags": {"room": "7"}},
        {"uid": uid("Person", "bea"), "attrs": {"level": 5}, "parents": [uid("Team", "all")]},
        {"uid": uid("Person", "cee"), "attrs": {}, "parents": []},
        {"uid": uid("Record", "r1"), "attrs": {"status": uid("State", "active"), "owner": uid("Person", "ada")},
         "parents": [uid("Shelf", "old")]},
        {"uid": uid("Record", "r2"), "attrs": {"status": uid("State", "archived"),
         "readers": [uid("Person", "bea"), uid("Person", "cee")]}, "parents": []},
    ])
});

const POLICIES: [&str; 14] = [
    r#"permit (principal in Team::"water", action in Action::"change", resource);"#,
    r#"permit (principal in Team::"all", action == Action::"write_record", resource);"#,
    r#"permit (principal, action == Action::"move_record", resource in Shelf::"old");"#,
    r#"permit (principal == Person::"cee", action, resource is Record) when { resource.status == State::"active" };"#,
    r"permit (principal is Person, action, resource is Record) when { resource has owner && resource.owner == principal };",
    r"permit (principal is Person, action, resource is Record) when { resource has readers && resource.readers.contains(principal) };",
    r"permit (principal is Person, action, resource) when { principal has level && principal.level > 4 };",
    r#"permit (principal is Person, action == Action::"greet", resource) when { principal has boss && principal.boss == resource };"#,
    r#"permit (principal is Person, action == Action::"greet", resource) when { resource in Team::"all" && resource has email };"#,
    r#"permit (principal is Person, action == Action::"write_record", resource)
        when { context has delegate && context.delegate in Team::"all" && context.delegate has level };"#,
    r#"forbid (principal is Person, action == Action::"write_record", resource) when { context has soft && !context.soft };"#,
    r#"forbid (principal is Person, action, resource is Record) when { resource.status == State::"archived" };"#,
    r#"forbid (principal is Person, action, resource) when { principal.hasTag("room") && principal.getTag("room") == "7" };"#,
    r"forbid (principal is Person, action, resource) when { principal has level && principal.level * 4611686018427387904 > 0 };",
];

/// A question: ids and properties of both sides, the action, and the context.
#[derive(Clone, Debug)]
struct Question {
    subject: (&'static str, Value),
    action: &'static str,
    resource: (&'static str, Value),
    context: Value,
}

fn questions() -> impl Strategy<Value = Question> {
    let person = || {
        (
            select(vec!["ada", "bea", "cee", "x"]),
            select(vec![
                json!({}),
                json!({}),
                json!({"level": 5}),
                json!({"level": 1, "email": "a@b", "unknown": [1, {}]}),
                json!({"boss": "cee", "email": null}),
                json!({"boss": "x"}),
            ]),
        )
    };
    let record = (
        select(vec!["r1", "r2", "y"]),
        select(vec![
            json!({}),
            json!({"status": "active"}),
            json!({"status": "archived", "owner": "bea"}),
            json!({"status": "active", "owner": "x", "readers": ["x", "ada", "x"]}),
        ]),
    );
    let context = select(vec![
        json!({}),
        json!({"soft": true}),
        json!({"soft": false, "unknown": 1}),
        json!({"delegate": "ada"}),
        json!({"delegate": "bea", "soft": true}),
        json!({"delegate": "x"}),
    ]);
    let actions = select(vec!["write", "move", "greet"]);
    (person(), actions, person(), record, context).prop_map(
        |(subject, action, other, record, context)| Question {
            subject,
            resource: if action == "greet" { other } else { record },
            action,
            context,
        },
    )
}

impl Question {
    fn resource_kind(&self) -> &'static str {
        if self.action == "greet" {
            "Person"
        } else {
            "Record"
        }
    }

    /// Whether the bundle permits it, or nothing if it is refused.
    fn ask(&self, bundle: &Bundle) -> Option<bool> {
        let side = |kind: &str, (id, properties): &(&str, Value)| QuestionEntity::Own {
            kind: kind.parse().unwrap(),
            id: (*id).to_owned(),
            properties: properties.as_object().unwrap().clone().into(),
        };
        let action = AskedAction {
            name: self.action.to_owned(),
            properties: Map::new(),
        };
        let circumstances = QuestionCircumstances {
            unix_millis: 1_772_366_400_123,
            is_context_believed: false,
        };
        let answer = bundle.decide_question(
            &side("Person", &self.subject),
            &action,
            &side(self.resource_kind(), &self.resource),
            self.context.as_object().unwrap(),
            &circumstances,
        );
        assert!(!answer.decision.is_permitted || answer.refusal.is_none());
        answer
            .refusal
            .is_none()
            .then_some(answer.decision.is_permitted)
    }

    /// What Cedar says with every entity; nothing if the schema does not allow them.
    fn ask_cedar(&self, bundle: &Bundle) -> Option<bool> {
        let mut all = FILE.as_array().unwrap().clone();
        let overlay = |all: &mut Vec<Value>, kind: &str, (id, properties): &(&str, Value)| {
            let uid = json!({"type": kind, "id": id});
            if !all.iter().any(|entity| entity["uid"] == uid) {
                all.push(json!({"uid": uid, "attrs": {}, "parents": []}));
            }
            let entity = all.iter_mut().find(|entity| entity["uid"] == uid).unwrap();
            for (name, value) in properties.as_object().unwrap() {
                if !value.is_null() && name != "unknown" {
                    entity["attrs"][name] = in_cedar(name, value);
                }
            }
        };
        if self.context.get("delegate").is_some() {
            let id = self.context["delegate"].as_str().unwrap();
            overlay(
                &mut all,
                "Person",
                &(
                    ["ada", "bea", "x"].into_iter().find(|one| *one == id)?,
                    json!({}),
                ),
            );
        }
        overlay(&mut all, "Person", &self.subject);
        overlay(&mut all, self.resource_kind(), &self.resource);
        let entities = Entities::from_json_value(Value::Array(all), Some(&bundle.schema)).ok()?;
        let uid = |kind: &str, id: &str| {
            EntityUid::from_type_name_and_id(kind.parse().unwrap(), EntityId::new(id))
        };
        let action = match self.action {
            "greet" => "greet".to_owned(),
            verb => format!("{verb}_record"),
        };
        let action = uid("Action", &action);
        let mut context = Map::new();
        if self.action == "write" {
            for (name, value) in self.context.as_object().unwrap() {
                if name != "unknown" {
                    context.insert(name.clone(), in_cedar(name, value));
                }
            }
        }
        let context =
            Context::from_json_value(Value::Object(context), Some((&bundle.schema, &action)))
                .unwrap();
        let (principal, resource) = (
            uid("Person", self.subject.0),
            uid(self.resource_kind(), self.resource.0),
        );
        let request =
            Request::new(principal, action, resource, context, Some(&bundle.schema)).unwrap();
        let response = Authorizer::new().is_authorized(&request, &bundle.policies.set, &entities);
        let is_allowed = response.decision() == cedar_policy::Decision::Allow;
        Some(is_allowed && response.diagnostics().errors().next().is_none())
    }
}

/// A property as Cedar's JSON has it.
fn in_cedar(name: &str, value: &Value) -> Value {
    let person = |value: &Value| json!({"type": "Person", "id": value});
    match name {
        "boss" | "owner" | "delegate" => person(value),
        "readers" => value.as_array().unwrap().iter().map(person).collect(),
        "status" => json!({"type": "State", "id": value}),
        _ => value.clone(),
    }
}

fn bundle(policies: &[&str]) -> Bundle {
    let numbered = policies.iter().enumerate();
    let policies: Vec<String> = numbered
        .map(|(number, policy)| format!("@id(\"{number}\") @reason(\"x\") {policy}"))
        .collect();
    let (schema, policies, file) = (
        format!("{SHIPPED}{OWN}"),
        policies.join("\n"),
        FILE.to_string(),
    );
    let files = [
        ("schema.cedarschema", schema.as_str()),
        ("a.cedar", policies.as_str()),
        ("some.entities.json", file.as_str()),
    ];
    Bundle::load(folder(&files).path()).unwrap()
}

proptest! {
    #![proptest_config(slow_property(12))]

    #[test]
    fn a_question_about_own_entities_is_decided_as_cedar_decides_with_all_of_them(
        policies in prop::sample::subsequence(POLICIES.to_vec(), 1..10),
        questions in prop::collection::vec(questions(), 150),
    ) {
        let bundle = bundle(&policies);
        for question in &questions {
            let expected = question.ask_cedar(&bundle);
            if question.subject.0 == question.resource.0 && question.subject.1 != question.resource.1 {
                // One entity cannot have both.
                continue;
            }
            // Again, from what is kept.
            for _ in 0..2 {
                prop_assert_eq!(question.ask(&bundle), expected, "{:?}\n{}", question, policies.join("\n"));
            }
        }
    }
}

#[test]
fn every_outcome_is_among_those_that_the_property_compares() {
    let bundle = bundle(&POLICIES);
    let question = |subject, action, resource, context| Question {
        subject: (subject, json!({})),
        action,
        resource,
        context,
    };
    let r1 = ("r1", json!({}));
    for (asked, expected) in [
        (question("bea", "write", ("r1", json!({})), json!({})), None),
        (question("cee", "move", r1.clone(), json!({})), Some(true)),
        (
            question("x", "write", r1.clone(), json!({"delegate": "bea"})),
            Some(true),
        ),
        (
            question("x", "write", r1, json!({"delegate": "bea", "soft": false})),
            Some(false),
        ),
        (
            question("x", "move", ("r2", json!({"status": "active"})), json!({})),
            Some(false),
        ),
        (
            question(
                "cee",
                "move",
                ("r2", json!({"status": "active"})),
                json!({}),
            ),
            Some(true),
        ),
        (
            question("cee", "move", ("r2", json!({})), json!({})),
            Some(false),
        ),
        (question("x", "move", ("y", json!({})), json!({})), None),
    ] {
        if let Some(expected) = expected {
            assert_eq!(asked.ask(&bundle), Some(expected), "{asked:?}");
        }
        assert_eq!(asked.ask(&bundle), asked.ask_cedar(&bundle), "{asked:?}");
    }
}
