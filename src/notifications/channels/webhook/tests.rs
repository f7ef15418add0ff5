use super::{
    super::{Receipt, samples, tests},
    *,
};
use crate::model::{IncidentStatus, NoticeEvent};

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

fn http(call: Option<Call>) -> HttpCall {
    match call {
        Some(Call::Http(call)) => call,
        other => panic!("{other:?}"),
    }
}

fn told(pairs: &[(&str, &str)], message: &Message) -> HttpCall {
    let to = To { settings: settings(pairs), receipt: Receipt::new(), lasting: Receipt::new() };
    http(Webhook.calls(&to, message).pop())
}

#[test]
fn the_challenge_asks_as_netdata_cloud_does() {
    let all = [("url", "https://h.example.com/x?a=1#top"), ("challenge_secret", "s"), ("headers", "X-Team: payments")];
    let call = http(Webhook.challenge(&settings(&all), "a+b/c="));
    assert_eq!((call.method, call.within), (Method::Get, Duration::from_secs(5)));
    assert_eq!(call.url, "https://h.example.com/x?a=1&crc_token=a%2Bb%2Fc%3D");
    assert_eq!((call.body, call.sign), (Body::Empty, None));
    assert_eq!(call.headers, [("X-Team".to_owned(), "payments".to_owned())]);
    let bearer =
        [("url", "https://h.example.com"), ("challenge_secret", "s"), ("authentication", "bearer"), ("token", "t")];
    let call = http(Webhook.challenge(&settings(&bearer), "n"));
    assert_eq!(call.url, "https://h.example.com?crc_token=n");
    assert_eq!(call.credentials, Credentials::Bearer("t".to_owned()));
    assert_eq!(Webhook.challenge(&settings(&[("url", "https://h.example.com")]), "n"), None);
}

