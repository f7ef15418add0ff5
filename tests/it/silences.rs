//! Silences, maintenance windows and thresholds, as programs and people use them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::model::ChangeSubject;

use crate::support::{TOKEN, TestApp, answer};

fn matcher(field: &str, op: &str, value: &str) -> Value {
    json!({"field": field, "op": op, "value": value})
}

async fn fire(test: &TestApp, id: &str, service: &str, host: &str) -> Value {
    let body =
        json!({"id": id, "title": format!("{id} is slow"), "service": service, "host": host, "severity": "critical"});
    let sent = test.deliver("generic", &body).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    sent.json["alerts"][0].clone()
}

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> crate::support::Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = test.request(Method::POST, path).bearer_auth(TOKEN);
    answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_made_shown_extended_and_ended() {
    let test = TestApp::start().await;
    for (id, host) in [("a", "db-1"), ("b", "db-2"), ("c", "web-1")] {
        fire(&test, id, "api", host).await;
    }
    let matchers = json!([matcher("host", "=~", "db-.*")]);
    let preview = test.post("/api/silences/preview", &json!({"matchers": matchers})).await.json;
    assert_eq!((&preview["open_alerts"], &preview["open_incidents"]), (&json!(2), &json!(1)), "{preview}");
    let made = test
        .post("/api/silences", &json!({"matchers": matchers, "ends_at": "2026-03-03T12:00:00Z", "reason": "disk swap"}))
        .await;
    assert_eq!((made.status.as_u16(), made.headers["location"].to_str().unwrap()), (201, "/api/silences/S-1"));
    assert_eq!((&made.json["muted_now"], &made.json["state"]), (&preview["open_alerts"], &json!("active")));

    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["muted_count"], &incident["muted"]), (&json!(2), &json!(false)));
    let by = &incident["muted_by"][0];
    assert_eq!((&by["id"], &by["alerts"], &by["reason"]), (&json!("S-1"), &json!(2), &json!("disk swap")));
    let page = test.get("/incidents/1").await.text;
    assert!(page.contains("2 of 3\u{a0}open alerts by <a class=\"mono\" href=\"/silences/S-1\">S-1</a>"), "{page}");
    assert!(page.contains("disk swap until Tue 3 Mar 2026, 12:00:00 UTC"));
    let alerts = test.get("/api/alerts").await.json;
    let muted = alerts["alerts"].as_array().unwrap().iter().filter(|a| a["muted"] == true).count();
    assert_eq!(muted, 2);

    // All of it: it calls for nobody.
    let all = json!({"matchers": [matcher("service", "=", "API")], "ends_at": "2026-03-03T11:00:00Z", "reason": "all"});
    assert_eq!(test.post("/api/silences", &all).await.json["muted_now"], 3);
    assert_eq!(test.get("/api/incidents").await.json["incidents"][0]["muted"], true);
    let list = test.get("/incidents").await.text;
    assert!(list.contains("0 being handled, 1 muted") && list.contains("data-group=\"muted\""), "{list}");
    assert!(list.contains("nothing waits") && !list.contains("critical burning"), "{list}");

    let extended = test.patch("/api/silences/S-2", &json!({"extend_minutes": 60})).await.json;
    assert_eq!(extended["ends_at"], "2026-03-03T12:00:00.000Z");
    assert_eq!(test.get("/api/silences?state=active").await.json["total"], 2);
    assert_eq!(test.delete("/api/silences/2").await.status, 204);
    assert_eq!(test.delete("/api/silences/S-2").await.status, 409);
    assert_eq!(test.get("/api/incidents/1").await.json["muted"], false);
    assert!(test.get("/incidents").await.text.contains("1 critical burning"));
    let expired = test.get("/api/silences?state=expired").await.json;
    assert_eq!((&expired["total"], &expired["silences"][0]["muted_alerts"]), (&json!(1), &json!(3)));
    for (path, status) in [("/api/silences/S-9", 404), ("/api/maintenance/S-1", 404), ("/api/silences?state=x", 400)] {
        assert_eq!(test.get(path).await.status, status, "{path}");
    }
    let audit = test.get("/api/audit").await.text;
    assert!(audit.contains("silence.create") && audit.contains("silence.change") && audit.contains("silence.end"));
    // The clock takes the other one away.
    test.clock.advance(Duration::from_secs(90 * 60));
    test.until("/api/silences/S-1", |s| s["state"] == "expired").await;
    assert_eq!(test.get("/api/incidents/1").await.json["muted_count"], 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_with_their_paths() {
    let test = TestApp::start().await;
    for (path, body, want) in [
        ("/api/silences", json!({"matchers": [], "ends_at": "2026-03-03T12:00:00Z", "reason": "x"}), vec!["/matchers"]),
        (
            "/api/silences",
            json!({"matchers": [matcher("service", "=", "a"), matcher("colour", "=", "b")]}),
            vec!["/matchers/1/field", "/ends_at", "/reason"],
        ),
        ("/api/silences", json!({"matchers": [matcher("service", "~", "a")]}), vec!["/matchers/0/op"]),
        (
            "/api/maintenance",
            json!({"matchers": [matcher("host", "=~", "(")], "reason": "x",
                "recurrence": {"every": "week", "days": [], "at": "1", "minutes": 60, "time_zone": "Nowhere"}}),
            vec!["/matchers/0/value", "/recurrence/days", "/recurrence/at", "/recurrence/time_zone"],
        ),
        (
            "/api/thresholds",
            json!({"matchers": [matcher("host", "=", "a")], "within_minutes": 5, "reason": "x"}),
            vec!["/count"],
        ),
        ("/api/silences/preview", json!({"matchers": [matcher("service", "=~", ".*")]}), vec!["/matchers"]),
    ] {
        let refused = test.post(path, &body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        let paths: Vec<&str> =
            refused.json["errors"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
        assert_eq!(paths, want, "{}", refused.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_holds_alerts_back_until_its_number_is_reached() {
    let test = TestApp::start().await;
    let body = json!({"matchers": [matcher("service", "=", "batch")], "distinct": 3, "distinct_by": "host",
        "within_minutes": 10, "reason": "single jobs fail often"});
    assert_eq!(test.post("/api/thresholds", &body).await.json["id"], "T-1");
    for (id, host) in [("a", "n1"), ("b", "n2"), ("b", "n2")] {
        assert_eq!(fire(&test, id, "batch", host).await["incident_id"], Value::Null);
    }
    assert_eq!(test.get("/api/thresholds/T-1").await.json["progress"], "2 of 3 hosts");
    let list = test.get("/alerts").await.text;
    assert!(list.contains("waiting for threshold T-1: 2 of 3 hosts"), "{list}");
    assert_eq!(fire(&test, "c", "batch", "n3").await["incident_id"], "INC-1");
    let incident = test.get("/api/incidents/1").await;
    assert_eq!(incident.json["alert_count"], 3);
    assert!(incident.text.contains("Threshold T-1 was reached: 3 of 3 hosts within 10\u{a0}min (single jobs fail often). Held back until then: a is slow, b is slow."), "{}", incident.text);
    assert_eq!(test.delete("/api/thresholds/1").await.status, 204);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_silence_from_an_alert_without_scripts() {
    let test = TestApp::start().await;
    let alert = fire(&test, "a", "api", "db-1").await;
    let id = alert["alert_id"].as_str().unwrap();
    let shown = test.get(&format!("/alerts?id={id}")).await.text;
    assert!(shown.contains(&format!("href=\"/silences/new?alert={id}\"")), "{shown}");
    let page = test.get(&format!("/silences/new?alert={id}")).await.text;
    assert!(page.contains("value=\"a is slow\"") && page.contains("value=\"db-1\""), "{page}");
    assert!(page.contains("1\u{a0}open alert"), "the preview is there: {page}");
    let page = test.get("/silences/new?incident=INC-1").await.text;
    assert!(page.contains("value=\"api\""), "{page}");

    let fields = [
        ("kind", "silence"),
        ("field", "service"),
        ("op", "="),
        ("value", "api"),
        ("field", ""),
        ("op", "="),
        ("value", ""),
        ("length", "60"),
        ("reason", "a <b>disk</b>"),
    ];
    let tried = form(&test, "/silences/new", &[&fields[..], &[("do", "preview")]].concat()).await;
    assert_eq!(tried.status, 200);
    assert_eq!(test.get("/api/silences").await.json["total"], 0, "nothing was made");
    let refused = form(&test, "/silences/new", &[&fields[..8], &[("reason", ""), ("do", "save")]].concat()).await;
    assert!(refused.status == 422 && refused.text.contains("href=\"#f-reason\""), "{}", refused.text);
    let made = form(&test, "/silences/new", &[&fields[..], &[("do", "save")]].concat()).await;
    assert_eq!((made.status.as_u16(), made.headers["location"].to_str().unwrap()), (303, "/silences/S-1"));
    assert_eq!(test.get("/api/silences/S-1").await.json["ends_at"], "2026-03-03T11:30:00.000Z");

    let list = test.get("/silences").await.text;
    assert!(list.contains("a &#60;b&#62;disk&#60;/b&#62;") || list.contains("a &lt;b&gt;disk&lt;/b&gt;"), "{list}");
    assert_eq!(form(&test, "/silences/S-1/extend", &[("minutes", "240")]).await.status, 303);
    assert_eq!(test.get("/api/silences/S-1").await.json["ends_at"], "2026-03-03T15:30:00.000Z");
    // Half a minute later the page of the change leaves the end as it was.
    let edited = [
        ("kind", "silence"),
        ("field", "service"),
        ("op", "="),
        ("value", "api"),
        ("starts", "2026-03-03T10:30"),
        ("length", ""),
        ("ends", "2026-03-03T15:30"),
        ("reason", "another"),
        ("do", "save"),
    ];
    let changed = form(&test, "/silences/S-1/edit", &edited).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    assert_eq!(test.get("/api/silences/S-1").await.json["reason"], "another");

    // Before its end it warns, on its own page, in the list and on the incident.
    test.clock.advance(Duration::from_secs(4 * 3600 + 46 * 60));
    test.until("/api/silences/S-1", |s| s["ends_soon"] == true).await;
    for path in ["/silences", "/silences/S-1", "/incidents/1"] {
        let page = test.get(path).await.text;
        assert!(page.contains("ends in 14\u{a0}min and 1 alert still fires."), "{path}: {page}");
    }
    assert_eq!(form(&test, "/silences/S-1/end", &[]).await.status, 303);
    assert!(test.get("/silences?tab=expired").await.text.contains("S-1"));
    assert_eq!(form(&test, "/silences/S-1/end", &[]).await.status, 409);

    let window = [
        ("kind", "maintenance"),
        ("field", "host"),
        ("op", "=~"),
        ("value", "db-.*"),
        ("length", "60"),
        ("every", "week"),
        ("day", "sun"),
        ("day", "sat"),
        ("at", "02:00"),
        ("minutes", "120"),
        ("zone", "Europe/Berlin"),
        ("reason", "patches"),
        ("do", "save"),
    ];
    let made = form(&test, "/silences/new", &window).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let shown = test.get("/api/maintenance/2").await.json;
    assert_eq!((&shown["state"], &shown["ends_at"]), (&json!("scheduled"), &Value::Null), "{shown}");
    assert!(
        test.get("/silences?tab=scheduled")
            .await
            .text
            .contains("every Sun, Sat at 02:00 for 2\u{a0}h\u{a0}00, Europe/Berlin")
    );
    let threshold = [
        ("field", "service"),
        ("op", "="),
        ("value", "batch"),
        ("count", "5"),
        ("distinct", ""),
        ("by", "host"),
        ("within", "10"),
        ("reason", "noisy"),
        ("do", "save"),
    ];
    assert_eq!(form(&test, "/silences/thresholds/new", &threshold).await.status, 303);
    assert!(test.get("/silences/thresholds").await.text.contains("5 alerts within 10\u{a0}min"));
    assert_eq!(form(&test, "/silences/thresholds/T-3/remove", &[]).await.status, 303);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_told_when_a_silence_is_made_ends_or_begins_by_itself() {
    let test = TestApp::start().await;
    let told = async || {
        let view = test.app().store().view().unwrap();
        let log = view.change_log(0, 1_000).unwrap();
        log.iter().filter(|e| e.subject == ChangeSubject::Mutes).count()
    };
    assert_eq!(told().await, 0);
    let body = json!({"matchers": [matcher("host", "=", "db-1")], "starts_at": "2026-03-03T11:00:00Z",
        "ends_at": "2026-03-03T12:00:00Z", "reason": "disk swap"});
    assert_eq!(test.post("/api/silences", &body).await.status, 201);
    assert_eq!(told().await, 1);
    let page = test.get("/silences").await.text;
    assert!(page.contains("data-changed=\"mutes\" hidden"), "{page}");
    test.clock.advance(Duration::from_secs(1801));
    test.until("/api/silences/S-1", |s| s["state"] == "active").await;
    assert_eq!(told().await, 2, "it began");
    fire(&test, "a", "api", "db-2").await;
    assert_eq!(told().await, 2, "alerts of others change no silence");
    assert_eq!(test.delete("/api/silences/S-1").await.status, 204);
    assert_eq!(told().await, 3);
    test.stop().await;
}
