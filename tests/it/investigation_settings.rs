//! Settings of investigations: set while the server runs, kept over a restart, and shown where they are fixed.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use watchfire::runtime::clock::Clock;

use crate::support::{Answer, TOKEN, TestApp, answer, start_of_time};

const PAGE: &str = "/settings/investigation";

async fn form(test: &TestApp, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = test.request(Method::POST, PAGE).bearer_auth(TOKEN);
    answer(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

/// How long the investigation of the newest incident waits.
async fn wait(test: &TestApp, n: u64) -> Duration {
    // So long after the others that it is an incident of its own.
    test.clock.advance(Duration::from_secs(7_200));
    let what = ["Disk full", "Certificate expired", "Queue grows", "Logins fail", "Backup missing"];
    let title = what.get(usize::try_from(n).unwrap() - 1).unwrap();
    test.deliver("generic", &json!({"title": title, "service": format!("s-{n}")})).await;
    let view = test.app().store().view().unwrap();
    let job = view.job(format!("INC-{n}").parse().unwrap()).unwrap().expect("it waits");
    job.not_before.since(test.clock.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_change_is_set_at_once_and_stays() {
    let mut test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.investigation_delay = Duration::from_secs(7);
        c.fixed.insert("investigation.probes.time");
    })
    .await;
    assert_eq!(wait(&test, 1).await, Duration::from_secs(7));
    let wrong = form(&test, &[("investigation.delay", "1h"), ("investigation.probes.questions", "12")]).await;
    assert_eq!(wrong.status, 422);
    for part in ["e-investigation.delay", "value=\"1h\"", "value=\"12\"", "10m"] {
        assert!(wrong.text.contains(part), "{part}: {}", wrong.text);
    }
    assert_eq!(wait(&test, 2).await, Duration::from_secs(7), "nothing of a form with a mistake is taken");
    let set = form(&test, &[("investigation.delay", "60s"), ("investigation.probes.time", "1s")]).await;
    assert_eq!(set.status, 303, "{}", set.text);
    assert_eq!(wait(&test, 3).await, Duration::from_secs(60));
    let page = test.get(PAGE).await.text;
    assert!(page.contains("value=\"1m\"") && page.contains("Fixed by"), "{page}");
    test.restart().await;
    assert_eq!(wait(&test, 4).await, Duration::from_secs(60));
    assert_eq!(form(&test, &[("investigation.delay", "")]).await.status, 303);
    assert_eq!(wait(&test, 5).await, Duration::from_secs(7), "an empty field is as configured");
    let log = test.get("/api/audit?action=investigation.set").await.json;
    assert_eq!((&log["total"], &log["audit"][1]["data"]["after"]["delay_ms"]), (&json!(2), &json!(60_000)), "{log}");
    test.stop().await;
}
