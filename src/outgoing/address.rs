//! Addresses: which may be asked, and how those that people write are read and put together. No I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use reqwest::Url;

use super::error::OutgoingError;

/// Longest address that is taken, in bytes.
const LONGEST: usize = 2048;
/// Where clouds answer their machines with credentials, besides link-local addresses: Alibaba, Azure, Oracle, and the
/// IPv6 one of Google. AWS has all of `fd00:ec2::/32` for that.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The address of a service as people write it: `http` or `https`, a host, maybe a port and a path.
///
/// # Errors
/// What is wrong with it, and what would be right; never the address itself, which may hold a password.
pub fn base(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let wrong = |what: &str| format!("{what}; write one such as `http://prometheus.example.com:9090`");
    let read = Url::parse(text).map_err(|_| wrong("is not an address that begins with http:// or https://"))?;
    if !matches!(read.scheme(), "http" | "https") || read.host_str().is_none() {
        return Err(wrong("does not begin with http:// or https://"));
    }
    if !read.username().is_empty() || read.password().is_some() {
        return Err(wrong("has a user or a password in it; credentials have options of their own"));
    }
    if read.query().is_some() || read.fragment().is_some() {
        return Err(wrong("has a query or a fragment, which has no place in the address of a service"));
    }
    if text.len() > LONGEST {
        return Err(wrong("is too long"));
    }
    allowed(&read).map_err(|e| e.to_string())?;
    Ok(read)
}

/// A path below a base, with a query.
pub fn under(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// Host and port, as messages name it.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the address");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The host, where it is an address.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str().and_then(|h| h.trim_matches(['[', ']']).parse::<IpAddr>().ok())
}

/// Whether this address leads to this machine.
pub(super) fn own(ip: IpAddr) -> bool {
    inner(ip).into_iter().flatten().any(|ip| ip.is_loopback())
}

/// Refuses an address whose host is one that is never asked. A name is looked at when it is resolved.
pub(super) fn allowed(url: &Url) -> Result<(), OutgoingError> {
    match literal(url).filter(|ip| forbidden(*ip)) {
        Some(address) => Err(OutgoingError::Forbidden { host: host(url), address }),
        None => Ok(()),
    }
}

/// Whether this address is never asked: of the local link, of a cloud's metadata, of nobody or of many.
pub fn forbidden(ip: IpAddr) -> bool {
    inner(ip).into_iter().flatten().any(|ip| {
        METADATA.contains(&ip)
            || ip.is_multicast()
            || match ip {
                // All of 0.0.0.0/8 is this network, and on some systems this machine.
                IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || matches!(ip.octets(), [0, ..]),
                IpAddr::V6(ip) => {
                    ip.is_unspecified() || ip.is_unicast_link_local() || matches!(ip.segments(), [0xfd00, 0xec2, ..])
                }
            }
    })
}

/// The address, or the IPv4 one inside an IPv6 one that leads to it: mapped, compatible (RFC 4291, 2.5.5.1), of 6to4, or by
/// the prefixes of NAT64; of the one for local use (RFC 8215) each length that a network may have chosen.
fn inner(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = ip.to_canonical() else { return [Some(ip.to_canonical()), None] };
    let v4 = |a: u16, b: u16| Some(IpAddr::V4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))));
    match v6.segments() {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [Some(IpAddr::V6(v6)), None],
        [0, 0, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => [v4(a, b), None],
        // RFC 6052, 2.2: of a prefix of 48 bits the ninth octet is left out. What is all zeros is the other length.
        [0x64, 0xff9b, 1, c, d, e, a, b] => {
            [(a, b), (c, (d << 8) | (e >> 8))].map(|half| if half == (0, 0) { None } else { v4(half.0, half.1) })
        }
        _ => [Some(IpAddr::V6(v6)), None],
    }
}
