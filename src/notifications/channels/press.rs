//! A press of a button in a message, as the target tells of it: `/api/channels/{id}/interactions` takes it.

use super::{Call, Receipt};
use crate::model::{IncidentId, Time};

/// What came in.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Names in lower case.
    pub headers: &'a [(String, String)],
    /// As it was sent: signatures are over these bytes.
    pub body: &'a [u8],
    /// Now.
    pub now: Time,
}

impl Told<'_> {
    /// A header, if there is exactly one of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.trim());
        all.next().filter(|_| all.next().is_none())
    }
}

/// Somebody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which incident.
    pub incident: IncidentId,
    /// Their id at the target: people may have it as their address there.
    pub by: String,
    /// Their name there, one line.
    pub name: String,
    /// When the target told of it.
    pub at: Time,
    /// Where the message stands, as a receipt of it.
    pub place: Receipt,
}

/// Why nothing is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PressError {
    /// There are no such buttons, or presses cannot be proven with these settings.
    #[error("presses of this channel cannot be proven: no signing secret is set")]
    NotSetUp,
    /// A header is missing or there twice.
    #[error("the signature or its time is missing")]
    Unsigned,
    /// It is of another time.
    #[error("the signature is of another time than now; look at the clocks")]
    Old,
    /// It is another signature.
    #[error("the signature is not of this channel's signing secret")]
    Forged,
    /// It is signed and cannot be read.
    #[error("it is signed, and cannot be read")]
    Unreadable,
}

/// The call that changes a message in place, of those that would tell it.
pub fn change(calls: Vec<Call>) -> Option<Call> {
    calls.into_iter().find(|call| call.step() == "edit")
}
