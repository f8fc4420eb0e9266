//! The predicted response of the mint to the principal of an explanation.

use serde::Serialize;

use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;
use crate::service::access::Denial;

/// What the mint responds to a caller, rate limits aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PredictedMintResponse {
    /// The HTTP status.
    pub status: u16,
    /// The reason.
    pub why: &'static str,
}

impl PredictedMintResponse {
    pub(super) const EXPIRED_KEY: Self = Self {
        status: 401,
        why: "the API key has expired, and is no valid credential",
    };

    pub(super) fn predict(
        principal: &Principal,
        dataset: &Dataset,
        may_read: bool,
        may_discover: bool,
    ) -> Self {
        match principal {
            Principal::User(user) if user.is_disabled => Self {
                status: 401,
                why: "the user is disabled, and its credentials are invalid",
            },
            _ if may_read && dataset.file.is_none() => Self {
                status: 404,
                why: "the dataset has no file",
            },
            _ => Self::predict_with_file(principal.is_anonymous(), may_read, may_discover),
        }
    }

    pub(super) fn predict_with_file(
        is_anonymous: bool,
        may_read: bool,
        may_discover: bool,
    ) -> Self {
        let (status, why) = match (may_read, Denial::new(may_discover, is_anonymous)) {
            (true, _) => (200, "a download token"),
            (false, Denial::SignInRequired) => {
                (401, "may discover the dataset, and is asked to sign in")
            }
            (false, Denial::Forbidden) => (403, "may discover the dataset, but not read it"),
            (false, Denial::Hidden) => (404, "may not discover the dataset"),
        };
        Self { status, why }
    }
}
