//! How many connections an address has, and how long one may stand still.
//!
//! The workers' own cap is for all clients together; this one keeps a single address from using it up. A
//! connection over the cap has its first request refused with a problem that says why, and one over twice the
//! cap is cut at once, so that it can't be held open for nothing.
//!
//! A client that asks for much and reads nothing of it would hold the page it is sent, and its place among the exports,
//! for ever: nothing above the socket has a deadline for that. The kernel has.

use std::{
    any::Any,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{dev::Extensions, rt::net::TcpStream, web::Data};

use crate::{AppState, client_address::Networks};

/// How long what was sent to a client may wait for it to take any of it. Then the kernel ends the connection. A client
/// that takes a little now and then is slow, and may be.
const UNTAKEN_MILLIS: u32 = 20_000;

/// Counts connections by address.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    uncapped: Networks,
    proxies: Networks,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the counted. It is counted no more when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    all: Arc<Connections>,
    origin: IpAddr,
    /// How many its origin had when it was made, itself included.
    number: usize,
}

/// What a server does with each new connection: counts it, on the state of the app that it serves, and sees to it that it
/// does not stand still.
pub fn on_connect(
    state: Data<AppState>,
) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + Clone + 'static {
    move |io, data| {
        let tls = io.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
        let Some(stream) = tls.or_else(|| io.downcast_ref::<TcpStream>()) else { return };
        #[cfg(feature = "sabotage")]
        let untaken =
            if pulsestream_sabotage::is_broken("stalled_readers_stay") { 0 } else { UNTAKEN_MILLIS };
        #[cfg(not(feature = "sabotage"))]
        let untaken = UNTAKEN_MILLIS;
        // An error is only that it is gone already.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, untaken);
        // One that is gone already has no address any more, and needs no place.
        let Ok(peer) = stream.peer_addr() else { return };
        let Some(connection) = state.connections.enter(peer.ip()) else { return };
        if connection.is_cut() {
            // It may be gone already.
            let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Both);
        }
        data.insert(connection);
    }
}

impl Connections {
    pub(crate) fn new(max: usize, uncapped: Networks, proxies: Networks) -> Arc<Self> {
        Arc::new(Self { max, uncapped, proxies, open: Mutex::default() })
    }

    /// Counts one more, unless its address is one that is not capped.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Connection> {
        let peer = peer.to_canonical();
        if self.uncapped.contain(peer) || self.proxies.contain(peer) {
            return None;
        }
        let origin = origin(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(origin).or_default();
        *count += 1;
        let connection = Connection { all: Arc::clone(self), origin, number: *count };
        drop(open);
        if connection.is_refused() {
            metrics::counter!("http_connections_refused_total").increment(1);
        }
        if connection.number == self.max + 1 {
            tracing::warn!(
                client.address = %peer,
                "{peer} has {} connections, and gets no more: if it is a proxy, name it in server.trusted_proxies",
                self.max
            );
        }
        Some(connection)
    }

    fn leave(&self, origin: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                open.remove(&origin);
            }
        }
    }
}

impl Connection {
    /// Whether its requests are refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.number > self.all.max
    }

    fn is_cut(&self) -> bool {
        self.number > self.all.max.saturating_mul(2)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.leave(self.origin);
    }
}

/// What is counted as one: an IPv4 address, or the 64 bits of an IPv6 address that a single host is given.
fn origin(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|network| network.parse::<ipnet::IpNet>().expect("a network")).collect()
    }

    fn enter(connections: &Arc<Connections>, address: &str) -> Option<Connection> {
        connections.enter(address.parse().expect("an address"))
    }

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let connections = Connections::new(2, Networks::default(), Networks::default());
        let all: Vec<_> = (0..5).filter_map(|_| enter(&connections, "192.0.2.1")).collect();
        let refused: Vec<_> = all.iter().map(|one| (one.is_refused(), one.is_cut())).collect();
        assert_eq!(refused, [(false, false), (false, false), (true, false), (true, false), (true, true)]);
        assert!(enter(&connections, "192.0.2.2").is_some_and(|other| !other.is_refused()));

        drop(all);
        assert!(enter(&connections, "192.0.2.1").is_some_and(|again| !again.is_refused()));
        assert!(connections.open.lock().is_ok_and(|open| open.is_empty()), "addresses are forgotten");
    }

    #[test]
    fn a_host_with_many_ipv6_addresses_is_one() {
        let connections = Connections::new(1, Networks::default(), Networks::default());
        let _first = enter(&connections, "2001:db8::1");
        assert!(enter(&connections, "2001:db8::ffff:1").is_some_and(|second| second.is_refused()));
        assert!(enter(&connections, "2001:db8:0:1::1").is_some_and(|other| !other.is_refused()));
    }

    #[test]
    fn proxies_and_uncapped_networks_are_not_counted() {
        let connections = Connections::new(1, networks(&["127.0.0.0/8"]), networks(&["10.0.0.0/8"]));
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.1.1"] {
            assert!(enter(&connections, address).is_none(), "{address}");
        }
    }
}
