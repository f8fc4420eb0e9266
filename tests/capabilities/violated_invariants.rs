//! Violated invariants: which policy violates it, and the two ways on, each of which is tried here as it is told.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::cli::{cedargate, copy_of_shipped_policies, edit, prove};

const DATASETS: &str = "invariants/datasets.cedar";

fn prove_json(folder: &Path) -> Value {
    let proved = prove(folder, &["--json"], &[]);
    serde_json::from_str(&proved.data).unwrap_or_else(|_| panic!("{}", proved.messages))
}

fn invariant<'a>(proof: &'a Value, id: &str) -> &'a Value {
    let mut all = proof["invariants"].as_array().unwrap().iter();
    all.find(|one| one["id"] == id).unwrap()
}

/// A folder with one more file, and what is told of an invariant that it violates.
fn told(text: &str, id: &str) -> (tempfile::TempDir, Value) {
    let folder = copy_of_shipped_policies();
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    let proof = prove_json(folder.path());
    let found = invariant(&proof, id);
    assert_eq!(found["verdict"], "violated", "{found:#}");
    let ways = found["ways_on"].clone();
    (folder, ways)
}

const OTTO: &str = "@id(\"otto-until\") @reason(\"Otto tests the new model.\")\n\
    permit (principal == User::\"0a0a0a0a-0000-4000-8000-0000000000ff\", action == Action::\"read\", resource)\n\
    when { context.time < datetime(\"2027-01-01\") };\n";

/// Invariant, policy, and the condition that it lacks.
const LACKING: &[(&str, &str, &str)] = &[
    (
        "private-stays-inside",
        OTTO,
        "when { resource.visibility != Visibility::\"private\" }",
    ),
    (
        "drafts-stay-inside",
        OTTO,
        "when { resource.record_status == RecordStatus::\"published\" }",
    ),
    (
        "admins-may-do-everything",
        "@id(\"office-only\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource)\n\
         unless { context.address.isInRange(ip(\"198.51.100.0/24\")) };",
        "unless { principal in Role::\"admin\" }",
    ),
    (
        "admins-may-do-everything",
        "@id(\"no-night-work\") @reason(\"x\")\nforbid (principal is User, action, resource)\n\
         when { context.time.toTime() > duration(\"22h\") };",
        "unless { principal in Role::\"admin\" }",
    ),
    (
        "anonymous-reads-public",
        "@id(\"open-house\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\n\
         when { resource.visibility == Visibility::\"internal\" && resource.record_status == RecordStatus::\"published\" };",
        "unless { principal is Anonymous }",
    ),
    (
        "only-admins-administer",
        "@id(\"helpers\") @reason(\"x\")\npermit (principal in Role::\"helpers\", action == Action::\"view_users\", resource);",
        "when { principal in Role::\"admin\" }",
    ),
    (
        "private-stays-inside",
        "@id(\"wide\") @reason(\"x\")\npermit (principal in Role::\"wide\", action, resource);",
        "when { resource is Dataset && (resource.visibility != Visibility::\"private\") }",
    ),
];

#[test]
fn the_condition_that_a_policy_lacks_is_told_and_is_enough() {
    for (id, policy, condition) in LACKING {
        let (folder, ways) = told(policy, id);
        let [found] = &ways["policies"].as_array().unwrap()[..] else {
            panic!("{id}: {ways:#}");
        };
        assert_eq!(found["condition"], *condition, "{id}: {ways:#}");
        let policy = policy.trim_end().strip_suffix(';').unwrap();
        let text = format!("{policy}\n{condition};\n");
        fs::write(folder.path().join("mine.cedar"), text).unwrap();
        let proof = prove_json(folder.path());
        assert_eq!(invariant(&proof, id)["verdict"], "holds", "{id}: {proof:#}");
    }
}

