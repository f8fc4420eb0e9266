//! The outer endpoint: what is done to every request before the request middleware, and to every response after it.
//!
//! One handler does it all, because each of a chain costs more than what it does.

use poem::{Request, Response};

use super::cors::Cors;
use super::final_slash;
use super::forward_auth_statuses;
use super::issuer_path::IssuerPath;
use super::request_handler::RequestHandler;

/// A handler with everything around it, from the outside to the inside: the statuses of forward-auth, the final
/// slash, the path of the issuer, and CORS.
pub struct OuterEndpoint<H> {
    /// The path of the issuer.
    pub issuer_path: IssuerPath,
    /// What pages of other origins may do.
    pub cors: Cors,
    /// The handler with the request middleware.
    pub inner: H,
}

impl<H: RequestHandler> RequestHandler for OuterEndpoint<H> {
    async fn handle(&self, request: &mut Request) -> poem::Result<Response> {
        let is_verification = forward_auth_statuses::is_verification(request);
        let had_final_slash = final_slash::remove(request);
        self.issuer_path.remove(request);
        let answer = self.cors.answer(request);
        let mut response = self.inner.handle(request).await?;
        self.cors.complete(answer, &mut response);
        if had_final_slash {
            final_slash::complete(&mut response);
        }
        if is_verification {
            response = Box::pin(forward_auth_statuses::complete(response)).await;
        }
        Ok(response)
    }
}
