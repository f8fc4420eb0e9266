//! The error statuses of administrative operations, as the OpenAPI document describes them.

use super::responses::ErrorStatuses;

const DENIED: (u16, &str) = (403, "The policies do not permit you to do this.");
const NOT_FOUND: (u16, &str) = (404, "Not found, or not visible to you.");
const CONFLICT: (u16, &str) = (
    409,
    "Conflicts with the current state; `field` names the field.",
);
const INVALID: (u16, &str) = (
    422,
    "A parameter or the body is malformed, or a field is not valid; `field` names it.",
);

/// Of getting something that takes no parameters.
pub struct ReadAllStatuses;

impl ErrorStatuses for ReadAllStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED];
}

/// Of listing.
pub struct ListStatuses;

impl ErrorStatuses for ListStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED];
}

/// Of getting one thing, or of ending it whatever its version.
pub struct ReadStatuses;

impl ErrorStatuses for ReadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND];
}

/// Of running something, for which its state may be unfit.
pub struct RunStatuses;

impl ErrorStatuses for RunStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT];
    const FIELD_STATUSES: &'static [u16] = &[409];
}

/// Of revoking a credential.
pub struct RevokeStatuses;

impl ErrorStatuses for RevokeStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        DENIED,
        NOT_FOUND,
        (409, "The last admin signs in with this credential."),
    ];
}

/// Of creating something.
pub struct CreateStatuses;

impl ErrorStatuses for CreateStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, CONFLICT, INVALID];
    const FIELD_STATUSES: &'static [u16] = &[409, 422];
}

/// Of creating something from something else that may not be there.
pub struct StartStatuses;

impl ErrorStatuses for StartStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, INVALID];
    const FIELD_STATUSES: &'static [u16] = &[422];
}

/// Of beginning something again, without a body.
pub struct RestartStatuses;

impl ErrorStatuses for RestartStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT, INVALID];
    const FIELD_STATUSES: &'static [u16] = &[409, 422];
}

/// Of updating one version of something.
pub struct UpdateStatuses;

impl ErrorStatuses for UpdateStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT, INVALID];
    const FIELD_STATUSES: &'static [u16] = &[409, 422];
}

/// Of updating something that has no versions.
pub struct UpdateUnversionedStatuses;

impl ErrorStatuses for UpdateUnversionedStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT, INVALID];
    const FIELD_STATUSES: &'static [u16] = &[409, 422];
}

/// Of deleting one version of something.
pub struct DeleteStatuses;

impl ErrorStatuses for DeleteStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 412, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED, NOT_FOUND, CONFLICT];
}

/// Of uploading a file.
pub struct UploadStatuses;

impl ErrorStatuses for UploadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 408, 412, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (
            400,
            "There is more than one credential; or the body is a part of a file, ended early, or is not what \
             its digest says.",
        ),
        DENIED,
        NOT_FOUND,
        (413, "The file is larger than this server accepts."),
        (
            415,
            "The body is neither `image/tiff` nor `application/octet-stream`, or has a content coding.",
        ),
        (
            422,
            "A parameter is malformed, or the file is not a whole TIFF.",
        ),
    ];
    const FIELD_STATUSES: &'static [u16] = &[422];
}
