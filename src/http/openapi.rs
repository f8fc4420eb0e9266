//! The OpenAPI document: adds what poem-openapi's macros cannot express.

use poem_openapi::Tags;
use serde_json::{Map, Value, json};
use url::Url;

use crate::http::reply::problem::PROBLEM_JSON;

/// What the API is for, with what most of its callers want first.
pub const DESCRIPTION: &str = "\
Authorization for data downloads: policies decide, a short-lived token opens one dataset, and anyone can verify the \
token with the published key set.\n\n\
**To download a dataset**, two requests are enough:\n\n\
1. `POST /auth/download-token/{dataset_id}` (tag *Auth*) gives a token. Public data needs no credential; for other \
data send an API key as `X-Api-Key`, or log in first (tag *Sessions*).\n\
2. `GET /datasets/{dataset_id}/download/cog?token=...` (tag *Datasets*) gives the file, within the 120 seconds of \
the token.\n\n\
An operation takes the query parameters that are named here; another one, or one twice, is 422. The first of these \
two requests alone ignores its query.";

/// What a 422 says of an operation of which nothing else can be malformed.
const UNKNOWN_PARAMETER: &str = "The query has a parameter that the operation does not have.";

/// How operations are grouped.
#[derive(Tags)]
pub enum ApiTag {
    /// Download tokens. If you only need a token for a dataset, this one operation is all: call it with the id of
    /// the dataset, and with a credential if the data is not public.
    Auth,
    /// Which datasets there are for you, and their files: here a download token is used.
    Datasets,
    /// The public keys with which anybody verifies download tokens.
    #[oai(rename = "Key set")]
    KeySet,
    /// Logging in with a user name and a password, for data that is not public.
    Sessions,
    /// Your API keys, with which programs get tokens without a password.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// Decisions for other services: the Authorization API 1.0 (AuthZEN).
    Access,
    /// Users, roles, datasets, the audit log and the policies, for callers whom the policies permit.
    Administration,
    /// Health, and decisions for proxies: for operators.
    Operators,
}

/// The tags in the order in which people need them; the docs UI shows them so.
const TAG_ORDER: [ApiTag; 8] = [
    ApiTag::Auth,
    ApiTag::Datasets,
    ApiTag::KeySet,
    ApiTag::Sessions,
    ApiTag::ApiKeys,
    ApiTag::Access,
    ApiTag::Administration,
    ApiTag::Operators,
];

/// JSON bodies that may have unknown members, as OAuth requires of its own (RFC 6749 section 3.2).
const LENIENT_BODIES: [&str; 1] = ["RefreshRequest"];

/// Where the document describes the login.
const PASSWORD_FLOW: &str = "/components/securitySchemes/OAuth2PasswordBearer/flows/password";
/// Where the document describes forward-auth, which answers with 403 whatever is malformed.
const FORWARD_AUTH: &str = "/paths/~1auth~1verify/get";
/// The id of that operation.
const FORWARD_AUTH_ID: &str = "verify_proxied_request";
/// The ids of the operations of the Authorization API, which ignore a query: it knows no 422.
const ACCESS_IDS: [&str; 6] = [
    "evaluate",
    "evaluate_each",
    "search_subjects",
    "search_resources",
    "search_actions",
    "authzen_configuration",
];
/// The path of the login.
const LOGIN_PATH: &str = "/auth/login";

/// The query and header parameters of the download, which its handler parses itself.
fn download_parameters() -> [Value; 2] {
    [
        json!({
            "name": "token",
            "in": "query",
            "description": "A download token of this dataset; no other kind of credential is accepted here.",
            "required": false,
            "schema": {"type": "string"}
        }),
        json!({
            "name": "Range",
            "in": "header",
            "description": "The bytes to send, such as `bytes=0-16383`.",
            "required": false,
            "schema": {"type": "string"}
        }),
    ]
}

/// The headers in which proxies name the original request, which its extractor reads itself.
fn forwarded_parameters() -> Vec<Value> {
    let header = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "description": description,
            "required": false,
            "schema": {"type": "string"}
        })
    };
    let uri = "The path and the query of the original request, as the client sent them.";
    let method = "The method of the original request; GET if no header names it.";
    vec![
        header("X-Original-URI", uri),
        header("X-Original-Method", method),
        header("X-Forwarded-Uri", uri),
        header("X-Forwarded-Method", method),
    ]
}

/// The path of a URL without a final slash, percent-encoded; empty if it has none.
fn path_of_url(url: &str) -> String {
    let path = Url::parse(url).map(|url| url.path().trim_end_matches('/').to_owned());
    path.unwrap_or_default()
}

/// Says where the server stands, as the path of the issuer.
///
/// References in the document are relative, because clients reach a server by several names and a page may call
/// only the one that it came from. Clients resolve the login relative to a server or to the document
/// (OpenAPI 3.0.3, *Relative References in URLs*): with a path of its own both give the same.
fn add_server(document: &mut Value, issuer: &str) {
    let path = path_of_url(issuer);
    let token_url = if path.is_empty() {
        format!(".{LOGIN_PATH}")
    } else {
        format!("{path}{LOGIN_PATH}")
    };
    if let Some(servers) = document.pointer_mut("/servers")
        && !path.is_empty()
    {
        *servers = json!([{"url": path}]);
    }
    let flow = document.pointer_mut(PASSWORD_FLOW);
    if let Some(flow) = flow.and_then(Value::as_object_mut) {
        flow.insert("tokenUrl".to_owned(), token_url.into());
    }
}

