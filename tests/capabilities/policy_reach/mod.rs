//! Policies that are valid and cannot do what they say: types that no request has, ids that nobody has.

mod names;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::cli::{cedargate, copy_of_shipped_policies};
use crate::support::server::UNKNOWN;

/// A policy with its id; the number is that of the case.
fn policy(number: usize, scope: &str, conditions: &str) -> String {
    format!("@id(\"p{number}\") @reason(\"x\")\npermit ({scope}) {conditions};\n")
}

/// The warnings of `policy check` about a folder, each as its piece of source, its message and its help.
fn warnings(folder: &Path, environment: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let path = folder.to_str().unwrap();
    let output = cedargate(folder, &["policy", "check", path, "--json"], environment);
    assert_eq!(output.code, 0, "{}\n{}", output.data, output.messages);
    let report: Value = serde_json::from_str(&output.data).unwrap();
    let listed = report["warnings"].as_array().unwrap().iter();
    listed
        .map(|warning| {
            let file = fs::read_to_string(warning["file"].as_str().unwrap()).unwrap_or_default();
            let bounds = warning["span"].as_object();
            let bound = |name: &str| usize::try_from(bounds.unwrap()[name].as_u64().unwrap());
            let piece = match bounds {
                Some(_) => file[bound("start").unwrap()..bound("end").unwrap()].to_owned(),
                None => String::new(),
            };
            let text = |name: &str| warning[name].as_str().unwrap_or_default().to_owned();
            (piece, text("message"), text("help"))
        })
        // What every policy that reads the address is told.
        .filter(|(_, message, _)| !message.contains("anonymous web page"))
        .collect()
}

const READ: &str = "action == Action::\"read\", resource";

