//! The request handler: an endpoint that leaves the request where it is.
//!
//! Each endpoint of a chain moves the request, and what waits for the response has room for it once more at every
//! step. The few handlers that every request passes through borrow it instead.

use poem::{Endpoint, IntoResponse, Request, Response};

/// Answers requests.
pub trait RequestHandler: Send + Sync {
    /// Answers a request; what is left of it afterwards is of no use but for the rest of its body.
    fn handle(&self, request: &mut Request) -> impl Future<Output = poem::Result<Response>> + Send;
}

impl<E: Endpoint> RequestHandler for E {
    async fn handle(&self, request: &mut Request) -> poem::Result<Response> {
        // Boxed, so that whoever waits for a smaller one has no room for this.
        let answering = Box::pin(self.call(std::mem::take(request)));
        answering.await.map(IntoResponse::into_response)
    }
}
