//! Rejected policy folders and their problems.

use std::fs;

use super::fixtures::{bundle, folder, problem_lines};
use crate::policy::folder::PolicyFolder;
use crate::policy::{Bundle, BundleError};

pub(super) const ALL: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

#[test]
fn a_type_error_is_reported_with_file_line_and_span() {
    let folder = folder(&[(
        "public.cedar",
        "// Public data.\n@id(\"public\")\npermit (principal, action, resource)\n\
         when { resource.visibilty == Visibility::\"public\" };\n",
    )]);
    let error = Bundle::load(folder.path()).unwrap_err();
    let [problem] = error.problems() else {
        panic!("{:?}", error.lines());
    };
    assert_eq!(problem.position(), Some((4, 8)));
    let origin = folder.path().display().to_string();
    insta::assert_snapshot!(error.render(false).replace(&origin, "policies"));
    insta::assert_snapshot!(error.lines().join("\n").replace(&origin, "policies"));
}

#[test]
fn a_policy_that_also_covers_administration_is_reported_with_how_to_limit_it_to_datasets() {
    let policy = |resource| {
        format!(
            "@id(\"a\")\npermit (principal, action, {resource})\nwhen {{ resource.title == \"x\" }};\n"
        )
    };
    let lines = problem_lines(&folder(&[("a.cedar", &policy("resource"))]));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("a.cedar:3:8: "), "{lines:?}");
    assert!(
        lines[0].contains("write `resource is Dataset`"),
        "{lines:?}"
    );
    assert!(bundle(&policy("resource is Dataset")).is_ok());
}

#[test]
fn all_problems_of_all_files_are_reported_at_once() {
    let folder = folder(&[
        (
            "a.cedar",
            "@id(\"a\")\npermit (principal, action resource);\n",
        ),
        ("b/b.cedar", "permit (principal, action, resource);\n"),
        (
            "c.cedar",
            "@id(\"c\")\npermit (principal, action, resource)\nwhen { context.adress.isLoopback() };\n\n\
             @id(\"c\")\npermit (principal is Usr, action, resource);\n",
        ),
    ]);
    insta::assert_snapshot!(problem_lines(&folder).join("\n"));
}

#[test]
fn a_colour_is_only_used_when_asked_for() {
    let error = bundle("permit (principal, action, resource);").unwrap_err();
    assert!(!error.render(false).contains('\u{1b}'));
    assert!(error.render(true).contains('\u{1b}'));
}

#[test]
fn a_policy_without_id_is_rejected() {
    let folder = folder(&[(
        "a.cedar",
        "// One.\npermit (principal, action, resource);\n",
    )]);
    assert!(problem_lines(&folder)[0].starts_with("a.cedar:2:1: the policy has no @id"));
}

#[test]
fn two_policies_with_one_id_are_rejected_with_both_places() {
    let folder = folder(&[("a.cedar", ALL), ("b.cedar", &format!("\n\n{ALL}"))]);
    let lines = problem_lines(&folder);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("b.cedar:3:1: the @id \"all\" is not unique"),
        "{lines:?}"
    );
    assert!(lines[0].contains("a.cedar:1"), "{lines:?}");
}

#[test]
fn an_id_that_is_not_allowed_in_audit_records_is_rejected() {
    for id in ["", "a\\nb", &"a".repeat(129)] {
        let error = bundle(&format!(
            "@id(\"{id}\") permit (principal, action, resource);"
        ));
        assert!(error.is_err(), "{id}");
    }
}

#[test]
fn a_max_ttl_out_of_bounds_is_rejected_at_its_place() {
    let refused = [
        "0",
        "121",
        "-5",
        "+60",
        "60s",
        "",
        " 60",
        "6 0",
        "1.5",
        "0x3c",
        "4294967297",
        "\u{666}\u{660}",
        "\u{ff16}\u{ff10}",
    ];
    for max_ttl in refused {
        let scope = "principal, action, resource";
        let template = "principal in ?principal, action, resource";
        for scope in [scope, template] {
            let policy = format!("@id(\"a\")\n@max_ttl(\"{max_ttl}\")\npermit ({scope});");
            let error = bundle(&policy).unwrap_err();
            assert_eq!(error.problems()[0].position(), Some((2, 1)), "{max_ttl}");
            let span = error.problems()[0].span().unwrap();
            assert_eq!(
                policy.get(span),
                Some(format!("@max_ttl(\"{max_ttl}\")").as_str())
            );
        }
    }
    for (max_ttl, seconds) in [("1", 1), ("060", 60), ("120", 120)] {
        let policy =
            format!("@id(\"a\") @max_ttl(\"{max_ttl}\") permit (principal, action, resource);");
        assert_eq!(
            bundle(&policy).unwrap().policies()["a"].max_ttl,
            Some(seconds)
        );
    }
    for other in [
        "@id(\"a\") @max_ttl(\"60\") forbid (principal, action, resource);",
        "@id(\"a\") @max_ttl(\"60\") @max_ttl(\"30\") permit (principal, action, resource);",
        "@id(\"a\") @max_ttl permit (principal, action, resource);",
    ] {
        let error = bundle(other).unwrap_err();
        assert_eq!(error.problems()[0].position().unwrap().0, 1, "{other}");
    }
}

