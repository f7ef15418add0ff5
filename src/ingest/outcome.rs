//! What comes to the door, and what becomes of it.

use std::borrow::Cow;

use super::credentials::is_secret_parameter;
use crate::{
    model::*,
    store::{StoreError, SubmitError, Submitted},
};

/// A request of a sender.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// As received.
    pub body: Vec<u8>,
}

impl Arrival {
    /// Makes the query, keys left out, the body that it stands for, so that it is kept and can be replayed like any other.
    pub(super) fn move_query(&mut self) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let mut any = false;
        for (name, value) in self.query.extract_if(.., |(name, _)| !is_secret_parameter(name)) {
            form.append_pair(&name, &value);
            any = true;
        }
        if any {
            self.body = form.finish().into_bytes();
            self.headers.retain(|(name, _)| name != "content-type" && name != "content-encoding");
            self.headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
    }
}

/// A delivery that is on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Where.
    pub stored: Submitted,
    /// The code that this sender takes for success.
    pub success: u16,
    /// What was read about alerts.
    pub signals: Vec<(Fingerprint, SignalStatus)>,
    /// What was not understood, where the sender must be told success all the same.
    pub problem: Option<Problem>,
    /// What must stand in the answer's body besides, as (name, value).
    pub reply: Option<(&'static str, String)>,
}

/// Why a delivery was not taken.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// No such platform; these have names like it.
    UnknownPlatform(Vec<String>),
    /// Nothing proves who sent it.
    Unauthorized {
        /// What happened.
        why: Cow<'static, str>,
        /// The ways that this connector takes.
        ways: Vec<String>,
    },
    /// Its signature cannot be checked now, and nothing else proves it.
    Unchecked {
        /// What is in the way, and what would help.
        why: String,
    },
    /// Switched off.
    Off,
    /// Too many; seconds until the next one.
    OverRate {
        /// This sender retries on 429 as well.
        says_more: bool,
        /// Seconds.
        retry_after_secs: u32,
    },
    /// More waits already than may wait. Nothing was read.
    Busy {
        /// This sender retries on 429 as well.
        says_more: bool,
        /// Of what there is too much: `queue`, `behind` or `memory`.
        of: &'static str,
        /// Seconds.
        retry_after_secs: u32,
    },
    /// Larger than the limit once unpacked.
    TooLarge,
    /// Nothing to read and nothing to keep.
    Empty,
    /// `Content-Encoding` is wrong.
    Encoding(String),
    /// Kept, but not understood.
    NotUnderstood(Problem, Submitted),
    /// Could not be stored.
    NotStored {
        /// This sender retries on 429 as well.
        says_more: bool,
        /// Why.
        error: SubmitError,
    },
    /// The store cannot be read.
    Store(StoreError),
}

impl Refusal {
    /// Word for the metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnknownPlatform(_) => "unknown",
            Self::Unauthorized { .. } | Self::Unchecked { .. } => "unauthorized",
            Self::NotUnderstood(..) => "unparsed",
            Self::NotStored { .. } | Self::Store(_) => "failed",
            _ => "refused",
        }
    }

    /// Of what there was too much, if that was the reason.
    pub fn overload(&self) -> Option<&'static str> {
        match self {
            Self::OverRate { .. } => Some("rate"),
            Self::Busy { of, .. } => Some(of),
            Self::NotStored { error: SubmitError::Overloaded { .. }, .. } => Some("behind"),
            Self::NotStored { error: SubmitError::Store(StoreError::Full), .. } | Self::Store(StoreError::Full) => {
                Some("disk")
            }
            _ => None,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
