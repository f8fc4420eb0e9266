//! Classes: what is named has none, and nothing tells the entities of one apart.

use std::collections::BTreeMap;

use cedar_policy::{Context, Entities, EntityUid, Request};
use proptest::prelude::*;

use crate::policy::Bundle;
use crate::policy::case_answer::CaseAnswer;
use crate::policy::tests::fixtures::{folder, slow_property};

use super::{schema, uid, with_files};

#[test]
fn what_is_named_anywhere_has_no_class() {
    let files = [
        (
            "p.cedar",
            r#"@id("a") permit (principal == Person::"in-scope", action, resource);
            @id("b") permit (principal is Person, action == Action::"review", resource is Paper)
            when { principal == Person::"in-condition" || resource has author && resource.author == principal };
            @id("t") permit (principal == ?principal, action == Action::"review", resource is Paper);"#,
        ),
        (
            "t.links.json",
            r#"[{"template_id": "t", "link_id": "l", "args": {"?principal": "Person::\"in-link\""}}]"#,
        ),
        (
            "a.entities.json",
            r#"[
  {"uid": {"type": "Person", "id": "in-scope"}}, {"uid": {"type": "Person", "id": "in-condition"}},
  {"uid": {"type": "Person", "id": "in-link"}}, {"uid": {"type": "Person", "id": "in-attribute"}},
  {"uid": {"type": "Person", "id": "ann"}}, {"uid": {"type": "Person", "id": "bea"}},
  {"uid": {"type": "Person", "id": "cyd"}, "attrs": {"level": "low"}},
  {"uid": {"type": "Person", "id": "dan"}, "attrs": {"boss": "in-attribute"}},
  {"uid": {"type": "Paper", "id": "p"}, "attrs": {"status": "new"}},
  {"uid": {"type": "Team", "id": "t"}},
  {"uid": {"type": "Person", "id": "eve"}, "parents": [{"type": "Team", "id": "t"}]}
]"#,
        ),
    ];
    let classes = |schema: &str| -> BTreeMap<String, Option<u32>> {
        let mut files = files.to_vec();
        files.push(("schema.cedarschema", schema));
        let bundle = Bundle::load(folder(&files).path()).unwrap();
        let all = bundle.entities().iter();
        let class = |uid: &EntityUid| bundle.entities().class(uid).map(|class| class.0);
        all.map(|it| (it.uid().to_string(), class(&it.uid())))
            .collect()
    };
    let found = classes(&schema());
    insta::assert_debug_snapshot!(found);
    // A user of the catalog may have any person as the value.
    let schema = schema().replace(
        "\"issuer\"?: String,",
        "\"issuer\"?: String, \"helps\"?: Set<Person>,",
    );
    let found = classes(&schema);
    assert!(
        found
            .iter()
            .all(|(name, class)| class.is_none() || !name.starts_with("Person"))
    );
    assert!(found["Paper::\"p\""].is_some());
}

const CONDITIONS: [&str; 8] = [
    "principal in Team::\"a\"",
    "resource in Team::\"b\"",
    "principal has level && principal.level == Level::\"low\"",
    "resource.status == \"new\"",
    "resource has author && resource.author == principal",
    "principal.hasTag(\"k\") && principal.getTag(\"k\") == \"x\"",
    "principal == Person::\"0\"",
    "principal has office && principal.office.floor > 1",
];