#[test]
fn only_the_right_answer_passes_the_challenge() {
    let right = r#"{"response_token": "sha256=TFJ5an0SrX4XgXe+NNlqQQdUqW256RUVnSpoLufyRyc="}"#;
    for (status, body, want) in [
        (200, right, None),
        (201, right, Some("answered with 201")),
        (302, "", Some("answered with 302")),
        (200, "ok", Some("not a JSON object")),
        (200, "[]", Some("not a JSON object")),
        (200, "{}", Some("no text response_token")),
        (200, r#"{"response_token": 7}"#, Some("no text response_token")),
        (200, r#"{"response_token": "TFJ5an0SrX4XgXe+NNlqQQdUqW256RUVnSpoLufyRyc="}"#, Some("not the right one")),
        (200, r#"{"response_token": "sha256=TFJ5an0SrX4XgXe-NNlqQQdUqW256RUVnSpoLufyRyc"}"#, Some("not the right one")),
        (200, r#"{"response_token": ""}"#, Some("not the right one")),
    ] {
        let answer = Answered { status, headers: Vec::new(), body: body.to_owned() };
        let secret = settings(&[("challenge_secret", "watchfire-crc-secret")]);
        let got = Webhook.shown(&secret, "test-token-0001", &answer);
        match want {
            None => assert_eq!(got, Ok(())),
            Some(words) => assert!(got.as_ref().is_err_and(|e| e.contains(words)), "{status} {body}: {got:?}"),
        }
    }
}

#[test]
fn settings_are_checked() {
    let made = rcgen::generate_simple_self_signed(vec!["watchfire.local".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let rsa = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pairs, wrong) in [
        (&[][..], &[][..]),
        (&[("headers", "X-Team: payments\n\nX-Empty:")], &[]),
        (&[("headers", "Host: a\nx: y\nCONTENT-LENGTH: 3")], &["headers", "headers"]),
        (&[("headers", "Transfer-Encoding: chunked\nConnection: close")], &["headers", "headers"]),
        (&[("headers", "X-Watchfire-Event: x")], &["headers"]),
        (&[("headers", "no colon")], &["headers"]),
        (&[("headers", "Two words: x\nX-A: ü")], &["headers", "headers"]),
        (&[("headers", "Authorization: Key x")], &[]),
        (&[("headers", "Authorization: Key x"), ("authentication", "bearer"), ("token", "t")], &["headers"]),
        (&[("authentication", "basic")], &["user"]),
        (&[("authentication", "basic"), ("user", "a:b")], &["user"]),
        (&[("authentication", "bearer")], &["token"]),
        (&[("client_certificate", &certificate), ("client_key", &key)], &[]),
        (&[("client_certificate", &certificate)], &["client_key"]),
        (&[("client_key", &key)], &["client_certificate"]),
        (&[("client_certificate", &key), ("client_key", &certificate)], &["client_certificate", "client_key"]),
        (&[("client_certificate", &certificate), ("client_key", rsa)], &["client_key"]),
    ] {
        let found: Vec<String> = Webhook.check(&settings(pairs)).into_iter().map(|m| m.path).collect();
        let want: Vec<String> = wrong.iter().map(|w| format!("/settings/{w}")).collect();
        assert_eq!(found, want, "{pairs:?}");
    }
}

#[test]
fn requests_say_what_they_are_and_who_asks() {
    let (_, message) = samples::all().remove(0);
    let call = told(
        &[("url", "https://h"), ("authentication", "basic"), ("user", "u"), ("password", "p"), ("signing_secret", "s")],
        &message,
    );
    assert_eq!(call.credentials, Credentials::Basic("u".to_owned(), "p".to_owned()));
    assert_eq!(call.sign.as_deref(), Some("s"));
    assert!(call.headers.contains(&("X-Watchfire-Event".to_owned(), "opened".to_owned())));
    assert!(call.headers.contains(&("X-Watchfire-Delivery".to_owned(), message.key.clone())));
    // The moment is that of the signature, or else that of the message: never twice.
    let stamp = |call: &HttpCall| call.headers.iter().filter(|(n, _)| n == "X-Watchfire-Timestamp").cloned().collect();
    let stamps: Vec<(String, String)> = stamp(&call);
    assert_eq!(stamps, []);
    let open = told(&[("url", "https://h")], &message);
    let stamps: Vec<(String, String)> = stamp(&open);
    assert_eq!((open.sign, stamps), (None, vec![("X-Watchfire-Timestamp".to_owned(), "1772420520".to_owned())]));
}

#[test]
fn machines_that_cannot_be_reached_have_a_form_of_their_own() {
    let mut subject = samples::subject();
    subject.alerts[0].labels.insert("alert".to_owned(), "reachability".to_owned());
    let body = |subject: &crate::notifications::message::Subject| {
        let message = samples::message(NoticeEvent::Opened, subject.clone());
        bodies::netdata(&message, false)
    };
    let down = body(&subject);
    assert_eq!((&down["host"], &down["severity"]), (&"db-1".into(), &"critical".into()));
    assert_eq!(down["status"], serde_json::json!({ "reachable": false, "text": "unreachable" }));
    assert_eq!(down["url"], "https://watchfire.example.com/incidents/INC-42");
    assert_eq!(down.as_object().unwrap().len(), 5);
    subject.status = IncidentStatus::Resolved;
    let up = body(&subject);
    assert_eq!((&up["severity"], &up["status"]["reachable"]), (&"info".into(), &true.into()));
}

/// What is sent in Netdata's form is read as Netdata's.
#[test]
fn netdatas_form_is_read_by_netdatas_connector() {
    use crate::model::SignalStatus;
    let netdata = crate::connectors::find("netdata").unwrap();
    for (name, legacy, want) in [
        ("opened", false, SignalStatus::Firing),
        ("opened", true, SignalStatus::Firing),
        ("resolved", false, SignalStatus::Resolved),
        ("resolved", true, SignalStatus::Resolved),
        ("long", false, SignalStatus::Firing),
        ("hostile", true, SignalStatus::Firing),
    ] {
        let (_, message) = samples::all().into_iter().find(|(n, _)| *n == name).unwrap();
        let body = serde_json::to_vec(&bodies::netdata(&message, legacy)).unwrap();
        let received_at = message.now;
        let request =
            crate::connectors::Request { headers: &[], query: &[], body: &body, received_at, rca_enabled: false };
        let parsed = netdata.parse(&request).unwrap();
        assert_eq!(parsed.signals.iter().map(|s| s.status).collect::<Vec<_>>(), [want], "{name}");
        assert!(body.len() < 100_000, "{name}: {}", body.len());
    }
}

#[test]
fn answers_are_judged() {
    tests::judged(
        &Webhook,
        "opened",
        &[
            (200, "", "", "done"),
            (204, "", "", "done"),
            (301, "location: https://other", "", "broken: another one"),
            (400, "", "no", "never: no"),
            (401, "", "", "broken: who asks"),
            (404, "", "", "broken: address"),
            (408, "", "", "later"),
            (425, "", "", "later"),
            (429, "retry-after: Mon, 02 Mar 2026 03:02:30 GMT", "", "later 30"),
            (500, "", "", "later"),
            (522, "", "", "later"),
            (505, "", "", "never"),
        ],
    );
}