/// Scope, conditions, the piece of source, the message, and what the help says.
type Unreachable = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const UNREACHABLE: &[Unreachable] = &[
    // Actions that do not apply to the resource or the principal: alone, and beside others that do.
    ("principal, action in [Action::\"read\", Action::\"view_users\"], resource is Role", "",
     "Action::\"read\"", "never applies: `Action::\"read\"` never has a resource of type `Role`", "`Dataset`"),
    ("principal, action == Action::\"read\", resource is Server", "",
     "Action::\"read\"", "never applies", "of type `Dataset`"),
    ("principal, action == Action::\"view_audit\", resource is Dataset", "",
     "Action::\"view_audit\"", "never applies", "of type `Server`"),
    ("principal is Anonymous, action == Action::\"view_users\", resource", "",
     "Action::\"view_users\"", "never has a principal of type `Anonymous`", "of type `User`"),
    ("principal is Anonymous, action in [Action::\"read\", Action::\"assign_role\"], resource", "",
     "Action::\"assign_role\"", "in policy `p4`, `Action::\"assign_role\"` never has a principal", ""),
    ("principal, action in [Action::\"discover\", Action::\"administer_roles\"], resource == Role::\"admin\"", "",
     "Action::\"discover\"", "in policy `p5`, `Action::\"discover\"` never has a resource", ""),
    ("principal, action in [Action::\"read\", Action::\"view_users\"], resource", "when { resource is Dataset }",
     "Action::\"view_users\"", "the conditions are never true for `Action::\"view_users\"`", "remove the action"),
    ("principal is Anonymous, action, resource is User", "",
     "User", "no action has `Anonymous` as principal with `User` as resource", ""),
    // An action by `==` where the group of that name is meant.
    ("principal, action == Action::\"administer\", resource is User", "",
     "Action::\"administer\"", "never has a resource of type `User`", "write `action in Action::\"administer\"`"),
    ("principal, action == Action::\"administer\", resource == Server::\"cedargate\"", "",
     "Action::\"administer\"", "never has a resource of type `Server`", "write `action in"),
    ("principal == User::\"00000000-0000-0000-0000-000000000000\", action, resource is Dataset", "",
     "User::\"00000000-0000-0000-0000-000000000000\"", "what a user who changes itself would be", "administer_users"),
    // Types that no principal and no resource has.
    ("principal == Role::\"admin\", action == Action::\"read\", resource", "",
     "Role::\"admin\"", "no principal is of type `Role`", "write `principal in Role::\"admin\"`"),
    ("principal is Role, action == Action::\"read\", resource", "",
     "Role", "no principal is of type `Role`", "write `principal in Role::"),
    ("principal is Visibility, action == Action::\"read\", resource", "",
     "Visibility", "no principal is of type `Visibility`", "`Anonymous` or `User`"),
    ("principal is Anonymous in Role::\"admin\", action == Action::\"read\", resource", "",
     "Role::\"admin\"", "no `Anonymous` is in an entity of type `Role`", ""),
    ("principal in Server::\"cedargate\", action, resource", "",
     "Server::\"cedargate\"", "no principal is in an entity of type `Server`", ""),
    ("principal, action, resource is RecordStatus", "",
     "RecordStatus", "no resource is of type `RecordStatus`", "`Dataset` or `Role`"),
    ("principal, action == Action::\"read\", resource in Role::\"admin\"", "",
     "Action::\"read\"", "never applies", "`Dataset`"),
    // `in` with what has no members.
    ("principal in Anonymous::\"anonymous\", action == Action::\"read\", resource", "",
     "Anonymous::\"anonymous\"", "matches nothing but that entity", "`principal == Anonymous::\"anonymous\"`"),
    ("principal, action == Action::\"view_audit\", resource in Server::\"cedargate\"", "",
     "Server::\"cedargate\"", "matches nothing but that entity", "`resource == Server::\"cedargate\"`"),
    // Conditions that are false by their types, in any position.
    ("principal, action == Action::\"read\", resource", "when { principal == resource }",
     "principal == resource", "never applies: `principal == resource` is never true", ""),
    ("principal, action == Action::\"read\", resource", "when { principal == Role::\"admin\" }",
     "principal == Role::\"admin\"", "never applies", "write `principal in Role::\"admin\"`"),
    ("principal, action == Action::\"read\", resource",
     "when { resource.title == \"a\" || principal == Role::\"admin\" }",
     "principal == Role::\"admin\"", "in policy `p22`, `principal == Role::\"admin\"` is never true", ""),
    ("principal, action == Action::\"read\", resource", "unless { resource == Role::\"admin\" }",
     "resource == Role::\"admin\"", "is never true", ""),
    ("principal is User, action == Action::\"read\", resource",
     "when { if principal is Anonymous then true else resource.title == \"b\" }",
     "principal is Anonymous", "is never true", ""),
    ("principal, action == Action::\"read\", resource", "when { resource has licence }",
     "resource has licence", "never applies", ""),
    ("principal, action == Action::\"read\", resource", "when { principal is User && principal is Anonymous }",
     "@id(\"p{number}\") @reason(\"x\")", "contradict each other", ""),
    // Words and addresses that no request has.
    ("principal, action == Action::\"read\", resource",
     "when { context has key && context.key has datasets && \
      context.key.datasets.containsAny([\"2489E9AD-2EE2-8E00-8EC9-32D5F69181C0\"]) }",
     "\"2489E9AD-2EE2-8E00-8EC9-32D5F69181C0\"", "no API key has the dataset",
     "did you mean \"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0\"?"),
    ("principal, action == Action::\"read\", resource",
     "when { context.address.isInRange(ip(\"192.0.2.7/24\")) }",
     "\"192.0.2.7/24\"", "the whole network 192.0.2.0/24", "\"192.0.2.7\" for the address"),
    ("principal, action == Action::\"read\", resource", "when { context.address == ip(\"192.0.2.0/24\") }",
     "ip(\"192.0.2.0/24\")", "never equals the range", "isInRange"),
    ("principal, action == Action::\"read\", resource",
     "when { context.address == ip(\"::ffff:c000:207\") }",
     "\"::ffff:c000:207\"", "IPv4 addresses are written as such", "write \"192.0.2.7\""),
    ("principal, action == Action::\"read\", resource",
     "when { context.address.isInRange(ip(\"::ffff:c000:200/120\")) }",
     "\"::ffff:c000:200/120\"", "IPv4 addresses are written as such", "write \"192.0.2.0/24\""),
    ("principal is User, action == Action::\"read\", resource", "when { context.authentication == Authentication::\"none\" }",
     "Authentication::\"none\"", "with the principals of the scope, `context.authentication` is never \"none\"", "password"),
    ("principal is Anonymous, action == Action::\"read\", resource",
     "when { [Authentication::\"none\", Authentication::\"issuer\"].contains(context.authentication) }",
     "Authentication::\"issuer\"", "is never \"issuer\"", "it is one of none"),
    ("principal is User, action == Action::\"read\", resource", "when { principal has issuer && principal.issuer == \"google\" }",
     "\"google\"", "no user has the issuer \"google\"", "the URL of an identity provider"),
    ("principal, action == Action::\"read\", resource", "when { principal is User && principal is Anonymous && resource.title == \"z\" }",
     "@id(\"p{number}\") @reason(\"x\")", "`principal is User` and `principal is Anonymous` contradict each other", ""),
    // Patterns.
    ("principal is User, action == Action::\"read\", resource", "when { principal.username like \"*@Example.ORG\" }",
     "principal.username like \"*@Example.ORG\"", "names are kept in lower case", "write \"*@example.org\""),
    ("principal is User, action == Action::\"read\", resource", "when { principal.username like \"ada *\" }",
     "principal.username like \"ada *\"", "names have letters, digits", ""),
    ("principal, action == Action::\"read\", resource",
     "when { ip(\"2001:db8::/32\").isInRange(context.address) }",
     "ip(\"2001:db8::/32\").isInRange(context.address)", "in the range of one address", "context.address.isInRange"),
];

