//! The audit API: `GET /admin/audit` for pages, and `GET /admin/audit/export` for all records.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use poem::http::{HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Query;
use poem_openapi::registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::normal_form::normalize_name;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::ListStatuses;
use crate::http::reply::responses::{
    ANY_BYTES, ErrorResponse, JsonOk, binary_media_type, meta_response, text_header,
};
use crate::http::reply::timestamp::TimestampMillis;
use crate::service::administration::Administration;
use crate::service::audit_reader::AuditExport;

use super::audit_record::AuditRecordResponse;

/// The media type of JSON Lines: one JSON object a line.
const JSON_LINES: &str = "application/x-ndjson";

/// The audit API.
pub struct AuditApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A page of audit records.
#[derive(Object)]
pub struct AuditRecordPage {
    /// The records, newest first.
    pub items: Vec<AuditRecordResponse>,
    /// Send as `after` to get the next page; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<RecordId>,
}

/// Audit records as JSON Lines, streamed.
pub struct AuditExportResponse(AuditExport);

impl IntoResponse for AuditExportResponse {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(JSON_LINES)
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .body(Body::from_bytes_stream(stream_json_lines(self.0)))
    }
}

impl ApiResponse for AuditExportResponse {
    fn meta() -> MetaResponses {
        let line = MetaSchema {
            description: Some("One `AuditRecord` per line."),
            ..MetaSchema::new("string")
        };
        let lines = MetaMediaType {
            content_type: JSON_LINES,
            schema: MetaSchemaRef::Inline(Box::new(line)),
        };
        // Generators of clients that do not know JSON Lines give the bytes.
        let content = vec![lines, binary_media_type(ANY_BYTES)];
        let headers = vec![text_header("Cache-Control", "Always `no-store`.")];
        MetaResponses {
            responses: vec![meta_response(200, "Granted.", content, headers)],
        }
    }

    fn register(_: &mut Registry) {}
}

/// One chunk of lines per page, read when the client has taken the one before. If reading fails, the body is aborted, so that no client takes a
/// part for the whole.
fn stream_json_lines(export: AuditExport) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(export, |mut export| async move {
        let page = export.next().await.map_err(|error| {
            tracing::warn!(%error, "audit export aborted");
            std::io::Error::other(error)
        })?;
        let Some(page) = page else {
            return Ok(None);
        };
        Ok(Some((to_json_lines(&page)?, export)))
    })
}

