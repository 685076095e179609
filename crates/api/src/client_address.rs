//! The address that a request comes from.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{HeaderMap, X_FORWARDED_FOR},
};
use ipnet::IpNet;

use crate::state::State;

/// A set of networks.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Networks(Vec<IpNet>);

/// The address of the client: of whoever opened the connection or, when that is a trusted proxy, of whoever
/// the proxy says it speaks for.
///
/// What a request made over no network gets, such as one that a test calls a handler with, is `0.0.0.0`. IPv4
/// addresses are IPv4 here, however the socket calls them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl Networks {
    /// Whether one of the networks has this address.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl ClientAddress {
    /// The address of a request's client.
    pub(crate) fn of(request: &HttpRequest, proxies: &Networks) -> Self {
        let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
        Self(client(peer, request.headers(), proxies))
    }
}

impl FromRequest for ClientAddress {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request, &State::of(request).settings.trusted_proxies)))
    }
}

/// Follows `X-Forwarded-For` from its end, where the nearest proxy wrote, for as long as proxies are trusted.
///
/// What an untrusted hop wrote may be invented: the first untrusted address from the right is the client. An
/// entry that is no address ends the search at the hop that wrote it.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> IpAddr {
    let mut address = peer;
    let lines: Vec<&[u8]> = match proxies.contain(peer) {
        true => headers.get_all(X_FORWARDED_FOR).map(|line| line.as_bytes()).collect(),
        false => return peer,
    };
    // Several headers of a name are one list, in their order (RFC 9110 §5.3).
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        let Some(hop) = parse(entry) else { break };
        address = hop;
        if !proxies.contain(hop) {
            break;
        }
    }
    address
}

/// An address; some proxies add the port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    Some(address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|network| network.parse::<IpNet>().expect("a network")).collect()
    }

    fn found(peer: &str, forwarded: &[&str], proxies: &Networks) -> String {
        let mut request = TestRequest::get().peer_addr(SocketAddr::new(peer.parse().expect("an address"), 1));
        for line in forwarded {
            request = request.append_header(("x-forwarded-for", *line));
        }
        ClientAddress::of(&request.to_http_request(), proxies).0.to_string()
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        let proxies = networks(&["10.0.0.0/8", "2001:db8:ffff::/48"]);
        for (peer, forwarded, client) in [
            // Nobody forwarded anything.
            (PROXY, &[][..], PROXY),
            ("198.51.100.1", &[], "198.51.100.1"),
            // A stranger's word is worth nothing.
            ("198.51.100.1", &["127.0.0.1"], "198.51.100.1"),
            ("198.51.100.1", &["10.0.0.9"], "198.51.100.1"),
            // One proxy, and what a client put before the proxy's own entry.
            (PROXY, &["203.0.113.7"], "203.0.113.7"),
            (PROXY, &["127.0.0.1, 203.0.113.7"], "203.0.113.7"),
            (PROXY, &["garbage,,203.0.113.7"], "203.0.113.7"),
            // Several proxies.
            (PROXY, &["203.0.113.7, 10.2.3.4"], "203.0.113.7"),
            (PROXY, &["1.1.1.1, 203.0.113.7,10.2.3.4 , 10.9.9.9"], "203.0.113.7"),
            (PROXY, &["203.0.113.7, 2001:db8:ffff::1"], "203.0.113.7"),
            // Several headers are one list.
            (PROXY, &["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
            (PROXY, &["203.0.113.7, 10.1.1.1", "10.2.2.2"], "203.0.113.7"),
            // Proxies all the way: the farthest of them.
            (PROXY, &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            // What is no address ends the search at the hop that wrote it.
            (PROXY, &[""], PROXY),
            (PROXY, &["unknown"], PROXY),
            (PROXY, &["203.0.113.7, unknown, 10.2.2.2"], "10.2.2.2"),
            (PROXY, &["203.0.113.7, "], PROXY),
            (PROXY, &["203.0.113.7 10.2.2.2"], PROXY),
            (PROXY, &["203.0.113.0/24"], PROXY),
            // Ports, brackets and IPv4 in IPv6.
            (PROXY, &["203.0.113.7:4711"], "203.0.113.7"),
            (PROXY, &["[2001:db8::7]:443"], "2001:db8::7"),
            (PROXY, &["[2001:db8::7]"], "2001:db8::7"),
            (PROXY, &["2001:db8::7"], "2001:db8::7"),
            (PROXY, &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:198.51.100.1", &["203.0.113.7"], "198.51.100.1"),
        ] {
            assert_eq!(found(peer, forwarded, &proxies), client, "{forwarded:?} from {peer}");
        }
    }

    #[test]
    fn without_trusted_proxies_the_peer_is_the_client() {
        assert_eq!(found("127.0.0.1", &["203.0.113.7"], &Networks::default()), "127.0.0.1");
    }

    #[test]
    fn a_request_over_no_network_has_no_address() {
        let request = TestRequest::get().insert_header(("x-forwarded-for", "203.0.113.7")).to_http_request();
        assert_eq!(ClientAddress::of(&request, &networks(&["10.0.0.0/8"])).0.to_string(), "0.0.0.0");
    }
}
