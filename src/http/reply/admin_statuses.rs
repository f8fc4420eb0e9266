//! The statuses with which administration may refuse, as the OpenAPI document tells them.
//!
//! This module refuses to know any single operation.

use super::responses::ErrorStatuses;

const DENIED: (u16, &str) = (403, "The policies do not permit you to do this.");
const NOT_FOUND: (u16, &str) = (404, "It is not there, or you may not know that it is.");
const CONFLICT: (u16, &str) = (
    409,
    "It is at odds with what there is; `field` names what is.",
);
const INVALID: (u16, &str) = (
    422,
    "A parameter or the body cannot be read, or a field has a value that cannot be; `field` names it.",
);

/// Of a list.
pub struct ListStatuses;

impl ErrorStatuses for ListStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED];
}

/// Of looking at one thing, or of ending it, whatever it has become.
pub struct ReadStatuses;

impl ErrorStatuses for ReadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND];
}

/// Of making something.
pub struct CreateStatuses;

impl ErrorStatuses for CreateStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, CONFLICT, INVALID];
}

/// Of changing one version of something.
pub struct UpdateStatuses;

impl ErrorStatuses for UpdateStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 412, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT, INVALID];
}

/// Of changing something that has no versions.
pub struct UpdateUnversionedStatuses;

impl ErrorStatuses for UpdateUnversionedStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT, INVALID];
}

/// Of removing one version of something.
pub struct DeleteStatuses;

impl ErrorStatuses for DeleteStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 412, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT];
}

/// Of bringing a file.
pub struct UploadStatuses;

impl ErrorStatuses for UploadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 408, 412, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (
            400,
            "The credentials cannot be read, there is more than one, or the body broke off.",
        ),
        DENIED,
        NOT_FOUND,
        (413, "The file is larger than this server takes."),
        (422, "A parameter cannot be read, or the file is no TIFF."),
    ];
}
