//! What the operator lets notices reach.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use url::{Host, Url};

use super::{DestinationError, addresses};

/// What notices may reach. It is the operator's, never a tenant's. The default is the public internet by
/// https.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutboundPolicy {
    /// Whether `http:` may be used, and with it port 80. Anybody on the way can then read and change notices.
    pub allow_http: bool,
    /// What of the operator's own networks may be reached; `None`: nothing.
    pub private: Option<PrivateDestinations>,
    /// Addresses that this very service is reached at, beyond those blocked anyway. They are denied unless
    /// private destinations are allowed. A wildcard such as `0.0.0.0` means nothing here: give what it stands
    /// for.
    pub own_addresses: Vec<IpAddr>,
    /// Names that this very service is reached at; treated likewise.
    pub own_names: Vec<String>,
}

/// What may be reached beyond the public internet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivateDestinations {
    /// Networks that are exempt from the block list. Everything else on it stays blocked.
    pub networks: Vec<IpNet>,
    /// Ports in addition to 443, 8443 and, with http, 80.
    pub ports: Vec<RangeInclusive<u16>>,
}

/// Loopback and the private networks of RFC 1918, RFC 4193 and RFC 6598, without further ports. Link-local is
/// not among them: that is where clouds hand out credentials.
impl Default for PrivateDestinations {
    fn default() -> Self {
        let networks = [
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "::1/128",
            "fc00::/7",
        ];
        let parse = |network: &str| network.parse().expect("a network in the list above");
        Self { networks: networks.into_iter().map(parse).collect(), ports: Vec::new() }
    }
}

impl OutboundPolicy {
    /// Whether a connection to this address may be made.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match &self.private {
            Some(private) => {
                private.networks.iter().any(|net| net.contains(&address)) || addresses::is_public(address)
            }
            None => {
                addresses::is_public(address)
                    && !self.own_addresses.iter().any(|own| own.to_canonical() == address)
            }
        }
    }

    /// What can be said of a URL without asking for the addresses of its name.
    pub(super) fn check(&self, url: &Url) -> Result<(), DestinationError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(DestinationError::Scheme),
        }
        let allowed = match url.host() {
            None => return Err(DestinationError::Malformed),
            Some(Host::Ipv4(address)) => self.allows_address(address.into()),
            Some(Host::Ipv6(address)) => self.allows_address(address.into()),
            Some(Host::Domain(name)) => self.allows_name(name),
        };
        if !allowed {
            return Err(DestinationError::BlockedAddress);
        }
        let port = url.port_or_known_default().ok_or(DestinationError::BlockedPort)?;
        if self.allows_port(port) { Ok(()) } else { Err(DestinationError::BlockedPort) }
    }

    fn allows_port(&self, port: u16) -> bool {
        let extra = self.private.iter().flat_map(|private| &private.ports);
        matches!(port, 443 | 8443)
            || (port == 80 && self.allow_http)
            || extra.into_iter().any(|range| range.contains(&port))
    }

    /// Names that say by themselves where they lead. All others are judged by the addresses they have when a
    /// connection is made.
    fn allows_name(&self, name: &str) -> bool {
        if self.private.is_some() {
            return true;
        }
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let name = bare(name);
        let is_local = name == "localhost" || name.ends_with(".localhost");
        !is_local && !self.own_names.iter().any(|own| bare(own) == name)
    }
}