#[test]
fn what_can_never_match_is_told_at_the_part_that_is_why() {
    let folder = copy_of_shipped_policies();
    let texts = UNREACHABLE.iter().enumerate();
    let texts = texts.map(|(number, (scope, conditions, ..))| policy(number, scope, conditions));
    fs::write(folder.path().join("mine.cedar"), texts.collect::<String>()).unwrap();
    let found = warnings(folder.path(), &[]);
    for (number, (scope, conditions, piece, message, help)) in UNREACHABLE.iter().enumerate() {
        let of_policy = |(_, message, _): &&(String, String, String)| {
            message.contains(&format!("policy `p{number}`")) && !message.contains("redundant")
        };
        let told: Vec<_> = found.iter().filter(of_policy).collect();
        let is_told = told.iter().any(|(at, said, helps)| {
            *at == piece.replace("{number}", &number.to_string())
                && said.contains(message)
                && helps.contains(help)
        });
        assert!(is_told, "({scope}) {conditions}\n{told:#?}");
    }
}

#[test]
fn what_can_match_is_not_warned_of() {
    let folder = copy_of_shipped_policies();
    let reads = |principal: &str| format!("principal {principal}, {READ}");
    let reachable = [
        (reads(""), "when { principal in Role::\"admin\" && resource.title == \"a\" }"),
        (reads("is User"), "when { principal.username like \"*@example.org\" && resource.title == \"i\" }"),
        (reads("is User"), "when { principal.username like \"οδυσ*\" && resource.title == \"j\" }"),
        (reads("is User"), "when { principal.username like \"*σ_*\" && resource.title == \"k\" }"),
        (reads(""), "when { context.address.isInRange(ip(\"::/0\")) && resource.title == \"m\" }"),
        (reads("is Anonymous"), "when { context.authentication == Authentication::\"none\" && resource.title == \"n\" }"),
        // Latin words beside others, and names in the scripts of the world.
        (reads(""), "when { resource.title == \"GIS данные: 水文 DEM\" }"),
        (reads("is User"), "when { [\"山田taro\", \"юля-smith\", \"ⵜⵉⴼⵉⵏⴰⵖ\"].contains(principal.username) }"),
        (reads("in Role::\"山田taro\""), "when { resource.title == \"o\" }"),
        (reads("in Role::\"юля-smith\""), "when { resource.title == \"p\" }"),
        (reads("in Role::\"ꮳꮃꭹ\""), "when { resource.title == \"q\" }"),
        (reads("in Role::\"ᠮᠣᠩ\""), "when { resource.title == \"r\" }"),
        (reads("is User"), "when { resource has owner && resource.owner == principal }"),
        (reads("is User in Role::\"admin\""), "when { resource.title like \"B*\" }"),
        (reads("== Anonymous::\"anonymous\""), "when { resource.title == \"c\" }"),
        (reads(""), "when { (principal is Anonymous || principal.username == \"otto\") && resource.title == \"d\" }"),
        (reads(""), "when { [Authentication::\"api_key\", Authentication::\"none\"].contains(context.authentication) && resource.title == \"e\" }"),
        (reads(""), "when { context.address.isInRange(ip(\"2001:db8::/32\")) && resource.title == \"f\" }"),
        (reads(""), "when { context.address == ip(\"192.0.2.7\") && resource.title == \"g\" }"),
        ("principal in Role::\"admin\", action in Action::\"administer\", resource is Dataset".to_owned(), "when { resource.title == \"h\" }"),
        ("principal, action in [Action::\"view_users\", Action::\"view_audit\"], resource".to_owned(), "when { principal in Role::\"admin\" && principal.username like \"ada*\" }"),
        ("principal == User::\"00000000-0000-4000-8000-000000000001\", action == Action::\"administer_users\", resource == User::\"00000000-0000-0000-0000-000000000000\"".to_owned(), ""),
        (format!("principal, action == Action::\"read\", resource == Dataset::\"{UNKNOWN}\""), "unless { principal in [Role::\"a\", Role::\"b\"] }"),
    ];
    let texts = reachable.iter().enumerate();
    let texts = texts.map(|(number, (scope, conditions))| policy(number, scope, conditions));
    fs::write(folder.path().join("mine.cedar"), texts.collect::<String>()).unwrap();
    let found = warnings(folder.path(), &[]);
    let about_mine: Vec<_> = found
        .iter()
        .filter(|(_, message, _)| !message.contains("redundant"))
        .collect();
    assert!(about_mine.is_empty(), "{about_mine:#?}");
}