#[test]
fn the_exception_to_write_is_told_and_is_enough() {
    let lines = [
        ("drafts-stay-inside", "@id(\"drafts-stay-inside\")"),
        ("private-stays-inside", "@id(\"private-stays-inside\")"),
        (
            "restricted-is-for-readers",
            "@id(\"restricted-is-for-readers\")",
        ),
    ];
    let (folder, ways) = told(OTTO, "private-stays-inside");
    assert_eq!(ways["except"], "@except(\"otto-until\")", "{ways:#}");
    let printed = prove(folder.path(), &[], &[]);
    assert_eq!(printed.code, 3);
    let start = printed.data.find("VIOLATED  private-stays-inside").unwrap();
    let of_private = printed.data[start..].lines().filter(|line| {
        ["VIOLATED", "Violated", "narrow", "or name"]
            .iter()
            .any(|word| line.contains(word))
    });
    insta::assert_snapshot!(of_private.take(4).collect::<Vec<_>>().join("\n"));
    for (_, written) in lines {
        let excepted = format!("{written}\n@except(\"otto-until\")");
        edit(folder.path(), DATASETS, written, &excepted);
    }
    let printed = prove(folder.path(), &[], &[]);
    assert_eq!(printed.code, 0, "{}{}", printed.data, printed.messages);
    assert!(
        printed
            .data
            .contains("except `otto-until` (mine.cedar): Otto tests the new model."),
        "{}",
        printed.data
    );
    // Of another policy the invariants say what they said before.
    let other = OTTO.replace("otto-until", "other");
    fs::write(folder.path().join("other.cedar"), other).unwrap();
    let proof = prove_json(folder.path());
    let found = invariant(&proof, "private-stays-inside");
    assert_eq!(found["verdict"], "violated");
    assert_eq!(
        found["ways_on"]["policies"].as_array().unwrap().len(),
        1,
        "{found:#}"
    );
    assert_eq!(found["ways_on"]["policies"][0]["policy"], "other");
    assert_eq!(found["ways_on"]["except"], "@except(\"other, otto-until\")");
}

#[test]
fn an_exception_of_a_template_stands_for_all_its_links() {
    let folder = copy_of_shipped_policies();
    let template = "@id(\"guests\") @reason(\"Guests of a project.\")\n\
        permit (principal in ?principal, action == Action::\"read\", resource == ?resource);\n";
    let link = |number: usize| {
        serde_json::json!({"template_id": "guests", "link_id": format!("guests-{number}"),
            "args": {"?principal": format!("Role::\"project-{number}\""),
                     "?resource": format!("Dataset::\"00000000-0000-4000-8000-{number:012}\"")}})
    };
    let links: Vec<Value> = (0..3).map(link).collect();
    fs::write(folder.path().join("guests.cedar"), template).unwrap();
    fs::write(
        folder.path().join("guests.links.json"),
        Value::from(links).to_string(),
    )
    .unwrap();
    let proof = prove_json(folder.path());
    let ways = &invariant(&proof, "private-stays-inside")["ways_on"];
    assert_eq!(ways["except"], "@except(\"guests\")", "{ways:#}");
    assert_eq!(ways["policies"].as_array().unwrap().len(), 3, "{ways:#}");
    let written = "@invariant(\"upper\")";
    let text = fs::read_to_string(folder.path().join(DATASETS)).unwrap();
    let text = text.replace(written, &format!("{written}\n@except(\"guests\")"));
    fs::write(folder.path().join(DATASETS), text).unwrap();
    let printed = prove(folder.path(), &[], &[]);
    assert_eq!(printed.code, 0, "{}{}", printed.data, printed.messages);
    assert!(
        printed
            .data
            .contains("except `guests` (guests.cedar, 3 links)"),
        "{}",
        printed.data
    );
}

