//! The table of operations: which path takes which methods, and which operation takes which query and a body of whom.
//!
//! The router does not expose its methods, so the table is built from the OpenAPI document and from
//! the list of other routes. `Allow` of a 405 (RFC 9110 section 15.5.6) comes from here, `Accept` of a 415,
//! what pages of other origins may send and read (CORS), and what the middleware must know before it reads a
//! body. Nothing of it is listed by hand, so that a new operation cannot be forgotten in one of these places.

use std::collections::BTreeSet;

use poem::http::{HeaderValue, Method};
use serde_json::{Map, Value};

use super::path_index::PathIndex;
use super::query_parameters::QueryParameters;

/// A table of path templates and their operations.
#[derive(Clone, Debug, Default)]
pub struct OperationTable {
    rows: Vec<Row>,
    index: PathIndex,
    base_path: String,
    request_headers: BTreeSet<String>,
    response_headers: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Row {
    template: Vec<String>,
    allowed: HeaderValue,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct Operation {
    method: Method,
    body: BodyKind,
    media_types: Vec<String>,
    query: QueryParameters,
}

/// What an operation does with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// It takes none; one that is sent is read away.
    Unused,
    /// It takes one from anybody.
    OfAnyone,
    /// It takes one from authenticated callers.
    OfCallers,
    /// It takes one from callers, anonymous ones too.
    OfCallersOrAnonymous,
}

impl OperationTable {
    /// The table of an OpenAPI document; `get_paths` are further paths that take GET.
    #[must_use]
    pub fn from_document(document: &Value, get_paths: &[&str]) -> Self {
        let paths = document.get("paths").and_then(Value::as_object);
        let documented = paths.into_iter().flatten().map(|(path, operations)| {
            let operations = operations.as_object().into_iter().flatten();
            let operations = operations.filter_map(|(method, operation)| {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
                Some(Operation {
                    method: method.ok()?,
                    body: body_kind(operation),
                    media_types: media_types(operation),
                    query: QueryParameters::of_operation(operation),
                })
            });
            row(path, operations.collect())
        });
        let get = || Operation {
            method: Method::GET,
            body: BodyKind::Unused,
            media_types: Vec::new(),
            query: QueryParameters::Named(Vec::new()),
        };
        let further = get_paths.iter().map(|path| row(path, vec![get()]));
        let rows: Vec<Row> = documented.chain(further).collect();
        Self {
            index: PathIndex::new(rows.iter().map(|row| row.template.as_slice())),
            rows,
            base_path: base_path(document),
            request_headers: request_headers(document),
            response_headers: response_headers(document),
        }
    }

    /// The table in which the operations at these path templates ignore a query.
    #[must_use]
    pub fn with_ignored_queries(mut self, templates: &[&str]) -> Self {
        for row in &mut self.rows {
            if templates.contains(&row.template.join("/").as_str()) {
                for operation in &mut row.operations {
                    operation.query = QueryParameters::Ignored;
                }
            }
        }
        self
    }

    /// The table in which the operations at these path templates, whose callers may be anonymous, take a body of
    /// anonymous callers too.
    #[must_use]
    pub fn with_anonymous_bodies(mut self, templates: &[&str]) -> Self {
        for row in &mut self.rows {
            if templates.contains(&row.template.join("/").as_str()) {
                for operation in &mut row.operations {
                    if operation.body == BodyKind::OfCallers {
                        operation.body = BodyKind::OfCallersOrAnonymous;
                    }
                }
            }
        }
        self
    }

    /// Whether a proxy passed the path on without removing the path under which the server stands.
    #[must_use]
    pub fn has_base_path(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.base_path.as_str());
        !self.base_path.is_empty()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The methods of all operations.
    #[must_use]
    pub fn methods(&self) -> BTreeSet<&str> {
        let allowed = self.rows.iter().filter_map(|row| row.allowed.to_str().ok());
        allowed.flat_map(|allowed| allowed.split(", ")).collect()
    }

    /// The names of the headers that some operation takes, in lower case.
    #[must_use]
    pub fn request_headers(&self) -> &BTreeSet<String> {
        &self.request_headers
    }

