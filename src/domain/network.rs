//! Where something was used from: the network, not the host. Enough to see that a place is new, and no record of
//! who was where.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A /24 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first three bytes.
    V4([u8; 3]),
    /// The first six bytes.
    V6([u8; 6]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let mut bytes = [0; 6];
                bytes.copy_from_slice(&address.octets()[..6]);
                Self::V6(bytes)
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(*a, *b, *c, 0)),
            Self::V6(bytes) => {
                let mut all = [0; 16];
                all[..6].copy_from_slice(bytes);
                write!(f, "{}/48", Ipv6Addr::from(all))
            }
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    /// An address, or a network as it prints.
    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let address = text.split_once('/').map_or(text, |(address, _)| address);
        let network = address.parse::<IpAddr>().map(Self::from);
        let network = network.map_err(|_| NoNetwork)?;
        if text.contains('/') && network.to_string() != text {
            return Err(NoNetwork);
        }
        Ok(network)
    }
}

/// The text is neither an address nor a network of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address, or a network such as 203.0.113.0/24 or 2001:db8:1::/48")]
pub struct NoNetwork;

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_networks_and_print_as_they_are_read() {
        for (text, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            let read: Network = text.parse().unwrap();
            assert_eq!(read.to_string(), network);
            assert_eq!(network.parse(), Ok(read));
        }
        for bad in ["", "x", "203.0.113.7/24", "203.0.113.0/8", "1.2.3/24"] {
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork), "{bad}");
        }
    }
}
