//! The `If-Match` extractor: a resource is changed only in the version that the client has seen.
//!
//! It never fails: a malformed header matches no version, so that nothing is changed by mistake.

use std::borrow::Cow;
use std::fmt::Display;

use poem::http::header::IF_MATCH;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::http::conditional::entity_tag::{
    ALTERED_TAG, IfMatchOutcome, MALFORMED_TAG, compare_strongly,
};
use crate::http::conditional::etag_response::{json_etag, version_etag};
use crate::http::conditional::precondition::joined_header;
use crate::service::error::ServiceError;

/// The versions that a request names (RFC 9110 section 13.1.1): all lines of the header as one list,
/// or none if there is no line.
pub struct IfMatch(Option<Vec<u8>>);

impl IfMatch {
    /// Checks whether the header matches a resource with this representation; without the header it does.
    pub fn check(&self, resource: &impl ToJSON) -> Result<(), ServiceError> {
        self.check_tag(|| json_etag(resource))
    }

    /// Checks whether the header is there.
    pub fn require(&self, detail: &'static str) -> Result<(), ServiceError> {
        let missing = ServiceError::PreconditionMissing { detail };
        self.0.as_ref().map(|_| ()).ok_or(missing)
    }

    /// Checks whether the header matches a version that is named by itself; without the header it does.
    pub fn check_version(&self, version: impl Display) -> Result<(), ServiceError> {
        self.check_tag(|| version_etag(version))
    }

    fn check_tag(&self, etag: impl FnOnce() -> String) -> Result<(), ServiceError> {
        let Some(listed) = self.0.as_deref() else {
            return Ok(());
        };
        match compare_strongly(listed, &etag()) {
            IfMatchOutcome::Matches => Ok(()),
            IfMatchOutcome::Differs => Err(ServiceError::PreconditionFailed),
            IfMatchOutcome::Altered => Err(ServiceError::PreconditionIncomparable {
                detail: ALTERED_TAG,
            }),
            IfMatchOutcome::Malformed => Err(ServiceError::PreconditionIncomparable {
                detail: MALFORMED_TAG,
            }),
        }
    }

    /// The check whether the header matches a resource that is represented as `R`.
    pub fn precondition<R, T>(&self) -> impl Fn(&T) -> Result<(), ServiceError>
    where
        R: ToJSON + From<T>,
        T: Clone,
    {
        |resource| self.check(&R::from(resource.clone()))
    }
}

impl<'a> ApiExtractor<'a> for IfMatch {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = Option<String>;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(<Option<String>>::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let listed = joined_header(request.headers(), &IF_MATCH);
        Ok(Self(listed.map(Cow::into_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(listed: &[u8]) -> IfMatch {
        IfMatch(Some(listed.to_vec()))
    }

    #[test]
    fn the_header_matches_the_version_it_names_and_no_other() {
        let seen = "a resource".to_owned();
        let etag = json_etag(&seen);
        let is_met = |header: &IfMatch| header.check(&seen).is_ok();
        assert!(is_met(&IfMatch(None)));
        assert!(is_met(&if_match(b"*")));
        assert!(is_met(&if_match(etag.as_bytes())));
        assert!(is_met(&if_match(format!("\"other\", {etag}").as_bytes())));
        assert!(
            if_match(etag.as_bytes())
                .check(&"another".to_owned())
                .is_err()
        );
        assert!(if_match(b"\"7\"").check_version(7).is_ok());
        assert!(if_match(b"\"7\"").check_version(8).is_err());
        assert!(!is_met(&if_match(b"")));
        assert!(!is_met(&if_match(b"\"\xe9\"")));
        assert!(if_match(b"\"7\"").require("x").is_ok());
        assert!(IfMatch(None).check_version(7).is_ok() && IfMatch(None).require("x").is_err());
        assert!(matches!(
            if_match(format!("W/{etag}").as_bytes()).check(&seen),
            Err(ServiceError::PreconditionIncomparable { .. })
        ));
    }
}
