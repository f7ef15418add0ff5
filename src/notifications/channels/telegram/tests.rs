use super::{
    super::{samples, tests},
    *,
};

const SENT: &str = r#"{"ok":true,"result":{"message_id":77}}"#;
const REPLIED: &str = r#"{"ok":true,"result":{"message_id":78}}"#;
const SAME: &str = r#"{"ok":false,"error_code":400,"description":"Bad Request: message is not modified"}"#;
const MOVED: &str = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}"#;

fn bodies(calls: &[Call]) -> Vec<Value> {
    calls.iter().map(|c| common::sent(c).unwrap().clone()).collect()
}

/// The text as a reader sees it.
fn read(html: &str) -> String {
    let mut text = html.to_owned();
    for tag in ["<b>", "</b>"] {
        text = text.replace(tag, "");
    }
    assert!(!text.contains('<') && !text.contains('>'), "{text}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[test]
fn what_follows_changes_the_first_message_and_answers_it() {
    let calls = tests::follow(
        &Telegram,
        &[
            ("opened", &[("send", 200, SENT)]),
            ("acknowledged", &[("edit", 200, SENT), ("reply", 200, REPLIED)]),
            ("analyzed", &[("edit", 400, SAME), ("reply", 200, REPLIED)]),
            (
                "resolved",
                &[
                    (
                        "edit",
                        400,
                        r#"{"ok":false,"error_code":400,"description":"Bad Request: message to edit not found"}"#,
                    ),
                    ("reply", 200, REPLIED),
                ],
            ),
        ],
        &[("message", "77"), ("chat", "-1001234567890")],
    );
    let bodies = bodies(&calls);
    assert_eq!(bodies[0]["chat_id"], -1001234567890_i64);
    assert_eq!((&bodies[1]["message_id"], &bodies[2]["reply_parameters"]["message_id"]), (&77.into(), &77.into()));
    assert!(bodies[0].get("disable_notification").is_none());
    assert_eq!(bodies[6]["disable_notification"], true);
}

#[test]
fn a_chat_that_has_moved_is_followed() {
    let calls = tests::follow(
        &Telegram,
        &[
            ("opened", &[("send", 400, MOVED), ("send", 200, SENT)]),
            ("acknowledged", &[("edit", 200, SENT), ("reply", 200, REPLIED)]),
        ],
        &[("message", "77"), ("chat", "-1009")],
    );
    assert_eq!(bodies(&calls)[1]["chat_id"], -1009);
    // It moves between two messages: what was written before cannot be changed, and nothing is told twice.
    let mut to = tests::to(&Telegram, 0);
    to.receipt = Receipt::from([("message".into(), "5".into()), ("chat".into(), "-1001234567890".into())]);
    let told = [("resolved", &[("edit", 400, MOVED), ("reply", 200, SENT)][..])];
    let bodies = bodies(&tests::follow_from(&Telegram, to, &told, &[("message", "77"), ("chat", "-1009")]));
    assert!(bodies[1]["reply_parameters"].is_null() && bodies[1]["chat_id"] == -1009);
}

#[test]
fn answers_are_judged() {
    let error = |code: u16, what: &str, more: &str| {
        format!(r#"{{"ok":false,"error_code":{code},"description":"{what}"{more}}}"#)
    };
    let slow = error(429, "Too Many Requests: retry after 5", r#","parameters":{"retry_after":5}"#);
    let gone = error(400, "Bad Request: chat not found", "");
    let topic = error(400, "Bad Request: message thread not found", "");
    let odd = error(400, "Bad Request: can't parse entities", "");
    let button = error(400, "Bad Request: BUTTON_URL_INVALID", "");
    let url = error(400, "Bad Request: inline keyboard button URL 'http://localhost' is invalid: Wrong HTTP URL", "");
    let (token, blocked) = (error(401, "Unauthorized", ""), error(403, "Forbidden: bot was blocked by the user", ""));
    tests::judged(
        &Telegram,
        "opened",
        &[
            (200, "", SENT, "done"),
            (200, "", r#"{"ok":false,"error_code":403,"description":"Forbidden"}"#, "broken: back into the chat"),
            (400, "", MOVED, "instead"),
            (400, "", &gone, "broken: add it there"),
            (400, "", &topic, "broken: topic"),
            (400, "", &odd, "never: can't parse"),
            (400, "", &button, "instead"),
            (400, "", &url, "instead"),
            (401, "", &token, "broken: @BotFather"),
            (404, "", r#"{"ok":false,"error_code":404,"description":"Not Found"}"#, "broken: token"),
            (403, "", &blocked, "broken: blocked"),
            (429, "", &slow, "later 5"),
            (429, "retry-after: 3", "", "later 3"),
            (502, "", "<html>", "later"),
        ],
    );
}

#[test]
fn texts_are_escaped_and_have_their_limit_as_they_are_read() {
    let mut to = tests::to(&Telegram, 0);
    for told in [false, true] {
        if told {
            let chat = to.settings.get("chat_id").to_owned();
            to.receipt = Receipt::from([("message".into(), "5".into()), ("chat".into(), chat)]);
        }
        for (name, message) in samples::all() {
            for body in bodies(&Telegram.calls(&to, &message)) {
                let text = read(body["text"].as_str().unwrap());
                let units = text.encode_utf16().count();
                assert!((1..=MOST).contains(&units), "{name}: {units}");
                assert!(name != "long" || told || units > MOST - 200, "{units}");
                assert!(name != "hostile" || told || text.contains("<script>alert(1)</script>"), "{text}");
            }
        }
    }
}

#[test]
fn settings_are_checked() {
    for (key, value, fine) in [
        ("token", "123:AAbb_-9", true),
        ("token", "AAbb", false),
        ("token", "1:a/../b", false),
        ("chat_id", "-1001234567890", true),
        ("chat_id", "@example", true),
        ("chat_id", "example", false),
        ("message_thread_id", "42", true),
        ("message_thread_id", "x", false),
    ] {
        let settings = Settings([(key.to_owned(), value.to_owned())].into());
        assert_eq!(Telegram.check(&settings).is_empty(), fine, "{key} {value}");
    }
}

#[test]
fn groups_take_fewer_than_people() {
    for (chat, secs) in [("123456789", 1), ("-1001234567890", 3), ("@example", 3)] {
        let settings = Settings([("chat_id".to_owned(), chat.to_owned())].into());
        assert_eq!(Telegram.rate(&settings), (1, Duration::from_secs(secs)), "{chat}");
    }
}
