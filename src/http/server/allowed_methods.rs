//! Allowed methods: which path takes which, for the `Allow` of a 405 (RFC 9110 section 15.5.6).
//!
//! The router does not expose its methods, so the table is built from the OpenAPI document and from
//! the list of other routes.

use poem::http::HeaderValue;
use serde_json::Value;

/// A table of path templates and the methods they take.
#[derive(Clone, Debug, Default)]
pub struct AllowedMethods {
    rows: Vec<(Vec<String>, HeaderValue)>,
}

impl AllowedMethods {
    /// The table of an OpenAPI document; `get_paths` are further paths that take GET.
    #[must_use]
    pub fn from_document(document: &Value, get_paths: &[&str]) -> Self {
        let operations = document.get("paths").and_then(Value::as_object);
        let documented = operations.into_iter().flatten().map(|(path, operations)| {
            let methods = operations
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys());
            row(path, methods.map(String::as_str))
        });
        let further = get_paths.iter().map(|path| row(path, ["get"].into_iter()));
        Self {
            rows: documented.chain(further).collect(),
        }
    }

    /// The methods that a path takes, or `None` for an unknown path.
    #[must_use]
    pub fn for_path(&self, path: &str) -> Option<&HeaderValue> {
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |template: &[String]| {
            template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        self.rows
            .iter()
            .find(|(template, _)| fits(template))
            .map(|(_, allowed)| allowed)
    }
}

fn row<'a>(path: &str, methods: impl Iterator<Item = &'a str>) -> (Vec<String>, HeaderValue) {
    let mut allowed: Vec<String> = methods.map(str::to_ascii_uppercase).collect();
    if allowed.iter().any(|method| method == "GET") {
        allowed.push("HEAD".to_owned());
    }
    allowed.push("OPTIONS".to_owned());
    let allowed = HeaderValue::from_str(&allowed.join(", "));
    let template = path.split('/').map(str::to_owned).collect();
    (
        template,
        allowed.unwrap_or_else(|_| HeaderValue::from_static("OPTIONS")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn get_brings_head_and_templates_fit_any_segment() {
        let document = json!({"paths": {"/a/{id}": {"get": {}, "delete": {}}, "/b": {"post": {}}}});
        let methods = AllowedMethods::from_document(&document, &["/c"]);
        assert_eq!(
            methods.for_path("/a/1").unwrap(),
            "GET, DELETE, HEAD, OPTIONS"
        );
        assert_eq!(methods.for_path("/b").unwrap(), "POST, OPTIONS");
        assert_eq!(methods.for_path("/c").unwrap(), "GET, HEAD, OPTIONS");
        assert_eq!(methods.for_path("/a/1/2"), None);
    }
}
