//! What is wrong with a body is told in the names that the client knows.

use serde_json::{Value, json};

use crate::support::admin_client::AdminClient;
use crate::support::server::Server;

#[tokio::test]
async fn the_problem_of_a_body_names_no_type_of_this_program() {
    let server = Server::start().await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let dataset = |member: Value| {
        let mut body = json!({"title": "x", "visibility": "public", "record_status": "draft"});
        let members = member.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(members);
        ("/admin/datasets", body)
    };
    let rows = [
        (
            dataset(json!({"titel": "x"})),
            "unknown field `titel`; did you mean \"title\"?",
        ),
        (
            dataset(json!({"title": ["x"]})),
            "`title`: expected a string, found a list",
        ),
        (
            dataset(json!({"visibility": "pubic"})),
            "did you mean \"public\"?",
        ),
        (
            dataset(json!({"tags": {"a": "b"}})),
            "`tags.a`: expected a list, found a string",
        ),
        (
            dataset(json!({"attributes": []})),
            "`attributes`: expected an object, found a list",
        ),
        (dataset(json!({"id": "x"})), "`id`: expected a UUID"),
        (
            dataset(json!({"reader_users": [["x"]]})),
            "`reader_users[0]`: expected a string",
        ),
        (dataset(json!({"colour": "blue"})), "goes into attributes"),
        (
            ("/admin/datasets", json!([])),
            "expected an object, found a list",
        ),
        (
            ("/admin/datasets", json!({"title": "x"})),
            "the field `visibility` is missing",
        ),
        (
            ("/admin/users", json!({"username": "x", "clearance": 3})),
            "or into claims",
        ),
        (
            (
                "/admin/users",
                json!({"username": "x", "is_disabled": "no"}),
            ),
            "`is_disabled`",
        ),
        (("/admin/roles", json!({"nam": "x"})), "`nam`"),
        (
            (
                "/auth/api-keys",
                json!({"name": "x", "expires_at": "tomorrow"}),
            ),
            "`expires_at`",
        ),
        (
            ("/auth/api-keys", json!({"name": "x", "datasets": []})),
            "`datasets`: expected at least 1 in the list, found 0",
        ),
        (
            ("/auth/refresh", json!({"refresh_token": ["x"]})),
            "`refresh_token`",
        ),
        (
            ("/admin/policies/explain", json!({"principal": ["x"]})),
            "`principal`",
        ),
    ];
    for ((path, body), expected) in rows {
        let detail = admin.post(path, body).await.problem(422);
        for leak in [
            "failed to parse",
            "Body",
            "Request",
            "string_",
            "occurred while",
            "Expected input",
        ] {
            assert!(!detail.contains(leak), "{path}: {detail}");
        }
        assert!(detail.contains(expected), "{path}: {detail}");
    }
}