fn to_json_lines(page: &[AuditRecord]) -> std::io::Result<Bytes> {
    let mut lines = Vec::new();
    for record in page {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AuditApi {
    /// List audit records
    ///
    /// Returns audit records, newest first. Pass `next` as `after` to get the next page; a page may
    /// be short or empty and still have a `next`, because one request searches a bounded number of
    /// records. Each record that existed at the first page is returned once; records appended
    /// meanwhile are newer and appear when you start again. Reading the audit log is recorded too.
    /// Requires `view_audit`.
    #[oai(
        path = "/admin/audit",
        method = "get",
        operation_id = "list_audit_records"
    )]
    #[allow(clippy::too_many_arguments, reason = "one parameter a filter")]
    async fn list(
        &self,
        credentials: HeaderCredentials,
        /// Maximum number of records per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<RecordId>>,
        /// Return only records of requests by this user.
        user_id: Query<Option<UserId>>,
        /// Return only records about this dataset.
        dataset_id: Query<Option<DatasetId>>,
        /// Return only records of operations on this user.
        resource_user_id: Query<Option<UserId>>,
        /// Return only records with this outcome.
        outcome: Query<Option<AuditOutcome>>,
        /// Return only records of this event.
        event: Query<Option<AuditEvent>>,
        /// Return only records of decisions about this action.
        action: Query<Option<Action>>,
        /// Return only logins with this user name.
        username: Query<Option<String>>,
        /// Return only the mint of the download token with this `jti`, and the downloads with it.
        jti: Query<Option<RecordId>>,
        /// Return only the record of the request with this id.
        request_id: Query<Option<String>>,
        /// Return only records of requests that came with this `X-Request-Id`.
        client_request_id: Query<Option<String>>,
        /// Return only questions and searches about this subject, such as `User::"<uuid>"`.
        asked_principal: Query<Option<String>>,
        /// Return only questions and searches about this resource, such as `Dataset::"<uuid>"`.
        asked_resource: Query<Option<String>>,
        /// Return only records from this time on, such as `2026-03-01T12:00:00Z`.
        since: Query<Option<TimestampMillis>>,
        /// Return only records before this time.
        until: Query<Option<TimestampMillis>>,
    ) -> Result<JsonOk<AuditRecordPage>, ErrorResponse<ListStatuses>> {
        let filter = AuditFilter {
            user_id: user_id.0,
            dataset_id: dataset_id.0,
            resource_user_id: resource_user_id.0,
            outcome: outcome.0,
            event: event.0,
            action: action.0,
            username: username.0.as_deref().map(normalize_name),
            jti: jti.0,
            request_id: request_id.0,
            client_request_id: client_request_id.0,
            asked_principal: asked_principal.0,
            asked_resource: asked_resource.0,
            since: since.0.map(|TimestampMillis(millis)| millis),
            until: until.0.map(|TimestampMillis(millis)| millis),
        };
        let page = self
            .administration
            .list_audit_records(&credentials.0, &filter, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(AuditRecordPage {
            next: page.next,
            items: page.records.into_iter().map(AuditRecordResponse).collect(),
        }))
    }

    /// Export audit records
    ///
    /// Returns all matching records up to now as JSON Lines, oldest first, as `cedargate audit
    /// export` prints them. An aborted body is incomplete; HTTP clients report this as an error.
    /// Requires `view_audit`.
    #[oai(
        path = "/admin/audit/export",
        method = "get",
        operation_id = "export_audit_records"
    )]
    #[allow(clippy::too_many_arguments, reason = "one parameter a filter")]
    async fn export(
        &self,
        credentials: HeaderCredentials,
        /// Return only records of requests by this user.
        user_id: Query<Option<UserId>>,
        /// Return only records about this dataset.
        dataset_id: Query<Option<DatasetId>>,
        /// Return only records of operations on this user.
        resource_user_id: Query<Option<UserId>>,
        /// Return only records with this outcome.
        outcome: Query<Option<AuditOutcome>>,
        /// Return only records of this event.
        event: Query<Option<AuditEvent>>,
        /// Return only records of decisions about this action.
        action: Query<Option<Action>>,
        /// Return only logins with this user name.
        username: Query<Option<String>>,
        /// Return only the mint of the download token with this `jti`, and the downloads with it.
        jti: Query<Option<RecordId>>,
        /// Return only the record of the request with this id.
        request_id: Query<Option<String>>,
        /// Return only records of requests that came with this `X-Request-Id`.
        client_request_id: Query<Option<String>>,
        /// Return only questions and searches about this subject, such as `User::"<uuid>"`.
        asked_principal: Query<Option<String>>,
        /// Return only questions and searches about this resource, such as `Dataset::"<uuid>"`.
        asked_resource: Query<Option<String>>,
        /// Return only records from this time on, such as `2026-03-01T12:00:00Z`.
        since: Query<Option<TimestampMillis>>,
        /// Return only records before this time.
        until: Query<Option<TimestampMillis>>,
    ) -> Result<AuditExportResponse, ErrorResponse<ListStatuses>> {
        let filter = AuditFilter {
            user_id: user_id.0,
            dataset_id: dataset_id.0,
            resource_user_id: resource_user_id.0,
            outcome: outcome.0,
            event: event.0,
            action: action.0,
            username: username.0.as_deref().map(normalize_name),
            jti: jti.0,
            request_id: request_id.0,
            client_request_id: client_request_id.0,
            asked_principal: asked_principal.0,
            asked_resource: asked_resource.0,
            since: since.0.map(|TimestampMillis(millis)| millis),
            until: until.0.map(|TimestampMillis(millis)| millis),
        };
        let export = self
            .administration
            .export_audit_records(&credentials.0, filter)
            .await?;
        Ok(AuditExportResponse(export))
    }
}
