//! Texts where an entity of an enumeration is wanted, and schemas of the time when they were texts.

use std::fs;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::folder::PolicyFolder;
use crate::policy::tests::fixtures::{bundle, folder, schema_of_texts};
use crate::policy::{Bundle, BundleError};

fn of_condition(condition: &str) -> Result<Bundle, BundleError> {
    bundle(&format!(
        "@id(\"p\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\n{condition};\n"
    ))
}

/// The help at each problem of a policy.
fn help(condition: &str) -> Vec<String> {
    let error = of_condition(condition).unwrap_err();
    let help = |problem: &SourceDiagnostic| problem.help().unwrap_or(problem.message()).to_owned();
    error.problems().iter().map(help).collect()
}

#[test]
fn a_text_is_answered_with_the_comparison_to_write() {
    let all = [
        "when { context.authentication == \"api_key\" }",
        "when { \"api_key\" == context.authentication }",
        "when { context.authentication != \"password\" }",
        "unless { !(context.authentication == \"none\") }",
        "when { [\"password\", \"issuer\"].contains(context.authentication) }",
        "when { [\"password\", \"issuer\"].containsAny([context.authentication]) }",
        "when { context.authentication in [\"password\"] }",
        "when { context.authentication in \"password\" }",
        "when { context.authentication like \"pass*\" }",
        "when { context.authentication like \"*s*\" || resource.title == \"x\" }",
        "when { context.authentication like \"x*\" }",
        "when { context.authentication == \"apikey\" }",
        "when { context.authentication == \"API_KEY\" }",
        "when { context.authentication == \"cookie\" }",
        "when { context.authentication == Authentication::\"apikey\" }",
        "when { context has key.actions && context.key.actions.contains(\"read\") }",
        "when { context has key.actions && context.key.actions.containsAll([\"read\", \"discovr\"]) }",
        "when { context has key.actions && context.key.actions == [\"read\"] }",
        "when { context has key.actions && context.key.actions.contains(KeyAction::\"reed\") }",
        "when { context has key.actions && context.key.actions.contains(Action::\"read\") }",
        "when { resource.visibility == \"public\" }",
        "when { [\"public\", \"Internal\"].contains(resource.visibility) }",
        "when { resource.record_status != \"draft\" && resource.visibility like \"p*\" }",
        "when { if context.authentication == \"issuer\" then true else resource.title like \"a*\" }",
    ];
    let told = all.map(|condition| format!("{condition}\n    {}", help(condition).join("\n    ")));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn other_comparisons_of_texts_get_no_advice_about_words() {
    for condition in [
        "when { resource.title == Visibility::\"public\" }",
        "when { principal is User && principal.username == 1 }",
        "when { context.authentication == 1 }",
    ] {
        let said = help(condition).join("\n");
        assert!(!said.contains("write `"), "{condition}: {said}");
    }
}

#[test]
fn a_schema_that_declares_texts_is_warned_of() {
    let files = folder(&[(
        "p.cedar",
        "@id(\"p\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
         when { context.authentication == \"api_key\" && context has key.actions && context.key.actions.contains(\"read\") };\n",
    )]);
    let schema = files.path().join("schema.cedarschema");
    fs::write(&schema, schema_of_texts()).unwrap();
    let bundle = Bundle::load(files.path()).unwrap();
    let lines: Vec<String> = bundle.warnings().iter().map(ToString::to_string).collect();
    let origin = format!("{}/", files.path().display());
    insta::assert_snapshot!(lines.join("\n").replace(&origin, ""));
}

#[test]
fn a_schema_with_half_of_the_words_is_refused() {
    let files = folder(&[(
        "p.cedar",
        "@id(\"p\") @reason(\"x\") permit (principal, action, resource);",
    )]);
    let path = files.path().join("schema.cedarschema");
    let shipped = fs::read_to_string(&path).unwrap();
    for (whole, half) in [
        (
            "[\"none\", \"password\", \"api_key\", \"issuer\"]",
            "[\"none\", \"password\", \"api_key\"]",
        ),
        ("\"view_keys\", \"view_issuers\",\n", "\"view_keys\",\n"),
    ] {
        assert!(shipped.contains(whole), "{whole}");
        fs::write(&path, shipped.replace(whole, half)).unwrap();
        let error = Bundle::load(files.path()).unwrap_err();
        let lines = error.lines().join("\n");
        assert!(
            lines.contains("keep the declarations of the shipped schema"),
            "{lines}"
        );
    }
    // Folders have been written before services could ask.
    let words =
        ",\n  \"evaluate\", \"search\", \"assume_context\", \"share\", \"edit_policies\"\n]";
    assert!(shipped.contains(words));
    let (before, _) = shipped
        .split_once("\n// What other services may ask")
        .unwrap();
    fs::write(&path, before.replace(words, "\n]")).unwrap();
    assert!(Bundle::load(files.path()).is_ok());
    // A word of one's own harms nobody.
    let more = shipped.replace("\"issuer\"]", "\"issuer\", \"certificate\"]");
    assert_ne!(more, shipped);
    fs::write(&path, more).unwrap();
    assert!(Bundle::load(files.path()).is_ok());
}

#[test]
fn a_case_has_a_word_or_an_entity_and_a_misspelt_word_is_told() {
    let case = |authentication: &str| {
        let text = format!(
            "[{{\"request\": {{\"principal\": \"Anonymous::\\\"anonymous\\\"\", \"action\": \"Action::\\\"read\\\"\", \
             \"resource\": \"Dataset::\\\"d\\\"\", \"context\": {{\"address\": \"192.0.2.7\", \"time\": \"2026-03-01\", \
             \"authentication\": {authentication}}}}}, \"entities\": [], \"decision\": \"allow\", \"reason\": [\"p\"], \"num_errors\": 0}}]"
        );
        let files = folder(&[
            (
                "p.cedar",
                "@id(\"p\") @reason(\"x\") permit (principal, action, resource)\nwhen { context.authentication == Authentication::\"none\" };",
            ),
            ("p.cases.json", &text),
        ]);
        let read = PolicyFolder::load(files.path()).unwrap();
        let bundle = read.bundle().unwrap();
        let run = read.cases().unwrap().run(&bundle);
        run.map(|report| report.is_passed())
            .map_err(|error| error.lines().join("\n"))
    };
    for good in [
        "\"none\"",
        "{\"__entity\": {\"type\": \"Authentication\", \"id\": \"none\"}}",
        "{\"type\": \"Authentication\", \"id\": \"none\"}",
    ] {
        assert_eq!(case(good), Ok(true), "{good}");
    }
    assert_eq!(case("\"password\""), Ok(false));
    let bad = [
        "\"apikey\"",
        "\"cookie\"",
        "1",
        "{\"type\": \"Authentication\", \"id\": \"apikey\"}",
    ];
    let told: Vec<String> = bad
        .into_iter()
        .map(|bad| {
            let said = case(bad).unwrap_err();
            format!("{bad}\n    {}", said.rsplit_once(".cases.json").unwrap().1)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
