//! The Authorization API 1.0 (AuthZEN): other services ask for decisions, and search.

pub mod evaluation;
pub mod information_model;
mod members;
pub mod metadata;
pub mod question_reader;
pub mod reply;
pub mod search;

use poem::http::Method;

/// What comes before the paths of the API.
const PREFIX: &str = "/access/";
/// What comes before the paths of the searches.
pub const SEARCH_PREFIX: &str = "/access/v1/search/";

/// The paths of the API.
pub const PATHS: [&str; 5] = [
    evaluation::PATH,
    evaluation::BATCH_PATH,
    search::SUBJECT_PATH,
    search::RESOURCE_PATH,
    search::ACTION_PATH,
];

/// Whether a path is one of the API.
#[must_use]
pub fn is_access_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Whether a request asks one question, or searches.
#[must_use]
pub fn is_one_question(method: &Method, path: &str) -> bool {
    *method == Method::POST && is_access_path(path) && path != evaluation::BATCH_PATH
}

/// Whether a request asks several questions.
#[must_use]
pub fn is_batch(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == evaluation::BATCH_PATH
}
