//! Kinds of channels: what is fixed about each, enough to draw its form.

use axum::Json as Answer;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing;
use crate::{
    notifications::channels::{self, Field, FieldKind, Follows, Info},
    web::auth::Viewer,
};

/// A setting of a kind of channel.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldObject {
    /// As in `settings` of a channel.
    key: &'static str,
    /// As forms write it.
    label: &'static str,
    /// What it means, with an example.
    help: &'static str,
    /// `text`, `url`, `lines`, `number`, `switch` (`on` or `off`) or `choice`.
    kind: &'static str,
    /// For a number: the least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<u32>,
    /// For a number: the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<u32>,
    /// For a choice: its words.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    words: &'static [&'static str],
    /// Stored encrypted, and shown only as the last four letters (of an address also its host).
    secret: bool,
    /// It must be given.
    required: bool,
    /// What holds when it is not given.
    default: &'static str,
}

impl FieldObject {
    fn of(f: &Field) -> Self {
        let (kind, bounds, words) = match f.kind {
            FieldKind::Text => ("text", None, &[][..]),
            FieldKind::Url => ("url", None, &[][..]),
            FieldKind::Lines | FieldKind::Certificates => ("lines", None, &[][..]),
            FieldKind::Number(least, most) => ("number", Some((least, most)), &[][..]),
            FieldKind::Switch => ("switch", None, &[][..]),
            FieldKind::Choice(words) => ("choice", None, words),
        };
        Self {
            key: f.key,
            label: f.label,
            help: f.help,
            kind,
            least: bounds.map(|b| b.0),
            most: bounds.map(|b| b.1),
            words,
            secret: f.secret,
            required: f.required,
            default: f.default,
        }
    }
}

/// What is fixed about a kind of channel.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChannelKind {
    /// As in `kind` of a channel.
    kind: &'static str,
    /// As people write it.
    name: &'static str,
    /// Two letters for its tile.
    tile: &'static str,
    /// What it is good for, in one sentence.
    what: &'static str,
    /// What to do over there, step by step.
    steps: &'static [&'static str],
    /// Its settings, in the order of the form.
    fields: Vec<FieldObject>,
    /// The setting of which people have a value of their own in their contact methods; none where it leads to one place
    /// only.
    address: Option<&'static str>,
    /// Later events of an incident: `keyed` (it keeps the incident under a key, each event goes out in order), `read`
    /// (a person reads it, what waits is told in one message) or `fed` (a program reads it, each event goes out by itself).
    follows: &'static str,
    /// At most so many calls …
    rate_calls: u32,
    /// … in so many seconds.
    rate_secs: f64,
}

impl ChannelKind {
    fn of(i: &Info) -> Self {
        Self {
            kind: i.kind,
            name: i.name,
            tile: i.tile,
            what: i.what,
            steps: i.steps,
            fields: i.fields.iter().map(FieldObject::of).collect(),
            address: i.address,
            follows: match i.follows {
                Follows::Keyed => "keyed",
                Follows::Read => "read",
                Follows::Fed => "fed",
            },
            rate_calls: i.rate.0,
            rate_secs: i.rate.1.as_secs_f64(),
        }
    }
}

listing! {
    /// Every kind of channel, in the order of the form.
    ChannelKinds { kinds: ChannelKind }
}

/// Every kind of channel with its settings.
#[utoipa::path(get, path = "/api/channel-kinds", tag = "notifications", operation_id = "channel_kinds",
    responses((status = 200, body = ChannelKinds)))]
pub async fn list(_: Viewer) -> Answer<ChannelKinds> {
    Answer(ChannelKinds::all(channels::ALL.iter().map(|c| ChannelKind::of(c.info())).collect()))
}
