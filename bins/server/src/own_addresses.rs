//! The addresses of this machine, for those who must not be led back to it.

use std::net::{IpAddr, UdpSocket};

/// Addresses of documentation: nothing is sent to them, but there is a route.
const OUTSIDE: [(&str, &str); 2] = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];

/// The addresses that this machine reaches the internet from, one per family; none where it does not. To connect a
/// datagram socket only looks up the route. A machine with several public addresses has others besides.
pub(crate) fn outgoing() -> Vec<IpAddr> {
    let from = |(any, outside): (&str, &str)| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(outside).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
    };
    OUTSIDE.into_iter().filter_map(from).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn they_are_addresses_of_this_machine() {
        for address in outgoing() {
            TcpListener::bind((address, 0)).expect("one can listen there");
        }
    }
}
