//! AuthZEN names: what they mean, and what is wrong with those that mean two things.

use super::*;
use crate::policy::Bundle;
use crate::policy::tests::fixtures::{bundle_with_schema, folder, problem_lines};

const SHIPPED: &str = include_str!("../../../policies/schema.cedarschema");
const POLICY: &str = r#"@id("a") @reason("x") permit (principal, action, resource);"#;

fn bundle(own: &str) -> Bundle {
    bundle_with_schema(&format!("{SHIPPED}\n{own}"), POLICY).unwrap()
}

fn own(name: &str) -> AccessType {
    AccessType::Own(name.parse().unwrap())
}

/// The problems of a schema with these own declarations, with the text that each is about.
fn problems(own: &str) -> Vec<String> {
    let schema = format!("{SHIPPED}\n{own}");
    let files = [("schema.cedarschema", schema.as_str()), ("a.cedar", POLICY)];
    let error = Bundle::load(folder(&files).path()).unwrap_err();
    let problems = error.problems().iter();
    problems
        .map(|problem| {
            let span = problem.span().map(|span| &schema[span]);
            format!("{}: {}", span.unwrap_or("(file)"), problem.message())
        })
        .collect()
}

#[test]
fn a_type_is_named_by_its_alias_its_cedar_name_or_the_word_of_the_catalog() {
    let bundle = bundle(
        r#"@authzen("person, identity") entity Person;
        namespace Todo { @authzen("todo") entity Item; entity List; }
        @authzen("Record of all") entity Record enum ["one"];"#,
    );
    let types = bundle.access_types();
    for (name, meant) in [
        ("user", Some(AccessType::User)),
        ("User", Some(AccessType::User)),
        ("dataset", Some(AccessType::Dataset)),
        ("role", Some(AccessType::Role)),
        ("anonymous", Some(AccessType::Anonymous)),
        ("person", Some(own("Person"))),
        ("identity", Some(own("Person"))),
        ("Person", Some(own("Person"))),
        ("todo", Some(own("Todo::Item"))),
        ("Todo::Item", Some(own("Todo::Item"))),
        ("Todo::List", Some(own("Todo::List"))),
        ("Record of all", Some(own("Record"))),
        ("Server", Some(own("Server"))),
        ("USER", None),
        ("Item", None),
        ("Action", None),
        ("", None),
        ("spaceship", None),
    ] {
        assert_eq!(types.find(name), meant, "{name}");
    }
    for (kind, name) in [
        (AccessType::User, "user"),
        (own("Person"), "person"),
        (own("Todo::Item"), "todo"),
        (own("Todo::List"), "Todo::List"),
        (own("Spaceship"), ""),
    ] {
        assert_eq!(types.name_of(&kind), name);
    }
}

#[test]
fn an_own_type_with_the_word_of_the_catalog_takes_it_which_is_said() {
    let bundle = bundle("entity dataset;");
    assert_eq!(bundle.access_types().find("dataset"), Some(own("dataset")));
    let warnings = bundle.warnings().iter();
    let said: Vec<_> = warnings.map(SourceDiagnostic::message).collect();
    let expected =
        r#"the AuthZEN type "dataset" means dataset: Dataset of the catalog is "Dataset" there"#;
    assert!(said.contains(&expected), "{said:?}");
}

