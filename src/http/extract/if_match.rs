//! The `If-Match` extractor: a resource is changed only in the version that the client has seen.
//!
//! It never fails: a malformed header matches no version, so that nothing is changed by mistake.

use poem::http::header::IF_MATCH;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::http::conditional::entity_tag::matches_strongly;
use crate::http::conditional::etag_response::json_etag;
use crate::http::conditional::precondition::joined_header;

/// The versions that a request names (RFC 9110 section 13.1.1): all lines of the header as one list,
/// or none if there is no line.
pub struct IfMatch(Option<Vec<u8>>);

impl IfMatch {
    /// Whether the header matches a resource with this representation; without the header it does.
    pub fn matches(&self, resource: &impl ToJSON) -> bool {
        let listed = self.0.as_deref();
        listed.is_none_or(|listed| matches_strongly(listed, &json_etag(resource)))
    }

    /// The check whether the header matches a resource that is represented as `R`.
    pub fn precondition<R, T>(&self) -> impl Fn(&T) -> bool
    where
        R: ToJSON + From<T>,
        T: Clone,
    {
        |resource| self.matches(&R::from(resource.clone()))
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
        Ok(Self(joined_header(request.headers(), &IF_MATCH)))
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
        assert!(IfMatch(None).matches(&seen));
        assert!(if_match(b"*").matches(&seen));
        assert!(if_match(etag.as_bytes()).matches(&seen));
        assert!(if_match(format!("\"other\", {etag}").as_bytes()).matches(&seen));
        assert!(!if_match(format!("W/{etag}").as_bytes()).matches(&seen));
        assert!(!if_match(etag.as_bytes()).matches(&"another".to_owned()));
        assert!(!if_match(b"").matches(&seen));
        assert!(!if_match(b"\"\xe9\"").matches(&seen));
    }
}
