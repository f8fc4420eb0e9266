//! Running the cases of a folder.

use super::fixtures::folder;
use super::rejected_folders::ALL;
use crate::policy::BundleError;
use crate::policy::cases::CaseReport;
use crate::policy::folder::PolicyFolder;

const CASE: &str = r#"[
  {
    "name": "anyone",
    "request": {
      "principal": "Anonymous::\"anonymous\"",
      "action": "Action::\"read\"",
      "resource": "Dataset::\"d\"",
      "context": {"address": "192.0.2.7", "time": "2026-03-01", "authentication": "none"}
    },
    "entities": [],
    "decision": "allow",
    "reason": ["all"],
    "num_errors": 0
  }
]
"#;

fn run(policies: &str, cases: &str) -> Result<CaseReport, BundleError> {
    let folder = folder(&[
        ("a.cedar", policies),
        ("a.cases.json", cases),
        ("none.json", "[]"),
    ]);
    let folder = PolicyFolder::load(folder.path()).unwrap();
    folder.cases().unwrap().run(&folder.bundle().unwrap())
}

#[test]
fn a_case_that_passes_is_reported_with_its_location() {
    let report = run(ALL, CASE).unwrap();
    assert!(report.is_passed());
    let result = &report.results[0];
    assert_eq!((result.file.as_str(), result.line), ("a.cases.json", 2));
    assert_eq!(report.without_allow_case, Vec::<String>::new());
    assert_eq!(report.without_deny_case, ["all"]);
    assert!(!report.is_complete());
    assert!(
        report
            .render()
            .contains("no case with a denied request: all")
    );
    let from_file = CASE.replace("\"entities\": []", "\"entities\": \"./none.json\"");
    assert!(run(ALL, &from_file).unwrap().is_passed());
}

#[test]
fn a_policy_is_named_as_its_id_is_written() {
    let policies = ALL.replace("\"all\"", r#""it's \"all\"""#);
    let cases = CASE.replace("[\"all\"]", r#"["it's \"all\""]"#);
    assert!(policies != ALL && cases != CASE);
    assert!(run(&policies, &cases).unwrap().is_passed());
}

#[test]
fn a_failed_case_demonstrates_nothing() {
    for (written, edited, failure) in [
        ("allow", "deny", "expected deny, got allow"),
        ("[\"all\"]", "[\"other\"]", "not determined by other"),
        (
            "\"num_errors\": 0",
            "\"num_errors\": 1",
            "expected 1 errors, got 0",
        ),
    ] {
        let report = run(ALL, &CASE.replace(written, edited)).unwrap();
        assert_eq!(report.results[0].failure.as_deref(), Some(failure));
        assert_eq!(report.without_allow_case, ["all"]);
        assert!(!report.is_passed() && report.render().contains("FAILED"));
    }
    assert!(!run(ALL, "[]").unwrap().is_passed());
}

#[test]
fn a_failing_policy_is_a_denied_case() {
    let policies = format!(
        "{ALL}@id(\"broken\") forbid (principal, action, resource) when {{ 9223372036854775807 + 1 > 0 }};"
    );
    let case = CASE.replace("\"num_errors\": 0", "\"num_errors\": 1");
    let report = run(&policies, &case).unwrap();
    assert_eq!(report.results[0].actual.as_str(), "deny");
    assert!(
        run(&policies, &case.replace("allow", "deny"))
            .unwrap()
            .is_passed()
    );
}

#[test]
fn broken_case_files_are_reported_with_file_and_line() {
    let place = |cases: &str| {
        let error = run(ALL, cases).unwrap_err();
        let problem = &error.problems()[0];
        assert!(problem.file().ends_with("a.cases.json"));
        (problem.position().unwrap().0, problem.message().to_owned())
    };
    assert_eq!(place("[\n  {,\n]").0, 2);
    assert_eq!(place("{}").0, 1);
    for (written, edited, line, message) in [
        ("\"allow\"", "\"permit\"", 11, "unknown variant `permit`"),
        (
            "    \"num_errors\": 0\n",
            "    \"errors\": 0\n",
            14,
            "missing field `num_errors`",
        ),
        ("Action::\\\"read\\\"", "Action::\\\"reed\\\"", 2, "reed"),
        ("Anonymous::", "Anonymus::", 2, "Anonymus"),
        ("\"192.0.2.7\"", "7", 2, "context: "),
        (
            "\"entities\": []",
            "\"entities\": \"../outside.json\"",
            2,
            "not found",
        ),
        (
            "\"entities\": []",
            "\"entities\": [{\"uid\": {\"type\": \"Rle\", \"id\": \"a\"}, \"attrs\": {}, \"parents\": []}]",
            2,
            "Rle",
        ),
    ] {
        assert!(CASE.contains(written), "{written}");
        let (at, said) = place(&CASE.replacen(written, edited, 1));
        assert!(
            at == line && said.contains(message),
            "{edited}: line {at}: {said}"
        );
    }
}

/// Only one case satisfies the policy; conditions after one that does not hold are not evaluated.
#[test]
fn coverage_lists_the_conditions_that_no_case_makes_false_or_true() {
    let policies = "@id(\"all\") permit (principal, action == Action::\"read\", resource)\n\
        when { context.authentication == Authentication::\"none\" }\n\
        unless { context.address.isLoopback() }\n\
        when { resource == Dataset::\"d\" };\n";
    let folder = folder(&[
        ("a.cedar", policies),
        (
            "a.cases.json",
            &CASE
                .replace("\"none\"", "\"password\"")
                .replace("allow", "deny")
                .replace("[\"all\"]", "[]")
                .replace("Dataset::\\\"d", "Dataset::\\\"e"),
        ),
        ("b.cases.json", CASE),
    ]);
    let folder = PolicyFolder::load(folder.path()).unwrap();
    let bundle = folder.bundle().unwrap();
    let coverage = folder.cases().unwrap().coverage(&bundle).unwrap();
    let conditions = |uncovered: &[crate::policy::coverage::Uncovered]| -> Vec<String> {
        uncovered
            .iter()
            .filter_map(|one| one.condition.clone())
            .collect()
    };
    assert_eq!(coverage.never_satisfied, []);
    assert_eq!(
        conditions(&coverage.never_false),
        ["resource == Dataset::\"d\""]
    );
    assert_eq!(
        conditions(&coverage.never_true),
        ["context.address.isLoopback()"]
    );
}
