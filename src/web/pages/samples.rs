//! Invented data for the tests of the pages.

use std::time::Duration;

use super::frame::{Counts, Frame, Prefs, Section};
use crate::{
    model::*,
    store::{Overview, views::Opened},
};

/// The clock of all samples.
pub fn now() -> Time {
    "2026-03-03T03:14:00Z".parse().unwrap()
}

/// That many minutes before.
pub fn ago(minutes: u64) -> Time {
    now().minus(Duration::from_secs(minutes * 60))
}

/// A frame of somebody who may do everything.
pub fn frame(title: &str, section: Section) -> Frame {
    Frame {
        section,
        user: "on-call".into(),
        role: Role::Admin,
        counts: Counts { open: 7, critical: 2, unowned: 2 },
        live: Some(41),
        path: "/incidents".into(),
        ..Frame::bare(title, now(), &Prefs::default())
    }
}

/// Figures with some life in them.
pub fn overview() -> Overview {
    let volume = (0..360_u32)
        .map(|i| 9 + (i * 7 % 11) + if (335..352).contains(&i) { (17 - i.abs_diff(345)) * 5 } else { 0 })
        .collect();
    let opened = |m, id, severity| Opened { at: ago(m), id: IncidentId(id), severity };
    Overview {
        open: 7,
        critical: 2,
        unowned: 2,
        oldest_unowned: Some(ago(12)),
        alerts_24h: 4_812,
        incidents_24h: 19,
        ack_median_ms: Some(192_000),
        volume,
        opened: vec![opened(270, 1, Severity::Low), opened(182, 2, Severity::High), opened(14, 3, Severity::Critical)],
    }
}

/// One open incident without owner.
pub fn incident(n: u64) -> Incident {
    Incident {
        id: IncidentId(n),
        status: IncidentStatus::Investigating,
        severity: Severity::Critical,
        severity_pinned: false,
        title: "Checkout error rate above 5 %".into(),
        service: Some("checkout-api".into()),
        host: None,
        environment: Some("production".into()),
        affected_services: vec!["checkout-api".into(), "payments-worker".into()],
        affected_hosts: vec!["pg-primary-1".into()],
        source: "grafana".into(),
        source_url: Some("https://grafana.example.com/alerting/a1b2c3d4".into()),
        owner: None,
        started_at: ago(12),
        onset_at: ago(12),
        detected_at: ago(12),
        acknowledged_at: None,
        analyzed_at: None,
        resolved_at: None,
        resolution: None,
        updated_at: ago(1),
        last_alert_at: ago(2),
        alert_count: 14,
        firing_count: 9,
        merged_into: None,
        flapping: false,
        test: false,
        manual: false,
        labels: [("env", "prod"), ("team", "pay")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        investigation: InvestigationHead {
            state: InvestigationState::Running,
            engine: Some("built-in".into()),
            started_at: Some(ago(11)),
            steps: 8,
            ..InvestigationHead::default()
        },
        leading: Some(Leading {
            title: "payments-worker 2.31.0 leaks connections on pg-primary-1".into(),
            confidence: 0.82,
        }),
        version: 41,
    }
}

/// Many, of all kinds.
pub fn incidents(n: u64) -> Vec<Incident> {
    let titles = [
        (
            "Replica lag on orders-db above 120 s",
            "orders-db",
            "alertmanager",
            "nightly reindex holds a long transaction on orders-db",
        ),
        (
            "Disk on log-store-3 will be full in 4 h",
            "log-store",
            "netdata",
            "log rotation stopped after package update at 01:50",
        ),
        ("Search p99 latency above 2 s", "search-api", "datadog", "hot shard after index roll-over"),
        ("Response time degradation on booking", "booking", "dynatrace", "slow upstream tax-service, deployed 00:31"),
        (
            "Error log volume three times above normal",
            "notify",
            "splunk",
            "retries to a mail relay that refuses TLS 1.0",
        ),
        ("Build #42 of api failed on main", "api", "jenkins", "first failing test found in billing"),
    ];
    (0..n)
        .map(|k| {
            let mut i = incident(2041 - (k % 2041).min(2040) + (k / 2041) * 5000);
            i.id = IncidentId(2041 + n - k);
            let (title, service, source, why) = titles[k as usize % titles.len()];
            i.title = title.into();
            i.service = Some(service.into());
            i.source = source.into();
            i.severity = Severity::ALL[k as usize % 4];
            i.status = if k % 3 == 0 { IncidentStatus::Investigating } else { IncidentStatus::Analyzed };
            i.owner = (k % 2 == 1).then(|| format!("sre-{}", k % 5));
            i.alert_count = 1 + k * 7 % 40;
            i.detected_at = ago(3 + k * 13);
            i.leading = Some(Leading { title: why.into(), confidence: 0.5 + 0.04 * (k % 10) as f64 });
            i
        })
        .collect()
}

/// Ended ones.
pub fn closed() -> Vec<Incident> {
    let mut a = incident(2027);
    a.title = "Payment gateway timeouts".into();
    a.status = IncidentStatus::Resolved;
    a.owner = Some("sre-2".into());
    a.resolved_at = Some(ago(200));
    a.resolution = Some("Provider outage, failed over by hand".into());
    a.detected_at = ago(368);
    let mut b = incident(2026);
    b.title = "Evictions on redis-cart above 500 per s".into();
    b.status = IncidentStatus::Merged;
    b.severity = Severity::Medium;
    b.merged_into = Some(IncidentId(2027));
    b.detected_at = ago(371);
    vec![a, b]
}
