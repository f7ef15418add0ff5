//! The machine's clock is set, senders' clocks are wrong: order is by number, no duration is negative, no timer is stuck.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, start_of_time};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn alert(name: &str) -> Value {
    json!({"id": name, "title": name, "service": name, "severity": "high"})
}

/// Every number that counts time, wherever it stands.
fn no_negative_durations(value: &Value, path: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let counts_time = ["_ms", "_s", "_secs", "_seconds"].iter().any(|end| name.ends_with(end));
                assert!(!counts_time || value.as_f64().is_none_or(|n| n >= 0.0), "{path}/{name}: {value}");
                no_negative_durations(value, &format!("{path}/{name}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|v| no_negative_durations(v, path)),
        _ => {}
    }
}

/// Reads what shows times, on pages and by the API.
async fn read_all(test: &TestApp) {
    for path in
        ["/api/incidents", "/api/incidents/INC-1", "/api/incidents/INC-1/timeline", "/api/alerts", "/api/overview"]
    {
        let answer = test.get(path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        no_negative_durations(&answer.json, path);
    }
    for path in ["/", "/incidents/INC-1", "/alerts", "/connectors", "/deliveries"] {
        let page = test.get(path).await;
        assert!(page.status.as_u16() < 500, "{path}: {}", page.text);
        let text = page.text.replace("&minus;", "-").replace('\u{2212}', "-");
        for (at, _) in text.match_indices(">-").chain(text.match_indices("> -")).chain(text.match_indices(" -")) {
            let rest = text[at..].trim_start_matches(['>', ' ', '-']);
            let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let negative = unit.len() < rest.len()
                && ["s", " s", " min", "m ", "h", " h", "d", " d"].iter().any(|u| unit.starts_with(u));
            assert!(!negative, "{path}: {}", &text[at..].chars().take(30).collect::<String>());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_back_or_forward_in_the_middle_of_everything_it_goes_on() {
    let mut test = TestApp::start().await;
    for (n, by, back) in [(1, HOUR, true), (2, HOUR, false), (3, DAY, true), (4, DAY, false), (5, 400 * DAY, true)] {
        let name = format!("alert-{n}");
        // An investigation waits, a person has acknowledged.
        let opened = test.deliver("generic", &alert(&name)).await.json["alerts"][0].clone();
        let id = opened["incident_id"].as_str().unwrap().to_owned();
        test.post(&format!("/api/incidents/{id}/acknowledge"), &json!({})).await;
        let now = test.clock.now();
        test.clock.set(if back { now.minus(by) } else { now.plus(by) });
        read_all(&test).await;
        // It is not waited for the old time to come again.
        let done = test.analyzed(&id).await;
        assert_eq!(done["investigation"]["state"], "complete");
        let resolved = test.post(&format!("/api/incidents/{id}/resolve"), &json!({})).await;
        assert_eq!(resolved.json["status"], "resolved", "{}", resolved.text);
        // Within the time in which it is the same trouble, whatever the clock says.
        let again = test.deliver("generic", &alert(&name)).await.json["alerts"][0].clone();
        assert_eq!(again["incident_id"], id.as_str());
        test.analyzed(&id).await;
        read_all(&test).await;
        if n == 3 {
            test.restart().await;
        }
    }
    // Newest first is by number, not by the time that was shown then.
    let list = test.get("/api/incidents").await.json;
    let numbers: Vec<u64> = list["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].as_str().unwrap().trim_start_matches("INC-").parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|w| w[0] > w[1]), "{numbers:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_closes_after_its_time_also_when_the_clock_was_set_back() {
    let mut test = TestApp::start().await;
    for (by, restart) in [(HOUR, false), (DAY, false), (HOUR, true)] {
        let sent = test.post("/api/connectors/generic/test", &json!({})).await;
        assert!(sent.status.is_success(), "{}", sent.text);
        let id = sent.json["alerts"][0]["incident_id"].as_str().unwrap().to_owned();
        let back = test.clock.now().minus(by);
        if restart {
            // Set while nothing ran.
            test.restart_at(back).await;
        } else {
            test.clock.set(back);
        }
        test.clock.advance(Duration::from_secs(11 * 60));
        test.until(&format!("/api/incidents/{id}"), |i| i["status"] == "resolved").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_senders_say_of_the_time_orders_nothing_and_breaks_nothing() {
    let test = TestApp::start().await;
    let times = [
        "1970-01-01T00:00:00Z",
        "2090-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-03-03T10:29:00",
        // The hours that summer time takes and gives twice.
        "2026-03-29T02:30:00+01:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2016-12-31T23:59:60Z",
        "not a time",
    ];
    for (n, time) in times.iter().enumerate() {
        let mut body = alert(&format!("said-{n}"));
        body["started_at"] = json!(time);
        let sent = test.deliver("generic", &body).await;
        assert!(sent.status.is_success(), "{time}: {}", sent.text);
        let id = sent.json["alerts"][0]["incident_id"].as_str().unwrap().to_owned();
        let incident = test.analyzed(&id).await;
        no_negative_durations(&incident, time);
        for field in ["started_at", "detected_at"] {
            assert!(incident[field].as_str().is_some_and(|t| t.ends_with('Z')), "{time}: {}", incident[field]);
        }
        assert!(incident["detected_at"].as_str().unwrap() >= start_of_time().to_string().as_str());
        test.post(&format!("/api/incidents/{id}/resolve"), &json!({})).await;
    }
    let alerts = test.get("/api/alerts?limit=100").await.json;
    let titles: Vec<&str> = alerts["alerts"].as_array().unwrap().iter().map(|a| a["title"].as_str().unwrap()).collect();
    let want: Vec<String> = (0..times.len()).rev().map(|n| format!("said-{n}")).collect();
    assert_eq!(titles, want, "by number, whatever was said of the time");
    read_all(&test).await;
    test.stop().await;
}
