//! Alerts in, incidents out: what senders are told, and what becomes of their alerts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, fixture};

/// A Grafana group with these alerts: name, service, state, seconds after the start of time.
fn grafana(alerts: &[(&str, &str, &str, i64)]) -> Value {
    let start = crate::support::start_of_time();
    let one = |(name, service, status, after): &(&str, &str, &str, i64)| {
        let at = watchfire::model::Time::from_millis(start.millis() + after * 1000);
        json!({"status": status, "startsAt": at, "endsAt": "0001-01-01T00:00:00Z",
            "labels": {"alertname": name, "service": service, "severity": "critical"}, "annotations": {"summary": name}})
    };
    let alerts: Vec<Value> = alerts.iter().map(one).collect();
    json!({"receiver": "w", "status": "firing", "version": "1", "orgId": 1, "externalURL": "http://g.example/",
        "groupKey": "k", "truncatedAlerts": 0, "alerts": alerts})
}

fn taken(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.headers["preference-applied"], "wait=10");
    answer.json["alerts"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_both_kinds_closes_one_and_opens_another() {
    let test = TestApp::start().await;
    let first = test.deliver("grafana", &grafana(&[("A", "api", "firing", 0)])).await;
    let alerts = taken(&first);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["incident_id"], "INC-1");
    assert_eq!((alerts[0]["strategy"].as_str(), alerts[0]["correlation_score"].as_f64()), (Some("primary"), Some(1.0)));
    assert_eq!((alerts[0]["status"].as_str(), alerts[0]["new_incident"].as_bool()), (Some("firing"), Some(true)));
    let mixed = test.deliver("grafana", &grafana(&[("A", "api", "resolved", 0), ("B", "api", "firing", 30)])).await;
    let alerts = taken(&mixed);
    assert_eq!(alerts[0]["status"], "resolved");
    assert_eq!(alerts[0]["fingerprint"], first.json["alerts"][0]["fingerprint"]);
    assert_eq!(alerts[1]["incident_id"], "INC-1", "a group that begins and ends at once does not close the incident");
    assert_eq!(
        (alerts[1]["strategy"].as_str(), alerts[1]["correlation_score"].as_f64()),
        (Some("service_match"), Some(0.9))
    );
    let incident = test.get("/api/incidents/INC-1").await.json;
    assert_eq!((&incident["alert_count"], &incident["firing_count"]), (&json!(2), &json!(1)));
    let last = test.deliver("grafana", &grafana(&[("B", "api", "resolved", 30)])).await;
    assert_eq!(taken(&last)[0]["incident_id"], "INC-1");
    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["status"], &incident["firing_count"]), (&json!("resolved"), &json!(0)));
    assert!(incident["resolved_at"].is_string());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prefer_the_answer_has_identity_and_status_only() {
    let test = TestApp::start().await;
    let body = serde_json::to_vec(&grafana(&[("A", "api", "firing", 0)])).unwrap();
    let answer = test.knock("grafana", &[], body).await;
    assert_eq!(answer.status, 202);
    assert!(!answer.headers.contains_key("preference-applied"));
    let alert = answer.json["alerts"][0].as_object().unwrap();
    let names: Vec<&str> = alert.keys().map(String::as_str).collect();
    assert_eq!(names, ["fingerprint", "status"]);
    let id = answer.json["delivery_id"].as_str().unwrap();
    let path = format!("/api/deliveries/{id}");
    let kept = test.until(&path, |d| d["applied_at"].is_string()).await;
    assert_eq!((kept["platform"].as_str(), kept["outcome"].as_str()), (Some("grafana"), Some("accepted")));
    assert_eq!(kept["body"].as_str().unwrap(), serde_json::to_string(&grafana(&[("A", "api", "firing", 0)])).unwrap());
    assert!(!kept.to_string().contains(&test.key("grafana").await), "no key is kept");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_count_and_do_not_open() {
    let test = TestApp::start().await;
    let body = grafana(&[("A", "api", "firing", 0)]);
    let first = test.deliver("grafana", &body).await;
    for _ in 0..4 {
        let again = test.deliver("grafana", &body).await;
        assert_eq!(taken(&again)[0]["alert_id"], first.json["alerts"][0]["alert_id"]);
        assert_ne!(again.json["delivery_id"], first.json["delivery_id"], "a repeat is a delivery of its own");
    }
    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["alerts"][0]["count"], &incident["alert_count"]), (&json!(5), &json!(1)));
    assert_eq!(test.get("/api/incidents").await.json["total"], 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_retry_changes_nothing() {
    let test = TestApp::start().await;
    let (body, _) = fixture("pagerduty/brief");
    let body = serde_json::to_vec(&body).unwrap();
    let send = |id: &'static str| {
        let (test, body) = (&test, body.clone());
        async move { test.knock("pagerduty", &[("x-webhook-id", id), ("prefer", "wait=10")], body).await }
    };
    let first = send("0a9c-1").await;
    let again = send("0a9c-1").await;
    assert_eq!((taken(&first).len(), again.json["delivery_id"].clone()), (1, first.json["delivery_id"].clone()));
    assert_eq!(again.json, first.json, "the first answer is given again");
    let incident = first.json["alerts"][0]["incident_id"].as_str().unwrap();
    let count = async || test.get(&format!("/api/incidents/{incident}")).await.json["alerts"][0]["count"].clone();
    assert_eq!(count().await, 1);
    let other = send("0a9c-2").await;
    assert_ne!(other.json["delivery_id"], first.json["delivery_id"]);
    assert_eq!(count().await, 2, "another id is a repeat");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_known_after_a_restart() {
    let mut test = TestApp::start().await;
    let (body, _) = fixture("pagerduty/brief");
    let body = serde_json::to_vec(&body).unwrap();
    let headers = [("x-webhook-id", "r-1"), ("prefer", "wait=10")];
    let first = test.knock("pagerduty", &headers, body.clone()).await;
    test.restart().await;
    let again = test.knock("pagerduty", &headers, body).await;
    assert_eq!(again.json, first.json);
    test.stop().await;
}

/// The samples of the eight platforms of the integration guide.
#[tokio::test(flavor = "multi_thread")]
async fn the_eight_samples_are_taken_as_they_are() {
    let test = TestApp::start().await;
    for platform in ["jenkins", "cloudbees"] {
        let on = test.patch(&format!("/api/connectors/{platform}"), &json!({"rca_enabled": true})).await;
        assert_eq!(on.status, 200, "{}", on.text);
    }
    for (platform, severity, service, title) in [
        ("grafana", "critical", Some("api"), "Error rate above 5%"),
        ("pagerduty", "critical", Some("API Service"), "A little bump in the road"),
        ("datadog", "medium", Some("api"), "CPU usage above 90%"),
        ("netdata", "critical", None, "cpu_usage"),
        ("dynatrace", "high", Some("API"), "High response time detected"),
        ("splunk", "high", Some("api"), "Error Rate Alert"),
        ("jenkins", "high", Some("api-build"), "api-build"),
        ("cloudbees", "high", Some("api-build"), "api-build"),
    ] {
        let (body, _) = fixture(&format!("{platform}/brief"));
        let answer = test.deliver(platform, &body).await;
        let alerts = taken(&answer);
        assert_eq!(alerts.len(), 1, "{platform}");
        let alert = test.get(&format!("/api/alerts/{}", alerts[0]["alert_id"].as_str().unwrap())).await.json;
        assert_eq!(alert["platform"], platform);
        assert_eq!(alert["severity"], severity, "{platform}");
        assert!(alert["title"].as_str().unwrap().contains(title), "{platform}: {}", alert["title"]);
        if platform != "dynatrace" {
            assert_eq!(alert["service"].as_str(), service, "{platform}");
        }
        assert!(alerts[0]["incident_id"].is_string(), "{platform}: every firing alert has an incident");
        let status = test.get(&format!("/api/{platform}/status")).await.json;
        assert_eq!(status["connected"], true, "{platform}: {status}");
        for name in ["webhook_url", "last_webhook_received", "state"] {
            assert!(status[name].is_string(), "{platform}: {name}: {status}");
        }
        assert!(status.as_object().unwrap().contains_key("base_url"), "{platform}");
        assert_eq!((&status["received_24h"], &status["refused_24h"]), (&json!(1), &json!(0)), "{platform}");
        assert!(status["webhook_url"].as_str().unwrap().ends_with(&format!("/api/webhooks/{platform}")));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_open_incidents_only_when_switched_on() {
    let test = TestApp::start().await;
    for platform in ["jenkins", "cloudbees"] {
        let (body, _) = fixture(&format!("{platform}/brief"));
        let before = test.get("/api/incidents").await.json["total"].as_u64().unwrap();
        let off = test.deliver(platform, &body).await;
        assert!(taken(&off).is_empty(), "{platform}: {}", off.text);
        let id = off.json["delivery_id"].as_str().unwrap();
        assert_eq!(test.get(&format!("/api/deliveries/{id}")).await.json["changes"], 1, "{platform}: it is a change");
        assert_eq!(test.get("/api/incidents").await.json["total"], before, "{platform}");
        test.patch(&format!("/api/connectors/{platform}"), &json!({"rca_enabled": true})).await;
        let on = test.deliver(platform, &body).await;
        assert!(taken(&on)[0]["incident_id"].is_string(), "{platform}: {}", on.text);
        test.patch(&format!("/api/connectors/{platform}"), &json!({"rca_enabled": false})).await;
        assert!(taken(&test.deliver(platform, &body).await).is_empty(), "{platform}: off again");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_in_both_versions() {
    let test = TestApp::start().await;
    for (name, host) in [("alertmanager/instance.firing", Some("node-3.example.com")), ("alertmanager/v3", None)] {
        let (body, _) = fixture(name);
        let answer = test.deliver("alertmanager", &body).await;
        let alerts = taken(&answer);
        assert!(alerts[0]["incident_id"].is_string(), "{name}");
        let alert = test.get(&format!("/api/alerts/{}", alerts[0]["alert_id"].as_str().unwrap())).await.json;
        assert_eq!(alert["host"].as_str(), host, "{name}");
    }
    // Of a high-availability pair, each peer names itself.
    let (mut body, _) = fixture("alertmanager/instance.firing");
    body["externalURL"] = json!("http://alertmanager-1:9093");
    assert_eq!(taken(&test.deliver("alertmanager", &body).await)[0]["new_incident"], false);
    assert_eq!(test.get("/api/alerts?q=source:alertmanager").await.json["total"], 2, "the peers tell of one alert");
    let (watchdog, _) = fixture("alertmanager/watchdog-only");
    assert!(taken(&test.deliver("alertmanager", &watchdog).await).is_empty());
    assert!(test.get("/api/connectors/alertmanager").await.json["last_heartbeat"].is_string());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_join_by_service_and_by_time_and_otherwise_not() {
    let test = TestApp::start_any().await;
    let check = async |name: &str, service: &str, after: i64, incident: &str, strategy: &str, score: f64| {
        let answer = test.deliver("grafana", &grafana(&[(name, service, "firing", after)])).await;
        let alert = &taken(&answer)[0];
        assert_eq!(alert["incident_id"], incident, "{name}: {}", answer.text);
        assert_eq!(alert["strategy"], strategy, "{name}");
        assert_eq!(alert["correlation_score"], score, "{name}");
    };
    check("first", "api", 0, "INC-1", "primary", 1.0).await;
    check("near in time", "db", 240, "INC-1", "time_cluster", 0.7).await;
    test.clock.advance(Duration::from_secs(3000));
    check("same service", "api", 3000, "INC-1", "service_match", 0.9).await;
    check("neither", "cache", 3000, "INC-2", "primary", 1.0).await;
    check("written otherwise", " API ", 3010, "INC-1", "service_match", 0.9).await;
    check("stronger wins over nearer", "cache", 2999, "INC-2", "service_match", 0.9).await;
    let reasons = test.get("/api/incidents/2").await.json["alerts"][1]["reasons"].clone();
    let kinds: Vec<&str> = reasons.as_array().unwrap().iter().map(|r| r["strategy"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["service_match", "time_cluster"], "an alert may have several reasons");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refire_reopens_within_fifteen_minutes_and_then_no_more() {
    let test = TestApp::start().await;
    let (firing, over) = (grafana(&[("A", "api", "firing", 0)]), grafana(&[("A", "api", "resolved", 0)]));
    test.deliver("grafana", &firing).await;
    test.deliver("grafana", &over).await;
    test.clock.advance(Duration::from_secs(14 * 60 + 59));
    let again = test.deliver("grafana", &firing).await;
    assert_eq!(taken(&again)[0]["incident_id"], "INC-1");
    let incident = test.get("/api/incidents/1").await.json;
    assert_eq!((&incident["status"], &incident["resolved_at"]), (&json!("investigating"), &Value::Null));
    // Closed by hand counts like closed by its source.
    let closed = test.post("/api/incidents/1/resolve", &json!({"reason": "rolled back"})).await;
    assert_eq!((closed.status.as_u16(), &closed.json["firing_count"]), (200, &json!(0)), "{}", closed.text);
    test.clock.advance(Duration::from_secs(60));
    assert_eq!(taken(&test.deliver("grafana", &firing).await)[0]["incident_id"], "INC-1");
    test.deliver("grafana", &over).await;
    test.clock.advance(Duration::from_secs(15 * 60 + 1));
    let later = test.deliver("grafana", &firing).await;
    assert_eq!(taken(&later)[0]["incident_id"], "INC-2");
    assert_eq!(taken(&later)[0]["new_incident"], true);
    assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn info_and_unknown_ends_open_nothing() {
    let test = TestApp::start().await;
    let mut info = grafana(&[("A", "api", "firing", 0)]);
    info["alerts"][0]["labels"]["severity"] = json!("info");
    let answer = test.deliver("grafana", &info).await;
    assert!(taken(&answer)[0]["alert_id"].is_string(), "it is kept as an alert");
    assert_eq!(taken(&answer)[0]["incident_id"], Value::Null);
    let answer = test.deliver("grafana", &grafana(&[("never seen", "api", "resolved", 0)])).await;
    assert_eq!((&taken(&answer)[0]["alert_id"], &taken(&answer)[0]["incident_id"]), (&Value::Null, &Value::Null));
    assert_eq!(test.get("/api/incidents").await.json["total"], 0);
    test.stop().await;
}

/// What began too mild for an incident and then got worse must not stay unseen.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_becomes_worse_opens_its_incident_then() {
    let test = TestApp::start().await;
    let told = test.patch("/api/connectors/generic", &json!({"opens": ["critical", "high"]})).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let body =
        |severity: &str, status: &str| json!({"id": "disk-1", "title": "disk", "severity": severity, "status": status});
    let send = async |severity: &str, status: &str| {
        let answer = test.deliver("generic", &body(severity, status)).await;
        taken(&answer)[0].clone()
    };
    assert_eq!(send("medium", "firing").await["incident_id"], Value::Null);
    let worse = send("critical", "firing").await;
    assert_eq!((&worse["incident_id"], &worse["new_incident"]), (&json!("INC-1"), &json!(true)));
    assert_eq!(send("critical", "firing").await["new_incident"], false, "and only once");
    send("critical", "resolved").await;
    assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved");
    // The same when it had ended in between.
    let other =
        |severity: &str, status: &str| json!({"id": "disk-2", "title": "disk", "severity": severity, "status": status});
    for (severity, status) in [("low", "firing"), ("low", "resolved")] {
        assert_eq!(taken(&test.deliver("generic", &other(severity, status)).await)[0]["incident_id"], Value::Null);
    }
    let back = test.deliver("generic", &other("high", "firing")).await;
    assert!(taken(&back)[0]["incident_id"].is_string(), "{}", back.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_investigation_ends_with_thoughts_that_name_their_evidence() {
    let test = TestApp::start().await;
    let change =
        json!({"service": "api", "kind": "deploy", "title": "api v42", "version": "42", "at": "2026-03-03T10:25:00Z"});
    assert_eq!(test.post("/api/changes", &change).await.status, 202);
    test.deliver("grafana", &grafana(&[("HighErrorRate", "api", "firing", 0), ("Latency", "api", "firing", 20)])).await;
    let incident = test.analyzed("INC-1").await;
    assert_eq!(incident["status"], "analyzed", "{incident}");
    assert!(incident["analyzed_at"].is_string());
    assert!(incident["investigation"]["summary"].as_str().is_some_and(|s| !s.is_empty()));
    let thoughts = incident["thoughts"].as_array().unwrap();
    let known: Vec<&str> = incident["evidence"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert!(thoughts.len() > 2 && known.len() > 2, "{incident}");
    assert!(thoughts.iter().any(|t| !t["evidence"].as_array().unwrap().is_empty()));
    for cited in
        thoughts.iter().chain(incident["causes"].as_array().unwrap()).flat_map(|t| t["evidence"].as_array().unwrap())
    {
        assert!(known.contains(&cited.as_str().unwrap()), "{cited} is cited and not there");
    }
    assert!(incident["evidence"].to_string().contains("api v42"), "the change is evidence: {}", incident["evidence"]);
    assert!(!incident["suggestions"].as_array().unwrap().is_empty());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_kept_and_can_be_replayed() {
    let test = TestApp::start().await;
    let answer = test.deliver("grafana", &json!({"hello": "world"})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json["code"].as_str()),
        (422, Some("not_understood")),
        "{}",
        answer.text
    );
    assert!(answer.json["errors"][0]["path"].is_string(), "{}", answer.text);
    let id = answer.json["delivery_id"].as_str().unwrap().to_owned();
    let listed = test.until("/api/deliveries?outcome=unparsed", |l| l["total"] == 1).await;
    assert_eq!(listed["deliveries"][0]["id"], id.as_str());
    let kept = test.get(&format!("/api/deliveries/{id}")).await.json;
    assert_eq!(kept["body"], r#"{"hello":"world"}"#);
    let again = test.post(&format!("/api/deliveries/{id}/replay"), &json!({})).await;
    assert_eq!(again.status, 422, "{}", again.text);
    // One that is understood is applied once more, with the place of the first noted.
    let good = test.deliver("grafana", &grafana(&[("A", "api", "firing", 0)])).await;
    let good = good.json["delivery_id"].as_str().unwrap().to_owned();
    let again = test.post(&format!("/api/deliveries/{good}/replay"), &json!({})).await;
    assert_eq!(again.status, 202, "{}", again.text);
    let copy = format!("/api/deliveries/{}", again.json["delivery_id"].as_str().unwrap());
    assert_eq!(test.until(&copy, |d| d["applied_at"].is_string()).await["replay_of"], good.as_str());
    assert_eq!(test.get("/api/incidents").await.json["total"], 1);
    test.stop().await;
}

/// A sender that switches its target off after a refusal is told success, with the problem beside it.
#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_is_never_told_that_a_body_is_wrong() {
    let test = TestApp::start().await;
    for body in [&b"{\"hello\":1}"[..], b"not json", b"[", b"{}"] {
        let answer = test.knock("pagerduty", &[], body.to_vec()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert!(answer.json["problem"]["code"].is_string(), "{}", answer.text);
    }
    let (ping, _) = fixture("pagerduty/ping");
    assert!(taken(&test.deliver("pagerduty", &ping).await).is_empty());
    test.until("/api/deliveries?platform=pagerduty&outcome=unparsed", |l| l["total"] == 4).await;
    test.stop().await;
}
