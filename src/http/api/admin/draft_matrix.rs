//! The matrix API: `POST /admin/policies/drafts/{draft_id}/matrix`, who may do something with what under a draft.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::caller::Authentication;
use crate::domain::client_address::{AssumedAddress, AssumedAddressError};
use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::policy::context_literals::ContextLiterals;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::policies::review::asked_contexts::{AskedAuthentication, ContextScope};
use crate::service::policies::review::matrix::{
    DatasetGrouping, MatrixAxis, MatrixQuery, PeopleGrouping,
};

use super::draft_matrix_response::MatrixResponse;
use super::explanation_response::DatasetAction;

/// The most columns, and the most rows, of a page.
const MAX_MATRIX_LIMIT: u32 = 200;
/// How many there are unless it is said.
const DEFAULT_MATRIX_LIMIT: u32 = 50;
/// The most groups that people, or datasets, have to be in.
const MAX_WITHIN: usize = 8;

/// The matrix API.
pub struct DraftMatrixApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// What the columns of a matrix are.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum MatrixPeopleBy {
    /// Users whom the policies do not tell apart.
    Class,
    /// The members of each role.
    Role,
    /// Single users.
    Person,
}

/// What the rows of a matrix are.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MatrixDatasetsBy {
    /// The datasets of each visibility.
    Visibility,
    /// The datasets of each record status.
    RecordStatus,
    /// The datasets of each owner.
    Owner,
    /// The datasets with each value of a tag.
    Tag,
    /// Single datasets.
    Dataset,
}

/// How people authenticate. Only those who can do so take part.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum MatrixAuthentication {
    /// Not at all: callers who did not sign in alone.
    None,
    /// As each of them signs in, without an API key.
    SignedIn,
    /// With a password.
    Password,
    /// With an API key, of each kind that the policies tell apart.
    ApiKey,
    /// With a token of an identity provider.
    Issuer,
}

/// The columns of a matrix.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub struct MatrixPeopleRequest {
    /// What they are.
    pub by: MatrixPeopleBy,
    /// Keys of columns of earlier responses: only people who are in all of them take part.
    #[oai(rename = "in", skip_serializing_if_is_none)]
    pub within: Option<Vec<String>>,
    /// The `next_people` of the previous page.
    #[oai(skip_serializing_if_is_none)]
    pub after: Option<String>,
}

/// The rows of a matrix.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub struct MatrixDatasetsRequest {
    /// What they are.
    pub by: MatrixDatasetsBy,
    /// The name of the tag, with `tag`.
    #[oai(skip_serializing_if_is_none)]
    pub tag: Option<String>,
    /// Keys of rows of earlier responses: only datasets that are in all of them take part.
    #[oai(rename = "in", skip_serializing_if_is_none)]
    pub within: Option<Vec<String>>,
    /// The `next_datasets` of the previous page.
    #[oai(skip_serializing_if_is_none)]
    pub after: Option<String>,
}

/// Where, when and how is asked. What is left out is asked on all sides of what the policies compare it with.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub struct MatrixContextRequest {
    /// The only client address, or `unknown`.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The only time, in whole seconds.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// The only way in which users authenticate.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<MatrixAuthentication>,
}

/// The request for an access matrix.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct MatrixRequest {
    /// The action.
    pub action: DatasetAction,
    /// The columns.
    pub people: MatrixPeopleRequest,
    /// The rows.
    pub datasets: MatrixDatasetsRequest,
    /// Where, when and how is asked. If omitted, in every context that the policies can tell apart.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<MatrixContextRequest>,
    /// Maximum number of columns, and of rows, from 1 to 200. If omitted, 50.
    #[oai(skip_serializing_if_is_none)]
    pub limit: Option<u32>,
}

impl Example for MatrixRequest {
    fn example() -> Self {
        Self {
            action: DatasetAction::Read,
            people: MatrixPeopleRequest {
                by: MatrixPeopleBy::Role,
                within: None,
                after: None,
            },
            datasets: MatrixDatasetsRequest {
                by: MatrixDatasetsBy::Visibility,
                tag: None,
                within: None,
                after: None,
            },
            context: None,
            limit: None,
        }
    }
}

impl From<MatrixAuthentication> for AskedAuthentication {
    fn from(authentication: MatrixAuthentication) -> Self {
        match authentication {
            MatrixAuthentication::None => Self::As(Authentication::None),
            MatrixAuthentication::SignedIn => Self::SignedIn,
            MatrixAuthentication::Password => Self::As(Authentication::Password),
            MatrixAuthentication::ApiKey => Self::ApiKey,
            MatrixAuthentication::Issuer => Self::As(Authentication::Issuer),
        }
    }
}

