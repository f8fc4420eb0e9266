//! The table of operations: which path takes which methods, and which operation takes a body of whom.
//!
//! The router does not expose its methods, so the table is built from the OpenAPI document and from
//! the list of other routes. `Allow` of a 405 (RFC 9110 section 15.5.6) comes from here, and what the
//! middleware must know before it reads a body.

use poem::http::{HeaderValue, Method};
use serde_json::{Map, Value};

/// A table of path templates and their operations.
#[derive(Clone, Debug, Default)]
pub struct OperationTable {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    template: Vec<String>,
    allowed: HeaderValue,
    bodies: Vec<(Method, BodyKind)>,
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
}

impl OperationTable {
    /// The table of an OpenAPI document; `get_paths` are further paths that take GET.
    #[must_use]
    pub fn from_document(document: &Value, get_paths: &[&str]) -> Self {
        let paths = document.get("paths").and_then(Value::as_object);
        let documented = paths.into_iter().flatten().map(|(path, operations)| {
            let operations = operations.as_object().into_iter().flatten();
            let bodies = operations.filter_map(|(method, operation)| {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
                Some((method.ok()?, body_kind(operation)))
            });
            row(path, bodies.collect())
        });
        let further = get_paths
            .iter()
            .map(|path| row(path, vec![(Method::GET, BodyKind::Unused)]));
        Self {
            rows: documented.chain(further).collect(),
        }
    }

    /// The methods that a path takes, or `None` for an unknown path.
    #[must_use]
    pub fn allowed_methods(&self, path: &str) -> Option<&HeaderValue> {
        self.row(path).map(|row| &row.allowed)
    }

    /// What the operation does with a body, or `None` if there is no such operation.
    #[must_use]
    pub fn body_kind(&self, method: &Method, path: &str) -> Option<BodyKind> {
        let bodies = &self.row(path)?.bodies;
        let found = bodies.iter().find(|(known, _)| known == method);
        found.map(|(_, kind)| *kind)
    }

    fn row(&self, path: &str) -> Option<&Row> {
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |row: &&Row| {
            let template = &row.template;
            template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        self.rows.iter().find(fits)
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

fn row(path: &str, bodies: Vec<(Method, BodyKind)>) -> Row {
    let mut allowed: Vec<&str> = bodies.iter().map(|(method, _)| method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = HeaderValue::from_str(&allowed.join(", "));
    Row {
        template: path.split('/').map(str::to_owned).collect(),
        allowed: allowed.unwrap_or_else(|_| HeaderValue::from_static("OPTIONS")),
        bodies,
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
        assert_eq!(kind(Method::PUT), Some(BodyKind::OfCallers));
        assert_eq!(kind(Method::POST), Some(BodyKind::OfAnyone));
        assert_eq!(kind(Method::PATCH), None);
    }
}
