//! The OpenAPI document: what the macros cannot say is added here, once.
//!
//! This module refuses to know how requests are answered.

use poem_openapi::Tags as OpenApiTags;
use serde_json::{Map, Value, json};

/// How operations are grouped.
#[derive(OpenApiTags)]
pub enum Tags {
    /// Signing in and minting download tokens.
    Auth,
    /// Datasets and their files.
    Datasets,
    /// Users, roles, datasets, the audit log and the policies, for those whom the policies let.
    Administration,
    /// What verifiers of download tokens need.
    Verifiers,
    /// Health, for operators.
    Operators,
}

/// Bodies whose unknown members are refused: a misspelt one would be left out without a word.
const STRICT_BODIES: [&str; 7] = [
    "NewApiKey",
    "NewUserBody",
    "ChangedUser",
    "NewPassword",
    "NewRole",
    "DatasetBody",
    "ImportBody",
];

/// The query and header parameters of the download, whose handler reads them by itself.
fn download_parameters() -> [Value; 2] {
    [
        json!({
            "name": "token",
            "in": "query",
            "description": "A download token of this dataset. It takes no other kind of credential.",
            "required": false,
            "schema": {"type": "string"}
        }),
        json!({
            "name": "Range",
            "in": "header",
            "description": "The span of bytes to send, such as `bytes=0-16383`.",
            "required": false,
            "schema": {"type": "string"}
        }),
    ]
}

/// Completes the document that poem-openapi wrote.
#[must_use]
pub fn complete_document(mut document: Value) -> Value {
    if let Some(operation) =
        document.pointer_mut("/paths/~1datasets~1{dataset_id}~1download~1cog/get/parameters")
        && let Some(parameters) = operation.as_array_mut()
    {
        parameters.extend(download_parameters());
    }
    if let Some(flow) = document
        .pointer_mut("/components/securitySchemes/OAuth2PasswordBearer/flows/password")
        .and_then(Value::as_object_mut)
    {
        // Required by the OpenAPI specification, even when there are none.
        flow.entry("scopes")
            .or_insert_with(|| Value::Object(Map::new()));
    }
    for name in STRICT_BODIES {
        if let Some(schema) = document
            .pointer_mut(&format!("/components/schemas/{name}"))
            .and_then(Value::as_object_mut)
        {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
    add_titles(&mut document);
    document
}

/// Gives every parameter and property without a title the one its name suggests.
fn add_titles(document: &mut Value) {
    let operations = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = operations.into_iter().flat_map(Map::values_mut);
    for operation in operations
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
    {
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
/// own in `allOf`, which describes no value; generators of clients give up on it.
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
    fn a_name_suggests_its_title() {
        assert_eq!(title_from_name("dataset_id"), "Dataset Id");
        assert_eq!(title_from_name("token"), "Token");
    }
}
