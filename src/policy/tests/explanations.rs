//! Explanations agree with decisions, and name the part that decided.

use std::sync::Arc;

use strum::VariantArray;

use super::fixtures::{ADA, BEA, bundle, context, dataset, folder, signed_in, user};
use crate::domain::action::Action;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::explain::{
    Explanation, MAX_OTHER_POLICIES, MAX_PARTS, MAX_TEXT_LENGTH, PolicyExplanation, ValueVisibility,
};

fn callers() -> [Principal; 5] {
    [
        Principal::Anonymous,
        signed_in(ADA, &[]),
        signed_in(BEA, &["hydrology"]),
        signed_in(BEA, &["geology"]),
        signed_in(BEA, &["admin"]),
    ]
}

fn ids(accounts: &[PolicyExplanation]) -> Vec<String> {
    let mut ids: Vec<String> = accounts.iter().map(|policy| policy.id.clone()).collect();
    ids.sort();
    ids
}

/// Every role, action and state, of the shipped bundle and of one that forbids and fails too.
#[test]
fn an_explanation_agrees_with_the_decision_and_names_the_policies_whose_parts_are_all_met() {
    let shipped = Bundle::embedded().unwrap();
    let thorny = bundle(
        r#"@id("all") permit (principal, action in [Action::"read", Action::"discover"], resource);
        @id("no-drafts") forbid (principal, action == Action::"read", resource)
        when { resource.record_status == RecordStatus::"draft" };
        @id("fails") forbid (principal, action == Action::"discover", resource)
        when { resource.visibility == Visibility::"private" && 9223372036854775807 + 1 > 0 };"#,
    )
    .unwrap();
    let mut answers = std::collections::BTreeSet::new();
    for bundle in [&shipped, &thorny] {
        for (visibility, status) in Visibility::VARIANTS.iter().flat_map(|visibility| {
            RecordStatus::VARIANTS
                .iter()
                .map(|status| (*visibility, *status))
        }) {
            let mut dataset = dataset(visibility, status);
            dataset.reader_roles.insert("hydrology".parse().unwrap());
            let resource = Resource::Dataset(Arc::new(dataset));
            for principal in callers() {
                for action in [Action::Read, Action::Discover, Action::Administer] {
                    let decision = bundle.decide(&principal, action, &resource, &context());
                    let explanation = bundle.explain(
                        ValueVisibility::ALL,
                        &principal,
                        action,
                        &resource,
                        &context(),
                    );
                    assert_eq!(explanation.decision, decision);
                    assert_eq!(ids(&explanation.determining), decision.determining_policies);
                    check(&explanation);
                    answers.insert((decision.is_permitted, decision.errors.is_empty()));
                }
            }
        }
    }
    assert_eq!(
        answers.len(),
        3,
        "permitted, denied and failing were all met"
    );
}

fn check(explanation: &Explanation) {
    assert!(
        explanation
            .determining
            .iter()
            .all(|policy| policy.is_satisfied)
    );
    let satisfied = explanation
        .others
        .iter()
        .filter(|policy| policy.is_satisfied);
    let is_forbidden = explanation
        .determining
        .iter()
        .any(|policy| !policy.is_permit);
    for overruled in satisfied {
        assert!(overruled.is_permit && is_forbidden, "{overruled:?}");
    }
    let unmet = explanation
        .others
        .iter()
        .filter(|policy| !policy.is_satisfied);
    for policy in unmet {
        assert_eq!(policy.parts.len(), 1, "{policy:?}");
        assert!(!policy.parts[0].is_met && policy.held < policy.part_count);
    }
    let failing =
        |policy: &&PolicyExplanation| policy.parts.iter().any(|part| part.error.is_some());
    let failing = explanation.others.iter().filter(failing).count();
    assert_eq!(failing, explanation.decision.errors.len());
}

#[test]
fn the_nearest_policy_comes_first_with_its_first_part_that_failed() {
    let bundle = Bundle::embedded().unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(Visibility::Public, RecordStatus::Draft)));
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &Principal::Anonymous,
        Action::Read,
        &resource,
        &context(),
    );
    assert!(!explanation.decision.is_permitted);
    let nearest = &explanation.others[0];
    assert_eq!(
        (nearest.id.as_str(), nearest.file.as_str()),
        ("public", "public.cedar")
    );
    assert_eq!((nearest.held, nearest.part_count), (4, 5));
    let [part] = &nearest.parts[..] else {
        panic!("one part failed")
    };
    assert_eq!(
        part.text,
        r#"resource.record_status == RecordStatus::"published""#
    );
    let written = include_str!("../../../policies/public.cedar");
    let line = written.lines().nth(part.line.unwrap() - 1).unwrap();
    assert!(line.contains(&part.text), "{line}");
    let first = written.lines().nth(nearest.line.unwrap() - 1).unwrap();
    assert_eq!(first, "@id(\"public\")");
    assert_eq!(part.seen[0].name, "resource.record_status");
    assert_eq!(
        part.seen[0].value.as_deref(),
        Some("RecordStatus::\"draft\"")
    );
}