/// Completes the document that poem-openapi wrote, for the server with this issuer.
#[must_use]
pub fn complete_document(mut document: Value, issuer: &str) -> Value {
    add_server(&mut document, issuer);
    if let Some(operation) =
        document.pointer_mut("/paths/~1datasets~1{dataset_id}~1download~1cog/get/parameters")
        && let Some(parameters) = operation.as_array_mut()
    {
        parameters.extend(download_parameters());
    }
    if let Some(operation) = document
        .pointer_mut(FORWARD_AUTH)
        .and_then(Value::as_object_mut)
    {
        operation.insert("parameters".to_owned(), forwarded_parameters().into());
    }
    if let Some(flow) = document
        .pointer_mut(PASSWORD_FLOW)
        .and_then(Value::as_object_mut)
    {
        // Required by the OpenAPI specification, even when there are none.
        flow.entry("scopes")
            .or_insert_with(|| Value::Object(Map::new()));
    }
    mark_strict_bodies(&mut document);
    add_unknown_parameter_responses(&mut document);
    sort_tags(&mut document);
    add_titles(&mut document);
    document
}

/// Every operation of the document.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let paths = paths.into_iter().flat_map(Map::values_mut);
    paths
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
}

/// Says of the JSON bodies of requests that unknown members are rejected.
fn mark_strict_bodies(document: &mut Value) {
    let reference = "/requestBody/content/application~1json; charset=utf-8/schema/$ref";
    let names: Vec<String> = operations(document)
        .filter_map(|operation| operation.pointer(reference)?.as_str())
        .filter_map(|reference| reference.rsplit('/').next().map(str::to_owned))
        .filter(|name| !LENIENT_BODIES.contains(&name.as_str()))
        .collect();
    for name in names {
        let schema = document.pointer_mut(&format!("/components/schemas/{name}"));
        if let Some(schema) = schema.and_then(Value::as_object_mut) {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
}

/// Every operation that looks at its query refuses parameters that it does not have.
fn add_unknown_parameter_responses(document: &mut Value) {
    let looks_at_query = |operation: &&mut Value| {
        let id = operation.get("operationId").and_then(Value::as_str);
        id.is_none_or(|id| id != FORWARD_AUTH_ID && !ACCESS_IDS.contains(&id))
    };
    for operation in operations(document).filter(looks_at_query) {
        let responses = operation.get_mut("responses");
        let Some(responses) = responses.and_then(Value::as_object_mut) else {
            continue;
        };
        responses.entry("422").or_insert_with(|| {
            let schema = json!({"$ref": "#/components/schemas/ProblemDetail"});
            json!({
                "description": UNKNOWN_PARAMETER,
                "content": {PROBLEM_JSON: {"schema": schema}},
            })
        });
    }
}

fn sort_tags(document: &mut Value) {
    let position = |tag: &Value| {
        let is_named = |known: &ApiTag| tag.get("name").is_some_and(|name| name == known.name());
        TAG_ORDER.iter().position(is_named)
    };
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(position);
    }
}

/// Gives every parameter and property without a title one derived from its name.
fn add_titles(document: &mut Value) {
    for operation in operations(document) {
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let name = parameter
                .get("name")
                .and_then(Value::as_str)
                .map(title_from_name);
            if let Some(schema) = parameter.get_mut("schema") {
                add_title(schema, name);
            }
        }
    }
    let schemas = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    for (schema_name, schema) in schemas.into_iter().flatten() {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            remove_repeated_description(property);
            add_title(property, Some(title_from_name(name)));
        }
        add_title(schema, Some(schema_name.clone()));
    }
}

/// poem-openapi repeats the description of a property that refers to a schema as a schema of its
/// own in `allOf`, which describes no value; client generators fail on it.
fn remove_repeated_description(property: &mut Value) {
    let is_description = |part: &Value| {
        part.as_object()
            .is_some_and(|part| part.keys().all(|key| key == "description"))
    };
    if let Some(parts) = property.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.retain(|part| !is_description(part));
    }
}

fn add_title(schema: &mut Value, title: Option<String>) {
    if let (Some(schema), Some(title)) = (schema.as_object_mut(), title)
        && !schema.contains_key("$ref")
    {
        schema.entry("title").or_insert(Value::String(title));
    }
}

/// `dataset_id` is titled `Dataset Id`.
fn title_from_name(name: &str) -> String {
    let capitalise = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('_')
        .map(capitalise)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_derived_from_a_name() {
        assert_eq!(title_from_name("dataset_id"), "Dataset Id");
        assert_eq!(title_from_name("token"), "Token");
    }

    #[test]
    fn the_document_names_the_path_of_the_issuer_and_no_host() {
        for (issuer, servers, token_url) in [
            ("https://x.example", json!([]), "./auth/login"),
            (
                "http://127.0.0.1:8080/gate",
                json!([{"url": "/gate"}]),
                "/gate/auth/login",
            ),
            (
                "https://x.example/a/b/gate",
                json!([{"url": "/a/b/gate"}]),
                "/a/b/gate/auth/login",
            ),
            (
                "https://x.example/my%20gate",
                json!([{"url": "/my%20gate"}]),
                "/my%20gate/auth/login",
            ),
        ] {
            let mut document = json!({"servers": [], "components": {"securitySchemes": {
                "OAuth2PasswordBearer": {"flows": {"password": {"tokenUrl": "/auth/login"}}}}}});
            add_server(&mut document, issuer);
            assert_eq!(document["servers"], servers, "{issuer}");
            let flow = document.pointer(PASSWORD_FLOW).unwrap();
            assert_eq!(flow["tokenUrl"], token_url, "{issuer}");
        }
    }
}
