//! What Discord answers: a status, and mostly `{message, code}`
//! (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>).

use std::time::Duration;

use super::{
    super::{Answered, Call, Judged, Receipt, To, call::said},
    changed, chat, fixed_thread, form, is_forum, place, posted,
};
use crate::notifications::{channels::HttpCall, message::Message};

/// The message is not there: somebody deleted it.
const NO_MESSAGE: u64 = 10_008;
/// The channel or thread is not there.
const NO_CHANNEL: u64 = 10_003;
/// Nothing can be changed in a thread that was put away.
const ARCHIVED: u64 = 50_083;
/// The forum demands a tag.
const NO_TAG: u64 = 40_067;
/// A forum needs a thread's name or its id.
const NO_THREAD: u64 = 220_001;
/// A text channel can have no thread's name.
const NO_FORUM: u64 = 220_003;

/// What an answer means.
pub fn judge(to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
    let json = answer.json();
    if answer.is_success() {
        return done(to, message, call, &json);
    }
    let code = chat::at(&json, "code").as_u64().unwrap_or(0);
    let words = match (chat::at(&json, "message").as_str(), code) {
        (Some(words), 0) => said(words),
        (Some(words), code) => format!("{} (code {code})", said(words)),
        (None, _) => said(&answer.body),
    };
    if answer.status == 429 {
        return too_many(message, answer, &json, &words);
    }
    let why = format!("Discord said: {words}");
    match code {
        // The first message was deleted. What it was changed to is told anew, where it was.
        NO_MESSAGE if call.step().starts_with("edit") => anew(to, message, call, false),
        // The thread was deleted.
        NO_CHANNEL if is_forum(&to.settings) && used_thread(call).is_some() => anew(to, message, call, true),
        // A message in the thread takes it out again; then the first one can be changed.
        ARCHIVED if call.step() == "edit" => again(to, message),
        ARCHIVED if call.step() == "edit-again" => Judged::done(),
        NO_THREAD => {
            let what = "The webhook belongs to a forum channel: choose the type forum in this channel's settings.";
            chat::never(&why, what, true)
        }
        NO_FORUM => {
            let what = "The webhook belongs to a text channel: choose the type text in this channel's settings, without a \
                        thread name.";
            chat::never(&why, what, true)
        }
        NO_TAG => {
            let what =
                "The forum demands a tag: put a tag's id into this channel's settings, or let the forum do without.";
            chat::never(&why, what, true)
        }
        _ => {
            let what = "The webhook was removed: make a new one in Discord (Server Settings > Integrations > Webhooks) and \
                        put its address here.";
            match chat::judged(answer, message.now, &words, what) {
                // Ten thousand such answers shut out all that comes from this address.
                Judged::Never { why, broken: true } if matches!(answer.status, 401 | 404) => Judged::Gone { why },
                judged => judged,
            }
        }
    }
}

fn done(to: &To, message: &Message, call: &Call, json: &serde_json::Value) -> Judged {
    // Short messages and changes leave nothing behind.
    let whole = matches!(call, Call::Http(HttpCall { method: super::Method::Post, .. }))
        && !chat::sent(call, "embeds").is_null();
    if !whole {
        return Judged::done();
    }
    let channel = chat::word(chat::at(json, "channel_id")).filter(|_| is_forum(&to.settings));
    let mut lasting = Receipt::new();
    // Of a new thread in a forum the answer's channel is the thread.
    let named = to.settings.given("thread_name").filter(|_| !chat::sent(call, "thread_name").is_null());
    if let (Some(name), Some(thread)) = (named, &channel) {
        lasting.insert("thread".to_owned(), thread.clone());
        lasting.insert("thread_name".to_owned(), name.to_owned());
    }
    let mut receipt = Receipt::new();
    if message.subject().is_some() {
        receipt.extend(chat::word(chat::at(json, "id")).map(|id| ("message".to_owned(), id)));
        receipt.extend(channel.map(|id| ("thread".to_owned(), id)));
    }
    Judged::Done { receipt, lasting }
}

/// The thread that a call was for.
fn used_thread(call: &Call) -> Option<&str> {
    let Call::Http(call) = call else { return None };
    let (_, query) = call.url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("thread_id="))
}

/// What there was is gone: told as a whole, in the same thread or, when that is gone too, in another one.
fn anew(to: &To, message: &Message, call: &Call, without_thread: bool) -> Judged {
    let mut to = to.clone();
    let mut forget = vec!["message".to_owned()];
    let mut lasting = Receipt::new();
    to.receipt.remove("message");
    if without_thread {
        forget.push("thread".to_owned());
        to.receipt.remove("thread");
        // Unless the thread under the fixed name has been made anew for another incident meanwhile.
        if fixed_thread(&to).is_some_and(|fixed| used_thread(call) == Some(fixed)) {
            lasting = ["thread", "thread_name"].map(|key| (key.to_owned(), String::new())).into();
            to.lasting.remove("thread");
        }
    }
    // Instead of a change also the message that was to follow it.
    let step = if call.step() == "post" { "post" } else { "thread" };
    Judged::Instead { calls: vec![posted(step, &to, message)], lasting, forget }
}

fn again(to: &To, message: &Message) -> Judged {
    let (Some(subject), Some(id)) = (message.subject(), to.receipt.get("message")) else { return Judged::done() };
    let follow_up = form::follow_up(&to.settings, message, subject);
    let calls = vec![
        Call::Http(HttpCall::post("thread", place(to, super::thread(to)), follow_up)),
        changed("edit-again", to, message, id),
    ];
    Judged::Instead { calls, lasting: Receipt::new(), forget: Vec::new() }
}

/// The body says it more exactly than the header: a fraction of seconds.
fn too_many(message: &Message, answer: &Answered, json: &serde_json::Value, words: &str) -> Judged {
    let exact = chat::at(json, "retry_after").as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
    match chat::judged(answer, message.now, words, "") {
        Judged::Later { after, why } => {
            let all = if chat::at(json, "global") == true {
                "; this holds for all that is sent from here to Discord"
            } else {
                ""
            };
            Judged::Later { after: exact.or(after), why: format!("{why}{all}") }
        }
        judged => judged,
    }
}
