//! Direct routes: the mint, downloads, forward-auth, the key set and the evaluation of one question, which are asked
//! for more often than everything else, without the router.
//!
//! The operations are those of the router, which has them too: it answers what is not asked in the usual form (a
//! path with percent-encoding, a HEAD), so that one place knows the errors of a malformed request.

use poem::http::Method;
use poem::{Endpoint, IntoResponse, Request, Response};

use crate::domain::id::DatasetId;

use super::api::access::evaluation::{EvaluationApi, PATH as EVALUATION_PATH};
use super::api::download::{DOWNLOAD_PATH_PARTS, DownloadApi};
use super::api::forward_auth::ForwardAuthApi;
use super::api::key_set::{KEY_SET_PATH, KeySetApi};
use super::api::mint::{MINT_PATH_PREFIX, MintApi};
use super::server::forward_auth_statuses::FORWARD_AUTH_PATH;
use super::server::request_handler::RequestHandler;

/// A handler that answers the mint, downloads, forward-auth, the key set and the evaluation of one question itself.
pub(super) struct DirectRoutes<E> {
    /// The mint.
    pub(super) mint: MintApi,
    /// Downloads.
    pub(super) download: DownloadApi,
    /// Forward-auth.
    pub(super) forward_auth: ForwardAuthApi,
    /// The key set.
    pub(super) key_set: KeySetApi,
    /// The evaluation of one question.
    pub(super) evaluation: EvaluationApi,
    /// The router.
    pub(super) router: E,
}

/// An operation that is answered without the router.
enum DirectOperation {
    Mint(DatasetId),
    Download(DatasetId),
    ForwardAuth,
    KeySet,
    Evaluation,
}

impl DirectOperation {
    fn find(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        match *request.method() {
            Method::POST if path == EVALUATION_PATH => Some(Self::Evaluation),
            Method::POST => {
                let id = path.strip_prefix(MINT_PATH_PREFIX)?;
                id.parse().ok().map(Self::Mint)
            }
            Method::GET if path == KEY_SET_PATH => Some(Self::KeySet),
            Method::GET if path == FORWARD_AUTH_PATH => Some(Self::ForwardAuth),
            Method::GET => {
                let (before, after) = DOWNLOAD_PATH_PARTS;
                let id = path.strip_prefix(before)?.strip_suffix(after)?;
                id.parse().ok().map(Self::Download)
            }
            _ => None,
        }
    }
}

impl<E: Endpoint> RequestHandler for DirectRoutes<E> {
    async fn handle(&self, request: &mut Request) -> poem::Result<Response> {
        match DirectOperation::find(request) {
            // Each is boxed, so that none has room for the others.
            Some(DirectOperation::Mint(dataset_id)) => {
                Box::pin(self.mint.reply(request, dataset_id)).await
            }
            Some(DirectOperation::Download(dataset_id)) => {
                Box::pin(self.download.reply(request, dataset_id)).await
            }
            Some(DirectOperation::ForwardAuth) => Box::pin(self.forward_auth.reply(request)).await,
            Some(DirectOperation::KeySet) => Ok(self.key_set.reply_last(request).into_response()),
            Some(DirectOperation::Evaluation) => Box::pin(self.evaluation.reply(request)).await,
            None => self.router.handle(request).await,
        }
    }
}