#[test]
fn types_and_groups_of_an_author_count_as_the_schema_says() {
    let folder = copy_of_shipped_policies();
    let schema = folder.path().join("schema.cedarschema");
    let shipped = fs::read_to_string(&schema).unwrap();
    let edited = shipped
        .replace("entity Dataset = {", "entity Collection;\nentity Dataset in [Collection] = {")
        .replace("action \"read\", \"discover\", \"administer\" appliesTo",
            "action \"look\", \"empty\";\naction \"administer\" appliesTo { principal: [User, Anonymous], resource: [Dataset], context: Context };\n\
             action \"peek\";\n\
             action \"read\", \"discover\" in [\"look\"] appliesTo");
    fs::write(&schema, edited).unwrap();
    let scopes = [
        "principal, action in Action::\"look\", resource in Collection::\"maps\"",
        "principal, action in Action::\"empty\", resource",
        "principal, action in [Action::\"look\", Action::\"peek\"], resource",
    ];
    let texts = scopes.iter().enumerate();
    let texts = texts.map(|(number, scope)| policy(number, scope, ""));
    fs::write(folder.path().join("mine.cedar"), texts.collect::<String>()).unwrap();
    let found = warnings(folder.path(), &[]);
    let told: Vec<(&str, bool)> = found
        .iter()
        .filter(|(_, message, _)| message.contains("Cedargate asks for neither"))
        .map(|(piece, message, _)| (piece.as_str(), message.contains("never applies")))
        .collect();
    assert_eq!(
        told,
        [("Action::\"empty\"", true), ("Action::\"peek\"", false)],
        "{found:#?}"
    );
}

#[test]
fn a_misspelt_word_is_an_error_and_a_warning_only_under_a_schema_of_texts() {
    let folder = copy_of_shipped_policies();
    let schema = folder.path().join("schema.cedarschema");
    let conditions = [
        (
            "context.authentication == \"apikey\"",
            "`context.authentication` is never \"apikey\"",
            "did you mean \"api_key\"?",
        ),
        (
            "[\"Password\", \"issuer\"].contains(context.authentication)",
            "is never \"Password\"",
            "did you mean \"password\"?",
        ),
        (
            "context.authentication like \"Pass*\"",
            "is never like \"Pass*\"",
            "password",
        ),
        (
            "context has key.actions && context.key.actions.contains(\"reed\")",
            "no API key has the action \"reed\"",
            "did you mean \"read\"?",
        ),
    ];
    let texts = conditions.iter().enumerate();
    let texts = texts.map(|(number, (condition, ..))| {
        policy(
            number,
            &format!("principal, {READ}"),
            &format!("when {{ {condition} }}"),
        )
    });
    fs::write(folder.path().join("mine.cedar"), texts.collect::<String>()).unwrap();
    let path = folder.path().to_str().unwrap();
    let output = cedargate(folder.path(), &["policy", "check", path, "--json"], &[]);
    let report: Value = serde_json::from_str(&output.data).unwrap();
    assert_eq!(output.code, 3, "{report:#}");
    let shipped = fs::read_to_string(&schema).unwrap();
    let old = shipped
        .replace(
            "\"authentication\": Authentication",
            "\"authentication\": String",
        )
        .replace("Set<KeyAction>", "Set<String>");
    fs::write(&schema, old).unwrap();
    let found = warnings(folder.path(), &[]);
    for (number, (condition, message, help)) in conditions.iter().enumerate() {
        let problems = report["problems"].as_array().unwrap();
        let problem = &problems[number];
        assert_eq!(problems.len(), conditions.len(), "{report:#}");
        assert_ne!(problem["help"], Value::Null, "{condition}: {problem:#}");
        let is_told = found
            .iter()
            .any(|(_, said, helps)| said.contains(message) && helps.contains(help));
        assert!(is_told, "{condition}\n{found:#?}");
    }
    let of_schema: Vec<&str> = found
        .iter()
        .filter(|(_, said, _)| said.contains("the schema declares"))
        .map(|(piece, ..)| piece.as_str())
        .collect();
    assert_eq!(of_schema, ["authentication", "actions"]);
}

