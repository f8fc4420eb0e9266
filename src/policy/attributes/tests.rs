//! Every type of attribute: the JSON that is one of its values, the form that the catalog keeps, and the message for
//! what is none.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::action::Action;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::tests::fixtures::{bundle_with_schema, context, dataset};

const TYPES: &str = r#"
    "licence"?: String,
    "level"?: Long,
    "is_open"?: Bool,
    "embargo_until"?: datetime,
    "score"?: decimal,
    "network"?: ipaddr,
    "retention"?: duration,
    "tier"?: Tier,
    "project"?: Project,
    "steward"?: User,
    "unit"?: Role,
    "keywords"?: Set<String>,
    "levels"?: Set<Long>,
    "windows"?: Set<Set<datetime>>,
    "contact"?: { "name": String, "since"?: datetime, "projects"?: Set<Project> },
"#;

/// A bundle whose schema has attributes of datasets, and the entity types `Tier` and `Project`.
fn bundle_with(attributes: &str, policies: &str) -> Bundle {
    let schema = include_str!("../../../policies/schema.cedarschema");
    let title = "  \"title\": String,\n";
    let with_own = schema.replace(title, &format!("{title}{attributes}"));
    assert_ne!(with_own, schema);
    let schema = format!("{with_own}\nentity Tier enum [\"gold\", \"silver\"];\nentity Project;\n");
    bundle_with_schema(&schema, policies).unwrap()
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).unwrap()
}

fn check(given: Value) -> Result<Value, String> {
    let bundle = bundle_with(TYPES, EVERYBODY);
    let declared = bundle.declared_attributes();
    let checked = declared.check(AttributeOwner::Dataset, &attributes(given), None);
    checked
        .map(|checked| json!(checked))
        .map_err(|error| error.to_string())
}

#[test]
fn the_shipped_schema_declares_no_attributes_beside_those_that_cedargate_fills_in() {
    let bundle = Bundle::embedded().unwrap();
    assert_eq!(*bundle.declared_attributes(), DeclaredAttributes::default());
}

#[test]
fn natural_json_is_a_value_of_each_type() {
    for (name, given, kept) in [
        ("licence", json!("CC-BY-4.0"), json!("CC-BY-4.0")),
        ("licence", json!(""), json!("")),
        ("level", json!(-3), json!(-3)),
        ("level", json!(i64::MAX), json!(i64::MAX)),
        ("is_open", json!(false), json!(false)),
        ("embargo_until", json!("2027-01-01"), json!("2027-01-01")),
        (
            "embargo_until",
            json!("2027-01-01T09:30:00Z"),
            json!("2027-01-01T09:30:00Z"),
        ),
        (
            "embargo_until",
            json!("2027-01-01t09:30:00+01:00"),
            json!("2027-01-01T08:30:00Z"),
        ),
        (
            "embargo_until",
            json!("2027-01-01T09:30:00.250+0100"),
            json!("2027-01-01T08:30:00.250Z"),
        ),
        ("score", json!("0.75"), json!("0.75")),
        ("score", json!(1.5), json!("1.5")),
        ("score", json!(2), json!("2.0")),
        ("network", json!("192.0.2.0/24"), json!("192.0.2.0/24")),
        ("network", json!("2001:db8::1"), json!("2001:db8::1")),
        ("retention", json!("1d12h"), json!("1d12h")),
        ("tier", json!("gold"), json!("gold")),
        ("project", json!("aquifer 7"), json!("aquifer 7")),
        (
            "steward",
            json!("00000000-0000-0000-0000-000000000ADA"),
            json!("00000000-0000-0000-0000-000000000ada"),
        ),
        ("unit", json!("hydrology"), json!("hydrology")),
        ("keywords", json!(["b", "a", "b"]), json!(["a", "b"])),
        ("keywords", json!([]), json!([])),
        ("levels", json!([10, 9, 10]), json!([9, 10])),
        (
            "windows",
            json!([["2027-01-02", "2027-01-01"], []]),
            json!([["2027-01-01", "2027-01-02"], []]),
        ),
        (
            "contact",
            json!({"since": "2027-01-01", "name": "Ada", "projects": ["b", "a"]}),
            json!({"name": "Ada", "projects": ["a", "b"], "since": "2027-01-01"}),
        ),
    ] {
        assert_eq!(check(json!({ name: given })), Ok(json!({ name: kept })));
    }
}

#[test]
fn what_the_catalog_keeps_is_read_again_as_the_same() {
    let bundle = bundle_with(TYPES, EVERYBODY);
    let declared = bundle.declared_attributes();
    let samples = declared.samples(AttributeOwner::Dataset, true);
    assert_eq!(samples.len(), 15, "every type has an example");
    let once = declared.check(AttributeOwner::Dataset, &samples, None);
    let once = once.unwrap();
    let twice = declared.check(AttributeOwner::Dataset, &once, None);
    assert_eq!(twice.unwrap(), once);
    assert!(declared.fits(AttributeOwner::Dataset, &once));
}

