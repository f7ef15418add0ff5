//! Who is at the other end of the connection, and by which address they reached us.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};

use crate::{
    config::Config,
    web::{state::AppState, tls::Encrypted},
};

/// The other end, seen through trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub addr: IpAddr,
    /// The address of the connection, which may be a proxy's.
    pub peer: IpAddr,
    /// The way here is encrypted, as far as we know.
    pub secure: bool,
    /// The `Host` it asked for.
    pub host: Option<String>,
    /// What it calls itself.
    pub user_agent: Option<String>,
}

impl Client {
    /// From the peer's address, whether it speaks TLS with us, and the headers.
    pub fn of(peer: IpAddr, encrypted: bool, headers: &HeaderMap, config: &Config) -> Self {
        let trusted = config.trusts(peer);
        let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        // What the proxy says of the client's own connection counts, not how the proxy reaches us.
        let forwarded = headers.get("x-forwarded-proto").filter(|_| trusted);
        let https = forwarded.map_or(encrypted, |v| v.as_bytes().eq_ignore_ascii_case(b"https"));
        let public_https = config.public_url.as_deref().is_some_and(|u| u.starts_with("https://"));
        let forwarded_host = headers.get("x-forwarded-host").filter(|_| trusted).and_then(|v| v.to_str().ok());
        Self {
            addr: if trusted { forwarded_for(headers, config).unwrap_or(peer) } else { peer }.to_canonical(),
            peer: peer.to_canonical(),
            secure: public_https || https,
            host: forwarded_host.or_else(|| text(header::HOST)).filter(|h| is_host(h)).map(str::to_owned),
            user_agent: text(header::USER_AGENT).map(|u| u.chars().take(200).collect()),
        }
    }

    /// How to reach us from outside: the configured URL, else as this request came. Without a slash at the end.
    pub fn base_url(&self, config: &Config) -> String {
        config.public_url.clone().unwrap_or_else(|| {
            let scheme = if self.secure { "https" } else { "http" };
            format!("{scheme}://{}", self.host.as_deref().unwrap_or(&config.listen))
        })
    }
}

// A proxy appends the address it saw; the last one that is no trusted proxy is the client.
fn forwarded_for(headers: &HeaderMap, config: &Config) -> Option<IpAddr> {
    let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().map(|v| v.to_str().unwrap_or_default()).collect();
    let mut last = None;
    for entry in values.iter().rev().flat_map(|v| v.rsplit(',')) {
        // What stands before an entry that cannot be read is whatever the client wrote.
        let addr = address(entry.trim())?;
        last = Some(addr);
        if !config.trusts(addr) {
            break;
        }
    }
    last
}

// Some proxies append the port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

// The host ends up in links, so only what a host can be made of.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

impl FromRequestParts<AppState> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(of_parts(parts, &state.config))
    }
}

/// The address at the other end of the connection, which may be a proxy's.
pub fn peer(parts: &Parts) -> IpAddr {
    // Without a connection (a router called directly) it is this machine.
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(addr)| addr.ip())
}

/// The other end of a request.
pub fn of_parts(parts: &Parts, config: &Config) -> Client {
    let encrypted = parts.extensions.get::<Encrypted>().is_some();
    let mut client = Client::of(peer(parts), encrypted, &parts.headers, config);
    if client.host.is_none() {
        // HTTP/2 carries it in the URI.
        client.host = parts.uri.authority().map(|a| a.as_str().to_owned()).filter(|h| is_host(h));
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::config;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (header::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        let mut c = config();
        let h = headers(&[("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2"), ("x-forwarded-proto", "https")]);
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let got = Client::of(peer, false, &h, &c);
        assert_eq!((got.addr, got.secure), (peer, false));
        c.trusted_proxies = vec!["10.0.0.0/30".parse().unwrap()];
        let got = Client::of(peer, false, &h, &c);
        assert_eq!((got.addr, got.secure), ("203.0.113.9".parse().unwrap(), true));
        for (chain, want) in [
            ("6.6.6.6, 203.0.113.9:5060", "203.0.113.9"),
            ("6.6.6.6, [2001:db8::1]:5060", "2001:db8::1"),
            ("6.6.6.6, unknown", "10.0.0.1"),
            ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.1"),
            ("10.0.0.2", "10.0.0.2"),
        ] {
            let got = Client::of(peer, false, &headers(&[("x-forwarded-for", chain)]), &c);
            assert_eq!(got.addr, want.parse::<IpAddr>().unwrap(), "{chain}");
        }
        for (peer, proto, encrypted, secure) in [
            ("10.0.0.1", "http", true, false),
            ("10.0.0.1", "HTTPS", false, true),
            ("192.0.2.1", "http", true, true),
            ("192.0.2.1", "https", false, false),
        ] {
            let got = Client::of(peer.parse().unwrap(), encrypted, &headers(&[("x-forwarded-proto", proto)]), &c);
            assert_eq!(got.secure, secure, "{peer} {proto} {encrypted}");
        }
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(Client::of(mapped, false, &h, &c).addr, "203.0.113.9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn links_use_the_public_url_and_never_a_strange_host() {
        let mut c = config();
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let client = Client::of(peer, false, &headers(&[("host", "wf.local:8080")]), &c);
        assert_eq!(client.base_url(&c), "http://wf.local:8080");
        let odd = Client::of(peer, false, &headers(&[("host", "a/\"onclick=")]), &c);
        assert_eq!(odd.base_url(&c), "http://127.0.0.1:8080");
        c.public_url = Some("https://wf.example.com".into());
        let client = Client::of(peer, false, &headers(&[("host", "wf.local:8080")]), &c);
        assert_eq!((client.base_url(&c).as_str(), client.secure), ("https://wf.example.com", true));
    }
}