#[test]
fn a_link_is_warned_of_where_its_values_match_nothing() {
    let folder = copy_of_shipped_policies();
    let template = "@id(\"for\") @reason(\"x\")\npermit (principal in ?principal, action == Action::\"read\", resource == ?resource);\n";
    fs::write(folder.path().join("for.cedar"), template).unwrap();
    let link = |name: &str, principal: &str, resource: &str| json!({"template_id": "for", "link_id": name, "args": {"?principal": principal, "?resource": resource}});
    let dataset = format!("Dataset::\"{UNKNOWN}\"");
    let links = json!([
        link("good", "Role::\"admin\"", &dataset),
        link(
            "to-user",
            "User::\"00000000-0000-4000-8000-000000000001\"",
            &dataset
        ),
        link("resource-is-role", "Role::\"admin\"", "Role::\"admin\""),
        link("principal-is-dataset", &dataset, &dataset),
        link("by-name", "User::\"otto\"", "Dataset::\"Restricted\""),
    ]);
    fs::write(folder.path().join("for.links.json"), links.to_string()).unwrap();
    let found = warnings(folder.path(), &[]);
    let mut messages: Vec<&str> = found
        .iter()
        .map(|(_, message, _)| message.as_str())
        .collect();
    messages.sort_unstable();
    insta::assert_snapshot!(messages.join("\n"));
    let pieces: Vec<&str> = found.iter().map(|(piece, ..)| piece.as_str()).collect();
    assert!(pieces.contains(&"\"User::\\\"otto\\\"\""), "{pieces:?}");
}

#[test]
fn warnings_fail_the_check_only_where_they_are_denied() {
    let folder = copy_of_shipped_policies();
    let path = folder.path().to_str().unwrap();
    let check = |options: &[&str]| {
        let words = [&["policy", "check", path], options].concat();
        cedargate(folder.path(), &words, &[]).code
    };
    assert_eq!(check(&["--deny-warnings"]), 0);
    let text = policy(
        0,
        "principal == User::\"otto\", action, resource is Dataset",
        "",
    );
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    assert_eq!(check(&[]), 0);
    assert_eq!(check(&["--deny-warnings"]), 3);
    assert_eq!(check(&["--deny-warnings", "--json"]), 3);
}

#[test]
fn a_word_with_letters_of_several_scripts_is_told() {
    let folder = copy_of_shipped_policies();
    // With Cyrillic letters among Latin ones.
    let texts = [
        policy(
            0,
            &format!("principal, {READ}"),
            "when { resource.title == \"J\u{430}cksboro fault\" }",
        ),
        policy(
            1,
            &format!("principal in Role::\"\u{430}dmin\", {READ}"),
            "",
        ),
    ];
    fs::write(folder.path().join("mine.cedar"), texts.concat()).unwrap();
    let found = warnings(folder.path(), &[]);
    for id in ["p0", "p1"] {
        let is_told = |message: &str| message.contains(id) && message.contains("mixed scripts");
        assert!(
            found.iter().any(|(_, message, _)| is_told(message)),
            "{id}: {found:#?}"
        );
    }
}
