//! Discord's channels of text and of threads, against what its documentation says of them.

use serde_json::{Value, json};

use super::{super::proof::*, *};

const TEXT: &str = r#"{"url":"https://discord.com/api/webhooks/1/tok"}"#;
const FORUM: &str = r#"{"url":"https://discord.com/api/webhooks/1/tok","channel_type":"forum","tags":"11, 12"}"#;
const FIXED: &str = r#"{"url":"https://discord.com/api/webhooks/1/tok","channel_type":"forum","thread_name":"Alerts"}"#;
const PLACE: &str = "https://discord.com/api/webhooks/1/tok";
const FIRST: &str = r#"{"id":"100","channel_id":"900"}"#;
const REPLY: &str = r#"{"id":"101","channel_id":"900"}"#;
const NO_MESSAGE: &str = r#"404 {"message":"Unknown Message","code":10008}"#;
const NO_CHANNEL: &str = r#"404 {"message":"Unknown Channel","code":10003}"#;

fn told(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|l| l.replacen("URL", PLACE, 1)).collect()
}

#[test]
fn a_text_channel_has_one_message_that_changes_and_short_ones_after_it() {
    let mut story = Story::new(&Discord, TEXT);
    assert_eq!(story.tell("opened", &[FIRST]), told(&["post POST URL?wait=true"]));
    assert_eq!(story.to.receipt, receipt(&[("message", "100")]));
    for (name, colour, words) in
        [("acknowledged", 14_037_554, "Acknowledged by sre-1"), ("resolved", 3_061_373, "Resolved after")]
    {
        let [edit, after] = bodies(&story.calls(name)).try_into().unwrap();
        assert_eq!(edit["embeds"][0]["color"], colour, "{name}");
        assert!(after["content"].as_str().unwrap().contains(words) && after["embeds"].is_null(), "{after}");
        let steps = told(&["edit PATCH URL/messages/100", "thread POST URL?wait=true"]);
        assert_eq!(story.tell(name, &[FIRST, REPLY]), steps);
        assert_eq!(story.to.receipt, receipt(&[("message", "100")]), "{name}");
    }
    let edit = &bodies(&story.calls("resolved"))[0];
    assert!(edit["embeds"][0]["title"].as_str().unwrap().starts_with("✅ Resolved: "));
}

#[test]
fn a_forum_has_a_thread_per_incident() {
    let mut story = Story::new(&Discord, FORUM);
    let first = &bodies(&story.calls("opened"))[0];
    assert_eq!(first["thread_name"], "Critical Connection pool of payments-db is exhausted");
    assert_eq!(first["applied_tags"], json!(["11", "12"]));
    assert_eq!(story.tell("opened", &[FIRST]), told(&["post POST URL?wait=true"]));
    assert_eq!(story.to.receipt, receipt(&[("message", "100"), ("thread", "900")]));
    assert!(story.to.lasting.is_empty());
    for name in ["acknowledged", "resolved"] {
        for body in bodies(&story.calls(name)) {
            assert_eq!(body["thread_name"], Value::Null, "{name}");
        }
        let steps = told(&["edit PATCH URL/messages/100?thread_id=900", "thread POST URL?wait=true&thread_id=900"]);
        assert_eq!(story.tell(name, &[FIRST, REPLY]), steps);
    }
}

#[test]
fn a_fixed_thread_is_made_once_and_kept() {
    let mut story = Story::new(&Discord, FIXED);
    assert_eq!(bodies(&story.calls("opened"))[0]["thread_name"], "Alerts");
    assert_eq!(story.tell("opened", &[FIRST]), told(&["post POST URL?wait=true"]));
    assert_eq!(story.to.lasting, receipt(&[("thread", "900"), ("thread_name", "Alerts")]));
    // The next incident, a digest and a test go there too.
    for name in ["opened", "digest", "test"] {
        story.to.receipt.clear();
        assert_eq!(bodies(&story.calls(name))[0]["thread_name"], Value::Null, "{name}");
        assert_eq!(story.tell(name, &[REPLY]), told(&["post POST URL?wait=true&thread_id=900"]), "{name}");
    }
    // Under another name it is another thread.
    story.to.settings.0.insert("thread_name".to_owned(), "Night".to_owned());
    assert_eq!(bodies(&story.calls("opened"))[0]["thread_name"], "Night");
}

