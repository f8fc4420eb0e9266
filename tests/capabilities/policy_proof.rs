//! `policy prove`: the shipped invariants hold, and mistakes are found with a counterexample that the
//! case files reproduce.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::{
    cedargate, copy_folder, copy_of_shipped_policies, edit, prove, repository,
};

fn prove_json(folder: &Path) -> (i32, Value) {
    let proved = prove(folder, &["--json"], &[]);
    assert_ne!(proved.code, 1, "{}", proved.messages);
    (proved.code, serde_json::from_str(&proved.data).unwrap())
}

fn verdicts<'a>(proof: &'a Value, verdict: &str) -> Vec<&'a str> {
    let invariants = proof["invariants"].as_array().unwrap().iter();
    invariants
        .filter(|invariant| invariant["verdict"] == verdict)
        .map(|invariant| invariant["id"].as_str().unwrap())
        .collect()
}

fn results_of<'a>(report: &'a Value, file: &str) -> Vec<&'a Value> {
    let results = report["results"].as_array().unwrap().iter();
    results.filter(|result| result["file"] == file).collect()
}

fn test_json(folder: &Path) -> Value {
    let path = folder.to_str().unwrap();
    let tested = cedargate(folder, &["policy", "test", "--json", path], &[]);
    serde_json::from_str(&tested.data).unwrap()
}

/// Proves edited policies, and runs the counterexamples as cases of the edited and the original ones.
fn assert_violation_is_reproduced(
    edited: &Path,
    right: &Path,
    violated: &[&str],
    due: &str,
    given: &str,
) {
    let saved = edited.join("found.cases.json");
    let proved = prove(edited, &["--save", saved.to_str().unwrap()], &[]);
    assert_eq!(proved.code, 3, "{}{}", proved.data, proved.messages);
    let (code, proof) = prove_json(edited);
    assert_eq!(code, 3);
    assert_eq!(verdicts(&proof, "violated"), violated);
    assert_eq!(verdicts(&proof, "unproven"), Vec::<&str>::new());
    for id in violated {
        assert!(proved.data.contains(&format!("VIOLATED  {id}")));
    }

    let report = test_json(edited);
    let reproduced = results_of(&report, "found.cases.json");
    assert!(!reproduced.is_empty());
    for result in reproduced {
        assert_eq!(result["is_passed"], false, "{result}");
        assert_eq!(result["expected"], due, "{result}");
        assert_eq!(result["actual"], given, "{result}");
        assert_eq!(result["errors"], json!([]), "{result}");
    }
    fs::copy(&saved, right.join("found.cases.json")).unwrap();
    for result in results_of(&test_json(right), "found.cases.json") {
        assert_eq!(result["is_passed"], true, "{result}");
    }
}

#[test]
fn the_shipped_invariants_hold_and_no_shipped_policy_is_redundant_or_can_fail() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = repository().join("policies");
    let proved = prove(&shipped, &[], &[]);
    assert_eq!(proved.code, 0, "{}{}", proved.data, proved.messages);
    assert!(proved.messages.is_empty(), "{}", proved.messages);
    let inside = cedargate(
        folder.path(),
        &["policy", "prove", "--json", "--time-limit", "600"],
        &[],
    );
    assert_eq!(inside.code, 0, "{}", inside.messages);
    let proof: Value = serde_json::from_str(&inside.data).unwrap();
    assert!(verdicts(&proof, "holds").len() >= 7, "{proof}");
    for empty in ["failing", "unproven", "idle", "unanswered"] {
        assert_eq!(proof[empty], json!([]), "{empty}");
    }
    let invariants = proof["invariants"].as_array().unwrap();
    assert!(
        invariants
            .iter()
            .all(|invariant| invariant["environments"].as_u64().unwrap() > 0)
    );
}

