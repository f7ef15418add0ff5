//! Settings of correlation, tried on stored deliveries and set; and that a backtest of a file is what the server did.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use watchfire::{
    app,
    backtest::{self, Input, Topology},
    model::{Actor, CorrelationSettings},
    runtime::clock::Clock,
};

use crate::support::{Answer, TOKEN, TestApp, answer, fixture, start_of_time};

const PAGE: &str = "/settings/correlation";

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = test.request(Method::POST, path).bearer_auth(TOKEN).body(body);
    answer(request.header("content-type", "application/x-www-form-urlencoded")).await
}

/// Alerts that have nothing in common but their time, and some of them their service.
fn alert(id: &str, service: &str) -> Value {
    let title = match id {
        "a" => "Checkout requests fail",
        "b" => "Replica lags behind",
        "c" => "Memory grows",
        "d" => "Certificate expires soon",
        "e" => "Backlog of jobs",
        _ => "Login is slow",
    };
    json!({"id": id, "title": title, "service": service, "severity": "high"})
}

async fn done(test: &TestApp, settings: Value) -> Value {
    let begun = test.post("/api/backtests", &json!({"days": 30, "settings": settings})).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let path = format!("/api/backtests/{}", begun.json["id"]);
    test.until(&path, |b| b["state"] != "running").await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_tried_on_stored_deliveries_and_then_set() {
    let mut test = TestApp::start_any().await;
    for (id, service) in [("a", "api"), ("b", "db"), ("c", "api")] {
        test.deliver("generic", &alert(id, service)).await;
        test.clock.advance(Duration::from_secs(20));
    }
    let ends = json!({"id": "a", "title": "Checkout requests fail", "service": "api", "status": "resolved"});
    assert_eq!(test.deliver("generic", &ends).await.status, 202);
    let groups = test.get("/api/incidents").await.json;
    assert_eq!(groups["total"], 1, "{groups}");

    let same = done(&test, json!({})).await;
    assert_eq!((&same["state"], &same["outcome"]["regrouped"]), (&json!("done"), &json!(0)), "{same}");
    assert_eq!(same["outcome"]["now"], json!({"incidents": 1, "alone": 0, "largest": 3}));

    let weighed = done(&test, json!({"mode": "weighted"})).await;
    assert_eq!((&weighed["state"], &weighed["outcome"]["now"]["incidents"]), (&json!("done"), &json!(1)), "{weighed}");

    let narrow = done(&test, json!({"cluster_window_secs": 0})).await;
    let outcome = &narrow["outcome"];
    assert_eq!(outcome["then"], json!({"incidents": 2, "alone": 1, "largest": 2}), "{narrow}");
    assert_eq!((&outcome["regrouped"], &outcome["deliveries"], &outcome["alerts"]), (&json!(3), &json!(4), &json!(3)));
    let b = outcome["changes"].as_array().unwrap().iter().find(|c| c["service"] == "db").unwrap();
    assert_eq!((&b["apart"], &b["together"], &b["incident_id"]), (&json!(2), &json!(0), &json!("INC-1")), "{b}");
    assert_eq!(
        test.get(&format!("/api/alerts/{}", b["alert_id"].as_str().unwrap())).await.json["title"],
        "Replica lags behind"
    );
    assert_eq!(test.get("/api/incidents").await.json["total"], 1, "nothing was changed");

    // The page says the same, and its button sets it.
    let page = test.get(PAGE).await.text;
    for said in
        ["<b>3\u{a0}alerts</b> would be together with others", "no longer with", "/incidents/INC-1", "Set it so"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    let set = form(&test, PAGE, &[("window", "0s")]).await;
    assert_eq!(set.status, 303, "{}", set.text);
    let now = test.get("/api/correlation").await.json;
    assert_eq!((&now["cluster_window_secs"], &now["set"]["settings"]["mode"]), (&json!(0), &Value::Null), "{now}");
    assert!(test.get(PAGE).await.text.contains("These settings hold now"));
    let log = test.get("/api/audit?limit=1").await.json;
    assert_eq!(log["audit"][0]["action"], "correlation.set");

    // In force at once, and after a restart.
    test.deliver("generic", &alert("d", "cache")).await;
    test.restart().await;
    test.deliver("generic", &alert("e", "queue")).await;
    assert_eq!(test.get("/api/incidents").await.json["total"], 3);

    assert_eq!(form(&test, "/settings/correlation/undo", &[]).await.status, 303);
    assert_eq!(test.get("/api/correlation").await.json["cluster_window_secs"], 300);
    let joined = test.deliver("generic", &alert("f", "mail")).await.json;
    assert_eq!(joined["alerts"][0]["strategy"], "time_cluster", "{joined}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_set_or_tried_is_refused_with_the_reason() {
    let mut test = TestApp::start_with(Clock::manual(start_of_time()), |config| {
        config.cluster_window = Duration::from_secs(60);
        config.fixed.insert("correlation.cluster_window");
    })
    .await;
    for (body, status, said) in [
        (json!({"cluster_window_secs": 10}), 409, "correlation.cluster_window"),
        (json!({"reopen_within_secs": 700_000}), 422, "604800"),
        (json!({"mode": "all"}), 422, "mode"),
        (json!({"reopen_within_secs": 60}), 200, "\"reopen_within_secs\":60"),
        (json!({"reopen_within_secs": null}), 200, "\"reopen_within_secs\":900"),
    ] {
        let got = test.patch("/api/correlation", &body).await;
        assert!(got.status == status && got.text.contains(said), "{body}: {} {}", got.status, got.text);
    }
    let page = test.get(PAGE).await.text;
    assert!(page.contains("1m (fixed by the configuration, correlation.cluster_window)"), "{page}");
    let refused = form(&test, "/settings/correlation/try", &[("reopen", "soon")]).await;
    assert!(refused.status == 422 && refused.text.contains("soon"), "{}", refused.text);
    assert_eq!(test.post("/api/backtests", &json!({"days": 0})).await.status, 422);
    assert_eq!(test.get("/api/backtests/9").await.status, 404);

    // One that runs, with nobody at work on it: as a kill leaves it.
    let (since, by) = (test.clock.now(), Actor::Person("kim".into()));
    let left = test.app().store().begin_backtest(CorrelationSettings::default(), since, by).await.unwrap();
    let second = test.post("/api/backtests", &json!({})).await;
    assert!(second.status == 409 && second.text.contains("cancel"), "{}", second.text);
    test.restart().await;
    let path = format!("/api/backtests/{}", left.id);
    assert_eq!(test.get(&path).await.json["state"], "broken_off");
    assert!(test.get(PAGE).await.text.contains("broke off when the server stopped"));

    let since = test.clock.now();
    let next = test.app().store().begin_backtest(CorrelationSettings::default(), since, Actor::System).await.unwrap();
    let path = format!("/api/backtests/{}", next.id);
    assert_eq!(test.delete(&path).await.json["state"], "cancelled");
    assert_eq!(test.delete(&path).await.json["state"], "cancelled");
    assert_eq!(done(&test, json!({})).await["state"], "done");
    test.stop().await;
}

/// Waits until the writer has done what was due: it looks at the time after all that it applies.
async fn time_was_seen(test: &TestApp) {
    for _ in 0..2 {
        let change = test.post("/api/changes", &json!({"title": "a mark"})).await;
        assert_eq!(change.status, 202);
        let path = format!("/api/deliveries/{}", change.json["delivery_id"].as_str().unwrap());
        test.until(&path, |d| d["applied_at"] != Value::Null).await;
    }
}

/// What is recorded of a server becomes the same alerts in the same incidents in a backtest.
#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_of_what_a_server_took_is_what_the_server_did() {
    let test = TestApp::start().await;
    let (mut lines, mut taken) = (Vec::new(), Vec::new());
    for (name, minutes) in [
        ("grafana/unified.firing", 1),
        ("netdata/documented.firing", 3),
        ("datadog/monitor.firing", 0),
        ("grafana/unified.firing", 20),
        ("alertmanager/instance.firing", 2),
        ("grafana/unified.resolved", 30),
        ("splunk/search.firing", 90),
        ("grafana/unified.firing", 1),
        ("splunk/search.firing", 5),
    ] {
        let (body, headers) = fixture(name);
        let platform = name.split('/').next().unwrap();
        let raw = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let mut sent: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        sent.push(("prefer", "wait=10"));
        let answered = test.knock(platform, &sent, raw.into_bytes()).await;
        assert!(answered.status.is_success(), "{name}: {}", answered.text);
        let headers: BTreeMap<&str, &str> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let line = json!({"at": test.clock.now(), "platform": platform, "headers": headers, "body": body});
        lines.push(line.to_string());
        taken.push(answered.json["alerts"].clone());
        // A clock that jumps is no recorded clock: what falls due meanwhile is to be done about when it does.
        let mut left = minutes;
        while left > 0 {
            let step = left.min(15);
            left -= step;
            test.clock.advance(Duration::from_secs(step * 60));
            time_was_seen(&test).await;
        }
    }
    assert!(lines.len() >= 6, "{lines:?}");
    let file = test.data_dir().join("recorded.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let config = test.config.clone();
    let report = tokio::task::spawn_blocking(move || {
        let mut input = Input::open(&file).unwrap();
        backtest::run(&mut input, &Topology::default(), &config, app::policy(&config), false).unwrap()
    })
    .await
    .unwrap();
    for (n, (line, taken)) in report.deliveries.iter().zip(&taken).enumerate() {
        let played = serde_json::to_value(&line.alerts).unwrap();
        for (played, taken) in played.as_array().unwrap().iter().zip(taken.as_array().unwrap()) {
            for (ours, theirs) in
                [("fingerprint", "fingerprint"), ("incident", "incident_id"), ("strategy", "strategy")]
            {
                assert_eq!(played[ours], taken[theirs], "line {}: {played} {taken}", n + 1);
            }
        }
    }
    test.stop().await;
}
