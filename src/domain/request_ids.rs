//! The ids of the current request, for the lines that are logged while it is answered.
//!
//! They take the place of a tracing span: a span is allocated and formatted for each request, although most requests
//! log nothing that shows it. Whoever formats a line makes the span then ([`RequestIds::span`]).

use std::sync::Arc;

tokio::task_local! {
    static CURRENT: RequestIds;
}

/// The ids of a request; clones share them.
#[derive(Clone, Debug)]
pub struct RequestIds {
    /// The request's id: our own, or that of a trusted proxy.
    pub request_id: Arc<str>,
    /// The `X-Request-Id` that somebody else sent.
    pub client_request_id: Option<Arc<str>>,
}

impl RequestIds {
    /// Those of the request that this task answers, if it answers one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs something with those of the request that this task answers, if it answers one.
    pub fn with_current(run: impl FnOnce(&Self)) {
        // Without a request there is nothing to do.
        let _ = CURRENT.try_with(run);
    }

    /// Runs what answers the request.
    pub async fn scope<T>(self, answering: impl Future<Output = T>) -> T {
        CURRENT.scope(self, answering).await
    }

    /// Runs something that belongs to a request, if it does, on another thread or after its response.
    pub fn in_scope<T>(ids: Option<Self>, run: impl FnOnce() -> T) -> T {
        match ids {
            Some(ids) => CURRENT.sync_scope(ids, run),
            None => run(),
        }
    }

    /// The span of the request's lines.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!(
            "request",
            request_id = &*self.request_id,
            client_request_id = self.client_request_id.as_deref()
        )
    }
}