#[test]
fn a_removed_check_for_published_is_found() {
    let (edited, right) = (copy_of_shipped_policies(), copy_of_shipped_policies());
    let check = " &&\n  resource.record_status == RecordStatus::\"published\"";
    edit(edited.path(), "public.cedar", check, "");
    let violated = ["anonymous-reads-public", "drafts-stay-inside"];
    assert_violation_is_reproduced(edited.path(), right.path(), &violated, "deny", "allow");
}

#[test]
fn an_or_instead_of_an_and_is_found() {
    let (edited, right) = (copy_of_shipped_policies(), copy_of_shipped_policies());
    edit(edited.path(), "internal.cedar", "&&", "||");
    let violated = [
        "drafts-stay-inside",
        "private-stays-inside",
        "restricted-is-for-readers",
    ];
    assert_violation_is_reproduced(edited.path(), right.path(), &violated, "deny", "allow");
}

#[test]
fn a_forgotten_unless_is_found() {
    let (edited, right) = (copy_of_shipped_policies(), copy_of_shipped_policies());
    for folder in [&edited, &right] {
        copy_folder(&repository().join("docs/examples/embargo"), folder.path());
    }
    let (code, proof) = prove_json(right.path());
    assert_eq!(code, 0, "{proof}");
    let path = edited.path().join("embargo.cedar");
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("unless").unwrap();
    fs::write(&path, format!("{};\n", before.trim_end())).unwrap();
    let violated = ["admins-may-do-everything"];
    assert_violation_is_reproduced(edited.path(), right.path(), &violated, "allow", "deny");
}

