//! From names to addresses, leaving out those that must not be reached.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::OutboundPolicy;

/// Looks up the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of the name, in the order they should be tried.
    ///
    /// # Errors
    /// When the name could not be looked up. A name without addresses may be an error or an empty list.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Every address of the name is blocked.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to blocked addresses only")]
pub(super) struct Blocked;

/// The name has no address, or could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(super) struct NotResolved(#[source] Option<io::Error>);

/// The resolver that connections are made by: what it does not return is not connected to.
pub(super) struct GuardedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Arc<OutboundPolicy>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy) = (self.resolver.clone(), self.policy.clone());
        Box::pin(async move {
            let addresses =
                resolver.resolve(name.as_str()).await.map_err(|error| NotResolved(Some(error)))?;
            if addresses.is_empty() {
                return Err(NotResolved(None).into());
            }
            let allowed: Vec<_> = addresses
                .into_iter()
                .filter(|address| policy.allows_address(*address))
                // Port 0 stands for the port of the URL.
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() {
                return Err(Blocked.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
