//! Property: what is proved policy by policy, with a memory, is what all policies together prove.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{Policy, PolicySet};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, implies_asserts, never_errors_asserts,
    never_matches_asserts,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;
use crate::policy::links::instantiate;
use crate::policy::proof_memory::ProofMemory;
use crate::policy::tests::fixtures::{folder, slow_property};

use super::invariants::{Invariant, InvariantBound};
use super::statement::{bounding_policies, scope_policy};
use super::*;

const OPTIONS: fn() -> ProofOptions = || ProofOptions::within(Duration::from_mins(2));

const PRINCIPALS: [&str; 6] = [
    "principal",
    "principal is User",
    "principal is Anonymous",
    r#"principal in Role::"admin""#,
    r#"principal in Role::"team""#,
    r#"principal == User::"ada""#,
];
const ACTIONS: [&str; 4] = [
    "action",
    r#"action == Action::"read""#,
    r#"action in [Action::"read", Action::"discover"]"#,
    r#"action in Action::"administer""#,
];
const RESOURCES: [&str; 3] = [
    "resource is Dataset",
    r#"resource == Dataset::"one""#,
    r#"resource == Dataset::"two""#,
];
const CONDITIONS: [&str; 12] = [
    r#"resource.visibility == Visibility::"public""#,
    r#"resource.visibility != Visibility::"private""#,
    r#"resource.record_status == RecordStatus::"published""#,
    r"resource has owner && resource.owner == principal",
    r#"resource.title == "a""#,
    r#"resource.title like "a*""#,
    r#"principal in Role::"admin""#,
    r"principal in resource.reader_roles",
    r#"resource.hasTag("theme") && resource.getTag("theme").contains("x")"#,
    r#"context.time < datetime("2030-01-01")"#,
    r#"context.time.offset(duration("1d")) < datetime("2030-01-01")"#,
    r#"resource == Dataset::"one""#,
];

/// The scope and the conditions of a policy.
fn body() -> impl Strategy<Value = String> {
    let conditions = |word: &'static str, most| {
        subsequence(CONDITIONS.to_vec(), 0..=most).prop_map(move |parts| match parts.as_slice() {
            [] => String::new(),
            parts => format!(" {word} {{ ({}) }}", parts.join(") && (")),
        })
    };
    (
        select(&PRINCIPALS[..]),
        select(&ACTIONS[..]),
        select(&RESOURCES[..]),
        conditions("when", 3),
        conditions("unless", 1),
    )
        .prop_map(|(principal, action, resource, when, unless)| {
            format!("({principal}, {action}, {resource}){when}{unless};\n")
        })
}

/// Policies: three permits for each forbid.
fn policies() -> impl Strategy<Value = Vec<String>> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    prop::collection::vec(
        (effect, body()).prop_map(|(effect, body)| format!("@reason(\"x\") {effect} {body}")),
        1..7,
    )
}

fn invariants() -> impl Strategy<Value = Vec<String>> {
    let kind = select(vec![
        ("upper", "permit"),
        ("upper", "forbid"),
        ("lower", "permit"),
    ]);
    let invariant = (kind, body(), prop::option::weighted(0.2, 0..6_usize));
    let invariant = invariant.prop_map(|((bound, effect), body, excepted)| {
        let except = excepted.map_or_else(String::new, |number| format!("@except(\"p{number}\") "));
        // An upper bound without a condition is not allowed.
        let body = body.replace(";\n", " when { resource.title != \"b\" };\n");
        format!("@reason(\"x\") {except}@invariant(\"{bound}\") {effect} {body}")
    });
    prop::collection::vec(invariant, 1..4)
}