#[test]
fn an_own_type_may_take_the_word_of_the_catalog_which_is_said() {
    let bundle = bundle(r#"@authzen("user") entity Person;"#);
    let types = bundle.access_types();
    assert_eq!(types.find("user"), Some(own("Person")));
    assert_eq!(types.find("User"), Some(AccessType::User));
    assert_eq!(types.name_of(&AccessType::User), "User");
    let warnings = bundle.warnings().iter();
    let said: Vec<_> = warnings.map(SourceDiagnostic::message).collect();
    let expected = r#"the AuthZEN type "user" means Person: User of the catalog is "User" there"#;
    assert!(said.contains(&expected), "{said:?}");
}

#[test]
fn a_type_of_the_catalog_may_have_another_name_besides() {
    let schema = SHIPPED.replacen("entity User in", "@authzen(\"person\") entity User in", 1);
    let bundle = bundle_with_schema(&schema, POLICY).unwrap();
    let types = bundle.access_types();
    assert_eq!(types.find("person"), Some(AccessType::User));
    assert_eq!(types.find("user"), Some(AccessType::User));
    assert_eq!(types.name_of(&AccessType::User), "person");
}

#[test]
fn an_action_is_named_for_a_pair_of_types_by_its_alias_or_its_id() {
    let bundle = bundle(
        r#"@authzen("person") entity Person;
        @authzen("record") entity Record;
        @authzen("read, view") action "read_record" appliesTo { principal: [Person], resource: [Record] };
        action "GET" appliesTo { principal: [Person], resource: [Record] };
        namespace Other {
          action "inspect" appliesTo { principal: [Person], resource: [Record, User] };
        }"#,
    );
    let types = bundle.access_types();
    let (person, record) = (own("Person"), own("Record"));
    let names = |subject: &AccessType, resource: &AccessType| {
        let found = types.actions(subject, resource).into_iter();
        let found: Vec<String> = found.map(|(name, uid)| format!("{name} {uid}")).collect();
        found
    };
    assert_eq!(
        names(&person, &record),
        [
            r#"GET Action::"GET""#,
            r#"inspect Other::Action::"inspect""#,
            r#"read Action::"read_record""#
        ]
    );
    assert_eq!(
        names(&AccessType::Anonymous, &AccessType::Dataset),
        [
            r#"administer Action::"administer""#,
            r#"discover Action::"discover""#,
            r#"read Action::"read""#
        ]
    );
    assert_eq!(names(&record, &person), Vec::<String>::new());
    let find = |name, subject: &AccessType, resource: &AccessType| {
        let found = types.find_action(name, subject, resource);
        found.map(|found| found.uid.to_string())
    };
    let of_record = |name| find(name, &person, &record);
    assert_eq!(
        of_record("read").as_deref(),
        Some(r#"Action::"read_record""#)
    );
    assert_eq!(
        of_record("view").as_deref(),
        Some(r#"Action::"read_record""#)
    );
    // The id works as long as nothing else has the name.
    assert_eq!(
        of_record("read_record").as_deref(),
        Some(r#"Action::"read_record""#)
    );
    assert_eq!(of_record("get"), None);
    assert_eq!(of_record("discover"), None);
    let of_dataset = |name| find(name, &AccessType::User, &AccessType::Dataset);
    assert_eq!(of_dataset("read").as_deref(), Some(r#"Action::"read""#));
    assert_eq!(of_dataset("read_record"), None);
}

#[test]
fn an_id_that_two_actions_have_beside_other_names_means_neither() {
    let bundle = bundle(
        r#"entity Record;
        namespace A { @authzen("a") action "view" appliesTo { principal: [User], resource: [Record] }; }
        namespace B { @authzen("b") action "view" appliesTo { principal: [User], resource: [Record] }; }"#,
    );
    let types = bundle.access_types();
    let find = |name| types.find_action(name, &AccessType::User, &own("Record"));
    assert!(find("view").is_none());
    assert_eq!(find("a").unwrap().uid.to_string(), r#"A::Action::"view""#);
}

#[test]
fn names_that_mean_two_things_are_problems_where_they_are_written() {
    let found = problems(
        r#"@authzen("person") entity Person;
        @authzen("it, person") entity Robot;
        @authzen("Person") entity Agent;
        entity Record;
        @authzen("read") action "open" appliesTo { principal: [User], resource: [Dataset, Record] };
        @authzen("view") action "see", "look" appliesTo { principal: [User], resource: [Record] };
        namespace Other { action "list" appliesTo { principal: [Person], resource: [Record] }; }
        namespace Another { action "list" appliesTo { principal: [Person, User], resource: [Record] }; }"#,
    );
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn an_alias_has_a_form() {
    for (alias, message) in [
        ("@authzen", "@authzen has an empty name"),
        (r#"@authzen("")"#, "@authzen has an empty name"),
        (r#"@authzen("a,,b")"#, "@authzen has an empty name"),
        (r#"@authzen("a, a")"#, r#"@authzen has the name "a" twice"#),
        (
            r#"@authzen("a\nb")"#,
            "@authzen has a name with a control character",
        ),
    ] {
        let found = problems(&format!("{alias} entity Person;"));
        assert_eq!(found, [format!("{alias}: {message}")]);
    }
    let long = "a".repeat(257);
    assert_eq!(
        problems(&format!("@authzen({long:?}) entity Person;")).len(),
        1
    );
}

#[test]
fn a_misspelt_annotation_of_the_schema_is_said() {
    let bundle = bundle(
        "@authzn(\"person\") entity Person;
        @AuthZEN(\"read\") action \"look\" appliesTo { principal: [User], resource: [Person] };
        @doc(\"x\") entity Robot, Agent;",
    );
    let said: Vec<_> = bundle
        .warnings()
        .iter()
        .filter(|warning| warning.help() == Some("did you mean @authzen?"))
        .map(SourceDiagnostic::message)
        .collect();
    assert_eq!(
        said,
        [
            "Cedargate does not use the annotation @authzn",
            "Cedargate does not use the annotation @AuthZEN"
        ]
    );
}

#[test]
fn aliases_are_read_beside_named_networks() {
    let schema = format!("{SHIPPED}\n@authzen(\"person\") entity Person;");
    let files = [
        ("schema.cedarschema", schema.as_str()),
        ("networks.toml", "office = [\"192.0.2.0/24\"]"),
        ("a.cedar", POLICY),
    ];
    let bundle = Bundle::load(folder(&files).path()).unwrap();
    assert_eq!(bundle.access_types().find("person"), Some(own("Person")));
    let conflict = schema.replace(
        "entity Person;",
        "entity Person; @authzen(\"person\") entity Robot;",
    );
    let files = [
        ("schema.cedarschema", conflict.as_str()),
        ("a.cedar", POLICY),
    ];
    assert_eq!(problem_lines(&folder(&files)).len(), 1);
}
