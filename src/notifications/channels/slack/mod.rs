//! Slack, in two ways. An incoming webhook only posts. A bot's token posts, changes the first message of an incident as the
//! incident changes, and tells what happens in a thread under it.

mod answers;
mod form;
mod press;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Answered, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Press, PressError,
    Settings, To, Told, chat,
};
use crate::{model::Mistake, notifications::message::Message};

/// The button that is answered inside Slack.
const ACKNOWLEDGE: &str = "watchfire_ack";

static INFO: Info = Info {
    kind: "slack",
    name: "Slack",
    tile: "Sl",
    what: "Posts into a Slack channel; with a bot's token it keeps one thread per incident and changes its first message as \
           the incident changes.",
    steps: &[
        "On https://api.slack.com/apps make an app (From scratch) in your workspace.",
        "For a webhook: open Incoming Webhooks, switch them on, choose Add New Webhook to Workspace and the channel, and copy \
         the address.",
        "For a bot: under OAuth & Permissions add the scopes chat:write and chat:write.public, install the app, and copy the \
         Bot User OAuth Token. For a private channel write /invite @your-app there.",
        "To acknowledge inside Slack, with a bot: add this channel first. Its page then has the address for the app's \
         Interactivity.",
    ],
    fields: &[
        Field {
            key: "mode",
            label: "Way",
            help: "webhook is quick to set up and only posts. bot keeps one thread per incident and changes its first \
                   message.",
            kind: FieldKind::Choice(&["webhook", "bot"]),
            secret: false,
            required: true,
            default: "webhook",
        },
        Field {
            key: "url",
            label: "Webhook address",
            help: "Only for the way webhook, as Slack shows it: https://hooks.slack.com/services/T0123/B0123/abcdef",
            kind: FieldKind::Url,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "token",
            label: "Bot token",
            help: "Only for the way bot: the Bot User OAuth Token of OAuth & Permissions. It begins with xoxb-",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "channel",
            label: "Channel",
            help: "Only for the way bot: the channel's id such as C0123ABCD (at the end of its details), its name such as \
                   #incidents, or a person's member id such as U0123ABCD.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "signing_secret",
            label: "Signing secret",
            help: "Only for the way bot, and only if the app's Interactivity leads to this server: then Acknowledge works \
                   inside Slack. On the app's page Basic Information; 32 letters and digits. Without it Acknowledge is a \
                   link.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "api",
            label: "Address of Slack's API",
            help: "Leave it as it is, unless you use GovSlack: https://slack-gov.com/api",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "https://slack.com/api",
        },
    ],
    address: Some("channel"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct Slack;

fn is_bot(settings: &Settings) -> bool {
    settings.get("mode") == "bot"
}

impl Channel for Slack {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut say = |key: &str, what: &str| wrong.push(Mistake::new(format!("/settings/{key}"), what));
        if is_bot(settings) {
            match settings.given("token") {
                None => {
                    say("token", "The way bot needs the bot's token: Bot User OAuth Token under OAuth & Permissions.")
                }
                Some(token) if !token.starts_with("xoxb-") => {
                    say("token", "This is no bot's token: that one begins with xoxb- (Bot User OAuth Token).");
                }
                Some(_) => {}
            }
            if settings.given("channel").is_none() {
                say("channel", "The way bot needs a channel, such as C0123ABCD or #incidents.");
            }
        } else {
            match settings.given("url") {
                None => say("url", "The way webhook needs the address that Slack shows under Incoming Webhooks."),
                Some(url) if url.contains("/triggers/") || url.contains("/workflows/") => {
                    say(
                        "url",
                        "This starts a workflow, which takes other messages. Make an incoming webhook: its address has \
                         /services/ in it.",
                    );
                }
                Some(_) => {}
            }
            if settings.given("channel").is_some() {
                say(
                    "channel",
                    "A webhook always posts into the channel it was made for. Leave this empty, or choose the way bot.",
                );
            }
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let whole = form::whole(to, message);
        if !is_bot(&to.settings) {
            return vec![Call::Http(HttpCall::post("post", to.settings.get("url"), Value::Object(whole)))];
        }
        let first = message.subject().zip(to.receipt.get("ts").zip(to.receipt.get("channel")));
        let Some((subject, (ts, channel))) = first else {
            return vec![posted("post", to, whole)];
        };
        let mut edit = whole;
        // An update reads names of channels and people in text unless it is told not to; a new message does not.
        edit.extend(fields(json!({ "channel": channel, "ts": ts, "parse": "none", "link_names": false })));
        // Fields of a new message only.
        edit.remove("unfurl_links");
        edit.remove("unfurl_media");
        let mut thread = form::follow_up(message, subject);
        thread.extend(fields(json!({ "channel": channel, "thread_ts": ts })));
        if chat::is_pressing(message) {
            // A thread is read by those who follow it. What presses is shown in the channel as well.
            thread.insert("reply_broadcast".to_owned(), json!(true));
        }
        vec![api("edit", to, "chat.update", edit), api("thread", to, "chat.postMessage", thread)]
    }

    fn buttons(&self) -> Option<&'static str> {
        Some(
            "To acknowledge inside Slack: on the app's page open Interactivity & Shortcuts, switch it on, put URL as the \
             Request URL and save. Then copy the Signing Secret from Basic Information into the settings here. Whoever has \
             their Slack member id as their own address at this channel acknowledges as themselves.",
        )
    }

    fn pressed(&self, settings: &Settings, told: &Told<'_>) -> Result<Option<Press>, PressError> {
        press::read(settings, told)
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        if is_bot(&to.settings) {
            answers::of_the_api(to, message, call, answer)
        } else {
            answers::of_a_webhook(message, answer)
        }
    }
}

/// A whole message of its own, in the channel of the settings.
fn posted(step: &'static str, to: &To, mut whole: Map<String, Value>) -> Call {
    whole.insert("channel".to_owned(), json!(to.settings.get("channel")));
    api(step, to, "chat.postMessage", whole)
}

/// A call of a method of the API.
fn api(step: &'static str, to: &To, method: &str, body: Map<String, Value>) -> Call {
    let url = format!("{}/{method}", chat::base(to.settings.get("api")));
    let credentials = Credentials::Bearer(to.settings.get("token").to_owned());
    Call::Http(HttpCall { credentials, ..HttpCall::post(step, url, Value::Object(body)) })
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
