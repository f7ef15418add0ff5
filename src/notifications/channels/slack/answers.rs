//! What Slack answers. A webhook says it as a status and a word; the API says 200 and the word in `error`.

use super::{
    super::{Answered, Call, Judged, Receipt, To, call::said, text},
    chat, form, posted,
};
use crate::notifications::message::Message;

/// A webhook (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>).
pub fn of_a_webhook(message: &Message, answer: &Answered) -> Judged {
    let word = answer.body.trim();
    let advice = match (answer.status, word) {
        (_, "action_prohibited") => {
            "An administrator of the workspace forbids posts of this webhook: ask for it, or make a webhook for another \
             channel."
        }
        (_, "channel_not_found") => "The channel is gone: make a webhook for another one and put its address here.",
        (_, "channel_is_archived") | (410, _) => {
            "The channel is archived: bring it back in Slack, or make a webhook for another one."
        }
        (_, "team_disabled") => "The workspace is switched off: ask its administrator.",
        // `invalid_token`, `no_service`, `no_active_hooks`.
        _ => {
            "The webhook was removed or switched off: make a new one in Slack under Incoming Webhooks and put its address \
             here."
        }
    };
    // Of 200 the word does not count: others than `ok` have been seen with messages that arrived.
    chat::judged(answer, message.now, &said(word), advice)
}

/// The API (<https://docs.slack.dev/reference/methods/chat.postMessage#errors>, likewise `chat.update`).
pub fn of_the_api(to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
    let key = "Install the app again in Slack (OAuth & Permissions) and put the new Bot User OAuth Token here.";
    let json = answer.json();
    if !answer.is_success() {
        let word = chat::at(&json, "error").as_str().unwrap_or(&answer.body);
        return chat::judged(answer, message.now, &said(word), key);
    }
    if chat::at(&json, "ok") == true {
        let is_reply = chat::sent(call, "thread_ts").is_string();
        return match (call.step(), is_reply) {
            ("post", _) | ("thread", false) if message.subject().is_some() => chat::kept([
                ("ts", chat::word(chat::at(&json, "ts"))),
                ("channel", chat::word(chat::at(&json, "channel"))),
            ]),
            _ => Judged::done(),
        };
    }
    let Some(word) = chat::at(&json, "error").as_str() else {
        let why = "answered 200, but not as Slack does";
        return chat::never(why, "Look at the address of Slack's API in the settings.", true);
    };
    let why = format!("Slack said: {}", said(word));
    let in_vain = matches!(call.step(), "edit" | "thread") && !to.receipt.is_empty();
    let reply = chat::sent(call, "thread_ts").is_string();
    match word {
        "ratelimited"
        | "rate_limited"
        | "message_limit_exceeded"
        | "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => {
            let after = answer.header("retry-after").and_then(|v| text::retry_after(v, message.now));
            Judged::Later { after, why }
        }
        // The first message stays as it was; the thread says what happened.
        "edit_window_closed" | "cant_update_message" if call.step() == "edit" => Judged::done(),
        // What was posted is gone, or its channel is: told anew as a whole, in the channel of the settings.
        "message_not_found"
        | "thread_not_found"
        | "cannot_reply_to_message"
        | "restricted_action_thread_locked"
        | "channel_not_found"
        | "is_archived"
        | "not_in_channel"
            if in_vain && (reply || call.step() == "edit") =>
        {
            Judged::Instead {
                calls: vec![posted("thread", to, form::whole(to, message))],
                lasting: Receipt::new(),
                forget: vec!["ts".to_owned(), "channel".to_owned()],
            }
        }
        "channel_not_found" => {
            let what = "The channel is not there for this app: look at its id (C0123ABCD), and for a private one write \
                        /invite @your-app in it.";
            chat::never(&why, what, true)
        }
        "not_in_channel" => {
            let what = "Write /invite @your-app in the channel, or give the app the scope chat:write.public.";
            chat::never(&why, what, true)
        }
        "is_archived" => chat::never(&why, "Bring the channel back in Slack, or name another one here.", true),
        "missing_scope" => {
            let what = "Give the app the scope chat:write (OAuth & Permissions), and install it again.";
            chat::never(&why, what, true)
        }
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "messages_tab_disabled"
        | "no_permission"
        | "ekm_access_denied"
        | "access_denied" => {
            let what =
                "The workspace does not let this app post there: ask its administrator, or name another channel.";
            chat::never(&why, what, true)
        }
        "not_authed"
        | "invalid_auth"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "org_login_required"
        | "not_allowed_token_type"
        | "team_access_not_granted"
        | "accesslimited" => chat::never(&why, key, true),
        _ => chat::never(&why, "", false),
    }
}
