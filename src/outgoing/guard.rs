//! Which addresses are asked, looked at where the connection goes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{CONNECT, OutgoingError, Url, address, error::Refused};

/// Which addresses are asked.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// This machine.
    pub loopback: bool,
    /// All the same.
    pub allow: Vec<IpNet>,
    /// A proxy makes the connection, so that a name is not looked at where that goes.
    pub proxied: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self { loopback: true, allow: Vec::new(), proxied: false }
    }
}

impl Guard {
    pub fn refuses(&self, ip: IpAddr) -> bool {
        let plain = ip.to_canonical();
        if self.allow.iter().any(|net| net.contains(&plain)) {
            return false;
        }
        address::forbidden(ip) || (!self.loopback && address::own(ip))
    }

    /// Refuses an address whose host is one that is never asked. A name is looked at when it is resolved.
    pub fn allows(&self, url: &Url) -> Result<(), OutgoingError> {
        match address::literal(url).filter(|ip| self.refuses(*ip)) {
            Some(address) => Err(OutgoingError::Forbidden { host: address::host(url), address }),
            None => Ok(()),
        }
    }
}

impl Guard {
    /// Refuses a name that leads only to refused addresses, as far as this machine knows. One that it does not know is the
    /// proxy's to know.
    pub async fn allows_name(&self, host: &str, name: &str) -> Result<(), OutgoingError> {
        let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((name, 0))).await;
        let Ok(Ok(found)) = found else { return Ok(()) };
        let found: Vec<IpAddr> = found.map(|a| a.ip()).collect();
        match found.first().filter(|_| found.iter().all(|ip| self.refuses(*ip))) {
            Some(address) => Err(OutgoingError::Forbidden { host: host.to_owned(), address: *address }),
            None => Ok(()),
        }
    }
}

/// Resolves a name and keeps the addresses that may be asked: these are what is connected to.
#[derive(Debug)]
pub(super) struct Looked(pub Arc<Guard>);

impl Resolve for Looked {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let first = found.first().map(SocketAddr::ip);
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| !guard.refuses(a.ip())).collect();
            match (allowed.is_empty(), first) {
                (true, Some(address)) => Err(Refused(address).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether the environment names a proxy, by the names that the library looks at.
pub(super) fn proxied() -> bool {
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