/// A folder of policies and invariants; none if they are not valid.
fn load(policies: &[String], invariants: &[String]) -> Option<(Bundle, InvariantFiles)> {
    let named = |prefix: &str, texts: &[String]| -> String {
        let texts = texts.iter().enumerate();
        let named = texts.map(|(number, text)| format!("@id(\"{prefix}{number}\") {text}"));
        named.collect::<Vec<_>>().concat()
    };
    let folder = folder(&[
        ("policies.cedar", &named("p", policies)),
        ("invariants/invariants.cedar", &named("i", invariants)),
    ]);
    let folder = PolicyFolder::load(folder.path()).unwrap();
    Some((folder.bundle().ok()?, folder.invariants().ok()?))
}

/// What is proved: whether each invariant holds, and which policies can fail.
type Proved = (BTreeMap<String, bool>, BTreeSet<String>);

fn proved(
    bundle: &Bundle,
    invariants: &InvariantFiles,
    memory: &Arc<ProofMemory>,
) -> (Proved, ProofWork) {
    let proof = prove_with_memory(bundle, invariants, &OPTIONS(), memory, |_, _| {})
        .unwrap()
        .proof;
    let is_held = |invariant: &ProvedInvariant| invariant.verdict == InvariantVerdict::Holds;
    let invariants = proof.invariants.iter();
    let invariants = invariants.map(|invariant| (invariant.id.clone(), is_held(invariant)));
    let failing = proof.failing.iter().map(|policy| policy.id.clone());
    ((invariants.collect(), failing.collect()), proof.work)
}

/// The same, by comparing the whole bundle with each invariant.
fn proved_together(bundle: &Bundle, invariants: &InvariantFiles) -> Proved {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut solver = CedarSymCompiler::new(LocalSolver::cvc5().unwrap()).unwrap();
        let all = bundle.policies.set.policies();
        let all: Vec<Policy> = all.map(|policy| instantiate(policy).unwrap()).collect();
        let mut held = BTreeMap::new();
        let mut failing = BTreeSet::new();
        for env in bundle.schema.request_envs() {
            for policy in &all {
                let compiled = CompiledPolicy::compile(policy, &env, &bundle.schema).unwrap();
                if !solver
                    .check_unsat(&never_errors_asserts(&compiled))
                    .await
                    .unwrap()
                {
                    failing.insert(policy.id().to_string());
                }
            }
            for invariant in &invariants.parse_for(bundle).unwrap().invariants {
                let is_held = holds_together(bundle, invariant, (&all, &env), &mut solver).await;
                let known: &mut bool = held.entry(invariant.id.clone()).or_insert(true);
                *known &= is_held;
            }
        }
        (held, failing)
    })
}

async fn holds_together(
    bundle: &Bundle,
    invariant: &Invariant,
    (all, env): (&[Policy], &cedar_policy::RequestEnv),
    solver: &mut CedarSymCompiler<LocalSolver>,
) -> bool {
    let scope = scope_policy(&invariant.policy).unwrap();
    let scope = CompiledPolicy::compile(&scope, env, &bundle.schema).unwrap();
    if solver::is_unsatisfiable(&never_matches_asserts(&scope)) {
        return true;
    }
    let own = CompiledPolicy::compile(&invariant.policy, env, &bundle.schema).unwrap();
    if !solver
        .check_unsat(&never_errors_asserts(&own))
        .await
        .unwrap()
    {
        return false;
    }
    let considered = all.iter().filter(|policy| {
        let id: &str = policy.id().as_ref();
        !invariant.exceptions.policies.contains(id)
    });
    let compile = |set: &PolicySet| CompiledPolicySet::compile(set, env, &bundle.schema).unwrap();
    let considered = compile(&PolicySet::from_policies(considered.cloned()).unwrap());
    let bounding = compile(&bounding_policies(invariant).unwrap());
    let asserts = match invariant.bound {
        InvariantBound::Upper => implies_asserts(&considered, &bounding),
        InvariantBound::Lower => implies_asserts(&bounding, &considered),
    };
    solver.check_unsat(&asserts).await.unwrap()
}