#[test]
fn a_scope_that_does_not_match_shows_the_roles_of_the_principal() {
    let bundle = bundle(
        r#"@id("a") permit (principal in Role::"hydrology", action == Action::"read", resource);"#,
    )
    .unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    let geologist = signed_in(BEA, &["geology"]);
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &geologist,
        Action::Read,
        &resource,
        &context(),
    );
    let part = &explanation.others[0].parts[0];
    assert_eq!(part.text, r#"principal in Role::"hydrology""#);
    assert_eq!(part.seen[0].name, "groups of principal");
    assert_eq!(part.seen[0].value.as_deref(), Some(r#"Role::"geology""#));
    let other_action = bundle.explain(
        ValueVisibility::ALL,
        &geologist,
        Action::Discover,
        &resource,
        &context(),
    );
    assert_eq!(other_action.others, [], "it is for another action");
}

#[test]
fn a_linked_policy_is_explained_with_the_location_and_text_of_its_template() {
    let template = "// Why.\n@id(\"readers\")\n\
        permit (principal in ?principal, action == Action::\"read\", resource is Dataset);\n";
    let links = r#"[{"template_id": "readers", "link_id": "hydrology-reads",
        "args": {"?principal": "Role::\"hydrology\""}}]"#;
    let folder = folder(&[("t.cedar", template), ("a.links.json", links)]);
    let bundle = Bundle::load(folder.path()).unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    let member = signed_in(BEA, &["hydrology"]);
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &member,
        Action::Read,
        &resource,
        &context(),
    );
    let [policy] = &explanation.determining[..] else {
        panic!("one policy determines")
    };
    assert_eq!(
        (policy.id.as_str(), policy.file.as_str()),
        ("hydrology-reads", "t.cedar")
    );
    assert_eq!(
        (policy.line, policy.template.as_deref()),
        (Some(2), Some("readers"))
    );
    assert!(policy.text.contains("?principal"), "{}", policy.text);
    assert_eq!(policy.parts[0].text, "principal in Role::\"hydrology\"");
    let stranger = bundle.explain(
        ValueVisibility::ALL,
        &signed_in(ADA, &[]),
        Action::Read,
        &resource,
        &context(),
    );
    assert_eq!(
        stranger.others[0].parts[0].seen[0].value.as_deref(),
        Some("none")
    );
}

#[test]
fn a_disabled_user_is_explained_without_policies() {
    let bundle = Bundle::embedded().unwrap();
    let mut disabled = user(ADA, &["admin"]);
    disabled.is_disabled = true;
    let principal = Principal::User(Arc::new(disabled));
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &principal,
        Action::Read,
        &resource,
        &context(),
    );
    assert!(explanation.decision.errors[0].contains("disabled"));
    assert!(explanation.determining.is_empty() && explanation.others.is_empty());
}

#[test]
fn others_are_bounded_and_the_rest_is_counted() {
    let many: Vec<String> = (0..MAX_OTHER_POLICIES + 3)
        .map(|number| {
            format!(
                "@id(\"p{number}\") permit (principal, action == Action::\"read\", resource) \
                 when {{ resource.title == \"{number}\" }};"
            )
        })
        .collect();
    let bundle = bundle(&many.concat()).unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &Principal::Anonymous,
        Action::Read,
        &resource,
        &context(),
    );
    assert_eq!(
        (explanation.others.len(), explanation.omitted),
        (MAX_OTHER_POLICIES, 3)
    );
}

#[test]
fn the_parts_of_a_policy_and_its_text_are_bounded() {
    let conditions = vec!["resource.title != \"\""; MAX_PARTS + 10].join(" && ");
    let long = "x".repeat(MAX_TEXT_LENGTH);
    let policies = format!(
        "@id(\"many\") permit (principal, action == Action::\"read\", resource) when {{ {conditions} }};\
         @id(\"long\") permit (principal, action == Action::\"read\", resource)\
         when {{ resource.title == \"{long}\" }};"
    );
    let bundle = bundle(&policies).unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    // Cedar measures the stack that is left, and that of a test in a debug build is short.
    let deep = std::thread::Builder::new().stack_size(16 * 1024 * 1024);
    let explain = move || {
        bundle.explain(
            ValueVisibility::ALL,
            &Principal::Anonymous,
            Action::Read,
            &resource,
            &context(),
        )
    };
    let explanation = deep.spawn(explain).unwrap().join().unwrap();
    let [many] = &explanation.determining[..] else {
        panic!("one determines: {:?}", explanation.decision)
    };
    assert_eq!(
        (many.held, many.part_count),
        (MAX_PARTS + 13, MAX_PARTS + 13)
    );
    assert_eq!(many.parts.len(), MAX_PARTS);
    let long = &explanation.others[0];
    for text in [&long.text, &long.parts[0].text] {
        assert_eq!(text.chars().count(), MAX_TEXT_LENGTH + "...".len());
    }
}
