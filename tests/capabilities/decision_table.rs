//! The tables of `docs/decisions.md`: the decisions of the shipped policies by role, action and state.
//!
//! `REFRESH_DECISIONS=1 cargo test decision_table` updates them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use strum::VariantArray;

use cedargate::domain::action::Action;
use cedargate::domain::attributes::Attributes;
use cedargate::domain::caller::{Authentication, DecisionContext};
use cedargate::domain::dataset::{Dataset, RecordStatus, Visibility};
use cedargate::domain::id::{DatasetId, UserId};
use cedargate::domain::principal::{Principal, Tags, User};
use cedargate::domain::resource::Resource;
use cedargate::policy::Bundle;
use uuid::Uuid;

const BEGIN: &str =
    "<!-- decisions: written by `REFRESH_DECISIONS=1 cargo test decision_table` -->\n";
const END: &str = "<!-- end of decisions -->";

const OWNER: UserId = UserId(Uuid::from_u128(1));
const READER: UserId = UserId(Uuid::from_u128(2));
const OTHER: UserId = UserId(Uuid::from_u128(3));

fn user(id: UserId, roles: &[&str]) -> Arc<User> {
    Arc::new(User {
        id,
        username: "somebody".parse().unwrap(),
        issuer: None,
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
        is_disabled: false,
    })
}

/// The callers, which are the columns of the tables.
fn roles() -> [(&'static str, Principal); 6] {
    let signed_in = |id, roles: &[&str]| Principal::User(user(id, roles));
    [
        ("anonymous", Principal::Anonymous),
        ("signed in", signed_in(OTHER, &[])),
        ("reader, by name", signed_in(READER, &[])),
        ("reader, by role", signed_in(OTHER, &["hydrology"])),
        ("owner", signed_in(OWNER, &[])),
        ("admin", signed_in(OTHER, &["admin"])),
    ]
}

/// The states of a dataset, each with a dataset in it.
fn states() -> impl Iterator<Item = (String, Resource)> {
    RecordStatus::VARIANTS.iter().flat_map(|record_status| {
        Visibility::VARIANTS.iter().map(move |visibility| {
            let dataset = Dataset {
                id: DatasetId(Uuid::from_u128(4)),
                title: "Jacksboro fault: elevation".to_owned(),
                visibility: *visibility,
                record_status: *record_status,
                owner: Some(OWNER),
                reader_users: BTreeSet::from([READER]),
                reader_roles: BTreeSet::from(["hydrology".parse().unwrap()]),
                share_ends: cedargate::domain::share_ends::ShareEnds::default(),
                tags: Tags::new(),
                attributes: Attributes::new(),
                file: None,
            };
            let state = format!("{visibility}, {record_status}");
            (state, Resource::Dataset(Arc::new(dataset)))
        })
    })
}

/// One row: the decision for each caller.
fn row(bundle: &Bundle, first: &[&str], action: Action, resource: &Resource) -> String {
    let mut row = format!("| {} |", first.join(" | "));
    for (_, principal) in roles() {
        let context = DecisionContext {
            address: Some("192.0.2.7".parse().unwrap()),
            unix_millis: 1_772_366_400_000,
            authentication: match principal {
                Principal::Anonymous => Authentication::None,
                Principal::User(_) => Authentication::Password,
            },
            key: None,
        };
        let decision = bundle.decide(&principal, action, resource, &context);
        let answer = if decision.is_permitted {
            "**yes**"
        } else {
            "no"
        };
        write!(row, " {answer} |").unwrap();
    }
    row.push('\n');
    row
}

fn head(first: &[&str]) -> String {
    let roles = roles().map(|(name, _)| name);
    let columns = first.len() + roles.len();
    format!(
        "\n| {} | {} |\n{}|\n",
        first.join(" | "),
        roles.join(" | "),
        "|---".repeat(columns)
    )
}

fn table() -> String {
    let bundle = Bundle::embedded().unwrap();
    let mut table = String::new();
    let on_datasets = [
        Action::Read,
        Action::Discover,
        Action::Administer,
        Action::Share,
    ];
    for action in on_datasets {
        write!(table, "\n### `{action}` of a dataset\n").unwrap();
        table.push_str(&head(&["dataset"]));
        for (state, resource) in states() {
            table.push_str(&row(&bundle, &[&state], action, &resource));
        }
    }
    table.push_str("\n### Other actions\n");
    table.push_str(&head(&["action", "resource"]));
    let other_user = Resource::User(user(UserId(Uuid::from_u128(5)), &[]));
    let role = Resource::Role("hydrology".parse().unwrap());
    for action in Action::VARIANTS {
        let resources: &[(&str, &Resource)] = match action {
            Action::Read | Action::Discover | Action::Administer | Action::Share => &[],
            Action::ViewUsers => &[("the server", &Resource::Server), ("a user", &other_user)],
            Action::AdministerUsers => &[("a user", &other_user)],
            Action::AdministerRoles | Action::AssignRole => &[("a role", &role)],
            Action::ViewDatasets
            | Action::ViewAudit
            | Action::ViewPolicies
            | Action::ReloadPolicies
            | Action::EditPolicies
            | Action::ViewKeys
            | Action::ViewIssuers
            | Action::Evaluate
            | Action::Search
            | Action::AssumeContext => &[("the server", &Resource::Server)],
        };
        for (name, resource) in resources {
            table.push_str(&row(
                &bundle,
                &[&format!("`{action}`"), name],
                *action,
                resource,
            ));
        }
    }
    table.push('\n');
    table
}

#[test]
fn the_shipped_policies_decide_as_docs_decisions_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (answer, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("REFRESH_DECISIONS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    for (answer, decided) in answer.lines().zip(table.lines()) {
        assert_eq!(
            answer, decided,
            "docs/decisions.md and the policies disagree"
        );
    }
    assert_eq!(answer.lines().count(), table.lines().count());
}
