//! A day of a shop's systems, for the pictures: quiet in the morning, a deployment that goes wrong at noon.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::model::Time;

use crate::support::{TOKEN, TestApp};

/// Tells it, and leaves the clock at its end.
pub async fn tell(test: &TestApp) {
    for name in ["sre-2", "on-call-db"] {
        let made = test
            .post("/api/users", &json!({"name": name, "role": "responder", "password": "eight words are better"}))
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let services = json!({"services": [
        {"name": "checkout-api", "depends_on": ["payments-worker"], "owner": "shop"},
        {"name": "payments-worker", "depends_on": ["payments-db"], "owner": "money", "hosts": ["worker-2", "worker-4"]},
        {"name": "payments-db", "owner": "databases", "hosts": ["pg-primary-1"]},
    ]});
    let put = test.request(reqwest::Method::PUT, "/api/topology").bearer_auth(TOKEN).json(&services);
    assert_eq!(crate::support::answer(put).await.status, 200);
    let rca = test.patch("/api/connectors/jenkins", &json!({"rca_enabled": true})).await;
    assert_eq!(rca.status, 200, "{}", rca.text);
    let day = Day { test };

    let slow = day.deliver("dynatrace", &dynatrace(test.clock.now(), "OPEN", "search-api")).await;
    day.analyzed(&slow).await;
    day.pass(19).await;
    day.deliver("dynatrace", &dynatrace(test.clock.now(), "RESOLVED", "search-api")).await;

    day.pass(48).await;
    let replica = day
        .deliver(
            "grafana",
            &grafana(test.clock.now(), "Replication lag above 30 s", "high", "orders-db", "pg-orders-2"),
        )
        .await;
    day.analyzed(&replica).await;
    day.act(&replica, "acknowledge", &Value::Null, "on-call-db").await;
    day.pass(22).await;
    day.act(
        &replica,
        "resolve",
        &json!({"reason": "A nightly export held the replica; it now runs on pg-orders-3."}),
        "on-call-db",
    )
    .await;

    day.pass(70).await;
    let disk = day.deliver("netdata", &netdata(test.clock.now())).await;
    day.analyzed(&disk).await;
    day.pass(9).await;
    day.act(&disk, "acknowledge", &Value::Null, "sre-2").await;
    let text = "Old segments are being moved to cold storage, about an hour to go.";
    day.act(&disk, "comment", &json!({"text": text}), "sre-2").await;

    day.pass(51).await;
    let build = day.deliver("jenkins", &jenkins(test.clock.now())).await;
    day.analyzed(&build).await;

    day.pass(33).await;
    let deploy = json!({"service": "payments-worker", "kind": "deploy", "title": "payments-worker 2.14.0", "version": "2.14.0",
        "url": "https://deploy.example.com/payments-worker/2.14.0"});
    let told = test.post("/api/changes", &deploy).await;
    assert!(told.status.is_success(), "{}", told.text);
    day.pass(3).await;
    let at = test.clock.now();
    let after = |s: u64| at.plus(Duration::from_secs(s));
    let outage = day
        .deliver(
            "alertmanager",
            &alertmanager(at, "PostgreSQL connections at 97 % of the limit", "payments-db", "pg-payments-1"),
        )
        .await;
    day.deliver(
        "datadog",
        &datadog(after(22), "payments-worker: connection pool exhausted", "payments-worker", "worker-4"),
    )
    .await;
    day.deliver("grafana", &grafana(after(41), "Checkout error rate above 5 %", "critical", "checkout-api", "node-7"))
        .await;
    day.deliver("splunk", &splunk(after(58))).await;
    day.deliver("grafana", &grafana(after(75), "Payment latency p99 above 2 s", "high", "payments-worker", "worker-2"))
        .await;
    day.deliver("pagerduty", &pagerduty(after(96))).await;
    for n in 0..5 {
        let host = format!("node-{}", 3 + n);
        day.deliver(
            "grafana",
            &grafana(after(100 + n), "Checkout latency p95 above 1.5 s", "high", "checkout-api", &host),
        )
        .await;
    }
    day.analyzed(&outage).await;
    day.pass(7).await;
    let queue =
        day.deliver("datadog", &datadog(test.clock.now(), "Mail queue older than 10 min", "mailer", "mail-1")).await;
    assert_ne!(queue, outage);
    day.analyzed(&queue).await;
    day.pass(6).await;
    let search = day
        .deliver(
            "grafana",
            &grafana(
                test.clock.now(),
                "Search results are empty for 3 % of queries",
                "medium",
                "search-api",
                "search-2",
            ),
        )
        .await;
    assert_ne!(search, queue);
    test.clock.advance(Duration::from_secs(1));
}

struct Day<'a> {
    test: &'a TestApp,
}

