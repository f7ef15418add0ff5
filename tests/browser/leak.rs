//! An hour of one event a second, as fast as it goes, into pages that stay open: their memory does not grow with it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

/// Of alerts; what follows from them, figures and panels, comes on top.
const EVENTS: u64 = 3_600;
const BATCH: u64 = 60;
/// Incidents that are there before, and that come meanwhile.
const INCIDENTS: u64 = 40;
const NEW: u64 = 60;
/// Times what it was at the start.
const GROWTH: f64 = 1.5;

/// Bytes of the script's heap and nodes of the page, after what nobody needs any more is thrown away.
#[derive(Clone, Copy, Debug)]
struct Size {
    heap: f64,
    nodes: f64,
}

async fn size(browser: &Browser) -> Size {
    // What a drawing was made with lives on for a while; the least of some readings is what is really held.
    let mut least = Size { heap: f64::MAX, nodes: f64::MAX };
    for _ in 0..6 {
        browser.devtools("HeapProfiler.collectGarbage", json!({})).await;
        let all = browser.devtools("Performance.getMetrics", json!({})).await;
        let metric = |name: &str| {
            let found = all["metrics"].as_array().unwrap().iter().find(|m| m["name"] == name);
            found.unwrap_or_else(|| panic!("no {name}"))["value"].as_f64().unwrap()
        };
        least = Size { heap: least.heap.min(metric("JSHeapUsedSize")), nodes: least.nodes.min(metric("Nodes")) };
    }
    least
}

async fn is_live(browser: &Browser) {
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
}

/// A service that has an incident, with something known of it, so that the clock alone joins nothing to it.
fn service(n: u64) -> Value {
    json!({"name": format!("queue-{n}"), "depends_on": [format!("queue-{n}-store")]})
}

/// Its first alert.
fn first(n: u64) -> Value {
    let started = start_of_time().minus(Duration::from_secs(n * 2400));
    json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "host": format!("host-{n}"),
        "severity": "high", "key": format!("q-{n}"), "started_at": started})
}

/// A part of the hour: alerts of what is there, and one incident that is new.
async fn part(test: &TestApp, from: u64) {
    let mut alerts: Vec<Value> = (from..from + BATCH - 1)
        .map(|n| {
            // Half of them are of the incident that is open in the other browser.
            let queue = if n % 2 == 0 { 0 } else { n % 8 };
            json!({"title": format!("Job {n} waits"), "service": format!("queue-{queue}"), "host": format!("host-{queue}"),
                "severity": "high", "key": format!("j-{n}")})
        })
        .collect();
    alerts.push(first(INCIDENTS + from / BATCH));
    let sent = test.deliver("generic", &json!({ "alerts": alerts })).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_events_leaves_pages_as_large_as_they_were() {
    let test = TestApp::start().await;
    let services: Vec<Value> = (0..INCIDENTS + NEW).map(service).collect();
    assert!(test.put("/api/topology", &json!({ "services": services })).await.status.is_success());
    for n in 0..INCIDENTS {
        test.deliver("generic", &first(n)).await;
    }
    // Two browsers, so that neither page is one that nobody looks at.
    let list = Browser::signed_in(&test).await;
    is_live(&list).await;
    let incident = Browser::new(&test).await;
    incident.sign_in(crate::browser::NAME, crate::browser::PASSWORD).await;
    incident.at("/incidents").await;
    incident.open("/incidents/1").await;
    is_live(&incident).await;
    for browser in [&list, &incident] {
        browser.devtools("Performance.enable", json!({})).await;
    }
    let mut sizes = Vec::new();
    // The first two minutes make the pages what they are in a storm; from there on nothing may grow.
    for (step, events) in [0..2 * BATCH, 2 * BATCH..EVENTS / 2, EVENTS / 2..EVENTS].into_iter().enumerate() {
        for from in events.step_by(usize::try_from(BATCH).unwrap()) {
            part(&test, from).await;
        }
        // What comes last is seen last.
        let mark = format!("mark {step}");
        assert_eq!(test.patch("/api/incidents/2", &json!({"title": mark})).await.status, 200);
        let said = test.post("/api/incidents/1/comment", &json!({"text": mark})).await;
        assert!(said.status.is_success(), "{}", said.text);
        list.sees("tr[data-row='INC-2']", &mark).await;
        incident.sees("[data-panel=timeline]", &mark).await;
        sizes.push([size(&list).await, size(&incident).await]);
    }
    let joined = test.get("/api/incidents/1").await.json["alert_count"].as_u64().unwrap();
    assert!(joined > EVENTS / 3, "{joined} alerts reached the open incident");
    let new = list.js("Number(document.querySelector('#newpill').innerText.match(/^[0-9]+/)?.[0])").await;
    assert!(new.as_u64() >= Some(NEW / 2), "{new} incidents wait in the list");
    for (n, page) in ["the list", "the incident"].into_iter().enumerate() {
        let [start, middle, end] = [0, 1, 2].map(|at: usize| sizes[at][n]);
        println!("{page}: {start:?} at the start, {middle:?} in the middle, {end:?} at the end");
    }
    for (n, page) in ["the list", "the incident"].into_iter().enumerate() {
        let [start, middle, end] = [0, 1, 2].map(|at: usize| sizes[at][n]);
        assert!(end.heap <= start.heap * GROWTH, "{page}: {start:?} {middle:?} {end:?}");
        assert!(end.nodes <= start.nodes * GROWTH, "{page}: {start:?} {middle:?} {end:?}");
    }
    test.stop().await;
}
