//! The outer endpoint: what is done to every request before the request middleware, and to every response after it.
//!
//! One endpoint does it all: each endpoint of a chain moves the request and what it waits for, which costs more than
//! what it does.

use poem::{Endpoint, IntoResponse, Request, Response};

use super::cors::Cors;
use super::final_slash;
use super::forward_auth_statuses;
use super::issuer_path::IssuerPath;

/// An endpoint with everything around it, from the outside to the inside: the statuses of forward-auth, the final
/// slash, the path of the issuer, and CORS.
pub struct OuterEndpoint<E> {
    /// The path of the issuer.
    pub issuer_path: IssuerPath,
    /// What pages of other origins may do.
    pub cors: Cors,
    /// The endpoint with the request middleware.
    pub inner: E,
}

impl<E: Endpoint> Endpoint for OuterEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let is_verification = forward_auth_statuses::is_verification(&request);
        let had_final_slash = final_slash::remove(&mut request);
        self.issuer_path.remove(&mut request);
        let answer = self.cors.answer(&request);
        let mut response = self.inner.call(request).await?.into_response();
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
