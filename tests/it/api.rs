//! The API for programs.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio_stream::StreamExt;

use crate::support::{PATIENCE, TOKEN, TestApp, answer};

fn alert(host: &str, service: &str) -> Value {
    json!({"title": format!("Disk full on {host}"), "severity": "high", "service": service, "host": host, "status": "firing", "labels": {"team": "a"}})
}

async fn open(test: &TestApp, host: &str, service: &str) -> String {
    let got = test.deliver("generic", &alert(host, service)).await;
    got.json["alerts"][0]["incident_id"].as_str().unwrap_or_else(|| panic!("{}", got.text)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_declared_once() {
    let test = TestApp::start().await;
    let body = json!({"source_type": "custom", "alert_title": "Pool used up", "alert_service": "db", "severity": "critical", "source_alert_id": "x-1"});
    let made = test.post("/api/incidents", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json["id"].as_str().unwrap();
    assert_eq!(made.headers["location"], format!("/api/incidents/{id}"));
    assert_eq!((made.json["source"].as_str(), made.json["severity"].as_str()), (Some("custom"), Some("critical")));
    let again = test.post("/api/incidents", &body).await;
    assert_eq!((again.status.as_u16(), &again.json["id"]), (200, &made.json["id"]));
    let keyed = |title: &str| {
        test.request(Method::POST, "/api/incidents")
            .bearer_auth(TOKEN)
            .header("idempotency-key", "k-1")
            .json(&json!({"title": title}))
    };
    let (first, retry) = (answer(keyed("a")).await, answer(keyed("a")).await);
    assert_eq!((first.status.as_u16(), &first.json["id"]), (retry.status.as_u16(), &retry.json["id"]));
    assert_ne!(first.json["id"], made.json["id"]);
    let two = [
        test.post("/api/incidents", &json!({"title": "same"})).await,
        test.post("/api/incidents", &json!({"title": "same"})).await,
    ];
    assert_ne!(two[0].json["id"], two[1].json["id"], "without an id each is its own");
    let wrong = test.post("/api/incidents", &json!({"severity": "purple"})).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json["errors"][0]["path"], "/alert_title");
    assert_eq!(answer(test.request(Method::POST, "/api/incidents").bearer_auth(TOKEN).body("{")).await.status, 400);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_has_every_field_of_the_contract() {
    let test = TestApp::start().await;
    let id = open(&test, "db-1", "db").await;
    let incident = test.get(&format!("/api/incidents/{id}")).await.json;
    for field in [
        "id",
        "status",
        "severity",
        "title",
        "service",
        "affected_services",
        "source",
        "source_url",
        "owner",
        "started_at",
        "detected_at",
        "acknowledged_at",
        "analyzed_at",
        "resolved_at",
        "updated_at",
        "alert_count",
        "firing_count",
        "merged_into",
        "flapping",
        "test",
        "labels",
        "investigation",
        "causes",
        "alerts",
        "thoughts",
        "evidence",
        "suggestions",
        "timeline",
        "similar",
    ] {
        assert!(incident.get(field).is_some(), "{field} is missing in {incident}");
    }
    let member = &incident["alerts"][0];
    for field in [
        "alert_id",
        "fingerprint",
        "platform",
        "title",
        "service",
        "host",
        "severity",
        "status",
        "started_at",
        "ended_at",
        "count",
        "source_url",
        "strategy",
        "correlation_score",
        "reasons",
    ] {
        assert!(member.get(field).is_some(), "{field} is missing in {member}");
    }
    assert_eq!(test.get(&format!("/api/incidents/{}", id.trim_start_matches("INC-"))).await.json["id"], id.as_str());
    for path in ["alerts", "timeline", "thoughts", "suggestions", "investigation", "similar"] {
        let part = test.get(&format!("/api/incidents/{id}/{path}")).await;
        assert_eq!(part.status, 200, "{path}: {}", part.text);
    }
    assert_eq!(test.get("/api/incidents/INC-999").await.status, 404);
    assert_eq!(test.get("/api/incidents/nonsense").await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_act_and_the_lifecycle_holds() {
    let test = TestApp::start().await;
    let id = open(&test, "db-1", "db").await;
    let act = async |what: &str, body: Value| test.post(&format!("/api/incidents/{id}/{what}"), &body).await;
    let taken = act("acknowledge", json!({})).await;
    assert_eq!(taken.json["owner"], "token:bootstrap", "{}", taken.text);
    assert!(taken.json["acknowledged_at"].is_string());
    let said = act("comment", json!({"text": "looking"})).await;
    assert!(said.json["timeline"].as_array().unwrap().iter().any(|t| t["kind"] == "comment"));
    assert_eq!(act("comment", json!({"text": " "})).await.status, 422);
    assert_eq!(act("reopen", json!({})).await.status, 409);
    let over = act("resolve", json!({"reason": "restarted"})).await;
    assert_eq!((over.json["status"].as_str(), over.json["firing_count"].as_u64()), (Some("resolved"), Some(0)));
    let refused = test.patch(&format!("/api/incidents/{id}"), &json!({"status": "merged"})).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.json["errors"].as_array().unwrap().iter().any(|e| e["message"] == "investigating"),
        "{}",
        refused.text
    );
    assert_eq!(act("reopen", json!({})).await.json["status"], "investigating");
    let changed =
        test.patch(&format!("/api/incidents/{id}"), &json!({"title": "New", "severity": "low", "owner": null})).await;
    assert_eq!((changed.json["title"].as_str(), changed.json["severity"].as_str()), (Some("New"), Some("low")));
    assert!(changed.json["owner"].is_null());
    // An action without any body at all is one as well.
    let bare = test.request(Method::POST, &format!("/api/incidents/{id}/resolve")).bearer_auth(TOKEN);
    assert_eq!(answer(bare).await.status, 200);
    let bulk = json!({"action": "acknowledge", "incident_ids": [id, "INC-999"]});
    let bulk = test.post("/api/incidents/bulk", &bulk).await;
    assert_eq!((bulk.json["done"].as_u64(), bulk.json["refused"].as_u64()), (Some(0), Some(2)), "{}", bulk.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_and_a_persons_severity_holds() {
    let test = TestApp::start().await;
    let id = open(&test, "db-1", "db").await;
    let act = async |what: &str, body: Value| test.post(&format!("/api/incidents/{id}/{what}"), &body).await;
    let before = test.get(&format!("/api/incidents/{id}")).await.json["severity"].clone();
    let snoozed = act("snooze", json!({"minutes": 90})).await;
    let until = test.clock.now().plus(std::time::Duration::from_secs(90 * 60));
    assert_eq!(snoozed.json["snoozed"]["until"], json!(until), "{}", snoozed.text);
    assert_eq!(snoozed.json["snoozed"]["by"], "token:bootstrap");
    assert_eq!(test.get("/api/incidents?q=is:snoozed").await.json["incidents"][0]["id"], id.as_str());
    for wrong in [json!({}), json!({"minutes": 5, "until": until}), json!({"minutes": 0}), json!({"minutes": 99_999})] {
        assert_eq!(act("snooze", wrong.clone()).await.status, 422, "{wrong}");
    }
    assert!(act("wake", json!({})).await.json["snoozed"].is_null());
    assert_eq!(act("wake", json!({})).await.status, 409);

    let path = format!("/api/incidents/{id}");
    let set = test.patch(&path, &json!({"severity": "low", "reason": "staging"})).await.json;
    assert_eq!((&set["severity"], &set["severity_by_hand"]), (&json!("low"), &json!(true)));
    let told = set["timeline"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned();
    assert!(told.ends_with("to low: staging."), "{told}");
    let back = test.patch(&path, &json!({"severity": null})).await.json;
    assert_eq!((&back["severity"], &back["severity_by_hand"]), (&before, &json!(false)));
    let bulk = json!({"action": "assign", "owner": "sre-2", "incident_ids": [id]});
    assert_eq!(test.post("/api/incidents/bulk", &bulk).await.json["done"], 1);
    assert_eq!(test.get(&path).await.json["owner"], "sre-2");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let test = TestApp::start().await;
    for n in 0..5 {
        test.clock.advance(std::time::Duration::from_secs(3600));
        open(&test, &format!("db-{n}"), &format!("svc-{n}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/api/incidents?limit=2".to_owned());
    loop {
        let page = test.get(&path).await.json;
        assert_eq!(page["total"], 5);
        seen.extend(page["incidents"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/incidents?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["INC-5", "INC-4", "INC-3", "INC-2", "INC-1"]);
    let count = async |query: &str| {
        let list = test.get(&format!("/api/incidents?{query}")).await;
        list.json["total"].as_u64().unwrap_or_else(|| panic!("{query}: {}", list.text))
    };
    assert_eq!(count("service=svc-1").await, 1);
    assert_eq!(count("q=service:svc-1,svc-2").await, 2);
    assert_eq!(count("q=service:svc*+severity:%3E%3Dhigh").await, 5);
    assert_eq!(count("status=resolved").await, 0);
    assert_eq!(count("since=90m").await, 2);
    assert_eq!(count("owner=none").await, 5);
    // What an investigation writes of earlier incidents is found as well: by then there may be more than the one.
    assert!((1..=4).contains(&count("q=disk+db-3").await));
    assert_eq!(count("q=disk+db-3+service:svc-3").await, 1);
    assert_eq!(count("q=disk+db-9").await, 0);
    for (query, place) in [
        ("q=a+colour:red", "q, character 3"),
        ("status=burning", "status"),
        ("limit=0", "limit"),
        ("sort=colour", "sort"),
    ] {
        let bad = test.get(&format!("/api/incidents?{query}")).await;
        assert_eq!(bad.status, 400, "{}", bad.text);
        assert_eq!(bad.json["errors"][0]["path"], place, "{}", bad.text);
    }
    let csv =
        answer(test.request(Method::GET, "/api/alerts?limit=2").bearer_auth(TOKEN).header("accept", "text/csv")).await;
    assert_eq!(csv.text.lines().count(), 3, "{}", csv.text);
    assert!(csv.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    let alerts = test.get("/api/alerts?q=label.team:a&limit=1").await.json;
    assert_eq!(alerts["total"], 5);
    let one = test.get(&format!("/api/alerts/{}", alerts["alerts"][0]["alert_id"].as_str().unwrap())).await.json;
    assert!(one["identity"]["rule"].is_string() && one["reasons"].is_array() && one["raw"].is_string(), "{one}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_no_incidents() {
    let test = TestApp::start().await;
    let got = test.post("/api/changes", &json!({"service": "db", "kind": "deploy", "title": "v2 out"})).await;
    assert_eq!(got.status, 202, "{}", got.text);
    assert_eq!(test.post("/api/changes", &json!({"kind": "deploy"})).await.status, 422);
    let bad = test.post("/api/changes", &json!({"kind": "party", "title": "x"})).await;
    assert_eq!((bad.status.as_u16(), bad.json["errors"][0]["path"].as_str()), (422, Some("/kind")));
    test.stop().await;
}

async fn events(request: RequestBuilder) -> impl StreamExt<Item = (Option<u64>, Value)> + Unpin {
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut text = String::new();
        while let Ok(Some(piece)) = response.chunk().await {
            text.push_str(std::str::from_utf8(&piece).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n").map(|(e, r)| (e.to_owned(), r.to_owned())) {
                let line = |name: &str| event.lines().find_map(|l| l.strip_prefix(name));
                if let Some(data) = line("data: ") {
                    let id = line("id: ").and_then(|i| i.parse().ok());
                    if sender.send((id, serde_json::from_str(data).unwrap())).is_err() {
                        return;
                    }
                }
                text = rest;
            }
        }
    });
    tokio_stream::wrappers::UnboundedReceiverStream::new(receiver)
}

/// The next update of an incident; those of others are passed over.
async fn update_of(stream: &mut (impl StreamExt<Item = (Option<u64>, Value)> + Unpin), wanted: &str) -> (u64, Value) {
    let found = async {
        loop {
            let (id, event) = stream.next().await.expect("the stream goes on");
            if event["type"] == "incident_update" && event["incident_id"] == wanted {
                return (id.expect("each event has an id"), event);
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no update of {wanted}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_on_the_stream_and_can_be_replayed() {
    let test = TestApp::start().await;
    open(&test, "old-1", "old").await;
    let all = |query: &str| test.request(Method::GET, &format!("/api/incidents/stream{query}")).bearer_auth(TOKEN);
    assert_eq!(answer(test.request(Method::GET, "/api/incidents/stream")).await.status, 401);
    let mut live = events(all("")).await;
    test.clock.advance(std::time::Duration::from_secs(3600));
    let id = open(&test, "db-1", "db").await;
    let (seq, created) = update_of(&mut live, &id).await;
    assert_eq!(created["change"], "created", "{created}");
    assert_eq!(created["incident"]["title"], "Disk full on db-1");
    let mut again = events(all(&format!("?last_event_id={}", seq - 1))).await;
    let (same, event) = update_of(&mut again, &id).await;
    assert_eq!((same, event["change"].as_str()), (seq, Some("created")), "the same event under the same id");
    let mut one = events(test.request(Method::GET, &format!("/api/incidents/{id}/stream")).bearer_auth(TOKEN)).await;
    test.post("/api/incidents/INC-1/acknowledge", &json!({})).await;
    test.post(&format!("/api/incidents/{id}/acknowledge"), &json!({})).await;
    let taken = async {
        loop {
            let (_, event) = one.next().await.expect("the stream goes on");
            assert_eq!(event["incident_id"], id.as_str(), "only its own");
            if event["change"] == "owner" {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the change comes");
    assert_eq!(answer(test.request(Method::GET, "/api/incidents/INC-99/stream").bearer_auth(TOKEN)).await.status, 404);
    // Open streams end with the process, and do not hold it up.
    test.stop().await;
    let ended = async { while live.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_lists_every_route_and_the_figures_count() {
    let test = TestApp::start().await;
    let description = answer(test.request(Method::GET, "/api/openapi.json")).await.json;
    for path in [
        "/api/incidents",
        "/api/incidents/{id}/acknowledge",
        "/api/webhooks/{platform}",
        "/api/connectors/{platform}",
        "/netdata/alerts",
    ] {
        assert!(description["paths"].get(path).is_some(), "{path}");
    }
    let operations = description["paths"].as_object().unwrap().values().flat_map(|p| p.as_object().unwrap().values());
    let mut ids: Vec<&str> = operations.filter_map(|o| o["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "each operation has a name of its own");
    open(&test, "db-1", "db").await;
    let figures = test.get("/metrics").await.text;
    assert!(figures.contains("watchfire_deliveries_total{platform=\"generic\",outcome=\"accepted\"} 1"), "{figures}");
    assert!(figures.contains("watchfire_incidents_open{status=\"investigating\"} 1"), "{figures}");
    assert_eq!(answer(test.request(Method::GET, "/metrics")).await.status, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_over_time_are_counted_as_the_list_lists_them() {
    let test = TestApp::start().await;
    for (n, severity) in [(0, "critical"), (1, "high"), (2, "high"), (3, "low")] {
        let body = json!({"id": format!("a{n}"), "title": format!("Queue {n} is late"), "service": format!("queue-{}", n / 2),
            "severity": severity});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
        test.clock.advance(std::time::Duration::from_secs(3_600));
    }
    let ended =
        json!({"id": "a3", "title": "Queue 3 is late", "service": "queue-1", "severity": "low", "status": "resolved"});
    assert_eq!(test.deliver("generic", &ended).await.status, 202);
    for (q, n) in [
        ("", 4),
        ("since:24h", 4),
        ("since:150m", 2),
        ("severity:high", 2),
        ("status:firing", 3),
        ("service:queue-1", 2),
        ("late queue", 4),
        ("incident:INC-1", 1),
        ("nowhere", 0),
    ] {
        let page = test.get(&format!("/alerts?q={}", q.replace(' ', "+"))).await.text;
        let listed = page.matches("<tr data-row=").count();
        assert_eq!(listed, n, "{q}");
        let words = format!("{n}\u{a0}alert{} stacked by severity", if n == 1 { "" } else { "s" });
        assert_eq!(page.contains(&words), n > 0, "{q}: {page}");
        let file = test.get(&format!("/alerts.csv?q={}", q.replace(' ', "+"))).await;
        assert_eq!(
            (file.text.lines().count(), &file.headers["content-type"]),
            (n + 1, &"text/csv; charset=utf-8".parse().unwrap()),
            "{q}"
        );
        // A bar leads to a list that is not empty.
        let bar = page
            .split("<a href=\"/alerts?")
            .nth(1)
            .and_then(|b| b.split('"').next())
            .filter(|_| page.contains("data-chart"));
        if let Some(bar) = bar {
            let there = test.get(&format!("/alerts?{}", bar.replace("&#38;", "&").replace("&amp;", "&"))).await.text;
            assert!(there.contains("<tr data-row="), "{q}: {bar}");
        }
    }
    let rows = test.get("/alerts/rows?q=severity%3Ahigh").await.json;
    assert_eq!((&rows["heading"], rows["rows"].as_array().unwrap().len()), (&json!("2 firing"), 2));
    assert_eq!(test.get("/alerts.csv?q=severity%3Ahgh").await.status, 422);
    test.stop().await;
}
