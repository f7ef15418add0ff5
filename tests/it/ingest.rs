//! The door: who may send, what is refused and how, and what is kept.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, PATIENCE, TestApp, answer, start_of_time};
use watchfire::runtime::clock::Clock;

fn disk_full(host: &str) -> Value {
    json!({"title": format!("Disk full on {host}"), "severity": "critical", "service": "db", "host": host, "status": "firing"})
}

async fn outcomes(test: &TestApp, outcome: &str) -> u64 {
    let list = test.get(&format!("/api/deliveries?outcome={outcome}")).await;
    list.json["total"].as_u64().unwrap()
}

/// Waits until everything stored is applied: a delivery that waits comes after all others.
async fn settle(test: &TestApp) {
    assert_eq!(test.deliver("generic", &disk_full("settle")).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_answered_when_stored_and_with_its_effect_on_request() {
    let test = TestApp::start().await;
    let key = test.key("generic").await;
    let plain = answer(test.request(Method::POST, &format!("/api/webhooks/generic/{key}")).json(&disk_full("a"))).await;
    assert_eq!(plain.status, 202);
    assert!(plain.json["delivery_id"].is_string());
    assert_eq!(plain.json["alerts"][0]["status"], "firing");
    assert!(plain.json["alerts"][0].get("alert_id").is_none(), "{}", plain.text);
    let applied = test.deliver("generic", &disk_full("b")).await;
    assert_eq!(applied.headers["preference-applied"], "wait=10");
    let alert = &applied.json["alerts"][0];
    assert!(alert["alert_id"].is_string() && alert["incident_id"].is_string(), "{}", applied.text);
    assert!(alert["strategy"].is_string() && alert["correlation_score"].is_number());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_works_in_every_place_and_nothing_else_does() {
    let test = TestApp::start().await;
    let key = test.key("generic").await;
    let body = disk_full("a");
    let post = |path: String| test.request(Method::POST, &path).json(&body);
    let hook = "/api/webhooks/generic".to_owned();
    for request in [
        post(hook.clone()).bearer_auth(&key),
        post(hook.clone()).basic_auth("anybody", Some(&key)),
        post(hook.clone()).header("x-watchfire-key", &key),
        post(format!("{hook}?key={key}")),
        post(format!("{hook}?token={key}")),
        post(format!("{hook}/{key}")),
        post(format!("/generic/webhook/{key}")),
        post(format!("/generic/alerts/webhook/{key}")),
        test.request(Method::PUT, &format!("{hook}/{key}")).json(&body),
    ] {
        let got = answer(request).await;
        assert_eq!(got.status, 202, "{}", got.text);
    }
    let other = test.key("grafana").await;
    for request in [post(hook.clone()), post(hook.clone()).bearer_auth(&other), post(format!("{hook}/wrong"))] {
        let got = answer(request).await;
        assert_eq!(got.status, 401, "{}", got.text);
        assert!(got.json["detail"].as_str().unwrap().contains("watchfire connectors"), "{}", got.text);
        assert!(!got.json["ways"].as_array().unwrap().is_empty());
        assert!(!got.text.contains(&key), "never the key");
    }
    settle(&test).await;
    assert_eq!(outcomes(&test, "refused").await, 0, "strangers leave nothing on the disk");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_ingest_serves_every_connector_and_nothing_more() {
    let test = TestApp::start().await;
    let made = test.post("/api/tokens", &json!({"name": "ci", "scopes": ["ingest"]})).await;
    assert_eq!(made.status, 201);
    let token = made.json["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("wf_"));
    let as_token = |method, path: &str| test.request(method, path).bearer_auth(&token);
    assert_eq!(answer(as_token(Method::POST, "/api/webhooks/generic").json(&disk_full("a"))).await.status, 202);
    assert_eq!(answer(as_token(Method::GET, "/api/incidents")).await.status, 403);
    assert_eq!(answer(as_token(Method::POST, "/api/incidents").json(&json!({"title": "x"}))).await.status, 403);
    assert!(!test.get("/api/tokens").await.text.contains(&token), "shown once");
    assert_eq!(test.delete("/api/tokens/ci").await.status, 204);
    assert_eq!(answer(as_token(Method::POST, "/api/webhooks/generic").json(&disk_full("a"))).await.status, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_works_for_a_day() {
    let test = TestApp::start().await;
    let old = test.key("generic").await;
    let send = async |key: &str| -> u16 {
        answer(test.request(Method::POST, "/api/webhooks/generic").bearer_auth(key).json(&disk_full("a")))
            .await
            .status
            .as_u16()
    };
    assert_eq!(send(&old).await, 202);
    let shown = test.post("/api/connectors/generic/rotate-key", &Value::Null).await;
    let new = shown.json["key"].as_str().unwrap().to_owned();
    assert_eq!((send(&old).await, send(&new).await), (202, 202));
    // Once more by mistake: senders with the first key go on all the same.
    let shown = test.post("/api/connectors/generic/rotate-key", &Value::Null).await;
    let newest = shown.json["key"].as_str().unwrap().to_owned();
    assert_eq!((send(&old).await, send(&new).await, send(&newest).await), (202, 202, 202));
    test.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!((send(&old).await, send(&new).await, send(&newest).await), (401, 401, 202));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_kept_and_named() {
    let test = TestApp::start().await;
    let key = test.key("grafana").await;
    let send = async |body: &str| -> Answer {
        answer(test.request(Method::POST, &format!("/api/webhooks/grafana/{key}")).body(body.to_owned())).await
    };
    assert_eq!(send("").await.status, 400);
    let odd = send("{\"alerts\": \"many\"}").await;
    assert_eq!((odd.status.as_u16(), odd.json["code"].as_str()), (422, Some("not_understood")), "{}", odd.text);
    assert_eq!(odd.headers["content-type"], "application/problem+json");
    let id = odd.json["delivery_id"].as_str().unwrap();
    settle(&test).await;
    let kept = test.get(&format!("/api/deliveries/{id}")).await;
    assert_eq!(
        (kept.json["outcome"].as_str(), kept.json["body"].as_str()),
        (Some("unparsed"), Some("{\"alerts\": \"many\"}"))
    );
    let near = answer(test.request(Method::POST, "/api/webhooks/grafanna").body("{}")).await;
    assert_eq!((near.status.as_u16(), near.json["near"][0].as_str()), (404, Some("grafana")), "{}", near.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_read_and_bombs_refused() {
    let test = TestApp::start().await;
    let key = test.key("generic").await;
    let gzip = |bytes: &[u8]| {
        let mut e = GzEncoder::new(Vec::new(), Compression::best());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    };
    let send = async |body: Vec<u8>, encoding: &str| -> Answer {
        let request = test.request(Method::POST, &format!("/api/webhooks/generic/{key}"));
        answer(request.header("content-encoding", encoding).body(body)).await
    };
    let good = send(gzip(disk_full("a").to_string().as_bytes()), "gzip").await;
    assert_eq!(good.status, 202, "{}", good.text);
    assert_eq!(send(gzip(&vec![b' '; 40 << 20]), "gzip").await.status, 413);
    assert_eq!(send(b"{}".to_vec(), "gzip").await.status, 400);
    assert_eq!(send(b"{}".to_vec(), "br").await.status, 400);
    assert_eq!(send(vec![b' '; 1_500_000], "identity").await.status, 413, "the answer is seen although much was sent");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_switched_off_refuses_and_keeps() {
    let test = TestApp::start().await;
    assert_eq!(test.deliver("generic", &disk_full("a")).await.status, 202);
    assert_eq!(test.patch("/api/connectors/generic", &json!({"enabled": false})).await.json["state"], "paused");
    let refused = test.deliver("generic", &disk_full("b")).await;
    assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (403, Some("connector_off")));
    test.patch("/api/connectors/generic", &json!({"enabled": true})).await;
    settle(&test).await;
    assert_eq!(outcomes(&test, "refused").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_are_told_when_to_come_back() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.connectors.entry("alertmanager".to_owned()).or_default().rate_per_minute = Some(3);
        c.connectors.entry("netdata".to_owned()).or_default().rate_per_minute = Some(3);
    })
    .await;
    let body = json!({"version": "4", "groupKey": "g", "status": "firing", "receiver": "w", "alerts": [
        {"status": "firing", "labels": {"alertname": "Down"}, "annotations": {}, "startsAt": "2026-03-03T10:30:00Z"}]});
    let mut refused = None;
    for _ in 0..20 {
        let got = test.deliver("alertmanager", &body).await;
        if got.status != 202 {
            refused = Some(got);
            break;
        }
    }
    let refused = refused.expect("three a minute with a burst of ten");
    assert!([429, 503].contains(&refused.status.as_u16()), "{}", refused.text);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    test.clock.advance(Duration::from_secs(60));
    assert_eq!(test.deliver("alertmanager", &body).await.status, 202);
    let alarm = json!({"message": "cpu on web-1", "alert": "cpu", "host": "web-1", "severity": "critical"});
    for _ in 0..30 {
        // It never sends twice, so it is never refused for its rate.
        assert_eq!(test.deliver("netdata", &alarm).await.status.as_u16() / 100, 2);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_severity_map_wins() {
    let test = TestApp::start().await;
    test.patch("/api/connectors/generic", &json!({"severity_map": {"Critical": "low"}})).await;
    let got = test.deliver("generic", &disk_full("a")).await;
    let alert = test.get(&format!("/api/alerts/{}", got.json["alerts"][0]["alert_id"].as_str().unwrap())).await;
    assert_eq!((alert.json["severity"].as_str(), alert.json["severity_raw"].as_str()), (Some("low"), Some("critical")));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_delivery_can_be_read_again() {
    let test = TestApp::start().await;
    let first = test.deliver("generic", &disk_full("a")).await;
    let path = format!("/api/deliveries/{}/replay", first.json["delivery_id"].as_str().unwrap());
    let again =
        answer(test.request(Method::POST, &path).bearer_auth(crate::support::TOKEN).header("prefer", "wait=10")).await;
    assert_eq!(again.status, 202, "{}", again.text);
    assert_eq!(again.json["alerts"][0]["alert_id"], first.json["alerts"][0]["alert_id"]);
    assert_ne!(again.json["delivery_id"], first.json["delivery_id"]);
    let row = test.get(&format!("/api/deliveries/{}", again.json["delivery_id"].as_str().unwrap())).await;
    assert_eq!(row.json["replay_of"], first.json["delivery_id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_the_real_way_and_stays_apart() {
    let test = TestApp::start().await;
    for platform in watchfire::app::platforms() {
        let got = test.post(&format!("/api/connectors/{platform}/test"), &Value::Null).await;
        assert_eq!(got.status, 200, "{platform}: {}", got.text);
        assert!(got.json["problem"].is_null(), "{platform}: its own sample is understood: {}", got.text);
        for alert in got.json["alerts"].as_array().unwrap() {
            if let Some(id) = alert["incident_id"].as_str() {
                assert_eq!(test.get(&format!("/api/incidents/{id}")).await.json["test"], true, "{platform}");
            }
        }
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn netdata_is_shown_that_the_address_is_ours() {
    let test = TestApp::start().await;
    let ask = async |query: &str| answer(test.request(Method::GET, &format!("/api/webhooks/netdata{query}"))).await;
    assert_eq!(ask("?crc_token=x").await.status, 404, "no secret yet");
    test.patch("/api/connectors/netdata", &json!({"challenge_secret": "watchfire-crc-secret"})).await;
    let got = ask("?crc_token=test-token-0001").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.json["response_token"], "sha256=TFJ5an0SrX4XgXe+NNlqQQdUqW256RUVnSpoLufyRyc=");
    assert_eq!(ask("").await.status, 400);
    let key = test.key("netdata").await;
    let agent = json!({"host": "web-1", "chart": "cpu.cpu", "name": "cpu_high", "status": "CRITICAL", "priority": "P1", "when": 1772533800, "alarmId": 7, "eventId": 8});
    let path = format!("/v1/json/integrations/webhooks/netdata?apiKey={key}");
    let got = answer(test.request(Method::POST, &path).json(&agent)).await;
    assert_eq!(got.status, 200, "the agent takes no other code: {}", got.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_off() {
    let test =
        TestApp::start_with(Clock::manual(start_of_time()), |c| c.body_deadline = Duration::from_millis(200)).await;
    let key = test.key("generic").await;
    let mut raw = tokio::net::TcpStream::connect(test.app().addr()).await.unwrap();
    let head = format!("POST /api/webhooks/generic/{key} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
    raw.write_all(head.as_bytes()).await.unwrap();
    // The rest never comes.
    let mut got = String::new();
    let answered = async {
        let mut piece = [0; 4096];
        while !got.contains("too_slow") {
            let read = raw.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "the answer comes before the end: {got}");
            got.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("an answer");
    assert!(got.starts_with("HTTP/1.1 408"), "{got}");
    test.stop().await;
}
