//! `cedargate audit export` with the filters of the API.

use serde_json::{Value, json};

use crate::support::cli::{CommandOutput, cedargate};
use crate::support::records::records;
use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse};

fn run(server: &Server, arguments: &[&str]) -> CommandOutput {
    let command = [&["audit", "export"], arguments].concat();
    let folder = server.folder.path();
    let data_dir = [("CEDARGATE_DATA_DIR", folder.to_str().unwrap())];
    cedargate(folder, &command, &data_dir)
}

fn export(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let exported = run(server, arguments);
    assert_eq!(exported.code, 0, "{}", exported.messages);
    let lines = exported.data.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The ids alone: the totals of a download grow for a few seconds.
fn ids(records: &[Value]) -> Vec<&str> {
    let ids = records.iter().map(|record| record["id"].as_str().unwrap());
    ids.collect()
}

#[tokio::test]
async fn an_export_takes_every_filter_of_the_api_and_finds_the_same() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    let mo = server.session("mo").await;
    server.clock.advance(1);
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    server.clock.advance(1);
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    server.clock.advance(1);
    let traced = server
        .mint_request(PUBLIC)
        .header("x-request-id", "trace-7");
    assert_eq!(TestResponse::send(traced).await.status, 200);
    server.clock.advance(1);
    let question = json!({
        "subject": {"type": "user", "id": "mo"},
        "action": {"name": "read"},
        "resource": {"type": "dataset", "id": RESTRICTED},
    });
    let asked = server.post("/access/v1/evaluation").bearer_auth(&ada);
    assert_eq!(TestResponse::send(asked.json(&question)).await.status, 200);
    server.clock.advance(1);
    server.login("ada", "wrong").await.problem(401);
    server.clock.advance(1);
    let all = records(&server).await;
    let of = |event: &str| all.iter().find(|record| record["event"] == event).unwrap();
    let text = |record: &Value, member: &str| record[member].as_str().unwrap().to_owned();
    let mint = of("mint");
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let parameters = &document["paths"]["/admin/audit/export"]["get"]["parameters"];
    let end = text(all.last().unwrap(), "time");
    for parameter in parameters.as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let value = match name {
            "user_id" | "jti" | "request_id" => text(mint, name),
            "dataset_id" => RESTRICTED.to_owned(),
            "resource_user_id" => text(mint, "user_id"),
            "outcome" => "refused".to_owned(),
            "event" => "download".to_owned(),
            "action" => "read".to_owned(),
            "username" => "ADA".to_owned(),
            "client_request_id" => "trace-7".to_owned(),
            "asked_principal" | "asked_resource" => text(of("evaluate"), name),
            "since" | "until" => text(mint, "time"),
            other => panic!("test the filter {other} here"),
        };
        // What is recorded meanwhile is the reading itself.
        let until = if name == "until" {
            value.clone()
        } else {
            end.clone()
        };
        let option = format!("--{}", name.replace('_', "-"));
        let mut arguments = vec![option.as_str(), &value];
        let mut query = vec![(name, value.as_str())];
        if name != "until" {
            arguments.extend(["--until", &until]);
            query.push(("until", &until));
        }
        let url = format!("{}/admin/audit/export", server.url);
        let url = reqwest::Url::parse_with_params(&url, &query).unwrap();
        let request = server.http.get(url);
        let response = TestResponse::send(request.bearer_auth(&ada)).await;
        let text = String::from_utf8(response.body).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let found: Vec<Value> = lines.collect();
        assert_eq!(
            ids(&export(&server, &arguments)),
            ids(&found),
            "{arguments:?}"
        );
        let is_expected = name == "resource_user_id" || name == "outcome" || !found.is_empty();
        assert!(is_expected, "{name}");
    }
    let (id, name) = (text(mint, "user_id"), "mo");
    let by_name = export(&server, &["--user-id", name, "--event", "mint"]);
    assert_eq!(ids(&by_name), ids(std::slice::from_ref(mint)));
    let by_id = export(&server, &["--user-id", &id, "--event", "mint"]);
    assert_eq!(ids(&by_id), ids(&by_name));
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_wrong_usage_and_prints_nothing() {
    let server = Server::start().await;
    for (arguments, told) in [
        (&["--event", "mnit"][..], "mint"),
        (&["--outcome", "maybe"], "outcome"),
        (&["--action", "raed"], "read"),
        (&["--dataset-id", "dem"], "dem"),
        (&["--jti", "eyJ"], "eyJ"),
        (&["--since", "yesterday"], "RFC 3339"),
        (&["--reqeust-id", "x"], "--request-id"),
        (&["--request-id", "x", "--request-id", "y"], "--request-id"),
        (&["--user-id", "not a name"], "not a name"),
    ] {
        let exported = run(&server, arguments);
        assert_eq!(exported.code, 2, "{arguments:?}: {}", exported.messages);
        assert!(exported.messages.contains(told), "{}", exported.messages);
        assert_eq!(exported.data, "");
    }
    let exported = run(&server, &["--user-id", "mi"]);
    assert_eq!((exported.code, exported.data.as_str()), (1, ""));
    assert!(exported.messages.contains("there is no user mi"));
}
