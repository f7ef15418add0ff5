use super::{
    super::{samples, tests},
    *,
};

const SENT: &str = r#"{"event_id":"$first"}"#;
const BELOW: &str = r#"{"event_id":"$below"}"#;
const OLDER: &str = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;

fn parts(call: &Call) -> (String, Value) {
    match call {
        Call::Http(call) => {
            let url = call.url.trim_start_matches("https://matrix.example.com/_matrix/client/");
            (format!("{:?} {url}", call.method), common::sent(&Call::Http(call.clone())).cloned().unwrap_or_default())
        }
        Call::Mail(_) => panic!("not a request"),
    }
}

#[test]
fn what_follows_edits_the_first_message_and_stands_in_its_thread() {
    let calls = tests::follow(
        &Matrix,
        &[
            ("opened", &[("send", 200, SENT)]),
            ("acknowledged", &[("edit", 200, BELOW), ("thread", 200, BELOW)]),
            ("resolved", &[("edit", 404, "{}"), ("thread", 200, BELOW)]),
        ],
        &[("event", "$first"), ("room", "%21ops%3Aexample.com")],
    );
    let (url, edit) = parts(&calls[1]);
    let key = "0198f3a2-7c11-7b3e-9d4a-5f0e6a1b2c3d";
    assert_eq!(url, format!("Put v3/rooms/%21ops%3Aexample.com/send/m.room.message/{key}-edit"));
    assert_eq!(edit["m.relates_to"], json!({ "rel_type": "m.replace", "event_id": "$first" }));
    assert!(edit["m.new_content"]["body"].as_str().unwrap().contains("Acknowledged by sre-1"));
    assert!(edit["body"].as_str().unwrap().starts_with("* "));
    let (_, thread) = parts(&calls[2]);
    assert_eq!(thread["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!((&thread["m.relates_to"]["event_id"], &thread["msgtype"]), (&"$first".into(), &"m.notice".into()));
}

#[test]
fn old_servers_and_addresses_of_rooms_are_remembered() {
    let found = r#"{"room_id":"!found:example.com","servers":["example.com"]}"#;
    let calls = tests::follow_from(
        &Matrix,
        tests::to(&Matrix, 1),
        &[
            ("opened", &[("room", 404, OLDER), ("room", 200, found), ("send", 200, SENT)]),
            ("resolved", &[("edit", 200, BELOW), ("thread", 200, BELOW)]),
        ],
        &[("event", "$first")],
    );
    let urls: Vec<String> = calls.iter().map(|c| parts(c).0).collect();
    assert_eq!(urls[0], "Get v3/directory/room/%23ops%3Aexample.com");
    assert_eq!(urls[1], "Get r0/directory/room/%23ops%3Aexample.com");
    assert!(urls[2..].iter().all(|u| u.starts_with("Put r0/rooms/%21found%3Aexample.com/send/")), "{urls:?}");
    // The server became an old one between two messages.
    let told = [
        ("opened", &[("send", 200, SENT)][..]),
        ("resolved", &[("edit", 404, OLDER), ("edit", 200, ""), ("thread", 200, "")]),
    ];
    tests::follow(&Matrix, &told[..1], &[]);
    let urls: Vec<String> = tests::follow(&Matrix, &told, &[]).iter().map(|c| parts(c).0).collect();
    assert!(urls[2].starts_with("Put r0/"), "{urls:?}");
}

#[test]
fn answers_are_judged() {
    tests::judged(
        &Matrix,
        "opened",
        &[
            (200, "", SENT, "done"),
            (401, "", r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}"#, "broken: access token"),
            (403, "", r#"{"errcode":"M_FORBIDDEN","error":"not in room"}"#, "broken: Invite"),
            (404, "", OLDER, "instead"),
            (400, "", OLDER, "instead"),
            (405, "", OLDER, "instead"),
            (404, "", "", "broken: homeserver"),
            (413, "", r#"{"errcode":"M_TOO_LARGE"}"#, "never: too large"),
            (429, "", r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}"#, "later 1.5"),
            (429, "retry-after: 4", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#, "later 4"),
            (502, "", "", "later"),
        ],
    );
    let alias = tests::to(&Matrix, 1);
    let table = [
        (404, "", r#"{"errcode":"M_NOT_FOUND","error":"Room alias not found"}"#, "broken: spelling"),
        (200, "", r#"{"room_id":"!a:b"}"#, "instead"),
        (200, "", "{}", "broken: named no room"),
    ];
    tests::judged_from(&Matrix, &alias, "opened", 0, &table);
    // Already by the old path: there is no older one.
    let old = To { lasting: Receipt::from([("api".into(), "r0".into())]), ..tests::to(&Matrix, 0) };
    let table = [(404, "", OLDER, "broken: homeserver"), (400, "", OLDER, "never: Unrecognized")];
    tests::judged_from(&Matrix, &old, "opened", 0, &table);
}

#[test]
fn events_fit_and_are_escaped() {
    let mut to = tests::to(&Matrix, 0);
    for told in [false, true] {
        if told {
            let room = "%21ops%3Aexample.com".to_owned();
            to.receipt = Receipt::from([("event".into(), "$first".into()), ("room".into(), room)]);
        }
        let mut all = samples::all();
        let mut quotes = samples::subject();
        quotes.description = Some("\"".repeat(100_000));
        all.push(("quotes", samples::message(NoticeEvent::Opened, quotes)));
        for (name, message) in all {
            let calls = Matrix.calls(&to, &message);
            assert_eq!(calls.len(), if told && message.subject().is_some() { 2 } else { 1 }, "{name}");
            for call in calls {
                let body = parts(&call).1;
                assert!(body.to_string().len() <= 65_536, "{name}: {}", body.to_string().len());
                assert!(!body["formatted_body"].as_str().unwrap().contains("<script"), "{name}");
                assert_eq!(body["m.mentions"], json!({}));
            }
        }
    }
}

#[test]
fn rooms_are_checked() {
    for (room, fine) in [
        ("!abc:example.com", true),
        ("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", true),
        ("#ops:example.com", true),
        ("ops", false),
        ("#ops", false),
        ("!", false),
        ("#a b:example.com", false),
    ] {
        assert_eq!(Matrix.check(&Settings([("room".into(), room.into())].into())).is_empty(), fine, "{room}");
    }
}