impl MatrixRequest {
    fn into_query(self) -> Result<MatrixQuery, ServiceError> {
        let limit = self.limit.unwrap_or(DEFAULT_MATRIX_LIMIT);
        if !(1..=MAX_MATRIX_LIMIT).contains(&limit) {
            let detail = format!("expected a number from 1 to {MAX_MATRIX_LIMIT}");
            return Err(ServiceError::invalid("limit", detail));
        }
        let people = PeopleGrouping::from(self.people.by);
        let datasets = self.datasets.grouping()?;
        let MatrixDatasetsRequest { within, after, .. } = self.datasets;
        Ok(MatrixQuery {
            action: self.action.into(),
            people: axis("people", people, self.people.within, self.people.after)?,
            datasets: axis("datasets", datasets, within, after)?,
            scope: scope_of(self.context)?,
            limit: usize::try_from(limit).unwrap_or_default(),
        })
    }
}

impl From<MatrixPeopleBy> for PeopleGrouping {
    fn from(by: MatrixPeopleBy) -> Self {
        match by {
            MatrixPeopleBy::Class => Self::Class,
            MatrixPeopleBy::Role => Self::Role,
            MatrixPeopleBy::Person => Self::Person,
        }
    }
}

impl MatrixDatasetsRequest {
    fn grouping(&self) -> Result<DatasetGrouping, ServiceError> {
        let tag = self.tag.as_ref();
        match (self.by, tag) {
            (MatrixDatasetsBy::Tag, Some(tag)) => Ok(DatasetGrouping::Tag(tag.clone())),
            (MatrixDatasetsBy::Tag, None) => {
                let detail = "`tag` is required, the name of the tag to group by";
                Err(ServiceError::invalid("datasets", detail))
            }
            (_, Some(_)) => {
                let detail = "`tag` is only allowed with `by`: `tag`";
                Err(ServiceError::invalid("datasets", detail))
            }
            (MatrixDatasetsBy::Visibility, None) => Ok(DatasetGrouping::Visibility),
            (MatrixDatasetsBy::RecordStatus, None) => Ok(DatasetGrouping::RecordStatus),
            (MatrixDatasetsBy::Owner, None) => Ok(DatasetGrouping::Owner),
            (MatrixDatasetsBy::Dataset, None) => Ok(DatasetGrouping::Dataset),
        }
    }
}

/// One side of the matrix. A text that is no key names no group.
fn axis<By, Key: std::str::FromStr>(
    field: &'static str,
    by: By,
    within: Option<Vec<String>>,
    after: Option<String>,
) -> Result<MatrixAxis<By, Key>, ServiceError> {
    let within = within.unwrap_or_default();
    if within.len() > MAX_WITHIN {
        let detail = format!("`in` has at most {MAX_WITHIN} keys");
        return Err(ServiceError::invalid(field, detail));
    }
    let parse = |text: String| {
        text.parse().map_err(|_| ServiceError::NotFound {
            what: "group of the matrix",
        })
    };
    Ok(MatrixAxis {
        by,
        within: within.into_iter().map(parse).collect::<Result<_, _>>()?,
        after: after.map(parse).transpose()?,
    })
}

fn scope_of(context: Option<MatrixContextRequest>) -> Result<ContextScope, ServiceError> {
    let (address, time, authentication) = context.map_or((None, None, None), |context| {
        (context.address, context.time, context.authentication)
    });
    Ok(ContextScope {
        address: parse_address(address.as_deref())?,
        time: time.map(|Timestamp(second)| second),
        authentication: authentication.map(Into::into),
        now: 0,
        literals: ContextLiterals::default(),
    })
}

/// The address of a question, if it has one.
pub(super) fn parse_address(text: Option<&str>) -> Result<Option<AssumedAddress>, ServiceError> {
    let address = text.map(str::parse).transpose();
    address
        .map_err(|error: AssumedAddressError| ServiceError::invalid("address", error.to_string()))
}

/// The error statuses of asking what a draft changes.
pub struct DraftReviewStatuses;

impl ErrorStatuses for DraftReviewStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, "The policies do not permit you to do this."),
        (
            404,
            "There is no such draft of yours, or a key names nobody or nothing that you may see.",
        ),
        (
            409,
            "The draft is not valid, or its policies tell more users and datasets apart than can be decided about.",
        ),
        (
            422,
            "The body is malformed, or the field named in `field` is invalid.",
        ),
    ];
    const FIELD_STATUSES: &'static [u16] = &[409, 422];
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftMatrixApi {
    /// Evaluate access matrix of draft
    ///
    /// Returns how many pairs of a principal and a dataset may do the action, by the policies in force and under the
    /// draft, in columns of people and rows of datasets. Each pair is asked about in every context that the policies tell
    /// apart, unless `context` confines it. Pass keys of columns and rows as `in` to look into them. Requires
    /// `view_policies`. Only users on whom you have `view_users` and datasets that you may administer take part, by the
    /// policies in force, and callers who did not sign in; disabled users do not.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/matrix",
        method = "post",
        operation_id = "evaluate_draft_matrix"
    )]
    async fn matrix(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        body: JsonBody<MatrixRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<MatrixResponse>, ErrorResponse<DraftReviewStatuses>> {
        let query = body.0.into_query()?;
        let (version, matrix) = self
            .administration
            .matrix_of_draft(&credentials.0, draft_id.0, query)
            .await?;
        Ok(JsonOk(MatrixResponse::new(version, matrix)))
    }
}
