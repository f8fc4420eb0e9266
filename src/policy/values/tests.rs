use cedar_policy::{Context, Policy};

use super::*;

fn all_observed_by(condition: &str, visibility: ValueVisibility) -> Vec<ObservedValue> {
    let entities = r#"[
        {"uid": {"type": "U", "id": "ada"}, "attrs": {}, "parents": [{"type": "R", "id": "b"},
         {"type": "R", "id": "a"}]},
        {"uid": {"type": "D", "id": "1"}, "parents": [], "tags": {"state": ["x"]},
         "attrs": {"status": "draft", "owner": {"__entity": {"type": "U", "id": "ada"}}}}]"#;
    let entities = Entities::from_json_str(entities, None).unwrap();
    let context = serde_json::json!({"key": {"n": 3}, "long": "m".repeat(MAX_VALUE_LENGTH + 1)});
    let request = Request::new(
        "U::\"ada\"".parse().unwrap(),
        "Action::\"r\"".parse().unwrap(),
        "D::\"1\"".parse().unwrap(),
        Context::from_json_value(context, None).unwrap(),
        None,
    )
    .unwrap();
    let policy = format!("permit (principal, action, resource) when {{ {condition} }};");
    let policy: Policy = policy.parse().unwrap();
    let expression = policy.as_ref().non_scope_constraints().unwrap();
    observed_values(expression, &request, &entities, visibility)
}

fn observed_by(condition: &str) -> Vec<String> {
    all_observed_by(condition, ValueVisibility::ALL)
        .into_iter()
        .map(|observed| format!("{} = {}", observed.name, observed.value.unwrap()))
        .collect()
}

