use super::{super::proof::*, *};

const CHANNEL: &str = r#"{"server":"https://chat.example.com","email":"bot@example.com","key":"k","to":"incidents"}"#;
const FIXED: &str =
    r#"{"server":"https://chat.example.com/","email":"bot@example.com","key":"k","to":"incidents","topic":"alerts"}"#;
const PEOPLE: &str = r#"{"server":"https://chat.example.com","email":"bot@example.com","key":"k","to":"ada@example.com, bo@example.com"}"#;
const OK: &str = r#"{"result":"success","id":42}"#;
const TITLE: &str = "INC-42 Connection pool of payments-db is exhausted";

fn topics(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|c| format!("{} {}", c.step(), form(c, "topic").unwrap_or_default())).collect()
}

#[test]
fn an_incident_is_a_topic_that_is_marked_at_its_end() {
    let mut story = Story::new(&Zulip, CHANNEL);
    assert_eq!(story.tell("opened", &[OK]), ["post POST https://chat.example.com/api/v1/messages"]);
    assert_eq!(story.to.receipt, receipt(&[("message", "42"), ("topic", TITLE)]));
    let steps = [
        "edit PATCH https://chat.example.com/api/v1/messages/42",
        "thread POST https://chat.example.com/api/v1/messages",
    ];
    assert_eq!(story.tell("acknowledged", &[OK, OK]), steps);
    let calls = story.calls("resolved");
    assert_eq!(topics(&calls), ["edit ".to_owned(), format!("thread {TITLE}"), format!("topic ✔ {TITLE}")]);
    assert_eq!(form(&calls[2], "propagate_mode").as_deref(), Some("change_all"));
    assert!(form(&calls[1], "content").unwrap().contains("The pool was made larger."));
    story.tell("resolved", &[OK, OK, OK]);
    assert_eq!(story.to.receipt["topic"], format!("✔ {TITLE}"));
    // Told again, it is not marked twice; open again, it loses the mark first.
    assert_eq!(topics(&story.calls("resolved")), ["edit ".to_owned(), format!("thread ✔ {TITLE}")]);
    assert_eq!(
        topics(&story.calls("opened")),
        [format!("topic {TITLE}"), "edit ".to_owned(), format!("thread {TITLE}")]
    );
    story.tell("opened", &[OK, OK, OK]);
    assert_eq!(story.to.receipt["topic"], TITLE);
}

#[test]
fn a_fixed_topic_and_people_have_no_mark() {
    for (settings, topic, kind) in [(FIXED, "alerts", "stream"), (PEOPLE, "", "private")] {
        let mut story = Story::new(&Zulip, settings);
        story.tell("opened", &[OK]);
        assert_eq!(story.to.receipt, receipt(&[("message", "42")]));
        let calls = story.calls("resolved");
        assert_eq!(topics(&calls), ["edit ".to_owned(), format!("thread {topic}")]);
        assert_eq!(form(&calls[1], "type").as_deref(), Some(kind));
    }
    let calls = Story::new(&Zulip, PEOPLE).calls("opened");
    assert_eq!(form(&calls[0], "to").as_deref(), Some(r#"["ada@example.com","bo@example.com"]"#));
}

#[test]
fn answers_mean_what_zulip_says_of_them() {
    for (step, status, headers, body, want) in [
        ("post", 200, [].as_slice(), OK, "done message=42 topic=INC-42 Connection pool of payments-db is exhausted"),
        ("post", 200, &[], "<html>", "broken: server's address"),
        (
            "post",
            400,
            &[],
            r#"{"msg":"Channel 'x' does not exist","code":"STREAM_DOES_NOT_EXIST"}"#,
            "broken: subscribe",
        ),
        (
            "post",
            400,
            &[],
            r#"{"msg":"Not authorized to send to channel 'x'","code":"BAD_REQUEST"}"#,
            "broken: private",
        ),
        ("post", 400, &[], r#"{"msg":"Invalid email 'x'","code":"BAD_REQUEST"}"#, "broken: must have an account"),
        ("post", 400, &[], r#"{"msg":"Message must not be empty","code":"BAD_REQUEST"}"#, "never: must not be empty"),
        ("post", 401, &[], r#"{"msg":"Invalid API key","code":"INVALID_API_KEY"}"#, "broken: Invalid API key. Look"),
        ("post", 403, &[], r#"{"msg":"Account is deactivated"}"#, "broken: deactivated"),
        ("post", 429, &[], r#"{"msg":"slow","code":"RATE_LIMIT_HIT","retry-after":28.7}"#, "later 28700: slow"),
        ("post", 429, &[("retry-after", "3")], "", "later 3000: 429"),
        ("post", 502, &[], "", "later: 502"),
        ("edit", 200, &[], OK, "done"),
        ("edit", 400, &[], r#"{"msg":"The time limit for editing this message has passed"}"#, "done"),
        ("topic", 200, &[], OK, "done topic=✔ T"),
        ("topic", 400, &[], r#"{"msg":"You don't have permission to edit this message"}"#, "done"),
        ("edit", 401, &[], "", "broken: API key"),
        ("thread", 200, &[], OK, "done"),
        ("thread", 503, &[], "", "later: 503"),
    ] {
        let mut story = Story::new(&Zulip, CHANNEL);
        if step != "post" {
            story.to.receipt = receipt(&[("message", "7"), ("topic", "T")]);
        }
        let sample = if step == "post" { "opened" } else { "resolved" };
        assert_judged(&story, sample, step, headers, status, body, want);
    }
}

#[test]
fn texts_and_topics_keep_to_their_limits() {
    for settings in [CHANNEL, FIXED, PEOPLE] {
        let mut story = Story::new(&Zulip, settings);
        for kept in [false, true] {
            if kept {
                story.to.receipt = receipt(&[("message", "1"), ("topic", &"x".repeat(58))]);
            }
            each_sample(&story, |name, body| {
                let count = |key: &str| body[key].as_str().map_or(0, |t| t.chars().count());
                assert!(count("content") <= MOST && count("topic") <= TOPIC, "{name}");
                assert!(count("content") > 0 || count("topic") > 0, "{name}");
            });
        }
    }
}

#[test]
fn foreign_text_has_no_mentions_links_or_code() {
    let calls = Story::new(&Zulip, CHANNEL).calls("hostile");
    let content = form(&calls[0], "content").unwrap();
    assert!(!content.contains("](http://evil") && !content.contains("`c`") && !content.contains("<!"), "{content}");
}

#[test]
fn settings_say_what_is_wrong() {
    assert_eq!(mistakes(&Zulip, CHANNEL), "");
    let long = format!(r#"{{"email":"bot","topic":"{}"}}"#, "x".repeat(61));
    assert_eq!(mistakes(&Zulip, &long), "/settings/email /settings/topic");
}
