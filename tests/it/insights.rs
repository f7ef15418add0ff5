//! Insights over the API and as a page: figures of what was sent and done, lists that show as many, CSV; and the demo.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::{config::Config, runtime::clock::Clock};

use crate::{
    notify_storm,
    receiver::Receiver,
    support::{TOKEN, TestApp, answer, start_of_time},
};

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Six incidents of two services in as many hours, three of them taken after two minutes, all over after half an hour. A chat
/// is told of those of one service.
async fn some_days() -> TestApp {
    let test = notify_storm::start().await;
    let chat = Receiver::start().await;
    notify_storm::told(test.app().store(), "mattermost", format!("{}/hooks/db", chat.url), "db").await;
    for n in 0..6 {
        let (service, severity) = if n % 2 == 0 { ("api", "critical") } else { ("db", "high") };
        let title = [
            "Certificate expires",
            "Disk is full",
            "Latency is high",
            "Backup failed",
            "Queue is long",
            "Pods restart",
        ][n];
        let body = |status: &str| {
            json!({"title": title, "service": service, "severity": severity, "key": title, "status": status,
            "labels": {"what": service}})
        };
        assert_eq!(test.deliver("generic", &body("firing")).await.status, 202);
        assert_eq!(test.deliver("generic", &body("firing")).await.status, 202);
        test.clock.advance(minutes(2));
        if n < 3 {
            assert_eq!(test.post(&format!("/api/incidents/{}/acknowledge", n + 1), &json!({})).await.status, 200);
        }
        test.clock.advance(minutes(28));
        assert_eq!(test.deliver("generic", &body("resolved")).await.status, 202);
        test.clock.advance(minutes(30));
    }
    let counted = |p: &Value| (&p["resolve"]["count"], &p["funnel"]["notified"]) == (&json!(6), &json!(3));
    test.until("/api/insights", |i| counted(&i["period"])).await;
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_of_what_happened_and_their_lists_show_as_many() {
    let test = some_days().await;
    let i = test.get("/api/insights?since=4w").await.json;
    let period = &i["period"];
    assert_eq!(
        period["funnel"],
        json!({"webhooks": 18, "received": 12, "alerts": 6, "groups": 6, "incidents": 6, "told": 6, "notified": 3})
    );
    assert_eq!((&period["acknowledge"]["count"], &period["resolve"]["count"]), (&json!(3), &json!(6)));
    let seconds = |v: &serde_json::Value| v.as_f64().unwrap();
    assert!((seconds(&period["acknowledge"]["median_s"]) - 120.0).abs() <= 2.4, "{period}");
    assert!((seconds(&period["resolve"]["p90_s"]) - 1_800.0).abs() <= 36.0, "{period}");
    assert_eq!(i["before"]["funnel"]["incidents"], 0);
    assert_eq!((&i["services"][0]["service"], &i["services"][0]["critical"]), (&json!("api"), &json!(3)));
    let hours: u64 =
        i["hours"].as_array().unwrap().iter().flat_map(|d| d.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(hours, 6);
    let one = test.get("/api/insights?since=4w&service=API").await.json;
    assert_eq!((&one["period"]["funnel"]["incidents"], &one["service"]), (&json!(3), &json!("api")));
    assert_eq!(one["period"]["funnel"]["webhooks"], serde_json::Value::Null);

    // Every mark of the page leads to as many as it says. A test counts nowhere, and is in none of these lists.
    let sent = test.post("/api/connectors/generic/test", &json!({})).await;
    assert!(sent.status.is_success(), "{}", sent.text);
    test.until("/api/incidents?q=is:test", |l| l["total"] == 1).await;
    let page = test.get("/insights?since=4w").await.text;
    let mut checked = std::collections::BTreeMap::<&str, u32>::new();
    for list in ["incidents", "alerts", "deliveries", "insights/hour"] {
        for part in page.split(&format!("<a href=\"/{list}?")).skip(1) {
            let (query, rest) = part.split_once('"').unwrap();
            let Some(label) = rest.strip_prefix(" aria-label=\"").and_then(|l| l.split('"').next()) else { continue };
            // The last number of the name: `api: 3 critical`, `Webhooks: 18`, `…, 6 incidents`.
            let mut numbers =
                label.split(|c: char| !c.is_ascii_digit() && c != ',' && c != '.').filter_map(|n| n.parse().ok());
            let n: u64 = numbers.next_back().unwrap();
            let query = query.replace("&#38;", "&");
            let shown = test.get(&format!("/{list}?{query}")).await.text;
            let found = match list {
                "incidents" => shown.matches("data-row=\"INC-").count(),
                "insights/hour" => shown.matches("href=\"/incidents/INC-").count(),
                "deliveries" => shown.matches("class=\"t\" href=\"/deliveries/").count(),
                // Repeats are not rows: each row says how often it came.
                _ if label.starts_with("Alerts received") => shown
                    .split("<tr data-row=\"")
                    .skip(1)
                    .map(|row| row.split('×').nth(1).map_or(1, |n| n.split('<').next().unwrap().parse().unwrap()))
                    .sum(),
                _ => shown.matches("<tr data-row=\"").count(),
            };
            assert_eq!(found as u64, n, "{label}: /{list}?{query}");
            *checked.entry(list).or_default() += 1;
        }
    }
    assert!(checked["incidents"] >= 6 && checked["alerts"] == 2 && checked["deliveries"] == 1, "{checked:?}");
    assert!(checked["insights/hour"] >= 6, "{checked:?}");
    let hour = page.split("href=\"/insights/hour?").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let listed = test.get(&format!("/insights/hour?{hour}")).await.text;
    assert_eq!(listed.matches("href=\"/incidents/INC-").count(), 1, "{listed}");
    for (path, status) in
        [("/insights?since=soon", 200), ("/insights/hour?weekday=9", 404), ("/insights?service=%3Cb%3E", 200)]
    {
        let found = test.get(path).await;
        assert_eq!(found.status, status, "{path}");
        assert!(!found.text.contains("<b>&lt;") && !found.text.contains("<option selected dir=\"auto\"><b>"), "{path}");
    }
    assert!(test.get("/insights?since=soon").await.text.contains("The last 12 weeks are shown"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_refusals() {
    let test = some_days().await;
    let csv = test.get("/api/insights?format=csv").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert!(csv.text.contains("\r\nfunnel,,incidents,6,0\r\n"), "{}", csv.text);
    let request = test.request(reqwest::Method::GET, "/api/insights").bearer_auth(TOKEN).header("accept", "text/csv");
    assert_eq!(answer(request).await.text, csv.text);
    assert!(test.get("/insights?format=csv").await.text.starts_with("table,of,figure,value,before\r\n"));
    for q in ["since=yesterday", "since=9y", "until=x", "since=2099-01-01", "format=xml"] {
        let refused = test.get(&format!("/api/insights?{q}")).await;
        assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (400, Some("invalid_query")), "{q}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_says_so_on_every_page_and_has_months_behind_it() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |config: &mut Config| config.demo = true).await;
    let (name, password) = test.app().demo_account().unwrap();
    assert!(name == "demo" && password.len() >= 16);
    for path in ["/incidents", "/alerts", "/insights", "/connectors", "/topology", "/settings/about"] {
        let page = test.get(path).await;
        assert!(page.text.contains("This is a demo."), "{path}: {}", page.status);
    }
    let login = answer(test.request(reqwest::Method::GET, "/login")).await;
    assert!(login.text.contains("This is a demo."), "{}", login.status);
    let i = test.get("/api/insights").await.json;
    assert!(i["period"]["funnel"]["incidents"].as_u64() > Some(25), "{i}");
    // The story begins when the server does.
    let before = i["period"]["funnel"]["webhooks"].as_u64().unwrap();
    let mut told = before;
    // At most the two minutes that it lasts, and as many requests.
    for _ in 0..120 {
        test.clock.advance(Duration::from_secs(1));
        told = test.get("/api/insights").await.json["period"]["funnel"]["webhooks"].as_u64().unwrap();
        if told > before {
            break;
        }
    }
    assert!(told > before, "nothing was told");
    test.stop().await;
    let plain = TestApp::start().await;
    let forged = plain.request(reqwest::Method::GET, "/login").header("x-watchfire-demo", "1");
    assert!(!answer(forged).await.text.contains("This is a demo."));
    plain.stop().await;
}
