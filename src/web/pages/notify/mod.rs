//! The pages of notifications: channels, rules, who is on call, how people are reached, and who was told of an incident.

pub mod channel_form;
pub mod channels;
pub mod contacts;
mod field;
pub mod heartbeats;
pub mod on_call;
pub mod policies;
pub mod rule_form;
pub mod rules;
pub mod schedule_form;
mod strip;
pub mod told;
mod trial;
mod words;

use super::{frame::counts_and_seq, text};
use crate::{
    model::*,
    store::{CommandError, Overview, StoreError, Telling, View},
    web::error::ApiError,
};

/// Where channels and rules are.
pub const HERE: &str = "/settings/notifications";
/// Where schedules, policies and heartbeats are.
pub const ON_CALL: &str = "/on-call";

/// What most of these pages are made of.
struct Read {
    overview: Overview,
    seq: u64,
    telling: Telling,
    /// The names of all accounts.
    people: Vec<String>,
}

impl Read {
    fn of(view: &View, now: Time) -> Result<Self, StoreError> {
        let (overview, seq) = counts_and_seq(view, now)?;
        let people = view.accounts()?.into_iter().filter(|a| !a.disabled).map(|a| a.name).collect();
        Ok(Self { overview, seq, telling: view.telling()?, people })
    }
}

/// An id of an address.
fn named<T: std::str::FromStr>(what: &str, id: &str) -> Result<T, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(format_args!("{what} “{}”", text::shorten(id, 40))))
}

/// What a person can mend; anything else goes on as an error.
fn refused(e: CommandError) -> Result<Vec<Mistake>, ApiError> {
    match e {
        CommandError::Mistakes(wrong) => Ok(wrong),
        CommandError::Conflict { detail, .. } => Ok(vec![Mistake::new("", detail)]),
        CommandError::Invalid { field, detail } => Ok(vec![Mistake::new(format!("/{field}"), detail)]),
        other => Err(other.into()),
    }
}
