//! Short cases: by the names of a base situation, with only what differs from it.

use super::fixtures::folder;
use crate::policy::cases::{CaseDecision, CaseReport};
use crate::policy::folder::PolicyFolder;

const SITUATION: &str = include_str!("../../../policies/situation.json");
const POLICIES: [(&str, &str); 3] = [
    (
        "public.cedar",
        include_str!("../../../policies/public.cedar"),
    ),
    (
        "shared.cedar",
        include_str!("../../../policies/shared.cedar"),
    ),
    (
        "night.cedar",
        "@id(\"night\") @reason(\"Nobody reads at night.\")\n\
         forbid (principal, action == Action::\"read\", resource)\n\
         when { context.time.toTime() >= duration(\"22h\") };\n\
         @id(\"checked\") @reason(\"What is being checked is not read.\")\n\
         forbid (principal, action == Action::\"read\", resource)\n\
         when { resource.hasTag(\"state\") && resource.getTag(\"state\").contains(\"checking\") };\n\
         @id(\"no-keys\") @reason(\"Keys are for others.\")\n\
         forbid (principal, action == Action::\"read\", resource) when { context has key };\n",
    ),
];

fn run(files: &[(&str, &str)]) -> Result<CaseReport, String> {
    let folder = folder(&[&POLICIES[..], files].concat());
    let origin = format!("{}/", folder.path().display());
    let policies = PolicyFolder::load(folder.path()).unwrap();
    let report = policies
        .cases()
        .and_then(|cases| cases.run(&policies.bundle().unwrap()));
    report.map_err(|error| error.render(false).replace(&origin, ""))
}

/// A case about the restricted dataset of the situation.
fn case(differing: &str) -> String {
    format!(
        "{{\"principal\": \"mo\", \"action\": \"read\", \
         \"resource\": \"Salish Sea: topography and bathymetry\", {differing}}}"
    )
}

#[test]
fn a_short_case_says_only_what_differs_from_the_situation() {
    let sea = "Salish Sea: topography and bathymetry";
    let allow = |by: &str| format!("\"decision\": \"allow\", \"reason\": [\"{by}\"]");
    let deny = |by: &str| format!("\"decision\": \"deny\", \"reason\": [{by}]");
    let cases = [
        case(&allow("shared-with-role")),
        case(&format!(
            "\"context\": {{\"time\": \"2026-01-01T22:00:00Z\"}}, {}",
            deny("\"night\"")
        )),
        case(&format!(
            "\"context\": {{\"address\": \"unknown\"}}, {}",
            allow("shared-with-role")
        )),
        case(&format!(
            "\"context\": {{\"authentication\": \"api_key\", \"key\": {{\"actions\": [\"read\"]}}}}, {}",
            deny("\"no-keys\"")
        )),
        case(&format!(
            "\"with\": {{\"mo\": {{\"parents\": []}}}}, {}",
            deny("")
        )),
        case(&format!(
            "\"with\": {{\"mo\": {{\"parents\": [\"night-crew\"]}}}}, {}",
            deny("")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"reader_roles\": []}}}}, {}",
            deny("")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"reader_roles\": [], \"reader_users\": [\"mo\"]}}}}, {}",
            allow("shared-with-user")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"visibility\": \"public\"}}}}, {}",
            allow("public")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"record_status\": \"draft\"}}}}, {}",
            deny("")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"owner\": null}}}}, {}",
            allow("shared-with-role")
        )),
        case(&format!(
            "\"with\": {{\"{sea}\": {{\"tags\": {{\"state\": [\"checking\"]}}}}}}, {}",
            deny("\"checked\"")
        )),
        format!(
            "{{\"name\": \"nobody\", \"principal\": \"anonymous\", \"action\": \"Action::\\\"read\\\"\", \
             \"resource\": \"Dataset::\\\"0c0c0c0c-0000-4000-8000-0000000da001\\\"\", \"num_errors\": 0, {}}}",
            allow("public")
        ),
    ];
    let report = run(&[
        ("situation.json", SITUATION),
        (
            "deeper/short.cases.json",
            &format!("[{}]", cases.join(",\n")),
        ),
    ])
    .unwrap();
    let failures = report.results.iter().filter(|result| !result.is_passed);
    let failures: Vec<_> = failures.map(|it| (it.line, it.failure.clone())).collect();
    assert_eq!(failures, []);
    assert_eq!(report.passed, cases.len());
    assert_eq!(report.results[0].actual, CaseDecision::Allow);
}

