//! Drafts of the policies as authors work on them: what they can name, cases, and explanations.

mod cases;
mod effect;
mod explanations;
mod matrix;
mod names;

use serde_json::{Value, json};

use crate::support::admin_client::AdminClient;
use crate::support::server::{CATALOG, PASSWORD, Server, ServerOptions};

const DRAFTS: &str = "/admin/policies/drafts";

/// Policies with authors who see little of the catalog: users of the role `shown` and public datasets.
const POLICIES: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("authors") @reason("x")
permit (principal in Role::"author", action == Action::"view_policies", resource);
@id("author-sees-users") @reason("x")
permit (principal in Role::"author", action == Action::"view_users", resource)
when { resource is User && resource in Role::"shown" };
@id("author-sees-datasets") @reason("x")
permit (principal in Role::"author", action == Action::"administer", resource)
when { resource.visibility == Visibility::"public" };
@id("author-discovers") @reason("x")
permit (principal in Role::"author", action == Action::"discover", resource)
when { resource.visibility == Visibility::"internal" };
"#;

/// A draft of a client.
struct TestDraft<'a> {
    client: &'a AdminClient<'a>,
    path: String,
}

impl<'a> TestDraft<'a> {
    /// A draft of the policies in force with these files.
    async fn create(client: &'a AdminClient<'a>, files: Value) -> Self {
        let created = client.post(DRAFTS, json!({ "files": files })).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.json()["id"].as_str().unwrap().to_owned();
        Self {
            client,
            path: format!("{DRAFTS}/{id}"),
        }
    }

    fn path(&self, of: &str) -> String {
        format!("{}/{of}", self.path)
    }

    async fn file(&self, name: &str) -> String {
        let file = self.client.get(&self.path(&format!("files/{name}"))).await;
        file.json()["text"].as_str().unwrap().to_owned()
    }

    async fn version(&self) -> u64 {
        let draft = self.client.get(&self.path).await.json();
        draft["version"].as_u64().unwrap()
    }
}

/// A server with an author, `of-author`, and a user that it may see, `of-shown`.
async fn server_with_authors() -> Server {
    server_with_authors_and("").await
}

/// The same with more in its catalog.
async fn server_with_authors_and(more: &str) -> Server {
    let of_role = |role| {
        format!(
            "[[roles]]\nname = \"{role}\"\n[[users]]\nusername = \"of-{role}\"\n\
             password = \"{PASSWORD}\"\nroles = [\"{role}\"]\n"
        )
    };
    let added = ["author", "shown"].map(of_role).concat();
    Server::start_with(ServerOptions {
        catalog: Some([CATALOG, &added, more].concat()),
        policies: Some(POLICIES),
        ..ServerOptions::default()
    })
    .await
}