fn some_bundle() -> impl Strategy<Value = (Vec<(String, String)>, String)> {
    let conditions = proptest::sample::subsequence(&CONDITIONS[..], 0..=3);
    let policy = (any::<bool>(), conditions).prop_map(|(is_permit, conditions)| {
        let effect = if is_permit { "permit" } else { "forbid" };
        let when: Vec<String> = conditions
            .iter()
            .map(|it| format!("when {{ {it} }}"))
            .collect();
        format!(
            "{effect} (principal is Person, action == Action::\"review\", resource is Paper) {};\n",
            when.join(" ")
        )
    });
    let policies = proptest::collection::vec(policy, 1..5);
    let team = || proptest::sample::subsequence(vec!["a", "b"], 0..=2);
    let person =
        (team(), 0..3_usize, 0..3_usize, 0..3_usize).prop_map(|(teams, level, tag, floor)| {
            let level = ["", "\"level\": \"low\"", "\"level\": \"high\""][level];
            let tag = ["{}", "{\"k\": \"x\"}", "{\"k\": \"y\"}"][tag];
            let floor = [
                "",
                "\"office\": {\"floor\": 1}",
                "\"office\": {\"floor\": 2}",
            ][floor];
            let comma = if level.is_empty() || floor.is_empty() {
                ""
            } else {
                ", "
            };
            format!(
                "\"attrs\": {{{level}{comma}{floor}}}, \"tags\": {tag}, \"parents\": {}",
                parents(&teams)
            )
        });
    let paper = (team(), any::<bool>(), proptest::option::of(0..4_usize)).prop_map(
        |(teams, is_new, author)| {
            let author = author.map_or(String::new(), |id| format!(", \"author\": \"{id}\""));
            let status = if is_new { "new" } else { "old" };
            format!(
                "\"attrs\": {{\"status\": \"{status}\"{author}}}, \"parents\": {}",
                parents(&teams)
            )
        },
    );
    let people = proptest::collection::vec(person, 1..7);
    let papers = proptest::collection::vec(paper, 1..7);
    (policies, people, papers).prop_map(|(policies, people, papers)| {
        let policies = policies.iter().enumerate();
        let policies = policies.map(|(at, text)| format!("@id(\"{at}\") @reason(\"x\") {text}"));
        let teams = ["a", "b"].map(|id| ("Team".to_owned(), format!("{id}\"}}, \"parents\": [")));
        let mut entities: Vec<String> = teams
            .iter()
            .map(|(kind, rest)| format!("{{\"uid\": {{\"type\": \"{kind}\", \"id\": \"{rest}]}}"))
            .collect();
        for (kind, all) in [("Person", &people), ("Paper", &papers)] {
            let all = all.iter().enumerate();
            entities.extend(all.map(|(id, rest)| {
                format!("{{\"uid\": {{\"type\": \"{kind}\", \"id\": \"{id}\"}}, {rest}}}")
            }));
        }
        let files = vec![(
            "a.entities.json".to_owned(),
            format!("[{}]", entities.join(",\n")),
        )];
        (files, policies.collect())
    })
}

fn parents(teams: &[&str]) -> String {
    let teams = teams
        .iter()
        .map(|id| format!("{{\"type\": \"Team\", \"id\": \"{id}\"}}"));
    format!("[{}]", teams.collect::<Vec<_>>().join(", "))
}

proptest! {
    #![proptest_config(slow_property(48))]

    /// Entities of one class get the same decision with everybody on the other side.
    #[test]
    fn nothing_tells_entities_of_a_class_apart((files, policies) in some_bundle()) {
        let mut all = vec![("p.cedar", policies.as_str())];
        all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let bundle = Bundle::load(with_files(&all).path()).unwrap();
        let entities = bundle.entities();
        let of = |kind: &str| entities.of_type(&kind.parse().unwrap()).to_vec();
        let decide = |person: &EntityUid, paper: &EntityUid| {
            let (action, schema) = (uid("Action::\"review\""), Some(&bundle.schema));
            let context = Context::empty();
            let request = Request::new(person.clone(), action, paper.clone(), context, schema);
            let request = request.unwrap();
            let known = entities.under(&request, &Entities::empty()).unwrap();
            let answer = CaseAnswer::evaluate(&bundle, &request, &known);
            (answer.decision, answer.determining_policies, answer.failed_policies)
        };
        let (people, papers) = (of("Person"), of("Paper"));
        let alike = |all: &[EntityUid]| {
            let mut first: BTreeMap<u32, EntityUid> = BTreeMap::new();
            let classed = all.iter().filter_map(|it| Some((entities.class(it)?.0, it.clone())));
            classed
                .map(|(class, it)| (first.entry(class).or_insert(it.clone()).clone(), it))
                .collect::<Vec<_>>()
        };
        for (one, other) in alike(&people) {
            for paper in &papers {
                prop_assert_eq!(decide(&one, paper), decide(&other, paper), "{} {} {}", one, other, paper);
            }
        }
        for (one, other) in alike(&papers) {
            for person in &people {
                prop_assert_eq!(decide(person, &one), decide(person, &other), "{} {} {}", person, one, other);
            }
        }
    }
}
