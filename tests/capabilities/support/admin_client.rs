//! A client of the administration API, and a server that delegates administration to several roles.

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{CATALOG, PASSWORD, Server, ServerOptions, TestResponse};

pub(crate) const EXPLAIN: &str = "/admin/policies/explain";

pub(crate) const USERS: &str = "/admin/users";

/// A client with the session of a user.
pub(crate) struct AdminClient<'a> {
    pub server: &'a Server,
    pub session: String,
}

impl<'a> AdminClient<'a> {
    /// Signs in a user of the catalog.
    pub(crate) async fn sign_in(server: &'a Server, username: &str) -> Self {
        Self {
            session: server.session(username).await,
            server,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        // Records are ordered by time, and this clock stands still unless it is advanced.
        self.server.clock.advance(1);
        let url = format!("{}{path}", self.server.url);
        self.server
            .http
            .request(method, url)
            .bearer_auth(&self.session)
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        TestResponse::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> TestResponse {
        TestResponse::send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> TestResponse {
        TestResponse::send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> TestResponse {
        TestResponse::send(self.request(Method::DELETE, path)).await
    }

    /// All items of a list, read in pages of `limit`.
    pub(crate) async fn list_all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let response = self
                .get(&format!("{path}{joint}limit={limit}{after}"))
                .await;
            assert_eq!(response.status, 200, "{}", response.text());
            let page = response.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            all.extend(items.iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }

    /// The path of a user of this name.
    pub(crate) async fn user_path(&self, username: &str) -> String {
        let found = self.get(&format!("{USERS}?username={username}")).await;
        let id = found.json()["items"][0]["id"].clone();
        format!("{USERS}/{}", id.as_str().unwrap())
    }

    pub(crate) async fn explain(&self, principal: &str, dataset_id: &str) -> TestResponse {
        let body = json!({"principal": principal, "action": "read", "dataset_id": dataset_id});
        self.post(EXPLAIN, body).await
    }

    pub(crate) async fn explanation(&self, principal: &str, dataset_id: &str) -> Value {
        let response = self.explain(principal, dataset_id).await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    pub(crate) async fn user_id(&self, username: &str) -> String {
        let path = self.user_path(username).await;
        path[USERS.len() + 1..].to_owned()
    }
}

/// Policies for admins, a role that may view users, and one that administers users who are not admins.
pub(crate) const DELEGATED_ADMIN_POLICIES: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("lookout") @reason("x")
permit (principal in Role::"lookout", action == Action::"view_users", resource);
@id("helpdesk") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"administer_users", resource)
unless { resource in Role::"admin" };
@id("helpdesk-looks") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"view_users", resource)
unless { resource is User && resource in Role::"hidden" };
@id("mute") @reason("x")
permit (principal in Role::"mute", action == Action::"administer_users", resource)
when { resource.username == "mo" };
@id("mute-gives") @reason("x")
permit (principal in Role::"mute", action == Action::"assign_role", resource == Role::"hydrology");
@id("helpdesk-gives") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"assign_role", resource)
when { [Role::"hydrology", Role::"lookout"].contains(resource) };
"#;

pub(crate) async fn delegated_admins() -> Server {
    let of_role = |role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    };
    let added = ["lookout", "helpdesk", "hidden", "mute"].map(of_role);
    let catalog = [CATALOG, &added.concat()].concat();
    Server::start_with(ServerOptions {
        catalog: Some(catalog),
        policies: Some(DELEGATED_ADMIN_POLICIES),
        ..ServerOptions::default()
    })
    .await
}
