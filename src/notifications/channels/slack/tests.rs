//! Slack's two ways, against what its documentation says of them.

use serde_json::{Value, json};

use super::{super::proof::*, *};

const HOOK: &str = r#"{"url":"https://hooks.slack.com/services/T0/B0/x"}"#;
const BOT: &str = r##"{"mode":"bot","token":"xoxb-1","channel":"#incidents"}"##;
const PRESSED: &str = r##"{"mode":"bot","token":"xoxb-1","channel":"#incidents","signing_secret":"8f7"}"##;
const POST: &str = "POST https://slack.com/api/chat.postMessage";
const UPDATE: &str = "POST https://slack.com/api/chat.update";
const FIRST: &str = r#"{"ok":true,"channel":"C1","ts":"17.01"}"#;

fn buttons(body: &Value) -> Vec<Value> {
    let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
    let actions = blocks.iter().filter(|b| b["type"] == "actions");
    actions.flat_map(|b| b["elements"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_webhook_posts_each_event_anew() {
    let mut story = Story::new(&Slack, HOOK);
    for name in ["opened", "acknowledged", "resolved"] {
        assert_eq!(story.tell(name, &["ok"]), ["post POST https://hooks.slack.com/services/T0/B0/x"]);
    }
    assert!(story.to.receipt.is_empty());
}

#[test]
fn an_incident_is_one_thread_under_one_message() {
    let mut story = Story::new(&Slack, BOT);
    assert_eq!(story.tell("opened", &[FIRST]), [format!("post {POST}")]);
    assert_eq!(story.to.receipt, receipt(&[("ts", "17.01"), ("channel", "C1")]));
    for (name, words, shown) in [
        ("acknowledged", "Acknowledged by sre-1", Value::Null),
        ("reminder", "Still open", json!(true)),
        ("resolved", "Resolved after", Value::Null),
    ] {
        let [edit, thread] = bodies(&story.calls(name)).try_into().unwrap();
        assert_eq!((&edit["ts"], &edit["channel"], &edit["parse"]), (&json!("17.01"), &json!("C1"), &json!("none")));
        assert_eq!((&thread["thread_ts"], &thread["channel"]), (&json!("17.01"), &json!("C1")), "{name}");
        assert_eq!(thread["reply_broadcast"], shown, "{name}");
        assert!(edit.to_string().contains(words) && thread["text"].as_str().unwrap().contains(words), "{name}");
        let reply = r#"{"ok":true,"channel":"C1","ts":"18.02"}"#;
        assert_eq!(story.tell(name, &[FIRST, reply]), [format!("edit {UPDATE}"), format!("thread {POST}")]);
        assert_eq!(story.to.receipt["ts"], "17.01", "{name}");
    }
    // A digest and a test are of no incident.
    for name in ["digest", "test"] {
        assert_eq!(story.tell(name, &[r#"{"ok":true,"channel":"C1","ts":"19"}"#]), [format!("post {POST}")]);
        assert_eq!(story.to.receipt["ts"], "17.01", "{name}");
    }
}

#[test]
fn a_lost_message_or_thread_is_told_anew() {
    let new = r#"{"ok":true,"channel":"C2","ts":"20.03"}"#;
    for (answers, want) in [
        (vec![r#"{"ok":false,"error":"message_not_found"}"#, new], vec![UPDATE, POST]),
        (vec![r#"{"ok":false,"error":"channel_not_found"}"#, new], vec![UPDATE, POST]),
        (vec![FIRST, r#"{"ok":false,"error":"restricted_action_thread_locked"}"#, new], vec![UPDATE, POST, POST]),
    ] {
        let mut story = Story::new(&Slack, BOT);
        story.to.receipt = receipt(&[("ts", "17.01"), ("channel", "C1")]);
        let told = story.tell("resolved", &answers);
        let places: Vec<&str> = told.iter().map(|t| t.split_once(' ').unwrap().1).collect();
        assert_eq!(places, want);
        assert_eq!(story.to.receipt, receipt(&[("ts", "20.03"), ("channel", "C2")]));
    }
}

#[test]
fn a_webhooks_answers_mean_what_their_words_say() {
    for (status, headers, body, want) in [
        (200, [].as_slice(), "ok", "done"),
        (200, &[], "fine", "done"),
        (400, &[], "invalid_payload", "never: invalid_payload"),
        (400, &[], "no_text", "never: no_text"),
        (400, &[], "invalid_blocks", "never: invalid_blocks"),
        (400, &[], "too_many_attachments", "never: too_many_attachments"),
        (403, &[], "action_prohibited", "broken: An administrator"),
        (403, &[], "invalid_token", "broken: make a new one"),
        (404, &[], "no_service", "broken: make a new one"),
        (404, &[], "channel_not_found", "broken: The channel is gone"),
        (404, &[], "no_active_hooks", "broken: make a new one"),
        (404, &[], "team_disabled", "broken: The workspace is switched off"),
        (410, &[], "channel_is_archived", "broken: bring it back"),
        (429, &[("retry-after", "30")], "rate_limited", "later 30000: rate_limited"),
        (500, &[], "rollup_error", "later: rollup_error"),
        (503, &[], "", "later: 503"),
    ] {
        assert_judged(&Story::new(&Slack, HOOK), "opened", "post", headers, status, body, want);
    }
}

#[test]
fn the_apis_answers_mean_what_their_words_say() {
    let no = |word: &str| format!(r#"{{"ok":false,"error":"{word}"}}"#);
    for (step, status, headers, body, want) in [
        ("post", 200, [].as_slice(), FIRST.to_owned(), "done channel=C1 ts=17.01"),
        ("post", 200, &[], "<html>".to_owned(), "broken: address of Slack's API"),
        ("post", 200, &[], no("ratelimited"), "later: ratelimited"),
        ("post", 429, &[("retry-after", "5")], no("ratelimited"), "later 5000: ratelimited"),
        ("post", 200, &[], no("internal_error"), "later: internal_error"),
        ("post", 503, &[], String::new(), "later: 503"),
        ("post", 200, &[], no("invalid_auth"), "broken: Bot User OAuth Token"),
        ("post", 200, &[], no("token_revoked"), "broken: Bot User OAuth Token"),
        ("post", 200, &[], no("account_inactive"), "broken: Install the app again"),
        ("post", 200, &[], no("missing_scope"), "broken: chat:write"),
        ("post", 200, &[], no("channel_not_found"), "broken: /invite"),
        ("post", 200, &[], no("not_in_channel"), "broken: /invite"),
        ("post", 200, &[], no("is_archived"), "broken: Bring the channel back"),
        ("post", 200, &[], no("restricted_action"), "broken: ask its administrator"),
        ("post", 200, &[], no("invalid_blocks"), "never: invalid_blocks"),
        ("post", 200, &[], no("msg_too_long"), "never: msg_too_long"),
        ("edit", 200, &[], FIRST.to_owned(), "done"),
        ("edit", 200, &[], no("edit_window_closed"), "done"),
        ("edit", 200, &[], no("cant_update_message"), "done"),
        ("edit", 200, &[], no("message_not_found"), "instead thread"),
        ("edit", 200, &[], no("token_revoked"), "broken: Install the app again"),
        ("thread", 200, &[], FIRST.to_owned(), "done"),
        ("thread", 200, &[], no("is_archived"), "instead thread"),
    ] {
        let mut story = Story::new(&Slack, BOT);
        if step != "post" {
            story.to.receipt = receipt(&[("ts", "17.01"), ("channel", "C1")]);
        }
        assert_judged(&story, "acknowledged", step, headers, status, &body, want);
    }
}

#[test]
fn acknowledge_is_a_link_unless_slack_may_tell_of_presses() {
    let link = |b: &Value| b["url"].is_string();
    for (settings, sample, want) in [
        (HOOK, "opened", Some("watchfire_ack_link")),
        (BOT, "opened", Some("watchfire_ack_link")),
        (PRESSED, "opened", Some("watchfire_ack")),
        (PRESSED, "acknowledged", None),
        (PRESSED, "resolved", None),
    ] {
        let buttons = buttons(&bodies(&Story::new(&Slack, settings).calls(sample))[0]);
        assert_eq!(buttons[0]["action_id"], "watchfire_open");
        assert_eq!(buttons.get(1).map(|b| b["action_id"].as_str().unwrap()), want, "{settings} {sample}");
        if want == Some("watchfire_ack") {
            assert_eq!(buttons[1]["value"], "INC-42");
        }
        assert!(buttons.iter().all(|b| link(b) != (b["action_id"] == "watchfire_ack")));
    }
}

/// The limits of blocks that the wire names, counted in every sample of every way.
#[test]
fn blocks_keep_to_their_limits() {
    fn look(name: &str, value: &Value) {
        let count = |v: &Value| v.as_str().map_or(0, |t| t.chars().count());
        let text = count(&value["text"]["text"]);
        let most = match value["type"].as_str() {
            Some("header") => 150,
            Some("section") => 2_950,
            Some("button") => 75,
            _ => 3_000,
        };
        assert!(text <= most, "{name}: {text} of {most} in {value}");
        assert!(count(&value["url"]) <= 3_000, "{name}");
        let of = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        if value["type"] == "section" && text == 0 {
            assert!((1..=10).contains(&of("fields").len()), "{name}");
        }
        for field in of("fields") {
            assert!((1..=2_000).contains(&count(&field["text"])), "{name}");
        }
        if value["type"] == "context" {
            assert!((1..=10).contains(&of("elements").len()), "{name}: {value}");
        }
        assert!(of("blocks").len() <= 50 && of("elements").len() <= 25, "{name}");
        for inner in of("blocks").iter().chain(&of("elements")).chain(&of("attachments")) {
            look(name, inner);
        }
    }
    for settings in [HOOK, BOT, PRESSED] {
        let mut story = Story::new(&Slack, settings);
        for kept in [false, true] {
            if kept {
                story.to.receipt = receipt(&[("ts", "17.01"), ("channel", "C1")]);
            }
            each_sample(&story, |name, body| {
                let text = body["text"].as_str().unwrap().chars().count();
                assert!((1..=4_000).contains(&text), "{name}: {text}");
                look(name, body);
            });
        }
    }
}

#[test]
fn foreign_text_is_escaped_and_calls_nobody() {
    for settings in [HOOK, BOT] {
        let body = bodies(&Story::new(&Slack, settings).calls("hostile")).remove(0);
        let blocks = body["attachments"].to_string();
        assert!(blocks.contains("&lt;script&gt;") && blocks.contains("|a&gt;b&amp;c"), "{blocks}");
        assert!(!blocks.contains("<script") && !body.to_string().contains("<!"), "{blocks}");
    }
}

#[test]
fn settings_say_what_they_lack() {
    for (given, want) in [
        (HOOK, ""),
        (BOT, ""),
        ("{}", "/settings/url"),
        (r#"{"url":"https://hooks.slack.com/triggers/T/1/x"}"#, "/settings/url"),
        (r##"{"url":"https://hooks.slack.com/services/T/B/x","channel":"#a"}"##, "/settings/channel"),
        (r#"{"mode":"bot"}"#, "/settings/token /settings/channel"),
        (r#"{"mode":"bot","token":"xapp-1","channel":"C1"}"#, "/settings/token"),
    ] {
        assert_eq!(mistakes(&Slack, given), want, "{given}");
    }
}