proptest! {
    #![proptest_config(slow_property(4))]

    #[test]
    fn policy_by_policy_the_same_is_proved_as_of_all_together_and_so_after_an_edit(
        policies in policies(),
        edited in body(),
        place in 0..7_usize,
        invariants in invariants(),
    ) {
        let memory = Arc::default();
        let mut edit = policies.clone();
        let place = place % edit.len();
        edit[place] = format!("@reason(\"x\") permit {edited}");
        // The edit is taken back in the end, so that it meets what was remembered before.
        for policies in [&policies, &edit, &policies] {
            let Some((bundle, invariants)) = load(policies, &invariants) else {
                continue;
            };
            let expected = proved_together(&bundle, &invariants);
            prop_assert_eq!(&proved(&bundle, &invariants, &memory).0, &expected, "{:#?}", policies);
            // What was saved is as good.
            let saved: Arc<ProofMemory> = Arc::default();
            if let Some(bytes) = memory.unsaved() {
                prop_assert!(saved.add_saved(&bytes).is_some());
                prop_assert_eq!(proved(&bundle, &invariants, &saved).0, expected);
            }
        }
    }
}

const PUBLISHED: &str = "@reason(\"x\") @invariant(\"upper\") permit (principal, action == Action::\"read\", resource)\n\
    when { resource.record_status == RecordStatus::\"published\" };\n";
const ADMINS: &str = "@reason(\"x\") @invariant(\"lower\") permit (principal in Role::\"admin\", action == Action::\"read\", resource);\n";

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// A permit of published datasets for one role, with a title.
fn of_role(role: usize, title: &str) -> String {
    format!(
        "permit (principal in Role::\"{role}\", action == Action::\"read\", resource)\n\
         when {{ resource.record_status == RecordStatus::\"published\" && resource.title == \"{title}\" }};\n"
    )
}

fn assert_proved(
    policies: &[String],
    invariants: &[&str],
    memory: &Arc<ProofMemory>,
    held: &[bool],
) -> usize {
    let (bundle, invariants) = load(policies, &texts(invariants)).unwrap();
    let ((found, failing), work) = proved(&bundle, &invariants, memory);
    assert_eq!(found.into_values().collect::<Vec<_>>(), held);
    assert!(failing.is_empty());
    assert_eq!(work.policies, policies.len());
    work.proved
}

#[test]
fn an_edit_of_one_policy_costs_the_proof_of_that_policy() {
    let memory = Arc::default();
    let mut policies: Vec<String> = (0..40).map(|role| of_role(role, "a")).collect();
    let count = |policies: &[String], invariants: &[&str], held: &[bool]| {
        assert_proved(policies, invariants, &memory, held)
    };
    assert_eq!(count(&policies, &[PUBLISHED], &[true]), 40);
    assert_eq!(count(&policies, &[PUBLISHED], &[true]), 0);
    policies[7] = of_role(7, "b");
    assert_eq!(count(&policies, &[PUBLISHED], &[true]), 1);
    policies[8] = policies[8].replace("published", "draft");
    assert_eq!(count(&policies, &[PUBLISHED], &[false]), 1);
    assert_eq!(count(&policies, &[PUBLISHED], &[false]), 1);
    policies.truncate(8);
    assert_eq!(count(&policies, &[PUBLISHED], &[true]), 0);
}