#[test]
fn a_policy_that_reaches_deeper_than_one_level_is_rejected() {
    let error = bundle(
        "@id(\"a\") permit (principal is User, action, resource)\n\
         when { resource has owner && resource.owner.username == principal.username };",
    )
    .unwrap_err();
    assert_eq!(error.problems()[0].position().unwrap().0, 2);
}

#[test]
fn a_misspelt_visibility_is_rejected() {
    let policy = "@id(\"a\") permit (principal, action, resource)\n\
                  when { resource.visibility == Visibility::\"pubic\" };";
    assert_eq!(
        bundle(policy).unwrap_err().problems()[0]
            .position()
            .unwrap()
            .0,
        2
    );
}

#[test]
fn a_folder_without_policies_or_schema_or_itself_is_rejected() {
    for empty in [
        folder(&[]),
        folder(&[("a.cedar", "")]),
        folder(&[("a.cedar", " \r\n"), ("b.cedar", "// later")]),
    ] {
        assert!(problem_lines(&empty)[0].contains("the folder has no policies"));
    }
    let without_schema = folder(&[("a.cedar", ALL)]);
    fs::remove_file(without_schema.path().join("schema.cedarschema")).unwrap();
    assert!(
        problem_lines(&without_schema)[0]
            .starts_with("schema.cedarschema: the policy folder has no schema")
    );
    let missing = without_schema.path().join("missing");
    let error = Bundle::load(&missing).unwrap_err();
    assert!(matches!(error, BundleError::Unreadable { .. }));
    assert!(error.to_string().contains("missing"));
}

#[test]
fn a_broken_schema_is_reported_with_its_line() {
    let folder = folder(&[
        ("a.cedar", ALL),
        (
            "schema.cedarschema",
            "entity Role;\nentity User in [Rle];\n",
        ),
    ]);
    assert!(
        problem_lines(&folder)[0].starts_with("schema.cedarschema:2:"),
        "{:?}",
        problem_lines(&folder)
    );
}

#[test]
fn a_schema_that_does_not_fit_the_provided_data_is_rejected() {
    let schema = include_str!("../../../policies/schema.cedarschema");
    for (kept, edited) in [
        ("\"owner\"?: User,", ""),
        ("\"issuer\"?: String,", "\"issuer\"?: Long,"),
        ("principal: [User, Anonymous]", "principal: [User]"),
        ("\"time\": datetime", "\"time\": Long"),
        ("} tags Set<String>;\n\n// Somebody", "};\n\n// Somebody"),
        ("\"discover\", ", ""),
    ] {
        assert!(schema.contains(kept), "{kept}");
        let policy = "@id(\"a\") permit (principal, action == Action::\"read\", resource);";
        let edited = schema.replacen(kept, edited, 1);
        let lines = problem_lines(&folder(&[
            ("a.cedar", policy),
            ("schema.cedarschema", &edited),
        ]));
        assert!(
            lines[0].contains("does not fit the data that Cedargate provides"),
            "{kept}: {lines:?}"
        );
    }
}

#[test]
fn a_schema_with_optional_additions_is_accepted() {
    let schema = include_str!("../../../policies/schema.cedarschema")
        .replacen(
            "\"title\": String,",
            "\"title\": String,\n  \"licence\"?: String,",
            1,
        )
        .replacen("action \"read\"", "action \"look\";\naction \"read\"", 1)
        .replacen(
            "\"administer\" appliesTo",
            "\"administer\" in [\"look\"] appliesTo",
            1,
        );
    let policy = "@id(\"a\") permit (principal, action in Action::\"look\", resource);";
    let folder = folder(&[("a.cedar", policy), ("schema.cedarschema", &schema)]);
    let bundle = Bundle::load(folder.path()).unwrap();
    let anonymous = crate::domain::principal::Principal::Anonymous;
    let read = crate::domain::action::Action::Read;
    let decision = super::fixtures::decide(&bundle, &anonymous, read);
    assert!(decision.is_permitted, "{decision:?}");
}

