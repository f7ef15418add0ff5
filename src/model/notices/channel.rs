//! A channel: a place where messages go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ChannelId;
use crate::model::{Sealed, Time};

/// What a channel can do with later events of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It keeps the incident under a key of ours: each event is sent in order, none is skipped, and repeats are harmless.
    Keyed,
    /// A person reads it: events that wait are told in one message, and many incidents in one digest.
    Read,
    /// A program reads it: each event is sent by itself, repeats have the same delivery id.
    Fed,
}

/// A place where messages go, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// Its id.
    pub id: ChannelId,
    /// As people call it; no two are called the same.
    pub name: String,
    /// The kind: a word of `notifications::channels::ALL`.
    pub kind: String,
    /// What is set and no secret.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What is set and secret.
    #[serde(default)]
    pub secrets: BTreeMap<String, Sealed>,
    /// How the secrets are shown: the host of an address, the last four letters.
    #[serde(default)]
    pub shown: BTreeMap<String, String>,
    /// Messages go there.
    pub enabled: bool,
    /// Where messages go that cannot be told here.
    #[serde(default)]
    pub fallback: Option<ChannelId>,
    /// What all messages of the channel need to know from earlier answers.
    #[serde(default)]
    pub lasting: BTreeMap<String, String>,
    /// How it does.
    #[serde(default)]
    pub health: ChannelHealth,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When a person last changed it.
    pub updated_at: Time,
}

/// How a channel does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChannelHealth {
    /// When a message last arrived.
    #[serde(default)]
    pub last_sent_at: Option<Time>,
    /// When one last did not.
    #[serde(default)]
    pub last_failed_at: Option<Time>,
    /// Why not, in one sentence.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Failures since a message last arrived.
    #[serde(default)]
    pub failures: u32,
    /// Answers in a row since then that say that the channel itself is wrong.
    #[serde(default)]
    pub refusals: u32,
    /// It is given up until somebody changes or tries it; since when.
    #[serde(default)]
    pub broken_since: Option<Time>,
}
