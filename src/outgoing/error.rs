//! Why there is no answer, in sentences.

use std::{error::Error, net::IpAddr, path::PathBuf, time::Duration};

/// Why there is no answer. The messages name the host and what to do, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// What should be asked is no address or cannot be written into a request.
    #[error("{0}")]
    Address(String),
    /// It leads to an address that is never asked.
    #[error(
        "{host} leads to {address}, which is of the local link or of a cloud's metadata and is never asked; name the service's own address"
    )]
    Forbidden {
        /// As it was named.
        host: String,
        /// Where it leads.
        address: IpAddr,
    },
    /// No connection.
    #[error("{host} cannot be reached: {why}; see that it runs and that this machine may reach it")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the system says.
        why: String,
    },
    /// No answer, or no end of it, in time.
    #[error("{host} did not answer within {}", seconds(*.within))]
    Late {
        /// Host and port.
        host: String,
        /// The time that it had.
        within: Duration,
    },
    /// The answer broke off or is no HTTP.
    #[error("{host} broke off: {why}")]
    Broken {
        /// Host and port.
        host: String,
        /// What the library says.
        why: String,
    },
    /// It leads elsewhere.
    #[error("{host} leads on to {to}, which is not followed; if that is the right address, put it into the settings")]
    Redirected {
        /// Host and port.
        host: String,
        /// Where to, without query.
        to: String,
    },
    /// It does not know who asks: 401 or 403.
    #[error("{host} answers {status}: the credentials in the settings are missing, wrong, or may not do this")]
    Refused {
        /// Host and port.
        host: String,
        /// 401 or 403.
        status: u16,
    },
    /// Another status than success.
    #[error("{host} answers {status}{}", after_colon(.said))]
    Status {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// The beginning of what it says, one line; only where a caller asked for it.
        said: String,
    },
    /// More than was asked for.
    #[error("{host} answers with more than {most} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The bound.
        most: usize,
    },
    /// Not what was expected.
    #[error("{host} answers with something that is not {expected}; see that the address is that of the right service")]
    Garbage {
        /// Host and port.
        host: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The file of trusted certificates.
    #[error("{} {why}; it is named as `outgoing.ca` in the settings", .file.display())]
    Ca {
        /// Its path.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No calls can be made at all.
    #[error("no calls can be made from this machine: {0}; does it have the package ca-certificates?")]
    Unable(String),
}

/// A name that leads only to addresses that are never asked.
#[derive(Debug, thiserror::Error)]
#[error("leads to {0}, which is never asked")]
pub(super) struct Refused(pub IpAddr);

impl OutgoingError {
    pub(super) fn of(host: &str, within: Duration, e: &reqwest::Error) -> Self {
        let host = host.to_owned();
        let mut cause: Option<&(dyn Error + 'static)> = Some(e);
        while let Some(now) = cause {
            if let Some(Refused(address)) = now.downcast_ref::<Refused>() {
                return Self::Forbidden { host, address: *address };
            }
            cause = now.source();
        }
        // First, because what could not be connected in its time was not asked.
        if e.is_connect() {
            Self::Unreachable { host, why: last(e) }
        } else if e.is_timeout() {
            Self::Late { host, within }
        } else {
            Self::Broken { host, why: last(e) }
        }
    }
}

/// The last of the reasons, which is the one that helps, without the address, whose query may hold a secret.
pub(super) fn last(e: &reqwest::Error) -> String {
    let mut cause: &dyn Error = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if cause.is::<reqwest::Error>() { "the request failed".to_owned() } else { cause.to_string() }
}

fn seconds(d: Duration) -> String {
    if d.subsec_millis() == 0 { format!("{} s", d.as_secs()) } else { format!("{} ms", d.as_millis()) }
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