#[test]
fn an_error_names_the_attribute_its_type_what_was_given_and_an_example() {
    let mut messages = Vec::new();
    for given in [
        json!({"licence": 4}),
        json!({"level": "3"}),
        json!({"level": 1.0}),
        json!({"level": 9_223_372_036_854_775_808_u64}),
        json!({"is_open": "yes"}),
        json!({"embargo_until": "next year"}),
        json!({"embargo_until": "2027-02-30"}),
        json!({"embargo_until": "2027-01-01T09:30:00"}),
        json!({"embargo_until": 1_798_761_600}),
        json!({"score": "1.23456"}),
        json!({"network": "192.0.2.0/33"}),
        json!({"retention": "P1D"}),
        json!({"tier": "glod"}),
        json!({"tier": "bronze"}),
        json!({"project": ""}),
        json!({"steward": "mo"}),
        json!({"steward": "no such name!"}),
        json!({"unit": "no such name!"}),
        json!({"keywords": "relief"}),
        json!({"keywords": ["relief", 7]}),
        json!({"windows": [["2027-01-01"], ["soon"]]}),
        json!({"contact": "Ada"}),
        json!({"contact": {"since": "2027-01-01"}}),
        json!({"contact": {"name": "Ada", "sinse": "2027-01-01"}}),
        json!({"contact": {"name": "Ada", "since": "soon"}}),
        json!({"licence": null}),
        json!({"licence": "line\nbreak"}),
        json!({"licence": "x".repeat(1025)}),
        json!({"keywords": (0..257).map(|n| n.to_string()).collect::<Vec<_>>()}),
        json!({"licens": "CC0"}),
        json!({"colour": "blue"}),
        json!({"title": "Jacksboro"}),
        json!({"visibility": "public"}),
        json!({"colour": "blue", "level": "high", "shape": "round", "tier": "glod"}),
    ] {
        messages.push(check(given).unwrap_err());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn the_number_and_the_size_of_attributes_are_bounded() {
    let names: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
    let declared: Vec<String> = names
        .iter()
        .map(|name| format!("\"{name}\"?: String,\n"))
        .collect();
    let declared = declared.concat();
    let bundle = bundle_with(&declared, EVERYBODY);
    let check = |text: &str, count: usize| {
        let given = names.iter().take(count);
        let given = given.map(|name| (name.clone(), json!(text))).collect();
        let declared = bundle.declared_attributes();
        declared.check(AttributeOwner::Dataset, &given, None)
    };
    assert!(check("x", 64).is_ok());
    insta::assert_snapshot!(check("x", 65).unwrap_err().to_string(), @"the attributes of a Dataset are at most 64; these are 65");
    insta::assert_snapshot!(check(&"x".repeat(1000), 20).unwrap_err().to_string(), @"the attributes of a Dataset take at most 16384 bytes as JSON, not 20171");
}

#[test]
fn an_attribute_that_is_not_declared_may_stay_as_it_is_and_not_change() {
    let bundle = Bundle::embedded().unwrap();
    let declared = bundle.declared_attributes();
    let stored = attributes(json!({"licence": "CC0"}));
    let check =
        |given: Value| declared.check(AttributeOwner::Dataset, &attributes(given), Some(&stored));
    assert_eq!(check(json!({"licence": "CC0"})).unwrap(), stored);
    assert_eq!(check(json!({})).unwrap(), Attributes::new());
    let error = check(json!({"licence": "MIT"})).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"`licence`: the schema in force declares no such attribute for Dataset; declare it in entity Dataset of schema.cedarschema, or use a tag");
    assert!(declared.fits(AttributeOwner::Dataset, &stored));
    let undeclared: Vec<_> = declared
        .undeclared(AttributeOwner::Dataset, &stored)
        .collect();
    assert_eq!(undeclared, ["licence"]);
}

#[test]
fn users_are_given_by_name_or_id_wherever_they_are() {
    let own = r#"
    "steward"?: User,
    "readers"?: Set<User>,
    "contact"?: { "user": User, "deputies"?: Set<User> },
    "parent"?: Dataset,
    "unit"?: Role,
"#;
    let bundle = bundle_with(own, EVERYBODY);
    let declared = bundle.declared_attributes();
    let (ada, id) = (
        "00000000-0000-0000-0000-000000000ada",
        uuid::Uuid::from_u128(0xada),
    );
    let given = attributes(json!({
        "steward": "ada", "readers": ["ada", "00000000-0000-0000-0000-000000000001"],
        "contact": {"user": "ada", "deputies": ["nobody"]},
        "parent": "00000000-0000-0000-0000-000000000002", "unit": "ada", "other": "ada",
    }));
    let references = declared.references(AttributeOwner::Dataset, &given);
    let names = references
        .usernames
        .iter()
        .map(crate::domain::name::Username::as_str);
    assert_eq!(names.collect::<Vec<_>>(), ["ada", "nobody"]);
    assert_eq!(references.users.len(), 1);
    assert_eq!(references.datasets.len(), 1);
    assert_eq!(references.roles, ["ada".parse().unwrap()].into());
    let ids = [("ada".parse().unwrap(), crate::domain::id::UserId(id))].into();
    let replaced = declared.with_user_ids(AttributeOwner::Dataset, &given, &ids);
    let expected = json!({
        "steward": ada, "readers": [ada, "00000000-0000-0000-0000-000000000001"],
        "contact": {"user": ada, "deputies": ["nobody"]},
        "parent": "00000000-0000-0000-0000-000000000002", "unit": "ada", "other": "ada",
    });
    assert_eq!(replaced, attributes(expected));
}

const EVERYBODY: &str = r#"@id("all") @reason("x") permit (principal, action, resource);"#;

fn may_read(bundle: &Bundle, attributes: Value) -> crate::domain::decision::Decision {
    let dataset = Dataset {
        attributes: self::attributes(attributes),
        ..dataset(Visibility::Public, RecordStatus::Published)
    };
    let resource = Resource::Dataset(Arc::new(dataset));
    bundle.decide(&Principal::Anonymous, Action::Read, &resource, &context())
}

#[test]
fn policies_see_attributes_with_their_types() {
    for condition in [
        r#"resource.licence == "CC0""#,
        "resource.level + 1 > 3",
        "resource.is_open",
        r#"resource.embargo_until < datetime("2027-01-02")"#,
        r#"resource.embargo_until.toDate() == datetime("2027-01-01")"#,
        r#"resource.score.lessThan(decimal("2.0"))"#,
        r#"ip("192.0.2.7").isInRange(resource.network)"#,
        r#"resource.retention > duration("1d")"#,
        r#"resource.tier == Tier::"gold""#,
        r#"resource.project == Project::"aquifer""#,
        r#"resource.steward == User::"00000000-0000-0000-0000-000000000ada""#,
        r#"resource.unit == Role::"hydrology""#,
        r#"resource.keywords.containsAll(["a", "b"])"#,
        "resource.levels.contains(10)",
        r#"resource.windows.contains([datetime("2027-01-01")])"#,
        r#"resource.contact.name like "A*" && resource.contact has projects && resource.contact.projects == [Project::"b"]"#,
    ] {
        let name = condition.split("resource.").nth(1).unwrap();
        let name: String = name
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let policy = format!(
            "@id(\"own\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
             when {{ resource has {name} && {condition} }};"
        );
        let bundle = bundle_with(TYPES, &policy);
        let all = json!({
            "licence": "CC0", "level": 3, "is_open": true, "embargo_until": "2027-01-01T12:00:00Z",
            "score": "1.5", "network": "192.0.2.0/24", "retention": "36h", "tier": "gold",
            "project": "aquifer", "steward": "00000000-0000-0000-0000-000000000ada",
            "unit": "hydrology", "keywords": ["a", "b", "c"], "levels": [9, 10],
            "windows": [["2027-01-01"]], "contact": {"name": "Ada", "projects": ["b"]},
        });
        let decision = may_read(&bundle, all);
        assert!(decision.is_permitted, "{condition}: {:?}", decision.errors);
        assert!(!may_read(&bundle, json!({})).is_permitted, "{condition}");
    }
}

#[test]
fn a_stored_value_that_does_not_fit_the_schema_denies_and_says_why() {
    let optional = bundle_with("  \"level\"?: Long,\n", EVERYBODY);
    let required = bundle_with("  \"level\": Long,\n", EVERYBODY);
    assert!(may_read(&optional, json!({})).is_permitted);
    assert!(may_read(&required, json!({"level": 3})).is_permitted);
    assert!(may_read(&optional, json!({"colour": "blue"})).is_permitted);
    for (bundle, stored) in [
        (&optional, json!({"level": "3"})),
        (&optional, json!({"level": null})),
        (&required, json!({})),
        (&required, json!({"level": [3]})),
    ] {
        let decision = may_read(bundle, stored);
        assert!(!decision.is_permitted);
        assert_eq!(decision.errors.len(), 1);
    }
    let decision = may_read(&required, json!({}));
    insta::assert_snapshot!(decision.errors[0]);
}

#[test]
fn a_schema_may_require_an_attribute_but_not_one_that_nothing_can_fill() {
    let schema = include_str!("../../../policies/schema.cedarschema");
    let with = |attribute: &str| {
        let title = "  \"title\": String,\n";
        let schema = schema.replace(title, &format!("{title}{attribute}\n"));
        bundle_with_schema(&schema, EVERYBODY).map(|bundle| {
            let declared = bundle.declared_attributes();
            let required: Vec<_> = declared
                .required(AttributeOwner::Dataset)
                .map(str::to_owned)
                .collect();
            required
        })
    };
    assert_eq!(with("  \"level\": Long,").unwrap(), ["level"]);
    assert_eq!(with("  \"level\"?: Long,").unwrap(), Vec::<String>::new());
}