impl Day<'_> {
    /// The incident it went to.
    async fn deliver(&self, platform: &str, body: &Value) -> String {
        let sent = self.test.deliver(platform, body).await;
        let incident = &sent.json["alerts"][0]["incident_id"];
        incident.as_str().unwrap_or_else(|| panic!("{platform}: {}", sent.text)).to_owned()
    }

    async fn analyzed(&self, incident: &str) {
        self.test.analyzed(incident).await;
    }

    async fn act(&self, incident: &str, action: &str, body: &Value, who: &str) {
        let done = self.test.post(&format!("/api/incidents/{incident}/{action}"), body).await;
        assert!(done.status.is_success(), "{action}: {}", done.text);
        if action == "acknowledge" {
            let owned = self.test.patch(&format!("/api/incidents/{incident}"), &json!({"owner": who})).await;
            assert!(owned.status.is_success(), "{}", owned.text);
        }
    }

    /// Minutes in which only what is always there arrives.
    async fn pass(&self, minutes: u64) {
        for minute in 0..minutes {
            self.test.clock.advance(Duration::from_secs(60));
            if minute % 4 == 0 {
                let calm: Vec<Value> = (0..2 + minute % 3).map(|n| info(self.test.clock.now(), n)).collect();
                let sent = self.test.deliver("generic", &json!({"alerts": calm})).await;
                assert_eq!(sent.status, 202, "{}", sent.text);
            }
        }
    }
}

fn info(at: Time, n: u64) -> Value {
    json!({"title": format!("Job cleanup-{n} took longer than usual"), "severity": "info", "service": "batch",
        "key": format!("cleanup-{n}"), "timestamp": at})
}

fn grafana(at: Time, title: &str, severity: &str, service: &str, host: &str) -> Value {
    json!({"receiver": "watchfire", "status": "firing", "version": "1", "orgId": 1, "groupKey": "{}", "truncatedAlerts": 0,
        "externalURL": "https://grafana.example.com/", "alerts": [{"status": "firing", "startsAt": at,
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "https://grafana.example.com/alerting/grafana/1afz29v7z/view",
        "labels": {"alertname": title, "service": service, "severity": severity, "instance": host, "env": "production"},
        "annotations": {"summary": title, "runbook_url": "https://runbooks.example.com/checkout"}}]})
}

fn alertmanager(at: Time, title: &str, service: &str, host: &str) -> Value {
    json!({"receiver": "watchfire", "status": "firing", "version": "4", "groupKey": "{}", "truncatedAlerts": 0,
        "externalURL": "http://alertmanager-0:9093", "alerts": [{"status": "firing", "startsAt": at,
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus-0:9090/graph?g0.tab=1",
        "labels": {"alertname": "PostgresConnectionsHigh", "service": service, "severity": "critical",
            "instance": format!("{host}:9187"), "env": "production"},
        "annotations": {"summary": title, "description": "pg_stat_activity counts 194 of 200 connections."}}]})
}

