//! Responses: their statuses, bodies and problems.

pub mod admin_statuses;
pub mod content_disposition;
pub mod event_stream;
pub mod problem;
pub mod responses;
pub mod timestamp;

mod type_names;
