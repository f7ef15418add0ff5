//! Words in lists: what just came is found at once, and what is said in an incident soon after.

use serde_json::{Value, json};

use crate::support::TestApp;

/// Titles or ids of a list.
fn names(list: &Value, of: &str, name: &str) -> Vec<String> {
    list[of].as_array().into_iter().flatten().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_find_alerts_and_incidents_at_once_and_notes_soon_after() {
    let test = TestApp::start().await;
    // Something is known of each, so that the clock alone, which stands still, does not put them together.
    let apart = ["edge", "orders", "logs"].map(|name| json!({"name": name, "depends_on": [format!("{name}-store")]}));
    assert!(test.put("/api/topology", &json!({"services": apart})).await.status.is_success());
    for (title, service, region) in [
        ("Certificate of the edge expires", "edge", "eu-west-1"),
        ("PostgreSQL replication lag", "orders", "us-east-1"),
        ("Disk full on log-store-7", "logs", "us-east-1"),
    ] {
        let labels = json!({"region": region});
        let body = json!({"title": title, "service": service, "severity": "high", "labels": labels});
        let sent = test.deliver("generic", &body).await;
        assert_eq!(sent.status, 202, "{}", sent.text);
        // Not indexed yet: the clock, by which the index pauses, stands still.
        let word = title.split(' ').next().unwrap();
        let found = test.get(&format!("/api/alerts?q={word}")).await.json;
        assert_eq!(names(&found, "alerts", "title"), [title], "{found}");
    }
    // By then it is: a name of the field that stands nowhere, a label, and a note.
    let commented = test.post("/api/incidents/1/comment", &json!({"text": "waiting for the registrar"})).await;
    assert!(commented.status.is_success(), "{}", commented.text);
    let found = async || loop {
        let list = test.get("/api/incidents?q=registrar").await.json;
        let alerts = test.get("/api/alerts?q=pg").await.json;
        if !names(&list, "incidents", "id").is_empty() && !names(&alerts, "alerts", "title").is_empty() {
            return list;
        }
        test.clock.advance(std::time::Duration::from_millis(500));
    };
    let list = tokio::time::timeout(std::time::Duration::from_secs(30), found()).await.expect("it is indexed in time");
    assert_eq!(names(&list, "incidents", "id"), ["INC-1"], "{list}");
    for (q, want) in [
        ("pg", vec!["PostgreSQL replication lag"]),
        ("SSL", vec!["Certificate of the edge expires"]),
        ("us-east-1", vec!["Disk full on log-store-7", "PostgreSQL replication lag"]),
        ("us-east-1 service:logs", vec!["Disk full on log-store-7"]),
        ("nowhere", vec![]),
    ] {
        let list = test.get(&format!("/api/alerts?q={}", q.replace(' ', "%20"))).await.json;
        assert_eq!(names(&list, "alerts", "title"), want, "{q}: {list}");
        let page = test.get(&format!("/alerts?q={}", q.replace(' ', "%20"))).await.text;
        assert!(want.iter().all(|title| page.contains(title)), "{q}");
    }
    let page = test.get("/incidents?q=registrar").await.text;
    assert!(page.contains("Certificate of the edge expires") && !page.contains("replication lag"), "{page}");
    let rows = test.get("/incidents/rows?q=registrar&ids=INC-1,INC-2").await.json;
    assert_eq!((&rows["rows"][0]["fits"], &rows["rows"][1]["fits"]), (&json!(true), &json!(false)), "{rows}");
    test.stop().await;
}