#[test]
fn attributes_tags_variables_and_groups_are_observed_with_their_values() {
    for (condition, value) in [
        (
            r#"resource.status == "published""#,
            vec![r#"resource.status = "draft""#],
        ),
        ("resource has title", vec!["resource.title = absent"]),
        (
            "resource has owner && resource.owner == principal",
            vec![r#"resource.owner = U::"ada""#, r#"principal = U::"ada""#],
        ),
        (
            r#"principal in R::"c""#,
            vec![
                r#"groups of principal = R::"a", R::"b""#,
                r#"principal = U::"ada""#,
            ],
        ),
        (
            r#"resource.hasTag("no") || resource.hasTag("state")"#,
            vec![
                r#"resource.getTag("no") = absent"#,
                r#"resource.getTag("state") = ["x"]"#,
            ],
        ),
        (
            "context.key.n > 2",
            vec!["context.key.n = 3", "context.key = {\"n\": 3}"],
        ),
        ("9223372036854775807 + 1 > 0", vec![]),
    ] {
        assert_eq!(observed_by(condition), value, "{condition}");
    }
}

#[test]
fn observed_values_are_bounded_in_number_and_in_length() {
    let many: Vec<String> = (0..20).map(|n| format!("context has a{n}")).collect();
    assert_eq!(observed_by(&many.join(" || ")).len(), MAX_VALUES);
    let long = vec!["context has a"; MAX_VISITED_EXPRESSIONS].join(" || ");
    assert_eq!(observed_by(&long), ["context.a = absent"]);
    assert_eq!(
        observed_by(&[&long, "resource has title"].join(" || ")),
        ["context.a = absent"]
    );
    let [value] = &observed_by("context.long == \"\"")[..] else {
        panic!("one value is observed")
    };
    assert!(value.ends_with("m..."), "{value}");
    assert!(value.len() < MAX_VALUE_LENGTH + 30, "{value}");
}

#[test]
fn what_cedar_does_not_evaluate_is_not_observed() {
    for (condition, names) in [
        ("resource has status || resource has title", vec!["status"]),
        (
            "resource has title || resource has status",
            vec!["title", "status"],
        ),
        (
            "(resource has title && resource.title == \"\") || resource has status",
            vec!["title", "status"],
        ),
        (
            "(resource has status && (resource has title || resource has owner) && false) || \
             resource has number",
            vec!["status", "title", "owner", "number"],
        ),
        (
            "if resource has title then resource has owner else resource has status",
            vec!["title", "status"],
        ),
        (
            "if resource has status then resource has owner else resource has title",
            vec!["status", "owner"],
        ),
        // Nothing is observed after an evaluation error.
        ("resource.number > 1 || resource has status", vec!["number"]),
        (
            "if resource.number > 1 then resource has owner else resource has status",
            vec!["number"],
        ),
    ] {
        let observed = all_observed_by(condition, ValueVisibility::ALL).into_iter();
        let observed: Vec<String> = observed
            .map(|observed| observed.name.trim_start_matches("resource.").to_owned())
            .collect();
        assert_eq!(observed, names, "{condition}");
    }
}

#[test]
fn a_value_has_an_owner_and_may_be_anyones_where_that_is_not_known() {
    let (nobodys, anybodys) = ((false, false), (true, true));
    let (principals, resources) = ((true, false), (false, true));
    for (condition, owners) in [
        ("principal has name", vec![principals]),
        ("principal.name == 1", vec![principals]),
        ("principal.hasTag(\"a\")", vec![principals]),
        ("principal in R::\"c\"", vec![principals, principals]),
        ("resource.status == \"a\"", vec![resources]),
        ("resource.hasTag(\"state\")", vec![resources]),
        ("resource in R::\"c\"", vec![resources, resources]),
        ("context has address", vec![nobodys]),
        ("context has time", vec![nobodys]),
        ("context has authentication", vec![principals]),
        ("context[\"authentication\"] == 1", vec![principals]),
        ("context has key", vec![principals]),
        ("action == action", vec![nobodys]),
        // The owner is the principal here: what it has is the principal's too.
        ("resource.owner in R::\"c\"", vec![anybodys, resources]),
        ("resource.owner has name", vec![anybodys, resources]),
        ("resource.owner.hasTag(\"a\")", vec![anybodys, resources]),
        ("resource has owner.name", vec![anybodys]),
        ("U::\"ada\" in R::\"c\"", vec![anybodys]),
        ("U::\"ada\" has name", vec![anybodys]),
        (
            "resource.hasTag(resource.status)",
            vec![anybodys, resources],
        ),
        (
            "(if true then principal else resource.owner) has name",
            vec![anybodys, principals, resources],
        ),
    ] {
        let is_visible = |shows_principal, shows_resource| -> Vec<bool> {
            let visibility = ValueVisibility {
                shows_principal,
                shows_resource,
            };
            let observed = all_observed_by(condition, visibility).into_iter();
            observed.map(|observed| observed.value.is_some()).collect()
        };
        let takes_principal = is_visible(false, true)
            .into_iter()
            .map(|is_visible| !is_visible);
        let takes_resource = is_visible(true, false)
            .into_iter()
            .map(|is_visible| !is_visible);
        let observed: Vec<(bool, bool)> = takes_principal.zip(takes_resource).collect();
        assert_eq!(observed, owners, "{condition}");
    }
}

#[test]
fn all_operands_are_listed_where_the_evaluated_ones_would_reveal_withheld_values() {
    let visibility = ValueVisibility {
        shows_principal: false,
        shows_resource: true,
    };
    for (condition, names) in [
        (
            "principal in R::\"a\" || resource has status",
            ["groups of principal", "principal", "resource.status"],
        ),
        (
            "principal in R::\"c\" || resource has status",
            ["groups of principal", "principal", "resource.status"],
        ),
        (
            "if principal has a then resource has status else resource has title",
            ["principal.a", "resource.status", "resource.title"],
        ),
        (
            "if principal has a then principal.b.c == 1 else false",
            ["principal.a", "principal.b.c", "principal.b"],
        ),
    ] {
        let observed = all_observed_by(condition, visibility).into_iter();
        let observed: Vec<String> = observed.map(|observed| observed.name).collect();
        assert_eq!(observed, names, "{condition}");
    }
}
