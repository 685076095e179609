//! What narrows a key down beside its scopes.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use serde::{Serialize, Serializer};

use crate::event::{EventType, FieldError, NewEvent, Reason};

/// What narrows a key down. An empty list means that anything goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restrictions {
    /// It may send events of these services only.
    pub services: Vec<String>,
    /// It may send events of these types only.
    pub event_types: Vec<EventType>,
    /// It is taken from these addresses only.
    pub networks: Vec<Network>,
    /// Whether each request has to be signed.
    pub requires_signature: bool,
}

impl Restrictions {
    /// Whether the key is taken from this address. An address that is not known is in no network.
    pub fn admit_address(&self, address: Option<IpAddr>) -> bool {
        self.networks.is_empty()
            || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(address)))
    }

    /// What is wrong with sending this event; nothing, mostly.
    pub fn refuse_event(&self, event: &NewEvent) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.services.is_empty() && !self.services.contains(&event.service) {
            errors.push(FieldError::new("/source/service", Reason::NotAllowed));
        }
        if !self.event_types.is_empty() && !self.event_types.contains(&event.event_type) {
            errors.push(FieldError::new("/event_type", Reason::NotAllowed));
        }
        errors
    }
}

/// A range of addresses in CIDR form, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no range of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be an IP address or a range such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct ParseNetworkError;

impl Network {
    /// Whether the address lies within. An IPv4 address in IPv6 clothing counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && (bits(address) ^ bits(self.address)).leading_zeros()
                >= u32::from(self.prefix) + unused(address)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// How many leading bits of the number are no part of the address.
fn unused(address: IpAddr) -> u32 {
    if address.is_ipv4() { u128::BITS - Ipv4Addr::BITS } else { 0 }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParseNetworkError)?;
        let longest = u128::BITS - unused(address);
        let prefix = match prefix {
            // `+8` and `08` parse as numbers, too.
            Some(digits) if digits.starts_with(['+', '0']) && digits != "0" => return Err(ParseNetworkError),
            Some(digits) => digits.parse().map_err(|_| ParseNetworkError)?,
            None => longest as u8,
        };
        let host_bits = longest.checked_sub(prefix.into()).ok_or(ParseNetworkError)?;
        // A range that does not begin at its own address is a slip of whoever wrote it.
        if bits(address).trailing_zeros().min(longest) < host_bits {
            return Err(ParseNetworkError);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_range() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let parsed: Network = network.parse().expect("a network");
            assert!(parsed.contains(inside.parse().expect("an address")), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().expect("an address")), "{network} {outside}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.1/8",
            "::/129",
            "host",
            "1.2.3",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(ParseNetworkError), "{bad}");
        }
    }

    #[test]
    fn without_networks_every_address_is_taken_and_with_them_an_unknown_one_is_not() {
        let networks = vec!["10.0.0.0/8".parse().expect("a network")];
        let narrow = Restrictions { networks, ..Restrictions::default() };
        let address: Option<IpAddr> = "10.0.0.1".parse().ok();
        assert!(Restrictions::default().admit_address(None));
        assert!(narrow.admit_address(address) && !narrow.admit_address(None));
    }
}