    /// The names of the headers that some response has, in lower case.
    #[must_use]
    pub fn response_headers(&self) -> &BTreeSet<String> {
        &self.response_headers
    }

    /// The methods that a path takes, or `None` for an unknown path.
    #[must_use]
    pub fn allowed_methods(&self, path: &str) -> Option<&HeaderValue> {
        self.row(path).map(|row| &row.allowed)
    }

    /// What the operation does with a body, or `None` if there is no such operation.
    #[must_use]
    pub fn body_kind(&self, method: &Method, path: &str) -> Option<BodyKind> {
        self.operation(method, path).map(|operation| operation.body)
    }

    /// The media types that the operation takes, or none if it takes no body.
    #[must_use]
    pub fn media_types(&self, method: &Method, path: &str) -> &[String] {
        self.operation(method, path)
            .map_or(&[], |operation| &operation.media_types)
    }

    /// The query parameters of the operation; none are looked at if there is no such operation.
    pub(super) fn query_parameters(&self, method: &Method, path: &str) -> &QueryParameters {
        self.operation(method, path)
            .map_or(&QueryParameters::Ignored, |operation| &operation.query)
    }

    /// HEAD is answered by the operation of GET, as the router does it.
    fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        let is_head = *method == Method::HEAD;
        let mut operations = self.row(path)?.operations.iter();
        operations.find(|operation| {
            operation.method == *method || (is_head && operation.method == Method::GET)
        })
    }

    fn row(&self, path: &str) -> Option<&Row> {
        self.rows.get(self.index.find(path)?)
    }
}

/// An operation that has a body and names credentials needs one: nothing else may be read for nobody.
fn body_kind(operation: &Value) -> BodyKind {
    let has_credentials = operation
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(|schemes| {
            schemes
                .iter()
                .filter_map(Value::as_object)
                .any(|scheme| !Map::is_empty(scheme))
        });
    match (operation.get("requestBody"), has_credentials) {
        (None, _) => BodyKind::Unused,
        (Some(_), false) => BodyKind::OfAnyone,
        (Some(_), true) => BodyKind::OfCallers,
    }
}

/// The media types that an operation takes, without parameters.
fn media_types(operation: &Value) -> Vec<String> {
    let content = operation.pointer("/requestBody/content");
    let types = content.and_then(Value::as_object).into_iter().flatten();
    types
        .filter_map(|(media_type, _)| media_type.split(';').next())
        .map(|media_type| media_type.trim().to_owned())
        .collect()
}