fn datadog(at: Time, title: &str, service: &str, host: &str) -> Value {
    json!({"id": "5485379890863845239", "title": format!("[P2] [Triggered on {{host:{host}}}] {title}"), "alert_title": title,
        "text": "%%%\nSee the monitor\n%%%", "event_type": "metric_alert_monitor", "alert_id": format!("m-{host}"),
        "alert_transition": "Triggered", "alert_type": "error", "alert_priority": "P2", "hostname": host,
        "tags": format!("env:production,service:{service},monitor"), "date": at.millis().to_string(),
        "link": "https://app.datadoghq.com/monitors/1234567"})
}

fn splunk(at: Time) -> Value {
    json!({"sid": "scheduler__admin__search__W2", "search_name": "Timeouts waiting for a connection", "app": "search",
        "result": {"count": "312", "host": "worker-4", "service": "payments-worker", "severity": "high",
            "_time": (at.millis() / 1000).to_string()},
        "results_link": "https://splunk.example.com/app/search/@go?sid=scheduler__admin__search__W2"})
}

fn pagerduty(at: Time) -> Value {
    json!({"event": {"id": "01DEN4HPBQAAAG05V5QQYBRTRI", "event_type": "incident.triggered", "resource_type": "incident",
        "occurred_at": at, "data": {"id": "PGR0VU2", "type": "incident", "number": 2, "status": "triggered",
        "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2", "incident_key": "checkout-synthetic", "created_at": at,
        "title": "Synthetic order fails in two regions", "urgency": "high",
        "service": {"id": "PF9KMXH", "summary": "checkout-api", "type": "service_reference"},
        "priority": {"id": "PSO75BM", "summary": "P1", "type": "priority_reference"}}}})
}

fn dynatrace(at: Time, state: &str, service: &str) -> Value {
    json!({"PID": "-6342417236718943834", "ProblemID": "P-2603042", "State": state, "ProblemTitle": "Response time degradation",
        "ProblemSeverity": "PERFORMANCE", "ProblemImpact": "SERVICE",
        "ProblemURL": "https://abc12345.live.dynatrace.com/#problems/problemdetails;pid=-6342417236718943834",
        "ImpactedEntity": format!("Response time degradation on Web service {service}"),
        "ImpactedEntities": [{"type": "SERVICE", "name": service, "entity": "SERVICE-A1B2C3D4E5F60718"}],
        "Tags": "env:production", "ProblemDetailsJSON": {"id": "-6342417236718943834", "startTime": at.millis(), "endTime": -1,
            "displayName": "P-2603042", "impactLevel": "SERVICE", "status": state, "severityLevel": "PERFORMANCE"}})
}

fn netdata(at: Time) -> Value {
    json!({"message": "Raised to Warning, disk_space_usage = 91.4%, on log-store-1", "alert": "disk_space_usage",
        "info": "Total space utilization of disk /var/lib/logs", "chart": "disk_space._var_lib_logs", "context": "disk.space",
        "space": "shop", "Rooms": {"Production": "https://app.netdata.cloud/spaces/shop/rooms/production"}, "family": "/var/lib/logs",
        "class": "Utilization", "severity": "warning", "date": at, "duration": "4 minutes",
        "alert_url": "https://app.netdata.cloud/spaces/shop/rooms/production/alerts/disk_space_usage"})
}

fn jenkins(at: Time) -> Value {
    json!({"name": "storefront-build", "display_name": "storefront-build", "url": "job/web/job/storefront-build/",
        "build": {"full_url": "https://jenkins.example.com/job/web/job/storefront-build/318/", "number": 318,
        "timestamp": at.millis(), "duration": 61000, "phase": "FINALIZED", "status": "FAILURE",
        "scm": {"url": "https://git.example.com/storefront.git", "branch": "origin/main", "commit": "c6d86dc654b12425e706bcf951adfe5a8627a517",
            "changes": ["src/basket.ts"], "culprits": ["sre-2"]},
        "log": "compiling\nerror: basket.ts:71 total is not a number\nFinished: FAILURE",
        "test_summary": {"total": 412, "failed": 2, "passed": 410, "skipped": 0, "failed_tests": ["BasketTest.total", "BasketTest.vat"]}}})
}
