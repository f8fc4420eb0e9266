//! Name resolution that gives connections only addresses that may be connected to.
//!
//! The connection uses what is checked here, so a name that resolves to something else a moment later (DNS
//! rebinding) gains nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::AllowedAddresses;

/// Finds the addresses of a name.
type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Resolves names to addresses that may be connected to.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    allowed: Arc<AllowedAddresses>,
    is_plain: bool,
    lookup: Arc<Lookup>,
}

/// None of the addresses of a name may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address that may be connected to, but {found}")]
pub(super) struct RefusedHost {
    host: String,
    found: String,
}

impl CheckedResolver {
    pub(super) fn new(allowed: Arc<AllowedAddresses>, is_plain: bool) -> Self {
        Self {
            allowed,
            is_plain,
            lookup: Arc::new(|host| Box::pin(look_up(host))),
        }
    }

    #[cfg(test)]
    pub(super) fn with_lookup(self, lookup: Arc<Lookup>) -> Self {
        Self { lookup, ..self }
    }
}

async fn look_up(host: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found = (this.lookup)(host.clone()).await?;
            let is_permitted = |address: &IpAddr| this.allowed.permits(*address, this.is_plain);
            let permitted: Vec<SocketAddr> = found
                .iter()
                .filter(|address| is_permitted(address))
                // The port is that of the URL.
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            if permitted.is_empty() {
                let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                let found = found.join(", ");
                return Err(RefusedHost { host, found }.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

impl fmt::Debug for CheckedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedResolver")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}
