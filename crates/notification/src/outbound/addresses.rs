//! Which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What is not public of IPv4: the special-purpose registry (RFC 6890, RFC 5735), and one address that a
/// cloud keeps for itself in the middle of public space.
const BLOCKED_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),        // this network; 0.0.0.0 reaches the host itself
    v4([10, 0, 0, 0], 8),       // private
    v4([100, 64, 0, 0], 10),    // carrier-grade NAT; a cloud's metadata service
    v4([127, 0, 0, 0], 8),      // loopback
    v4([168, 63, 129, 16], 32), // Azure's host services
    v4([169, 254, 0, 0], 16),   // link-local; most clouds' metadata services
    v4([172, 16, 0, 0], 12),    // private
    v4([192, 0, 0, 0], 24),     // protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 88, 99, 0], 24),   // 6to4 relays
    v4([192, 168, 0, 0], 16),   // private
    v4([198, 18, 0, 0], 15),    // benchmarks
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 4),      // multicast
    v4([240, 0, 0, 0], 4),      // reserved; broadcast
];

/// The only part of IPv6 that is assigned to the public internet. Everything outside is blocked at once:
/// loopback, unspecified, IPv4 in any disguise (`::a.b.c.d`, NAT64), unique local, link-local, site-local,
/// multicast.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);

/// What is not public inside of it.
const BLOCKED_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),     // protocol assignments; Teredo, which carries IPv4 addresses
    v6([0x2001, 0xDB8], 32), // documentation
    v6([0x2002, 0], 16),     // 6to4, which carries IPv4 addresses
    v6([0x3FFF, 0], 20),     // documentation
];

/// Whether an address belongs to the public internet. IPv4 written as IPv6 (`::ffff:a.b.c.d`) is taken as
/// IPv4.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !BLOCKED_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => PUBLIC_V6.contains(&v6) && !BLOCKED_V6.iter().any(|net| net.contains(&v6)),
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn the_first_and_last_of_every_blocked_network_are_blocked_and_their_neighbours_are_not() {
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2000:ffff::"), Some("2001:200::")),
            ("2001:db8::", "2001:db8:ffff::", Some("2001:db7:ffff::"), Some("2001:db9::")),
            ("2002::", "2002:ffff::", Some("2001:ffff::"), Some("2003::")),
            ("3fff::", "3fff:fff:ffff::", Some("3ffe:ffff::"), Some("3fff:1000::")),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
        ] {
            assert!(!public(first) && !public(last), "{first} to {last}");
            for neighbour in [before, after].into_iter().flatten() {
                assert!(public(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn disguises_of_private_addresses_are_blocked() {
        for address in [
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2001:0::1",
            "fec0::1",
            "fe80::1",
            "fd00::1",
            "fd00:ec2::254",
            "fc00::1",
            "ff02::1",
            "100::1",
            "2001:db8::1",
            "5f00::1",
        ] {
            assert!(!public(address), "{address}");
        }
        assert!(public("::ffff:8.8.8.8") && public("2606:4700:4700::1111"));
    }
}