/// Every object in the document at any depth that has this member.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name));
            for member in object.values() {
                members(member, name, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                members(item, name, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The headers that are parameters of operations, those of the security schemes, and the type of bodies.
fn request_headers(document: &Value) -> BTreeSet<String> {
    let mut parameters = Vec::new();
    members(document, "parameters", &mut parameters);
    let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
    let schemes = document.pointer("/components/securitySchemes");
    let schemes = schemes
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values);
    let named = parameters.chain(schemes).filter_map(|described| {
        let is_header = described.get("in").is_some_and(|place| place == "header");
        let is_authorization = described
            .get("type")
            .is_some_and(|kind| kind == "oauth2" || kind == "http");
        match described.get("name").and_then(Value::as_str) {
            Some(name) if is_header => Some(name.to_ascii_lowercase()),
            _ => is_authorization.then(|| "authorization".to_owned()),
        }
    });
    named.chain(["content-type".to_owned()]).collect()
}

/// The path of the server that the document names; empty if it names none.
fn base_path(document: &Value) -> String {
    let server = document.pointer("/servers/0/url").and_then(Value::as_str);
    server.unwrap_or_default().to_owned()
}

fn response_headers(document: &Value) -> BTreeSet<String> {
    let mut headers = Vec::new();
    members(document, "headers", &mut headers);
    let headers = headers.into_iter().filter_map(Value::as_object);
    headers
        .flat_map(Map::keys)
        .map(|name| name.to_ascii_lowercase())
        .collect()
}

fn row(path: &str, operations: Vec<Operation>) -> Row {
    let mut allowed: Vec<&str> = operations
        .iter()
        .map(|operation| operation.method.as_str())
        .collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = HeaderValue::from_str(&allowed.join(", "));
    Row {
        template: path.split('/').map(str::to_owned).collect(),
        allowed: allowed.unwrap_or_else(|_| HeaderValue::from_static("OPTIONS")),
        operations,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn get_brings_head_and_templates_fit_any_segment() {
        let document = json!({"paths": {"/a/{id}": {"get": {}, "delete": {}}, "/b": {"post": {}}}});
        let table = OperationTable::from_document(&document, &["/c"]);
        let allowed = |path| {
            table
                .allowed_methods(path)
                .map(|allowed| allowed.to_str().unwrap())
        };
        assert_eq!(allowed("/a/1"), Some("GET, DELETE, HEAD, OPTIONS"));
        assert_eq!(allowed("/b"), Some("POST, OPTIONS"));
        assert_eq!(allowed("/c"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(allowed("/a/1/2"), None);
    }

    #[test]
    fn a_body_is_of_callers_where_the_operation_names_credentials() {
        let document = json!({"paths": {"/a/{id}": {
            "get": {"security": [{"key": []}, {}]},
            "put": {"security": [{"key": []}, {}], "requestBody": {}},
            "post": {"requestBody": {}},
        }}});
        let table = OperationTable::from_document(&document, &[]);
        let kind = |method| table.body_kind(&method, "/a/1");
        assert_eq!(kind(Method::GET), Some(BodyKind::Unused));
        assert_eq!(kind(Method::HEAD), Some(BodyKind::Unused));
        assert_eq!(kind(Method::PUT), Some(BodyKind::OfCallers));
        assert_eq!(kind(Method::POST), Some(BodyKind::OfAnyone));
        assert_eq!(kind(Method::PATCH), None);
    }

    #[test]
    fn an_operation_takes_the_query_parameters_that_the_document_names() {
        let document = json!({"paths": {
            "/a/{id}": {
                "get": {"parameters": [{"name": "q", "in": "query"}, {"name": "id", "in": "path"}]},
                "put": {},
            },
            "/m/{id}": {"post": {}},
        }});
        let table = OperationTable::from_document(&document, &["/c", "/d"]);
        let table = table.with_ignored_queries(&["/m/{id}", "/d"]);
        let named = |names: &[&str]| {
            QueryParameters::Named(names.iter().map(|name| (*name).to_owned()).collect())
        };
        for (method, path, expected) in [
            (Method::GET, "/a/1", named(&["q"])),
            (Method::HEAD, "/a/1", named(&["q"])),
            (Method::PUT, "/a/1", named(&[])),
            (Method::GET, "/c", named(&[])),
            (Method::POST, "/m/1", QueryParameters::Ignored),
            (Method::GET, "/d", QueryParameters::Ignored),
            (Method::DELETE, "/a/1", QueryParameters::Ignored),
            (Method::OPTIONS, "/a/1", QueryParameters::Ignored),
            (Method::GET, "/x", QueryParameters::Ignored),
        ] {
            let found = table.query_parameters(&method, path);
            assert_eq!(*found, expected, "{method} {path}");
        }
    }

    #[test]
    fn methods_headers_and_media_types_are_those_of_all_operations() {
        let document = json!({
            "paths": {"/a/{id}": {
                "get": {"parameters": [{"name": "Range", "in": "header"}, {"name": "q", "in": "query"}],
                        "responses": {"200": {"headers": {"ETag": {}}}}},
                "put": {"requestBody": {"content": {"image/tiff": {}, "text/plain; charset=utf-8": {}}}},
            }},
            "components": {"securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "login": {"type": "oauth2"},
            }},
        });
        let table = OperationTable::from_document(&document, &["/c"]);
        let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            table.methods().into_iter().collect::<Vec<_>>(),
            ["GET", "HEAD", "OPTIONS", "PUT"]
        );
        assert_eq!(
            names(table.request_headers()),
            ["authorization", "content-type", "range", "x-api-key"]
        );
        assert_eq!(names(table.response_headers()), ["etag"]);
        assert_eq!(
            table.media_types(&Method::PUT, "/a/1"),
            ["image/tiff", "text/plain"]
        );
        assert!(table.media_types(&Method::GET, "/a/1").is_empty());
    }
}