#[test]
fn files_out_of_bounds_are_rejected() {
    let large = format!("{ALL}// {}", "a".repeat(1024 * 1024));
    assert!(problem_lines(&folder(&[("a.cedar", &large)]))[0].contains("larger than"));
    let folder = folder(&[("a.cedar", "permit")]);
    fs::write(folder.path().join("b.cedar"), b"// One.\n// \xff\n").unwrap();
    let lines = problem_lines(&folder);
    assert_eq!(lines[1], "b.cedar: the file is not UTF-8: line 2, byte 11");
    assert!(lines[0].starts_with("a.cedar:1:"), "{lines:?}");
    let schema = folder.path().join("schema.cedarschema");
    fs::write(&schema, b"\xff").unwrap();
    let lines = problem_lines(&folder);
    assert_eq!(lines.len(), 3, "{lines:?}");
    fs::remove_file(folder.path().join("b.cedar")).unwrap();
    for number in 0..17 {
        let comment = format!("// {}", "a".repeat(1024 * 1024 - 3));
        fs::write(folder.path().join(format!("large{number}.cedar")), comment).unwrap();
    }
    assert!(
        problem_lines(&folder)[0].contains("together are larger"),
        "{:?}",
        problem_lines(&folder)
    );
}

#[test]
fn invariants_and_hidden_files_take_no_part() {
    let plain = folder(&[("a.cedar", ALL), ("notes.txt", "not a policy")]);
    let more = folder(&[
        ("a.cedar", ALL),
        ("invariants/broken.cedar", "broken"),
        (".git/broken.cedar", "broken"),
        (".a.cedar.swp.cedar", "broken"),
    ]);
    let (plain, more) = (
        Bundle::load(plain.path()).unwrap(),
        Bundle::load(more.path()).unwrap(),
    );
    assert_eq!(plain.revision(), more.revision());
}

#[test]
fn a_revision_changes_with_any_name_and_any_byte() {
    let revision = |files: &[(&str, &str)]| {
        Bundle::load(folder(files).path())
            .unwrap()
            .revision()
            .clone()
    };
    let plain = revision(&[("a.cedar", ALL)]);
    assert_eq!(plain, revision(&[("a.cedar", ALL)]));
    assert_ne!(plain, revision(&[("b.cedar", ALL)]));
    assert_ne!(plain, revision(&[("a.cedar", &format!("{ALL}\n"))]));
    assert_ne!(plain, revision(&[("a.cedar", ALL), ("b.cedar", "")]));
}

#[test]
fn a_link_that_leads_nowhere_is_not_a_missing_file() {
    use std::os::unix::fs::symlink;

    let strict = "@id(\"strict\")\nforbid (principal, action, resource);\n";
    for (name, link, is_file) in [
        ("a folder of policies", "more", false),
        ("a policy", "more.cedar", true),
        ("the invariants", "invariants", false),
    ] {
        let (outer, folder) = (tempfile::tempdir().unwrap(), folder(&[("all.cedar", ALL)]));
        let target = outer.path().join("target");
        if is_file {
            fs::write(&target, strict).unwrap();
        } else {
            fs::create_dir(&target).unwrap();
            fs::write(target.join("strict.cedar"), strict).unwrap();
        }
        symlink(&target, folder.path().join(link)).unwrap();
        PolicyFolder::load(folder.path()).unwrap();
        fs::remove_dir_all(&target)
            .or_else(|_| fs::remove_file(&target))
            .unwrap();
        let error = PolicyFolder::load(folder.path()).unwrap_err();
        assert!(
            matches!(error, BundleError::Unreadable { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_named_pipe_is_rejected_and_not_opened() {
    let folder = folder(&[("all.cedar", ALL)]);
    let pipe = folder.path().join("pipe.cedar");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let lines = problem_lines(&folder);
    assert!(lines[0].contains("not a regular file"), "{lines:?}");
}

#[test]
fn an_invariant_outside_its_folder_is_rejected_instead_of_being_in_force() {
    let invariant = "@id(\"published\") @reason(\"x\") @invariant(\"upper\")\n\
        permit (principal, action == Action::\"read\", resource)\n\
        when { resource.record_status == RecordStatus::\"published\" };\n";
    for name in ["Invariants/i.cedar", "i.cedar", "more/invariants/i.cedar"] {
        let folder = folder(&[("all.cedar", ALL), (name, invariant)]);
        let lines = problem_lines(&folder);
        assert!(
            lines[0].contains("outside the folder `invariants`"),
            "{lines:?}"
        );
    }
}
