//! The Authorization API (AuthZEN): what services ask, and what they are told.

mod batches;
mod bodies;
mod evaluation;
mod evaluation_records;
mod search;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::{CATALOG, Server, ServerOptions, TestResponse};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

/// Types of its own, beside those of the shipped schema.
const SCHEMA: &str = r#"
namespace Docs {
  entity Team;
  @authzen("person")
  entity Person in [Team] = { "level"?: Long };
  @authzen("record")
  entity Record = { "status": String, "editors"?: Set<Person> };
  @authzen("view")
  action "viewRecord" appliesTo {
    principal: [Person, User], resource: [Record],
    context: { "soft"?: Bool },
  };
  @authzen("edit")
  action "editRecord" appliesTo { principal: [Person], resource: [Record], context: { "time": datetime } };
}
"#;

const POLICIES: &str = r#"
@id("gateway") @reason("A gateway asks for decisions and searches.")
permit (principal in Role::"gateway", action in [Action::"evaluate", Action::"search"], resource == Server::"cedargate");
@id("clock") @reason("A clock says what time it is.")
permit (principal in Role::"clock", action in [Action::"evaluate", Action::"assume_context"], resource == Server::"cedargate");
@id("team-views") @tell @reason("The team views records.")
permit (principal in Docs::Team::"team", action == Docs::Action::"viewRecord", resource);
@id("soft-views") @reason("Anybody views softly.")
permit (principal, action == Docs::Action::"viewRecord", resource) when { context has soft && context.soft };
@id("secret") @tell @reason("Secret records are closed.")
forbid (principal, action == Docs::Action::"viewRecord", resource) when { resource.status == "secret" };
@id("editors-edit") @reason("Editors edit until the end of 2026.")
permit (principal, action == Docs::Action::"editRecord", resource)
when { resource has editors && resource.editors.contains(principal) && context.time < datetime("2027-01-01") };
"#;

/// People and records: more than one page of some limits.
fn entities() -> Value {
    let person = |id: &str, parents: Value| json!({"uid": {"type": "Docs::Person", "id": id}, "parents": parents});
    let team = json!({"type": "Docs::Team", "id": "team"});
    let mut all = vec![
        json!({"uid": team}),
        person("alice", json!([team])),
        person("bob", json!([])),
        person("carol", json!([team])),
        person("dave", json!([])),
        person("erin", json!([team])),
    ];
    for (number, status) in ["open", "secret", "open", "open", "secret", "open"]
        .iter()
        .enumerate()
    {
        let mut attrs = json!({"status": status});
        if number == 3 {
            attrs["editors"] = json!([{"type": "Docs::Person", "id": "bob"}]);
        }
        all.push(
            json!({"uid": {"type": "Docs::Record", "id": format!("r{number}")}, "attrs": attrs}),
        );
    }
    all.into()
}

/// A server that decides about records too, with a gateway and a clock that may ask.
struct AccessServer {
    server: Server,
    gateway: String,
    policies: TempDir,
}

impl AccessServer {
    async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    async fn start_with(mut environment: Vec<(&'static str, String)>) -> Self {
        let policies = copy_of_shipped_policies();
        let schema = policies.path().join("schema.cedarschema");
        let text = std::fs::read_to_string(&schema).unwrap();
        std::fs::write(&schema, text + SCHEMA).unwrap();
        std::fs::write(policies.path().join("docs.cedar"), POLICIES).unwrap();
        let entities = serde_json::to_vec_pretty(&entities()).unwrap();
        std::fs::write(policies.path().join("docs.entities.json"), entities).unwrap();
        environment.push((
            "CEDARGATE_POLICY_DIR",
            policies.path().display().to_string(),
        ));
        environment.push(("CEDARGATE_GATE_PROOFS", "off".to_owned()));
        let user = |name: &str| {
            format!(
                "[[roles]]\nname = \"{name}\"\n[[users]]\nusername = \"the-{name}\"\n\
                 password = \"correct horse\"\nroles = [\"{name}\"]\n"
            )
        };
        let catalog = format!("{CATALOG}\n{}{}", user("gateway"), user("clock"));
        let server = Server::start_with(ServerOptions {
            environment,
            catalog: Some(catalog),
            ..ServerOptions::default()
        })
        .await;
        let gateway = server.session("the-gateway").await;
        Self {
            server,
            gateway,
            policies,
        }
    }

    async fn ask_as(&self, session: &str, path: &str, body: &Value) -> TestResponse {
        // Records are ordered by time, and this clock stands still unless it is advanced.
        self.server.clock.advance(1);
        TestResponse::send(self.server.post(path).bearer_auth(session).json(body)).await
    }

    async fn ask(&self, path: &str, body: &Value) -> TestResponse {
        self.ask_as(&self.gateway, path, body).await
    }

    /// The answer to a question.
    async fn evaluate(&self, body: &Value) -> Value {
        let response = self.ask(EVALUATION, body).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("cache-control"), "no-store");
        response.json()
    }

    /// The records of questions and searches.
    async fn asked(&self) -> Vec<Value> {
        let mut found = crate::support::records::records(&self.server).await;
        found.retain(|record| record["event"] == "evaluate" || record["event"] == "search");
        found
    }
}

fn entity((kind, id): (&str, &str)) -> Value {
    json!({"type": kind, "id": id})
}

fn question(subject: (&str, &str), action: &str, resource: (&str, &str)) -> Value {
    json!({"subject": entity(subject), "action": {"name": action}, "resource": entity(resource)})
}
