//! Channels: what a message looks like where it goes, and what the answer there means. Pure: settings and a message in,
//! calls out; the runner makes them.
//!
//! A channel is one file (or folder) here and one line in `ALL`. That list feeds settings, pages, API, documentation and
//! tests.

mod call;
mod chat;
mod common;
mod discord;
mod email;
mod googlechat;
mod matrix;
mod mattermost;
mod ntfy;
mod opsgenie;
mod pagerduty;
mod press;
mod pushover;
mod rocketchat;
mod slack;
mod teams;
mod telegram;
pub mod text;
mod webhook;
mod zulip;

#[cfg(test)]
mod proof;
#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use call::{Answered, Body, Call, Credentials, HttpCall, Judged, MailCall, Method, said};
pub use press::{Press, PressError, Told, change};

use super::message::Message;
pub use crate::model::Follows;
use crate::model::Mistake;

/// What is fixed about a kind of channel.
#[derive(Debug)]
pub struct Info {
    /// As in URLs and rows.
    pub kind: &'static str,
    /// As people write it.
    pub name: &'static str,
    /// Two letters for its tile.
    pub tile: &'static str,
    /// What it is good for, in one sentence.
    pub what: &'static str,
    /// What to do over there, step by step, in its own words.
    pub steps: &'static [&'static str],
    /// Its settings, in the order of the form.
    pub fields: &'static [Field],
    /// The setting that says who is told there (`to`, `chat_id`, `topic`): people have their own value of it in their
    /// contact methods. None where the channel leads to one place only.
    pub address: Option<&'static str>,
    /// How it treats a second message about the same incident.
    pub follows: Follows,
    /// At most so many calls in that time, by the wire's safe rate.
    pub rate: (u32, Duration),
}

/// A setting of a channel.
#[derive(Debug)]
pub struct Field {
    /// As in API and rows.
    pub key: &'static str,
    /// As the form writes it.
    pub label: &'static str,
    /// What it means, with an example.
    pub help: &'static str,
    /// How it is entered and checked.
    pub kind: FieldKind,
    /// Stored encrypted, shown only as the last four letters (of an address also its host).
    pub secret: bool,
    /// It must be given.
    pub required: bool,
    /// What holds when it is not given.
    pub default: &'static str,
}

/// For services with certificates of the house, besides what this server trusts anyway.
const CA: Field = Field {
    key: "ca",
    label: "Certificates to trust",
    help: "Only where the service has a certificate of your own CA that this server does not trust: the CA's as PEM, \
           beginning with -----BEGIN CERTIFICATE-----",
    kind: FieldKind::Certificates,
    secret: false,
    required: false,
    default: "",
};

/// How a setting is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One line.
    Text,
    /// An address that begins with `https://` (`http://` only where the administrator allows that).
    Url,
    /// Several lines.
    Lines,
    /// Certificates in PEM.
    Certificates,
    /// A whole number in these bounds.
    Number(u32, u32),
    /// `on` or `off`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What a channel is set to, secrets opened, defaults filled in. Not to be logged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(pub BTreeMap<String, String>);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings(…)")
    }
}

impl Settings {
    /// A setting; empty when it is not given.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// A setting that is given.
    pub fn given(&self, key: &str) -> Option<&str> {
        Some(self.get(key)).filter(|v| !v.is_empty())
    }

    /// A switch.
    pub fn on(&self, key: &str) -> bool {
        self.get(key) == "on"
    }
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq)]
pub struct To {
    /// The channel's settings; a person's own address is already in its place.
    pub settings: Settings,
    /// What earlier messages about this incident left here: message ids, threads.
    pub receipt: Receipt,
    /// What the channel keeps whatever the incident: a fixed thread, a chat's new id, a room's id.
    pub lasting: Receipt,
}

/// What an answer said that later messages need.
pub type Receipt = BTreeMap<String, String>;

/// A kind of channel.
pub trait Channel: Sync {
    /// What is fixed about it.
    fn info(&self) -> &'static Info;

    /// What is wrong with settings, beyond what the fields say of themselves. Paths are `/settings/KEY`.
    fn check(&self, _settings: &Settings) -> Vec<Mistake> {
        Vec::new()
    }

    /// The call that shows that the receiver is whoever it should be, made before the settings are saved; none where there
    /// is nothing to show. `nonce` is random.
    fn challenge(&self, _settings: &Settings, _nonce: &str) -> Option<Call> {
        None
    }

    /// Whether the answer to the challenge shows it; the error says which condition failed.
    fn shown(&self, _settings: &Settings, _nonce: &str, _answer: &Answered) -> Result<(), String> {
        Ok(())
    }

    /// The calls that tell this, in order. Each has a step of its own name, so that a retry leaves out what was done.
    /// An empty list: there is nothing to tell here.
    fn calls(&self, to: &To, message: &Message) -> Vec<Call>;

    /// At most so many calls in that time, with these settings; what is no secret of them is enough.
    fn rate(&self, _settings: &Settings) -> (u32, Duration) {
        self.info().rate
    }

    /// What is to be done over there so that buttons of its messages act here, with `URL` for the address that is told of
    /// presses; none where messages have no such buttons.
    fn buttons(&self) -> Option<&'static str> {
        None
    }

    /// What somebody pressed there, proven; none when what was told is nothing to be done here.
    ///
    /// # Errors
    /// It is not proven, or cannot be read.
    fn pressed(&self, _settings: &Settings, _told: &Told<'_>) -> Result<Option<Press>, PressError> {
        Err(PressError::NotSetUp)
    }

    /// What an answer means.
    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged;
}

/// Every kind of channel, in the order of the form.
pub const ALL: &[&dyn Channel] = &[
    &email::Email,
    &slack::Slack,
    &teams::Teams,
    &discord::Discord,
    &mattermost::Mattermost,
    &rocketchat::RocketChat,
    &googlechat::GoogleChat,
    &zulip::Zulip,
    &telegram::Telegram,
    &pagerduty::PagerDuty,
    &opsgenie::Opsgenie,
    &webhook::Webhook,
    &ntfy::Ntfy,
    &pushover::Pushover,
    &matrix::Matrix,
];

/// The kind of this name.
pub fn find(kind: &str) -> Option<&'static dyn Channel> {
    ALL.iter().copied().find(|c| c.info().kind == kind)
}
