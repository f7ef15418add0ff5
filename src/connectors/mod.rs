//! Senders: what each platform sends, read into signals. Pure: bytes and headers in, `Parsed` or a `Problem` out.
//!
//! A platform is one file (or folder) here and one line in `ALL`. That list feeds routes, pages, documentation and tests.

use crate::model::{Parsed, Problem, Time};

/// One request as a connector sees it, after decompression.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Names in lower case, without credentials that the door has already checked.
    pub headers: &'a [(String, String)],
    /// Decoded query parameters, in order.
    pub query: &'a [(String, String)],
    /// The body as received, after decompression.
    pub body: &'a [u8],
    /// When it was received: the only clock there is here.
    pub received_at: Time,
    /// Jenkins and CloudBees: failed builds open incidents. Others ignore it.
    pub rca_enabled: bool,
}

impl Request<'_> {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What a platform's sender does when it is refused, and so what it must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Retries on 503.
    Unavailable,
    /// Retries on 429 as well; that says more.
    TooMany,
    /// Never retries: it must not be refused for its rate.
    NeverRefuse,
}

/// What is fixed about a platform.
#[derive(Debug)]
pub struct Info {
    /// As in URLs.
    pub slug: &'static str,
    /// As people write it.
    pub name: &'static str,
    /// Two letters for its tile.
    pub tile: &'static str,
    /// Success code, where the sender compares with one literal (202 otherwise).
    pub success: u16,
    /// What the sender retries.
    pub overload: Overload,
    /// Whether a body that is not understood is still answered with 202 and a `problem` (senders that switch the target
    /// off after a 4xx).
    pub lenient: bool,
    /// Whether `rca_enabled` means something here.
    pub builds: bool,
    /// How the sender can prove itself with its own signature, in words; none when it cannot.
    pub signature: Option<&'static str>,
    /// What to do in that platform, step by step, in its own words. `{url}` and `{key}` are filled in.
    pub steps: &'static [&'static str],
    /// How fields are read, as (ours, theirs) for the page.
    pub fields: &'static [(&'static str, &'static str)],
    /// A body as the platform sends it, for "send a test" and for documentation.
    pub sample: &'static str,
}

/// The verdict on the platform's own signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The request carries none.
    Absent,
    /// It is right.
    Valid,
    /// It is wrong or too old.
    Invalid,
}

/// A platform.
pub trait Connector: Sync {
    /// What is fixed about it.
    fn info(&self) -> &'static Info;

    /// Reads a request. An `Err` keeps the delivery, shows it and names the place.
    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem>;

    /// Checks the platform's own signature against any of the secrets, in constant time.
    fn verify(&self, _request: &Request<'_>, _secrets: &[&str]) -> Signature {
        Signature::Absent
    }
}
