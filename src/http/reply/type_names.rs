//! Messages of poem-openapi without its names of types, which are names of this program and mean nothing to a client.

const PARSE_PREFIX: &str = "failed to parse \"";
const PROPAGATION: &str = " (occurred while parsing \"";
const EXPECTED_TYPE: &str = "Expected input type \"";
const FOUND: &str = "\", found ";
const NO_VALUE: &str = "Type \"";
const EXPECTS_VALUE: &str = "\" expects an input value.";

/// The message without the names of types.
pub(super) fn without_type_names(message: &str) -> String {
    let mut rest = message;
    // Each type that a value is inside of adds its name at the end.
    while let Some((before, after)) = rest.rsplit_once(PROPAGATION)
        && after.ends_with("\")")
    {
        rest = before;
    }
    while let Some((_, after)) = rest
        .strip_prefix(PARSE_PREFIX)
        .and_then(|named| named.split_once("\": "))
    {
        rest = after;
    }
    if let Some((_, found)) = rest
        .strip_prefix(EXPECTED_TYPE)
        .and_then(|named| named.split_once(FOUND))
    {
        return format!("unexpected value {}", found.trim_end_matches('.'));
    }
    if rest.starts_with(NO_VALUE) && rest.ends_with(EXPECTS_VALUE) {
        return "a value is missing".to_owned();
    }
    rest.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_left_out_however_deep_a_value_is() {
        for (message, expected) in [
            (
                r#"failed to parse "DatasetBody": unknown field `licence`."#,
                "unknown field `licence`",
            ),
            (
                r#"failed to parse "string_uuid": invalid length: 3 (occurred while parsing "optional<string_uuid>") (occurred while parsing "DatasetBody")"#,
                "invalid length: 3",
            ),
            (
                r#"Expected input type "string", found {"a": "b"}. (occurred while parsing "UserBody")"#,
                r#"unexpected value {"a": "b"}"#,
            ),
            (
                r#"Type "integer_uint32" expects an input value."#,
                "a value is missing",
            ),
            (
                r#"failed to parse "A": failed to parse "B": it is (not \"X\": this)"#,
                r#"it is (not \"X\": this)"#,
            ),
            (
                "duplicate field `zone` at line 1 column 2",
                "duplicate field `zone` at line 1 column 2",
            ),
        ] {
            assert_eq!(without_type_names(message), expected);
        }
    }
}
