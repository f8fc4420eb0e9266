//! Policies in other languages, told by what their files begin with.

/// How a policy is written in Cedar.
const CEDAR: &str = "write it in Cedar: permit (principal in Role::\"hydrology\", action == Action::\"read\", resource) \
    when { resource.visibility == Visibility::\"internal\" };";

/// Lines that stand in one language alone: the language, the beginnings of lines, and how many of them must be there.
const LANGUAGES: [(&str, &[&str]); 9] = [
    (
        "Rego (Open Policy Agent)",
        &[
            "package ",
            "default allow",
            "allow if ",
            "allow {",
            "allow := ",
            "allow = ",
            "import rego.",
            "import data.",
            "deny[",
            "deny contains ",
        ],
    ),
    (
        "a Cerbos policy",
        &[
            "apiVersion: api.cerbos.dev",
            "resourcePolicy:",
            "principalPolicy:",
            "derivedRoles:",
        ],
    ),
    (
        "an OpenFGA model",
        &["model", "type user", "relations", "define ", "schema 1."],
    ),
    ("a SpiceDB schema", &["definition "]),
    (
        "a Casbin model or policy",
        &[
            "p, ",
            "g, ",
            "[request_definition]",
            "[policy_definition]",
            "[matchers]",
        ],
    ),
    ("XACML", &["<Policy", "<?xml", "<xacml"]),
    ("SQL", &["SELECT ", "GRANT ", "CREATE POLICY", "REVOKE "]),
    (
        "Polar (Oso)",
        &["actor ", "allow(actor", "resource ", "has_permission("],
    ),
    (
        "YAML",
        &["---", "apiVersion:", "rules:", "policies:", "kind:", "- "],
    ),
];

/// What to do about a file in another language.
pub(super) fn foreign_language(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| {
        !line.is_empty()
            && !line.starts_with("//")
            && !line.starts_with('#')
            && !line.starts_with('@')
    });
    let first = lines.next()?;
    if first.starts_with(['{', '[']) && !first.starts_with("[request") {
        return Some(format!("this is JSON, and policy files are text; {CEDAR}"));
    }
    let begins = |beginnings: &[&str]| {
        beginnings
            .iter()
            .any(|beginning| first.starts_with(beginning))
    };
    let (language, _) = LANGUAGES
        .iter()
        .find(|(_, beginnings)| begins(beginnings))?;
    // An effect of another language alone is told at its word.
    let is_cedar = first.starts_with("permit") || first.starts_with("forbid");
    (!is_cedar).then(|| format!("this is {language}; {CEDAR}"))
}
