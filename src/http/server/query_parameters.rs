//! The query parameters of an operation: one that it does not have is refused, and named.
//!
//! Whoever misspells a filter must not be given everything, so that nothing in a query is skipped: not an unknown
//! name, not another case of a known one, and not the second of two values. The names are those of the OpenAPI
//! document, for every operation but the mint, whose contract has none and looks at none. The pages of the docs UI
//! are exempt: a link to them may have been given parameters on its way, and none of them selects anything.
//!
//! A query is checked where a malformed parameter is found: after the body gate, and before the operation
//! authenticates its caller, decides or reads anything. Names are compared after percent-decoding, as the
//! operation reads them (URL standard, section 5.1); values are not looked at, and never repeated.

use poem::http::StatusCode;
use serde_json::Value;

use crate::domain::suggest::closest;
use crate::http::extract::credentials::TOKEN_PARAMETER;
use crate::http::extract::query_pairs::query_pairs;
use crate::http::reply::problem::Problem;

/// How many unknown parameters a problem names.
const MAX_NAMED: usize = 5;
/// The most characters of a name that a problem repeats, and that are compared with the known ones.
const MAX_NAME_LENGTH: usize = 64;
/// Names under which other servers take credentials.
const CREDENTIAL_NAMES: [&str; 7] = [
    TOKEN_PARAMETER,
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "key",
    "x_api_key",
];

/// What an operation does with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QueryParameters {
    /// It looks at none, whatever there is.
    Ignored,
    /// It takes these, each at most once, and no others.
    Named(Vec<String>),
}

impl QueryParameters {
    /// Those of an operation in an OpenAPI document.
    pub(super) fn of_operation(operation: &Value) -> Self {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let names = parameters.into_iter().flatten().filter_map(|parameter| {
            let is_query = parameter.get("in").is_some_and(|place| place == "query");
            let name = parameter.get("name").and_then(Value::as_str)?;
            is_query.then(|| name.to_owned())
        });
        Self::Named(names.collect())
    }

    /// The problem of a query that has other parameters, or one twice.
    ///
    /// Two tokens are two credentials, which the operation refuses itself.
    pub(super) fn check(&self, query: &str) -> Option<Problem> {
        let Self::Named(known) = self else {
            return None;
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut repeated = None;
        let mut unknown: Vec<String> = Vec::new();
        for (name, _) in query_pairs(query) {
            match known.iter().find(|known| **known == name) {
                Some(name) if seen.contains(&name.as_str()) && name != TOKEN_PARAMETER => {
                    repeated = repeated.or(Some(name));
                }
                Some(name) => seen.push(name),
                None => {
                    let name: String = name.chars().take(MAX_NAME_LENGTH).collect();
                    if unknown.len() < MAX_NAMED && !unknown.contains(&name) {
                        unknown.push(name);
                    }
                }
            }
        }
        let detail = match (unknown.is_empty(), repeated) {
            (false, _) => describe_unknown(&unknown, known),
            (true, Some(name)) => format!("the query parameter `{name}` is given more than once"),
            (true, None) => return None,
        };
        Some(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
    }
}

fn describe_unknown(unknown: &[String], known: &[String]) -> String {
    let noun = match unknown {
        [_] => "unknown query parameter",
        _ => "unknown query parameters",
    };
    let names: Vec<String> = unknown
        .iter()
        .map(|name| describe_name(name, known))
        .collect();
    let taken = match known {
        [] => "this operation takes none in its URL".to_owned(),
        known => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("this operation takes {}", known.join(", "))
        }
    };
    let is_credential = |name: &String| CREDENTIAL_NAMES.contains(&folded(name).as_str());
    let advice = if unknown.iter().any(is_credential) && !known.iter().any(is_credential) {
        ", and credentials in a header only"
    } else {
        ""
    };
    format!("{noun} {}: {taken}{advice}", names.join(", "))
}

fn describe_name(name: &str, known: &[String]) -> String {
    let folded = folded(name);
    let is_short_for = |known: &&str| known.strip_suffix("_id") == Some(folded.as_str());
    let mut names = known.iter().map(String::as_str);
    let meant = closest(&folded, names.clone()).or_else(|| names.find(is_short_for));
    let name = match name {
        "" => "with an empty name".to_owned(),
        name => format!("`{}`", name.escape_debug()),
    };
    match meant {
        Some(meant) => format!("{name} (did you mean `{meant}`?)"),
        None => name,
    }
}

/// A name as ours are written: in lower case, with underscores.
fn folded(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' ', '.'], "_")
}

#[cfg(test)]
mod tests {
    use poem::IntoResponse;

    use super::*;

    async fn detail(known: &[&str], query: &str) -> Option<String> {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        let problem = QueryParameters::Named(known).check(query)?;
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body = response.into_body().into_string().await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        Some(body["detail"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_query_of_known_parameters_passes_in_any_encoding() {
        for query in [
            "",
            "&&",
            "limit=1",
            "limit=1&after=x&",
            "l%69mit=1",
            "after=limit=1",
            "limit",
            "after=&limit=%FF",
        ] {
            assert_eq!(detail(&["limit", "after"], query).await, None, "{query}");
        }
        assert_eq!(detail(&["token"], "token=a&token=b").await, None);
        assert!(QueryParameters::Ignored.check("x=1&x=1").is_none());
    }

    #[tokio::test]
    async fn every_other_parameter_is_named_with_what_was_meant() {
        let mut told = Vec::new();
        for query in [
            "limti=5",
            "Limit=5",
            "LIMIT=5",
            "limit+=5",
            "request-id=x",
            "requestId=x",
            "x=1",
            "=5",
            "limit=1&=",
            "%FF=1",
            "a%0Ab=1",
            "x=1&y=2&x=3&afetr=1",
            "limit=1&limit=2",
            "limit=1&l%69mit=1",
            "token=secret",
            "Access-Token=secret",
            "_=1700000000",
            "limit[]=5",
            "limit;after=1",
        ] {
            let detail = detail(&["limit", "after", "request_id"], query).await;
            told.push(format!("{query}\n    {}", detail.unwrap()));
        }
        insta::assert_snapshot!(told.join("\n"));
        insta::assert_snapshot!(
            detail(&[], "x=1").await.unwrap(),
            @"unknown query parameter `x`: this operation takes none in its URL"
        );
    }

    #[tokio::test]
    async fn no_value_is_repeated_and_no_query_makes_a_long_answer() {
        let names: Vec<String> = (0..500).map(|at| format!("n{at}=hunter2")).collect();
        let query = format!("{}=1&{}", "x".repeat(30_000), names.join("&"));
        let detail = detail(&["limit"], &query).await;
        let detail = detail.unwrap();
        assert!(!detail.contains("hunter2"), "{detail}");
        assert!(detail.len() < 300, "{detail}");
    }
}
