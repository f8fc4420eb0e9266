//! Conditional and range requests (RFC 9110 sections 8.8, 13 and 14).

pub mod entity_tag;
pub mod etag_response;
pub mod precondition;
pub mod public_document;
pub mod range_header;
pub mod span;