#[test]
fn what_was_deleted_is_told_anew() {
    let again = r#"{"id":"200","channel_id":"901"}"#;
    let same = r#"{"id":"200","channel_id":"900"}"#;
    let archived = r#"400 {"message":"Thread is archived","code":50083}"#;
    let edit = "edit PATCH URL/messages/100?thread_id=900";
    for (settings, lasting, answers, want, message, thread) in [
        // The first message alone: its thread stays.
        (FORUM, "", vec![NO_MESSAGE, same], vec![edit, "thread POST URL?wait=true&thread_id=900"], "200", "900"),
        // The thread: a new one.
        (FORUM, "", vec![NO_CHANNEL, again], vec![edit, "thread POST URL?wait=true"], "200", "901"),
        (
            FORUM,
            "",
            vec![FIRST, NO_CHANNEL, again],
            vec![edit, "thread POST URL?wait=true&thread_id=900", "thread POST URL?wait=true"],
            "200",
            "901",
        ),
        // The first message, and then the thread as well.
        (
            FORUM,
            "",
            vec![NO_MESSAGE, NO_CHANNEL, again],
            vec![edit, "thread POST URL?wait=true&thread_id=900", "thread POST URL?wait=true"],
            "200",
            "901",
        ),
        // The fixed thread.
        (FIXED, "900", vec![NO_CHANNEL, again], vec![edit, "thread POST URL?wait=true"], "200", "901"),
        // The fixed thread, which another incident has made anew already; and that one is gone too.
        (FIXED, "901", vec![NO_CHANNEL, again], vec![edit, "thread POST URL?wait=true&thread_id=901"], "200", "901"),
        (
            FIXED,
            "905",
            vec![NO_CHANNEL, NO_CHANNEL, again],
            vec![edit, "thread POST URL?wait=true&thread_id=905", "thread POST URL?wait=true"],
            "200",
            "901",
        ),
        // Put away: the message takes the thread out, then the first one can be changed.
        (
            FORUM,
            "",
            vec![archived, REPLY, FIRST],
            vec![edit, "thread POST URL?wait=true&thread_id=900", "edit-again PATCH URL/messages/100?thread_id=900"],
            "100",
            "900",
        ),
        (
            FORUM,
            "",
            vec![archived, REPLY, archived],
            vec![edit, "thread POST URL?wait=true&thread_id=900", "edit-again PATCH URL/messages/100?thread_id=900"],
            "100",
            "900",
        ),
    ] {
        let mut story = Story::new(&Discord, settings);
        story.to.receipt = receipt(&[("message", "100"), ("thread", "900")]);
        if !lasting.is_empty() {
            story.to.lasting = receipt(&[("thread", lasting), ("thread_name", "Alerts")]);
        }
        assert_eq!(story.tell("resolved", &answers), told(&want), "{answers:?}");
        assert_eq!(story.to.receipt, receipt(&[("message", message), ("thread", thread)]), "{answers:?}");
        if !lasting.is_empty() {
            assert_eq!(story.to.lasting["thread"], "901", "{answers:?}");
        }
    }
    // The first message about an incident finds the fixed thread gone.
    let mut story = Story::new(&Discord, FIXED);
    story.to.lasting = receipt(&[("thread", "900"), ("thread_name", "Alerts")]);
    let want = told(&["post POST URL?wait=true&thread_id=900", "post POST URL?wait=true"]);
    assert_eq!(story.tell("opened", &[NO_CHANNEL, again]), want);
    assert_eq!(story.to.lasting["thread"], "901");
}