/// Each names the place, and what was probably meant.
#[test]
fn a_short_case_that_does_not_fit_is_reported_at_its_place() {
    let sea = "Salish Sea: topography and bathymetry";
    let whole = |principal: &str, action: &str, resource: &str| {
        format!(
            "{{\"principal\": {principal}, \"action\": {action}, \"resource\": {resource}, \
             \"decision\": \"deny\"}}"
        )
    };
    let quoted = |text: &str| format!("\"{text}\"");
    let (mo, read, resource) = (quoted("mo"), quoted("read"), quoted(sea));
    let with = |changes: &str| {
        case(&format!(
            "\"with\": {{\"{sea}\": {{{changes}}}}}, \"decision\": \"deny\""
        ))
    };
    let broken = [
        whole(&quoted("moo"), &read, &resource),
        whole(&quoted("somebody"), &read, &resource),
        whole(&mo, &quoted("raed"), &resource),
        whole(
            &mo,
            &read,
            &quoted("Salish Sea: topography and bathymetrie"),
        ),
        whole(&mo, &read, &mo),
        whole("1", &read, &resource),
        case("\"decision\": \"denied\""),
        case("\"decison\": \"deny\""),
        case("\"name\": \"no decision\""),
        case("\"decision\": \"deny\", \"decision\": \"deny\""),
        case("\"decision\": \"deny\", \"context\": {\"adress\": \"192.0.2.1\"}"),
        case("\"decision\": \"deny\", \"context\": {\"address\": \"192.0.2.256\"}"),
        case("\"decision\": \"deny\", \"context\": []"),
        case("\"decision\": \"deny\", \"with\": {\"moo\": {}}"),
        with("\"visibilty\": \"public\""),
        with("\"visibility\": \"pubic\""),
        with("\"reader_users\": [\"moo\"]"),
        with("\"roles\": []"),
        with("\"title\": 1"),
    ];
    let told: Vec<String> = broken
        .iter()
        .map(|case| {
            let cases = format!("[\n{case}]");
            run(&[("situation.json", SITUATION), ("short.cases.json", &cases)]).unwrap_err()
        })
        .collect();
    insta::assert_snapshot!(told.join("-----\n"));
}

#[test]
fn a_situation_that_is_not_there_or_not_valid_is_reported_where_a_case_needs_it() {
    let short = format!("[\n{}]", case("\"decision\": \"deny\""));
    let mut told = vec![run(&[("short.cases.json", &short)]).unwrap_err()];
    for situation in [
        "[]",
        "{\"entities\": {}}",
        "{\"entities\": [], \"contxt\": {}}",
        "{\"entities\": [{\"uid\": {\"type\": \"User\", \"id\": \"mo\"}, \"attrs\": {\"usrname\": \"mo\"}}]}",
        "{\"entities\": [{\"uid\": {\"type\": \"Usr\", \"id\": \"mo\"}}]}",
        "{\"entities\": [{\"id\": \"mo\"}]}",
        "{\"entities\": [], \"entities\": []}",
        &SITUATION.replace("\"otto\"", "\"mo\""),
        &SITUATION.replace("00000000b003", "00000000b002"),
    ] {
        let files = [("situation.json", situation), ("short.cases.json", &short)];
        told.push(run(&files).unwrap_err());
    }
    insta::assert_snapshot!(told.join("-----\n"));
    // Nothing needs it here.
    assert!(run(&[("situation.json", "[]"), ("none.cases.json", "[]")]).is_ok());
}