#[test]
fn a_counterexample_is_readable_and_looks_like_a_request() {
    let edited = copy_of_shipped_policies();
    let check = " &&\n  resource.record_status == RecordStatus::\"published\"";
    edit(edited.path(), "public.cedar", check, "");
    let printed = prove(edited.path(), &[], &[]).data;
    for line in [
        "principal  Anonymous::\"anonymous\"",
        "address: ip(\"192.0.2.1\")",
        "record_status: RecordStatus::\"draft\"",
        "visibility: Visibility::\"public\"",
        "answer     allow, determined by public",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
}

#[test]
fn a_policy_that_can_fail_is_refused_with_a_request_at_which_it_fails() {
    let folder = copy_of_shipped_policies();
    let policy = "@id(\"late\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource)\n\
        when { context.time.offset(duration(\"1d\")) < datetime(\"2000-01-01\") };\n";
    fs::write(folder.path().join("late.cedar"), policy).unwrap();
    // The failure is the only mistake here.
    fs::remove_file(folder.path().join("invariants/admins.cedar")).unwrap();
    let saved = folder.path().join("found.cases.json");
    let proved = prove(folder.path(), &["--save", saved.to_str().unwrap()], &[]);
    assert_eq!(proved.code, 3, "{}", proved.data);
    assert!(proved.data.contains("FAILS     late (late.cedar)"));
    let report = test_json(folder.path());
    let [result] = results_of(&report, "found.cases.json")[..] else {
        panic!("{report}");
    };
    assert_eq!(result["is_passed"], false);
    assert_eq!(result["errors"].as_array().unwrap().len(), 1, "{result}");
    let guard = "context.time < datetime(\"2100-01-01\") && context.time.offset";
    edit(folder.path(), "late.cedar", "context.time.offset", guard);
    let (code, proof) = prove_json(folder.path());
    assert_eq!(code, 0, "{proof}");
}

#[test]
fn a_policy_without_effect_is_a_warning_unless_it_shortens_tokens() {
    let folder = copy_of_shipped_policies();
    let idle = "@id(\"never\") @reason(\"x\")\npermit (principal, action, resource is Dataset)\n\
        when { resource.title == \"a\" && resource.title == \"b\" };\n\
        @id(\"twice\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\n\
        when { resource.visibility == Visibility::\"public\" && resource.record_status == RecordStatus::\"published\" && resource.title like \"a*\" };\n\
        @id(\"admin-again\") @reason(\"x\")\npermit (principal in Role::\"admin\", action, resource);\n\
        @id(\"gone\") @reason(\"x\")\npermit (principal is User, action == Action::\"read\", resource)\n\
        when { resource.title == \"secret\" && resource.visibility == Visibility::\"internal\" && principal in resource.reader_roles && resource.record_status == RecordStatus::\"published\" };\n\
        @id(\"secret\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource)\n\
        when { resource.title == \"secret\" } unless { principal in Role::\"admin\" };\n";
    fs::write(folder.path().join("idle.cedar"), idle).unwrap();
    let idle = "@id(\"says-nothing\") @reason(\"x\") @invariant(\"upper\")\npermit (principal, action == Action::\"read\", resource)\n\
        when { resource.title == \"a\" || resource.title != \"a\" };\n";
    fs::write(folder.path().join("invariants/idle.cedar"), idle).unwrap();
    let short = repository().join("docs/examples/short-tokens");
    copy_folder(&short, folder.path());
    let (code, proof) = prove_json(folder.path());
    assert_eq!(code, 0, "{proof}");
    let idle = proof["idle"].as_array().unwrap();
    for expected in [
        json!({"kind": "never_applies", "policy": "never",
               "reason": "`resource.title == \"a\"` (line 3) and `resource.title == \"b\"` (line 3) are never true together"}),
        json!({"kind": "redundant", "policy": "twice", "beside": "public", "is_mutual": false}),
        json!({"kind": "redundant", "policy": "admin", "beside": "admin-again", "is_mutual": true}),
        json!({"kind": "says_nothing", "invariant": "says-nothing"}),
    ] {
        assert!(idle.contains(&expected), "{expected} is not in {proof:#}");
    }
    let is_about = |policy: &str| idle.iter().any(|printed| printed["policy"] == policy);
    assert!(!is_about("short-tokens") && !is_about("public") && !is_about("owner"));
}

#[test]
fn a_permit_that_a_forbid_always_overrules_is_a_warning() {
    let folder = copy_of_shipped_policies();
    let policies = "@id(\"gone\") @reason(\"x\")\npermit (principal is User, action == Action::\"read\", resource)\n\
        when { resource.title == \"secret\" && resource.hasTag(\"a\") };\n\
        @id(\"secret\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource)\n\
        when { resource.title like \"s*\" };\n";
    fs::write(folder.path().join("secret.cedar"), policies).unwrap();
    let (_, proof) = prove_json(folder.path());
    let overruled = json!({"kind": "overruled", "policy": "gone", "by": "secret"});
    assert!(
        proof["idle"].as_array().unwrap().contains(&overruled),
        "{proof:#}"
    );
}

#[test]
fn a_folder_without_invariants_proves_nothing() {
    let folder = copy_of_shipped_policies();
    fs::remove_dir_all(folder.path().join("invariants")).unwrap();
    let proved = prove(folder.path(), &[], &[]);
    assert_eq!(proved.code, 3);
    assert!(proved.messages.contains("hint: "), "{}", proved.messages);
}

#[test]
fn a_broken_invariant_is_reported_with_file_and_line() {
    let folder = copy_of_shipped_policies();
    let path = "invariants/admins.cedar";
    edit(folder.path(), path, "\"upper\"", "\"uper\"");
    let proved = prove(folder.path(), &[], &[]);
    assert_eq!(proved.code, 1);
    assert!(
        proved.messages.contains("invariants/admins.cedar:13"),
        "{}",
        proved.messages
    );
}

#[test]
fn without_cvc5_an_error_says_how_to_install_it() {
    let folder = copy_of_shipped_policies();
    for no_solver in ["/nowhere/cvc5", "/bin/true"] {
        let proved = prove(folder.path(), &[], &[("CVC5", no_solver)]);
        assert_eq!(proved.code, 1);
        assert!(proved.data.is_empty());
        assert!(
            proved.messages.starts_with("error: ") && proved.messages.contains(no_solver),
            "{}",
            proved.messages
        );
        assert!(
            proved.messages.contains("\nhint: install cvc5"),
            "{}",
            proved.messages
        );
    }
}

/// A program that starts like cvc5 and then runs `then`.
fn fake_solver(then: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("cvc5");
    let greeting = "if [ \"$1\" = --version ]; then echo 'This is cvc5 version 0'; exit; fi";
    fs::write(&program, format!("#!/bin/sh\n{greeting}\n{then}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, program)
}

#[test]
fn an_invariant_that_is_not_proved_in_time_fails_the_check() {
    let policies = copy_of_shipped_policies();
    let (_folder, program) = fake_solver("exec sleep 600");
    let environment = [("CVC5", program.to_str().unwrap())];
    let limit = ["--json", "--time-limit", "1"];
    let proved = prove(policies.path(), &limit, &environment);
    assert_eq!(proved.code, 3, "{}", proved.messages);
    let proof: Value = serde_json::from_str(&proved.data).unwrap();
    assert!(verdicts(&proof, "unproven").contains(&"drafts-stay-inside"));
}

#[test]
fn a_solver_that_claims_counterexamples_proves_nothing() {
    let policies = copy_of_shipped_policies();
    // It claims a counterexample for everything, and cannot give one.
    let (_folder, program) = fake_solver(
        "while read -r line; do case \"$line\" in *check-sat*) echo sat;; *get-model*) echo '('; echo ')';; esac; done",
    );
    let environment = [("CVC5", program.to_str().unwrap())];
    let proved = prove(policies.path(), &["--json"], &environment);
    assert_eq!(proved.code, 3, "{}", proved.messages);
    let proof: Value = serde_json::from_str(&proved.data).unwrap();
    assert_eq!(verdicts(&proof, "violated"), Vec::<&str>::new());
    assert!(verdicts(&proof, "unproven").contains(&"drafts-stay-inside"));
}

#[test]
fn the_solver_gets_no_secrets_in_its_environment() {
    let policies = copy_of_shipped_policies();
    let (folder, program) = fake_solver("env >\"$0.env\"; exit 1");
    let environment = [
        ("CVC5", program.to_str().unwrap()),
        ("CEDARGATE_DATABASE_URL", "postgres://u:hush@localhost/x"),
    ];
    prove(policies.path(), &[], &environment);
    let seen_environment = fs::read_to_string(folder.path().join("cvc5.env")).unwrap();
    assert!(!seen_environment.contains("hush"), "{seen_environment}");
}

#[test]
fn counterexamples_are_saved_under_a_new_name_of_a_case_file_only() {
    let folder = copy_of_shipped_policies();
    let there = folder.path().join("public.cases.json");
    for refused in [there.as_path(), Path::new("found.json")] {
        let before = fs::read(&there).unwrap();
        let proved = prove(folder.path(), &["--save", refused.to_str().unwrap()], &[]);
        assert_eq!(proved.code, 1);
        assert!(proved.messages.contains("\nhint: "), "{}", proved.messages);
        assert_eq!(fs::read(&there).unwrap(), before);
    }
}

#[test]
fn an_upper_bound_that_a_linked_policy_breaks_is_found_and_the_counterexample_names_it() {
    let (edited, right) = (copy_of_shipped_policies(), copy_of_shipped_policies());
    let template = "@id(\"readers\") @reason(\"x\")\n\
        permit (principal in ?principal, action == Action::\"read\", resource is Dataset);\n";
    let links = r#"[{"template_id": "readers", "link_id": "geology-reads",
        "args": {"?principal": "Role::\"geology\""}}]"#;
    fs::write(edited.path().join("readers.cedar"), template).unwrap();
    let (code, found) = prove_json(edited.path());
    assert_eq!(code, 0, "a template alone permits nothing: {found}");
    fs::write(edited.path().join("readers.links.json"), links).unwrap();
    let (_, found) = prove_json(edited.path());
    assert!(found.to_string().contains("geology-reads"), "{found}");
    let violated = [
        "drafts-stay-inside",
        "private-stays-inside",
        "restricted-is-for-readers",
    ];
    assert_violation_is_reproduced(edited.path(), right.path(), &violated, "deny", "allow");
}
