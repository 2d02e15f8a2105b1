//! [`AddressRule`]: which addresses may be behind a host that a spec, a registry or a Git server
//! names.
//!
//! In: an address. Out: yes, or what it is that makes it forbidden. Addresses that only lead to
//! what a cloud tells its machines are never allowed; an IPv4 address that is written into an IPv6
//! one counts as itself. Pure: names are resolved elsewhere, and each address that comes of it is
//! checked before a connection is made to exactly that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AddressRule {
    /// All but link-local ones and those of metadata services.
    #[default]
    WithPrivate,
    /// Of those, neither private ones nor this machine's own.
    PublicOnly,
}

/// An address that may not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is {kind}, which must not be asked")]
pub struct AddressError {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub kind: &'static str,
}

/// What an address is for.
enum Reach {
    Public,
    /// Of a network of its own, or this machine's.
    Private(&'static str),
    /// Of no use but to learn a machine's secrets, or of none at all.
    Forbidden(&'static str),
}

/// Addresses of metadata services beside the link-local ones.
const METADATA_V4: [Ipv4Addr; 3] = [
    // Azure, Alibaba, Oracle.
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The first two parts of metadata services' networks: Amazon's and Google's.
const METADATA_V6: [(u16, u16); 2] = [(0xfd00, 0x0ec2), (0xfd20, 0x00ce)];

impl AddressRule {
    /// Returns nothing for an address that may be asked. Fails with what forbids it.
    pub fn check(self, address: IpAddr) -> Result<(), AddressError> {
        let reach = match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        };
        match (reach, self) {
            (Reach::Public, _) | (Reach::Private(_), Self::WithPrivate) => Ok(()),
            (Reach::Private(kind), Self::PublicOnly) | (Reach::Forbidden(kind), _) => {
                Err(AddressError { address, kind })
            }
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, ..] = address.octets();
    match (a, b) {
        _ if METADATA_V4.contains(&address) => Reach::Forbidden("a metadata service's"),
        (169, 254) => Reach::Forbidden("link-local"),
        (224..=239, _) | (255, 255) => Reach::Forbidden("for many at once"),
        (0 | 127, _) => Reach::Private("this machine's own"),
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) | (198, 18..=19) => {
            Reach::Private("private")
        }
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    let parts = address.segments();
    let [first, second, ..] = parts;
    if let Some(v4) = v4_within(parts) {
        return of_v4(v4);
    }
    if METADATA_V6.contains(&(first, second)) {
        return Reach::Forbidden("a metadata service's");
    }
    match first {
        _ if address.is_loopback() || address.is_unspecified() => {
            Reach::Private("this machine's own")
        }
        0xfe80..=0xfebf => Reach::Forbidden("link-local"),
        0xff00..=0xffff => Reach::Forbidden("for many at once"),
        0xfc00..=0xfdff | 0xfec0..=0xfeff => Reach::Private("private"),
        _ => Reach::Public,
    }
}

/// Returns the IPv4 address that an IPv6 one stands for: mapped, compatible, translated (NAT64) or
/// tunnelled (6to4).
fn v4_within(parts: [u16; 8]) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(from(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(from(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x64, 0xff9b, 1, _, _, _, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is2_addresses_are_allowed_by_what_they_are() {
        const NEVER: (bool, bool) = (false, false);
        const PRIVATE: (bool, bool) = (true, false);
        const PUBLIC: (bool, bool) = (true, true);
        for (address, want) in [
            ("169.254.169.254", NEVER),
            ("169.254.170.2", NEVER),
            ("168.63.129.16", NEVER),
            ("100.100.100.200", NEVER),
            ("224.0.0.1", NEVER),
            ("255.255.255.255", NEVER),
            ("fe80::1", NEVER),
            ("febf::1", NEVER),
            ("ff02::1", NEVER),
            ("fd00:ec2::254", NEVER),
            ("fd20:ce::254", NEVER),
            ("::ffff:169.254.169.254", NEVER),
            ("::169.254.169.254", NEVER),
            ("::ffff:0:169.254.169.254", NEVER),
            ("64:ff9b::169.254.169.254", NEVER),
            ("64:ff9b:1::169.254.169.254", NEVER),
            ("2002:a9fe:a9fe::1", NEVER),
            ("127.0.0.1", PRIVATE),
            ("127.8.8.8", PRIVATE),
            ("0.0.0.0", PRIVATE),
            ("::", PRIVATE),
            ("::1", PRIVATE),
            ("::ffff:127.0.0.1", PRIVATE),
            ("10.0.0.1", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.1.1", PRIVATE),
            ("100.64.0.1", PRIVATE),
            ("fd12::1", PRIVATE),
            ("::ffff:10.0.0.1", PRIVATE),
            ("8.8.8.8", PUBLIC),
            ("172.32.0.1", PUBLIC),
            ("169.253.0.1", PUBLIC),
            ("2606:4700::1111", PUBLIC),
            ("::ffff:8.8.8.8", PUBLIC),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let got = (
                AddressRule::WithPrivate.check(address).is_ok(),
                AddressRule::PublicOnly.check(address).is_ok(),
            );
            assert_eq!(got, want, "{address}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_address_is() {
        let error = AddressRule::default().check("169.254.169.254".parse().unwrap());
        assert_eq!(
            error.unwrap_err().to_string(),
            "address 169.254.169.254 is link-local, which must not be asked"
        );
    }
}
