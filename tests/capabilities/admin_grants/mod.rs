//! Grants that stay narrow: credentials, roles and attributes never give more than the policies do.

mod api_keys;
mod model;
mod random_policies;
mod roles;
mod users;

use serde_json::{Value, json};

use crate::support::cli::{copy_folder, copy_of_shipped_policies, repository};
use crate::support::server::{CATALOG, PASSWORD, Server, ServerOptions};

const KEYS: &str = "/auth/api-keys";
const ROLES: &str = "/admin/roles";

/// Users with these roles besides those of every test; each is named `of-<its first role>`.
fn catalog_with(users: &[&[&str]]) -> String {
    let mut roles: Vec<&str> = users.concat();
    roles.sort_unstable();
    roles.dedup();
    roles.retain(|role| !["admin", "hydrology"].contains(role));
    let roles = roles
        .iter()
        .map(|role| format!("[[roles]]\nname = \"{role}\"\n"));
    let users = users.iter().map(|roles| {
        format!(
            "[[users]]\nusername = \"of-{}\"\npassword = \"{PASSWORD}\"\nroles = {roles:?}\n",
            roles[0]
        )
    });
    let added: String = roles.chain(users).collect();
    format!("{CATALOG}{added}")
}

/// The shipped policies with the examples of a helpdesk and of auditors.
async fn helpdesk_and_auditors() -> Server {
    let folder = copy_of_shipped_policies();
    for example in ["audit-log-only", "helpdesk"] {
        let example = repository().join("docs/examples").join(example);
        copy_folder(&example, folder.path());
    }
    // Their invariants are about one example each.
    std::fs::remove_dir_all(folder.path().join("invariants")).unwrap();
    let policies = folder.path().display().to_string();
    // The server reads the folder for as long as it runs.
    std::mem::forget(folder);
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", policies)],
        catalog: Some(catalog_with(&[&["helpdesk"], &["auditors"], &["partners"]])),
        ..ServerOptions::default()
    })
    .await
}

async fn server_with(policies: &'static str, users: &[&[&str]]) -> Server {
    Server::start_with(ServerOptions {
        policies: Some(policies),
        catalog: Some(catalog_with(users)),
        ..ServerOptions::default()
    })
    .await
}

fn user_body(name: &str, roles: &[&str]) -> Value {
    json!({"username": name, "roles": roles, "is_disabled": false})
}

fn password() -> Value {
    json!({ "password": "chosen by a thief" })
}