#[test]
fn answers_mean_what_discord_says_of_them() {
    for (settings, step, status, headers, body, want) in [
        (TEXT, "post", 200, [].as_slice(), FIRST, "done message=100"),
        (TEXT, "post", 204, &[], "", "done"),
        (FORUM, "post", 200, &[], FIRST, "done message=100 thread=900"),
        (FIXED, "post", 200, &[], FIRST, "done message=100 thread=900 lasting thread=900 lasting thread_name=Alerts"),
        (
            TEXT,
            "post",
            400,
            &[],
            r#"{"message":"Invalid Form Body","code":50035}"#,
            "never: Invalid Form Body (code 50035)",
        ),
        (TEXT, "post", 400, &[], r#"{"message":"Forum","code":220001}"#, "broken: choose the type forum"),
        (FORUM, "post", 400, &[], r#"{"message":"Text","code":220003}"#, "broken: choose the type text"),
        (FORUM, "post", 400, &[], r#"{"message":"Tag","code":40067}"#, "broken: demands a tag"),
        (TEXT, "post", 401, &[], r#"{"message":"Invalid Webhook Token","code":50027}"#, "gone: make a new one"),
        (TEXT, "post", 404, &[], r#"{"message":"Unknown Webhook","code":10015}"#, "gone: make a new one"),
        // A text channel that is gone has no other thread to go to.
        (TEXT, "post", 404, &[], r#"{"message":"Unknown Channel","code":10003}"#, "gone: make a new one"),
        (TEXT, "thread", 404, &[], r#"{"message":"Unknown Channel","code":10003}"#, "gone: make a new one"),
        (TEXT, "post", 429, &[], r#"{"message":"slow","retry_after":0.65,"global":false}"#, "later 650: slow"),
        (
            TEXT,
            "post",
            429,
            &[("retry-after", "64")],
            r#"{"message":"slow","retry_after":64.57,"global":true}"#,
            "later 64570: all that is sent",
        ),
        (TEXT, "post", 429, &[("retry-after", "2")], "error code: 1015", "later 2000: 1015"),
        (TEXT, "post", 500, &[], "", "later: 500"),
        (TEXT, "post", 520, &[], "", "later: 520"),
        (TEXT, "edit", 200, &[], FIRST, "done"),
        // What is forbidden may be allowed again.
        (TEXT, "post", 403, &[], r#"{"message":"Missing Access","code":50001}"#, "broken: make a new one"),
        (TEXT, "edit", 401, &[], "", "gone: make a new one"),
        (TEXT, "edit", 404, &[], r#"{"message":"Unknown Message","code":10008}"#, "instead thread"),
        (TEXT, "edit", 404, &[], r#"{"message":"Unknown Webhook","code":10015}"#, "gone: make a new one"),
        (TEXT, "thread", 200, &[], REPLY, "done"),
    ] {
        let mut story = Story::new(&Discord, settings);
        if step != "post" {
            story.to.receipt = receipt(&[("message", "100")]);
        }
        assert_judged(&story, "acknowledged", step, headers, status, body, want);
    }
}

/// The limits that the wire names, counted in every sample of every way.
#[test]
fn embeds_keep_to_their_limits() {
    for settings in [TEXT, FORUM, FIXED] {
        let mut story = Story::new(&Discord, settings);
        for kept in [false, true] {
            if kept {
                story.to.receipt = receipt(&[("message", "100"), ("thread", "900")]);
            }
            each_sample(&story, |name, body| {
                assert_eq!(body["allowed_mentions"], json!({ "parse": [] }), "{name}");
                let count = |v: &Value| v.as_str().map_or(0, |t| t.chars().count());
                assert!(count(&body["content"]) <= 2_000 && count(&body["thread_name"]) <= 100, "{name}");
                let embed = &body["embeds"][0];
                assert!(embed.is_object() || count(&body["content"]) > 0, "{name}");
                let (title, words, foot) =
                    (count(&embed["title"]), count(&embed["description"]), count(&embed["footer"]["text"]));
                assert!(title <= 256 && words <= 4_096 && foot <= 2_048, "{name}: {title} {words} {foot}");
                let fields = embed["fields"].as_array().cloned().unwrap_or_default();
                assert!(fields.len() <= 25, "{name}");
                let mut sum = title + words + foot;
                for field in &fields {
                    let (key, value) = (count(&field["name"]), count(&field["value"]));
                    assert!((1..=256).contains(&key) && (1..=1_024).contains(&value), "{name}: {field}");
                    sum += key + value;
                }
                assert!(sum <= 6_000, "{name}: {sum}");
            });
        }
    }
}

#[test]
fn foreign_markdown_stays_text() {
    let body = bodies(&Story::new(&Discord, FORUM).calls("hostile")).remove(0);
    let words = body["embeds"][0]["description"].as_str().unwrap();
    assert!(words.contains(r"\*bold\* \[x\](http://evil) \`c\`"), "{words}");
    assert!(words.contains("<\u{200b}\\!channel\\>"), "{words}");
}

#[test]
fn settings_say_what_is_wrong() {
    for (more, want) in [
        ("", ""),
        (r#","url":"https://discord.com/channels/1/2""#, "/settings/url"),
        (r#","url":"https://discord.com/api/webhooks/1/tok/slack""#, "/settings/url"),
        (r#","thread_name":"Alerts""#, "/settings/thread_name"),
        (r#","tags":"a,b""#, "/settings/tags"),
        (r#","tags":"1,2,3,4,5,6""#, "/settings/tags"),
        (r#","username":"My DisCord bot""#, "/settings/username"),
    ] {
        let base = if more.contains("\"url\"") { String::new() } else { format!(r#","url":"{PLACE}""#) };
        assert_eq!(mistakes(&Discord, &format!(r#"{{"channel_type":"text"{base}{more}}}"#)), want, "{more}");
    }
    assert_eq!(mistakes(&Discord, FORUM), "");
}
