//! What people say of the grouping, by the API, the forms of the pages and the stream.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TOKEN, TestApp, answer};

/// Three incidents, an hour after each other; the first has two alerts.
async fn three() -> TestApp {
    let test = TestApp::start().await;
    for (key, service) in [("a", "api"), ("a2", "api"), ("b", "db"), ("c", "web")] {
        let body = json!({"title": format!("{key} is down"), "service": service, "severity": "high", "key": key});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
        if key != "a" {
            test.clock.advance(Duration::from_secs(3600));
        }
    }
    test
}

fn wrong(answer: &Answer, status: u16, path: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.json["errors"][0]["path"].as_str().unwrap_or_default(), path, "{}", answer.text);
}

fn alert(incident: &Value, title: &str) -> String {
    let all = incident["alerts"].as_array().unwrap();
    let found = all.iter().find(|a| a["title"] == title).unwrap_or_else(|| panic!("{title} in {incident}"));
    found["alert_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_split_attach_and_back() {
    let test = three().await;
    let before = test.get("/api/incidents/INC-2").await.json;
    let merged = test.post("/api/incidents/1/merge", &json!({"incident_ids": ["INC-2", "3"]})).await;
    assert_eq!((merged.status.as_u16(), &merged.json["alert_count"]), (200, &json!(4)), "{}", merged.text);
    assert_eq!(merged.json["affected_services"], json!(["api", "db", "web"]));
    let gone = test.get("/api/incidents/INC-2").await.json;
    assert_eq!((&gone["status"], &gone["merged_into"]), (&json!("merged"), &json!("INC-1")));
    assert_eq!(test.get("/api/incidents").await.json["total"], 1, "merged ones only when asked for");
    assert_eq!(test.get("/api/incidents?status=merged").await.json["total"], 2);
    let repeat = json!({"title": "b is down", "service": "db", "severity": "high", "key": "b"});
    assert_eq!(test.deliver("generic", &repeat).await.json["alerts"][0]["incident_id"], "INC-1");
    let alerts = test.get("/api/alerts?q=incident:INC-1").await.json;
    assert!(alerts["total"] == 4 && alerts["alerts"][0]["incident_id"] == "INC-1", "{alerts}");

    let b = alert(&merged.json, "b is down");
    let split = test.post("/api/incidents/1/split", &json!({"alert_ids": [b], "title": "The disk"})).await;
    assert_eq!((split.status.as_u16(), &split.json["title"]), (200, &json!("The disk")), "{}", split.text);
    assert_eq!(split.headers["location"], "/api/incidents/INC-4");
    let back = test.post("/api/incidents/1/attach", &json!({"alert_ids": [b]})).await;
    assert_eq!((back.status.as_u16(), &back.json["alert_count"]), (200, &json!(4)), "{}", back.text);
    wrong(&test.post("/api/incidents/2/unmerge", &json!({})).await, 409, "");
    for id in ["4", "3"] {
        let back = test.post(&format!("/api/incidents/{id}/unmerge"), &json!({})).await;
        assert_eq!((back.status.as_u16(), &back.json["merged_into"]), (200, &Value::Null), "{}", back.text);
    }
    let after = test.get("/api/incidents/INC-3").await.json;
    assert_eq!((&after["title"], &after["alert_count"]), (&json!("c is down"), &json!(1)));
    assert_eq!(before["title"], "b is down");
    let audit = test.get("/api/audit?limit=200").await.text;
    for action in ["incident.merge", "incident.unmerge", "incident.split", "incident.attach"] {
        assert!(audit.contains(action), "{action} in {audit}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_place() {
    let test = three().await;
    let one = test.get("/api/incidents/1").await.json;
    let a = alert(&one, "a is down");
    wrong(&test.post("/api/incidents/1/merge", &json!({"incident_ids": []})).await, 422, "/incident_ids");
    wrong(&test.post("/api/incidents/1/merge", &json!({"incident_ids": ["2", "x"]})).await, 422, "/incident_ids/1");
    wrong(&test.post("/api/incidents/1/merge", &json!({"incident_ids": ["2", "77"]})).await, 422, "/incident_ids/1");
    wrong(&test.post("/api/incidents/1/merge", &json!({"incident_ids": vec!["2"; 101]})).await, 422, "/incident_ids");
    wrong(&test.post("/api/incidents/1/split", &json!({"alert_ids": ["x"]})).await, 422, "/alert_ids/0");
    wrong(&test.post("/api/incidents/2/split", &json!({"alert_ids": [a]})).await, 422, "/alert_ids/0");
    wrong(&test.post("/api/incidents/1/attach", &json!({"alert_ids": [a]})).await, 422, "/alert_ids/0");
    wrong(&test.post("/api/incidents/1/unmerge", &json!({})).await, 409, "");
    assert_eq!(test.post("/api/incidents/77/merge", &json!({"incident_ids": ["1"]})).await.status, 404);
    test.post("/api/incidents/3/resolve", &json!({})).await;
    let refused = test.post("/api/incidents/1/merge", &json!({"incident_ids": ["2", "3"]})).await;
    assert!(refused.status == 409 && refused.text.contains("INC-3 is resolved"), "{}", refused.text);
    assert_eq!(test.get("/api/incidents/2").await.json["merged_into"], Value::Null, "all or nothing");
    let bulk = test.post("/api/incidents/bulk", &json!({"action": "merge", "incident_ids": ["3", "2"]})).await.json;
    assert_eq!((&bulk["done"], &bulk["refused"]), (&json!(0), &json!(2)), "{bulk}");
    let bulk = test.post("/api/incidents/bulk", &json!({"action": "merge", "incident_ids": ["2", "1"]})).await.json;
    assert_eq!((&bulk["done"], &bulk["results"][0]["status"]), (&json!(2), &json!("merged")), "{bulk}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forms_of_the_page_do_the_same() {
    let test = three().await;
    let post = async |path: &str, body: &str| {
        let request = test.request(Method::POST, path).bearer_auth(TOKEN);
        answer(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())).await
    };
    let to = |a: &Answer| a.headers.get("location").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let asked = test.get("/incidents/1?do=merge").await.text;
    assert!(asked.contains("value=\"INC-3\"") && !asked.contains("value=\"INC-1\""), "{asked}");
    let merged = post("/incidents/1/merge", "how=here&with=INC-2&with=INC-3%2C").await;
    assert_eq!((merged.status.as_u16(), to(&merged)), (303, "/incidents/INC-1".to_owned()), "{}", merged.text);
    let page = test.get("/incidents/1").await.text;
    assert!(page.contains("Undo merge of INC-2") && page.contains("form=\"split\""), "{page}");
    assert!(test.get("/incidents/2").await.text.contains("action=\"/incidents/INC-2/unmerge\""));
    let back = post("/incidents/2/unmerge", "to=%2Fincidents%2FINC-1").await;
    assert_eq!((back.status.as_u16(), to(&back)), (303, "/incidents/INC-1".to_owned()));
    assert!(!test.get("/incidents/1").await.text.contains("Undo merge of INC-2"));
    let a2 = alert(&test.get("/api/incidents/1").await.json, "a2 is down");
    let split = post("/incidents/1/split", &format!("alert={a2}&title=")).await;
    assert_eq!((split.status.as_u16(), to(&split)), (303, "/incidents/INC-4".to_owned()));
    let refused = post("/incidents/1/split", "title=").await;
    assert!(refused.status == 409 && refused.text.contains("Check the alerts that do not belong here."));
    let refused = post("/incidents/2/merge", "how=there&with=INC-1+INC-4").await;
    assert!(refused.status == 409 && refused.text.contains("Choose exactly one incident for INC-2"));
    let there = post("/incidents/2/merge", "how=there&with=INC-4").await;
    assert_eq!(to(&there), "/incidents/INC-4");
    let bulk = post("/incidents/bulk", "do=merge&id=INC-4&id=INC-1").await;
    assert_eq!(to(&bulk), "/incidents/INC-1");
    assert_eq!(test.get("/api/incidents/2").await.json["merged_into"], "INC-1", "the survivor is named");

    let lessons = test.get("/api/lessons").await.json;
    let id = lessons["lessons"][0]["id"].as_str().unwrap_or_else(|| panic!("{lessons}")).to_owned();
    let shown = test.get("/settings/lessons").await.text;
    assert!(shown.contains(&id) && shown.contains("put together"), "{shown}");
    assert_eq!(post("/settings/lessons/forget", &format!("id={id}")).await.status, 303);
    assert!(!test.get("/settings/lessons").await.text.contains(&id));
    assert_eq!(test.delete(&format!("/api/lessons/{id}")).await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_moved_from_its_own_panel() {
    let test = three().await;
    let post = async |path: &str, body: &str| {
        let request = test.request(Method::POST, path).bearer_auth(TOKEN);
        answer(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())).await
    };
    let a2 = alert(&test.get("/api/incidents/1").await.json, "a2 is down");
    let path = format!("/alerts/{a2}/attach");
    let page = test.get(&format!("/alerts?id={a2}")).await.text;
    assert!(page.contains(&format!("action=\"{path}\"")), "{page}");
    for (body, status) in [("incident=soon", 422), ("incident=INC-99", 404), ("", 422)] {
        assert_eq!(post(&path, body).await.status.as_u16(), status, "{body}");
    }
    let moved = post(&path, "incident=+INC-2+").await;
    assert_eq!(moved.status.as_u16(), 303, "{}", moved.text);
    assert_eq!(moved.headers["location"], "/incidents/INC-2");
    let now = test.get("/api/incidents/2").await.json;
    assert_eq!(now["alert_count"], 2, "{now}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_likeliest_are_offered_to_merge_with_and_others_are_found() {
    let test = TestApp::start().await;
    // One each quarter of an hour; the oldest is about the same as the newest.
    let titles =
        ["Replication lag of ledger-postgres", "Certificate expires", "Disk full", "Builds wait", "Mails bounce"];
    for (n, title) in titles.iter().chain(["Postgres replica of ledger lags behind"].iter()).enumerate() {
        let service = if n == 0 || n == 5 { "ledger".to_owned() } else { format!("other-{n}") };
        let body = json!({"title": title, "service": service, "severity": "high", "key": n.to_string()});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
        test.clock.advance(Duration::from_secs(3 * 3600));
    }
    // What is offered first is on the page before all others.
    let place = |page: &str, id: &str| page.find(&format!("name=\"with\" value=\"{id}\""));
    let page = test.get("/incidents/6?do=merge").await.text;
    assert!(place(&page, "INC-1").is_some() && place(&page, "INC-1") < place(&page, "INC-5"), "{page}");
    assert!(page.contains("together 2") && page.contains("\u{a0}% alike"), "{page}");
    let found = test.get("/incidents/6?do=merge&find=service:other-2").await.text;
    assert!(place(&found, "INC-3").is_some() && place(&found, "INC-2").is_none(), "{found}");
    let none = test.get("/incidents/6?do=merge&find=service:nowhere").await.text;
    assert!(none.contains("Nothing open was found") && none.contains("value=\"service:nowhere\""), "{none}");
    assert_eq!(test.get("/incidents/6?do=merge&find=colour:red").await.status, 400);
    test.stop().await;
}