#[test]
fn an_edited_invariant_and_another_schema_or_solver_are_proved_anew() {
    let memory = Arc::default();
    let policies: Vec<String> = (0..3).map(|role| of_role(role, "a")).collect();
    let count =
        |invariants: &[&str], held: &[bool]| assert_proved(&policies, invariants, &memory, held);
    assert_eq!(count(&[PUBLISHED], &[true]), 3);
    let titled = PUBLISHED.replace("published\"", "published\" && resource.title == \"a\"");
    assert_eq!(count(&[&titled], &[true]), 3);
    assert_eq!(count(&[&titled.replace("\"a\"", "\"b\"")], &[false]), 3);
    assert_eq!(count(&[PUBLISHED, &titled], &[true, true]), 0);
    assert_eq!(
        count(
            &[
                PUBLISHED,
                &titled.replace("@reason(\"x\")", "@reason(\"y\")")
            ],
            &[true, true]
        ),
        0
    );
    let (bundle, invariants) = load(&policies, &texts(&[PUBLISHED])).unwrap();
    let valid = invariants.parse_for(&bundle).unwrap();
    let version = scheduler::find_solver().unwrap().version().to_owned();
    for (version, pending) in [(&*version, 0), ("cvc5 0", 3)] {
        let subject = ProofSubject::new(
            &bundle,
            &valid.invariants,
            &BTreeSet::new(),
            (&memory, version),
        );
        assert_eq!(subject.unwrap().pending.len(), pending, "{version}");
    }
    let shipped = PolicyFolder::embedded().unwrap();
    let files = shipped
        .files()
        .filter(|(name, _)| *name == "schema.cedarschema");
    let mut files: BTreeMap<String, Arc<str>> = files
        .map(|(name, text)| (name.to_owned(), format!("{text}\nentity Further;\n").into()))
        .collect();
    files.insert(
        "policies.cedar".to_owned(),
        bundle.file("policies.cedar").unwrap().clone(),
    );
    let other = PolicyFolder::from_files("x", files).bundle().unwrap();
    assert_eq!(proved(&other, &invariants, &memory).1.proved, 3);
}

#[test]
fn what_a_forbid_cuts_off_holds_as_long_as_the_forbid_is_there() {
    let memory = Arc::default();
    let permit = "permit (principal, action == Action::\"read\", resource) when { resource.title == \"a\" };\n";
    let forbid = "forbid (principal, action == Action::\"read\", resource) unless { resource.record_status == RecordStatus::\"published\" };\n";
    let narrower = forbid.replace("unless {", "when { resource.title == \"b\" } unless {");
    let count =
        |policies: &[&str], held| assert_proved(&texts(policies), &[PUBLISHED], &memory, &[held]);
    assert_eq!(count(&[permit, forbid], true), 2);
    assert_eq!(count(&[permit, forbid], true), 0);
    assert_eq!(count(&[permit, &narrower], false), 2);
    assert_eq!(count(&[permit], false), 1);
    assert_eq!(count(&[permit, forbid], true), 0);
}

#[test]
fn what_several_permits_cover_holds_as_long_as_they_are_there() {
    let memory = Arc::default();
    let permit = |status: &str| {
        format!(
            "permit (principal in Role::\"admin\", action, resource is Dataset) when {{ resource.record_status == RecordStatus::\"{status}\" }};\n"
        )
    };
    let forbid = "forbid (principal, action == Action::\"read\", resource) when { resource.title == \"a\" };\n";
    let halves = [permit("published"), permit("draft")];
    assert_proved(&halves, &[ADMINS], &memory, &[true]);
    assert_proved(&halves, &[ADMINS], &memory, &[true]);
    assert_proved(&halves[..1], &[ADMINS], &memory, &[false]);
    let forbidden = [&halves[..], &[forbid.to_owned()]].concat();
    assert_proved(&forbidden, &[ADMINS], &memory, &[false]);
    let spared = forbid.replace(';', " unless { principal in Role::\"admin\" };");
    assert_proved(
        &[&halves[..], &[spared]].concat(),
        &[ADMINS],
        &memory,
        &[true],
    );
}

#[test]
fn a_violation_among_many_policies_has_a_counterexample() {
    let mut policies: Vec<String> = (0..210).map(|role| of_role(role, "a")).collect();
    policies[200] = policies[200].replace("published", "draft");
    let (bundle, invariants) = load(&policies, &texts(&[PUBLISHED])).unwrap();
    let proof = prove(&bundle, &invariants, &OPTIONS(), |_, _| {})
        .unwrap()
        .proof;
    let [invariant] = proof.invariants.as_slice() else {
        panic!("{proof:?}");
    };
    assert_eq!(invariant.verdict, InvariantVerdict::Violated);
    for example in &invariant.counterexamples {
        assert_eq!(example.determining_policies, ["p200"]);
    }
}
