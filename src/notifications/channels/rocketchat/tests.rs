use super::{super::proof::*, *};

const REST: &str =
    r##"{"mode":"rest","server":"https://chat.example.com/","user_id":"u1","token":"t0ken","channel":"#incidents"}"##;
const HOOK: &str = r#"{"url":"https://chat.example.com/hooks/abc/def"}"#;

#[test]
fn an_incident_is_one_thread_under_one_message() {
    let mut story = Story::new(&RocketChat, REST);
    let said = r#"{"success":true,"message":{"_id":"m1","rid":"r1"}}"#;
    assert_eq!(story.tell("opened", &[said]), ["post POST https://chat.example.com/api/v1/chat.postMessage"]);
    assert_eq!(story.to.receipt, receipt(&[("message", "m1"), ("room", "r1")]));
    for (name, words) in [("acknowledged", "Acknowledged by sre-1"), ("resolved", "Resolved after")] {
        let calls = story.calls(name);
        let [edit, thread] = bodies(&calls).try_into().unwrap();
        assert_eq!((&edit["msgId"], &edit["roomId"]), (&json!("m1"), &json!("r1")));
        assert_eq!((&thread["tmid"], &thread["roomId"]), (&json!("m1"), &json!("r1")));
        for body in [edit, thread] {
            assert!(body["text"].as_str().unwrap().contains(words), "{name}: {body}");
        }
        let reply = r#"{"success":true,"message":{"_id":"m2","rid":"r1"}}"#;
        assert_eq!(
            story.tell(name, &[said, reply]),
            [
                "edit POST https://chat.example.com/api/v1/chat.update",
                "thread POST https://chat.example.com/api/v1/chat.postMessage"
            ]
        );
        assert_eq!(story.to.receipt, receipt(&[("message", "m1"), ("room", "r1")]), "{name}");
    }
}

#[test]
fn answers_mean_what_rocket_chat_says_of_them() {
    let room = "error-room-not-found";
    for (settings, step, status, body, want) in [
        (HOOK, "post", 200, r#"{"success":true}"#, "done"),
        (HOOK, "post", 200, r#"{"success":false,"error":"invalid-channel"}"#, "broken: room's name"),
        (HOOK, "post", 400, r#"{"success":false,"error":"invalid-channel"}"#, "broken: room's name"),
        (HOOK, "post", 200, r#"{"success":false,"error":"error-message-size-exceeded"}"#, "never: size-exceeded"),
        (HOOK, "post", 200, r#"{"success":false,"error":"[error-too-many-requests]"}"#, "later: too-many"),
        (HOOK, "post", 400, r#"{"success":false,"error":"error-x"}"#, "never: error-x"),
        (HOOK, "post", 401, r#"{"success":false,"error":"unauthorized"}"#, "broken: Webhook URL"),
        (HOOK, "post", 404, "Not Found", "broken: Webhook URL"),
        (HOOK, "post", 429, r#"{"success":false,"error":"slow down"}"#, "later: slow down"),
        (HOOK, "post", 503, "", "later: 503"),
        (REST, "post", 200, r#"{"success":true,"message":{"_id":"m","rid":"r"}}"#, "done message=m room=r"),
        (REST, "post", 200, "<html>", "broken: server's address"),
        (REST, "post", 400, r#"{"success":false,"error":"error-not-allowed"}"#, "broken: role bot"),
        (REST, "post", 401, r#"{"status":"error","message":"You must be logged in"}"#, "broken: access token"),
        (REST, "edit", 400, r#"{"success":false,"errorType":"error-message-editing-blocked"}"#, "done"),
        (REST, "edit", 400, r#"{"success":false,"error":"No message found with the id"}"#, "instead thread"),
        (REST, "thread", 400, &format!(r#"{{"success":false,"errorType":"{room}"}}"#), "instead thread"),
        (REST, "post", 400, &format!(r#"{{"success":false,"errorType":"{room}"}}"#), "broken: room's name"),
    ] {
        let mut story = Story::new(&RocketChat, settings);
        if step != "post" {
            story.to.receipt = receipt(&[("message", "m1"), ("room", "r1")]);
        }
        assert_judged(&story, "acknowledged", step, &[], status, body, want);
    }
}

#[test]
fn what_replaces_a_lost_message_is_a_new_first_one() {
    let mut story = Story::new(&RocketChat, REST);
    story.to.receipt = receipt(&[("message", "m1"), ("room", "r1")]);
    let gone = r#"{"success":false,"error":"No message found with the id of \"m1\"."}"#;
    let new = r#"{"success":true,"message":{"_id":"m9","rid":"r9"}}"#;
    let post = "POST https://chat.example.com/api/v1/chat.postMessage";
    let told = story.tell("resolved", &[gone, new]);
    assert_eq!(told, ["edit POST https://chat.example.com/api/v1/chat.update".to_owned(), format!("thread {post}")]);
    assert_eq!(story.to.receipt, receipt(&[("message", "m9"), ("room", "r9")]));
}

#[test]
fn texts_keep_to_the_servers_limit() {
    for settings in [HOOK, REST] {
        let mut story = Story::new(&RocketChat, settings);
        for kept in [false, true] {
            if kept {
                story.to.receipt = receipt(&[("message", "m1"), ("room", "r1")]);
            }
            each_sample(&story, |name, body| {
                let text = body["text"].as_str().unwrap();
                assert!(!text.is_empty() && text.chars().count() <= MOST, "{name}");
                for a in body["attachments"].as_array().into_iter().flatten() {
                    assert!(a["text"].as_str().unwrap().chars().count() <= MOST, "{name}");
                }
            });
        }
    }
}

#[test]
fn settings_say_what_they_lack() {
    for (given, want) in [
        (HOOK, ""),
        (REST, ""),
        ("{}", "/settings/url"),
        (r#"{"url":"https://a","channel":"incidents"}"#, "/settings/channel"),
        (r#"{"mode":"rest"}"#, "/settings/server /settings/user_id /settings/token /settings/channel"),
    ] {
        assert_eq!(mistakes(&RocketChat, given), want, "{given}");
    }
}