#[test]
fn an_exception_without_effect_is_a_warning_and_one_without_reason_an_error() {
    let check = |annotation: &str, policy: &str| {
        let folder = copy_of_shipped_policies();
        fs::write(folder.path().join("mine.cedar"), policy).unwrap();
        let written = "@id(\"private-stays-inside\")";
        edit(
            folder.path(),
            DATASETS,
            written,
            &format!("{written}\n@except({annotation})"),
        );
        let path = folder.path().to_str().unwrap();
        let output = cedargate(folder.path(), &["policy", "check", path, "--json"], &[]);
        let report: Value = serde_json::from_str(&output.data).unwrap();
        let lines = ["problems", "warnings"].map(|kind| {
            let listed = report[kind].as_array().unwrap().iter();
            let about = listed.filter(|one| one["file"].as_str().unwrap().contains("invariants"));
            let lines = about.map(|one| {
                let (line, message, help) = (&one["line"], &one["message"], &one["help"]);
                format!(
                    "{kind}: line {line}: {} ({})",
                    message.as_str().unwrap(),
                    help.as_str().unwrap()
                )
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        format!("@except({annotation})\n{}", lines.join("\n").trim())
    };
    let forbid = OTTO.replace("permit", "forbid");
    let without_reason = OTTO.replace("@reason(\"Otto tests the new model.\")", "");
    let told = [
        check("\"otto-until\"", OTTO),
        check("\"owner, otto-until\"", OTTO),
        check("\"otto-untill\"", OTTO),
        check("\"somebody\"", OTTO),
        check("\"otto-until\"", &forbid),
        check("\"otto-until\"", &without_reason),
        check("\" , \"", OTTO),
        check("\"\"", OTTO),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_forbid_may_be_an_exception_of_a_lower_bound() {
    let policy = "@id(\"lockdown\") @reason(\"Nobody reads during the audit.\")\n\
        forbid (principal, action == Action::\"read\", resource);\n";
    let (folder, ways) = told(policy, "admins-may-do-everything");
    assert_eq!(ways["except"], "@except(\"lockdown\")");
    let written = "@id(\"admins-may-do-everything\")";
    edit(
        folder.path(),
        "invariants/admins.cedar",
        written,
        &format!("{written}\n@except(\"lockdown\")"),
    );
    let printed = prove(folder.path(), &[], &[]);
    assert_eq!(printed.code, 0, "{}{}", printed.data, printed.messages);
}

#[test]
fn a_permit_that_is_gone_is_told_as_such() {
    let folder = copy_of_shipped_policies();
    fs::remove_file(folder.path().join("admin.cedar")).unwrap();
    fs::remove_file(folder.path().join("admin.cases.json")).unwrap();
    let proof = prove_json(folder.path());
    let ways = &invariant(&proof, "admins-may-do-everything")["ways_on"];
    assert_eq!(ways["lacks_permit"], true, "{ways:#}");
    assert_eq!(ways["except"], Value::Null);
}

/// Conditions of a policy that never applies, what is told of it, and the help.
const CONTRADICTIONS: &[(&str, &str, &str)] = &[
    (
        "when { resource.visibility == Visibility::\"restricted\" && context.time.toTime() >= duration(\"22h\") && context.time.toTime() < duration(\"4h\") }",
        "`context.time.toTime() >= duration(\"22h\")` (line 3) and `context.time.toTime() < duration(\"4h\")` (line 3) are never true together",
        "for a window over midnight write `context.time.toTime() >= duration(\"22h\") || context.time.toTime() < duration(\"4h\")`",
    ),
    (
        "when { context.time > datetime(\"2027-01-01\") }\nwhen { resource.title like \"a*\" }\nunless { context.time >= datetime(\"2026-01-01\") || resource.title == \"b\" }",
        "`context.time > datetime(\"2027-01-01\")` (line 3) and `!(context.time >= datetime(\"2026-01-01\"))` (line 5) are never true together",
        "",
    ),
    (
        "when { resource has owner && resource.owner == principal && principal is User && principal.username == \"a\" && principal.username like \"b*\" }",
        "are never true together",
        "",
    ),
    (
        "when { (resource.title == \"a\" && resource.title == \"b\") || (resource.title == \"c\" && resource.title == \"d\") }",
        "(line 3) is never true",
        "",
    ),
    (
        "when { context.address.isInRange(ip(\"192.0.2.0/24\")) && context.address.isIpv6() }",
        "`context.address.isInRange(ip(\"192.0.2.0/24\"))` (line 3) and `context.address.isIpv6()` (line 3) are never true together",
        "",
    ),
];

#[test]
fn a_policy_that_never_applies_is_told_with_the_parts_that_contradict_each_other() {
    let folder = copy_of_shipped_policies();
    for (conditions, reason, help) in CONTRADICTIONS {
        let policy = format!(
            "@id(\"never\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\n{conditions};\n"
        );
        fs::write(folder.path().join("never.cedar"), policy).unwrap();
        let proof = prove_json(folder.path());
        let idle = proof["idle"].as_array().unwrap();
        let found = idle.iter().find(|one| one["kind"] == "never_applies");
        let found = found.unwrap_or_else(|| panic!("{conditions}: {proof:#}"));
        assert!(
            found["reason"]
                .as_str()
                .unwrap_or_default()
                .contains(reason),
            "{found:#}"
        );
        assert!(
            found["help"].as_str().unwrap_or_default().contains(help),
            "{found:#}"
        );
        assert_eq!(found["help"].is_null(), help.is_empty(), "{found:#}");
    }
}
