//! Invented data for the tests of the pages.

use std::time::Duration;

use super::{
    frame::{Counts, Frame, Prefs, Section},
    incident::Before,
};
use crate::{
    model::*,
    store::{
        Overview,
        views::{Dot, Opened, Topology},
    },
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
        muted: 0,
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

/// What it was before it was merged.
pub fn before_merge(i: &Incident, reasons: Vec<Reason>) -> BeforeMerge {
    BeforeMerge {
        at: now(),
        seq: 1,
        alert: 1,
        by: "system".into(),
        reasons,
        status: i.status,
        investigation: i.investigation.state,
        firing_count: 0,
        into: Told {
            firing_count: 0,
            severity: i.severity,
            services: Vec::new(),
            hosts: Vec::new(),
            groups: Vec::new(),
            labels: Default::default(),
            last_alert_at: now(),
        },
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
        sender_groups: Vec::new(),
        muted_count: 0,
        snoozed: None,
        muted: false,
        mutes: Vec::new(),
        merging: Merging::default(),
        flapping_count: 0,
        over_at: None,
        first_right: None,
        told_at: None,
        kind: 0,
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
        postmortem: None,
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

/// A delivery with a Grafana body.
pub fn delivery() -> Delivery {
    let body = r#"{"receiver":"watchfire","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"CheckoutHighErrorRate","severity":"critical","service":"checkout-api"},"annotations":{"summary":"Error rate above 5 %","description":"checkout-api answers 7.8 % of requests with 5xx"},"startsAt":"2026-03-03T03:02:00Z","fingerprint":"a1b2c3d4"}]}"#;
    Delivery {
        seq: 9,
        id: DeliveryId::new(ago(12), 9),
        at: ago(12),
        platform: "grafana".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: vec![("content-type".into(), "application/json".into()), ("user-agent".into(), "Grafana/11".into())],
        body: body.as_bytes().to_vec(),
        parsed: Parsed::default(),
        replay_of: None,
    }
}

/// One alert.
pub fn alert(n: u64, title: &str, platform: &str, severity: Severity, service: &str) -> Alert {
    Alert {
        id: AlertId::new(ago(12), n),
        fingerprint: Fingerprint::of(title),
        dedup_key: format!("{platform}:{title}"),
        identity: IdentityRule {
            missing: Vec::new(),
            rule: "the fingerprint that the sender computes from the labels".into(),
            fields: vec![("fingerprint".into(), "a1b2c3d4".into())],
        },
        platform: platform.into(),
        title: title.into(),
        description: Some("checkout-api answers 7.8 % of requests with 5xx".into()),
        service: Some(service.into()),
        host: Some("pg-primary-1".into()),
        environment: None,
        severity,
        severity_raw: Some("critical".into()),
        status: AlertStatus::Firing,
        started_at: ago(13),
        onset_at: ago(13),
        first_seen: ago(12),
        last_seen: ago(3),
        ended_at: None,
        closed_at: None,
        count: 1 + n % 7,
        source_url: Some("https://grafana.example.com/d/1".into()),
        image_url: None,
        runbook_url: Some("https://wiki.example.com/rb/checkout-5xx".into()),
        labels: [("alertname", title), ("env", "prod")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        annotations: [("summary", "Error rate above 5 %")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        test: false,
        repaired: false,
        incident: Some(IncidentId(2041)),
        first_delivery: 9,
        last_delivery: 9,
        path: "/alerts/0".into(),
        group_key: None,
        quiet_at: None,
        muted_by: Vec::new(),
        was_muted_by: Vec::new(),
        threshold: None,
        threshold_hits: Vec::new(),
        refires: Vec::new(),
        flaps: 0,
        flapping: None,
    }
}

/// Why it is there.
pub fn membership(a: &Alert, strategy: Strategy, score: f64, text: &str) -> Membership {
    Membership {
        incident: IncidentId(2041),
        alert: a.id,
        strategy,
        score,
        reasons: vec![Reason { strategy, score, text: text.into() }],
        at: ago(12),
    }
}

/// An incident with everything in it.
pub fn read() -> super::incident::Read {
    let e = |id: &str, kind, title: &str, m| Evidence {
        id: id.into(),
        kind,
        title: title.into(),
        at: ago(m),
        url: None,
        data: serde_json::json!({"service": "payments-worker", "count": 61, "nested": {"x": 1}}),
    };
    let evidence = vec![
        e("E1", EvidenceKind::Alert, "pg-primary-1: 396 of 400 connections in use", 11),
        e("E2", EvidenceKind::Change, "Deploy of payments-worker 2.31.0, build 418", 18),
        e("E3", EvidenceKind::Statistic, "payments-worker was never noisy before: 0 alerts in 30 days", 12),
        e("E4", EvidenceKind::Incident, "INC-1874 ended when payments-worker was rolled back", 50_000),
    ];
    let cause = |rank, title: &str, confidence, evidence: &[&str], against: &[&str], ruled_out| Cause {
        rank,
        service: Some("payments-worker".into()),
        host: Some("pg-primary-1".into()),
        symptom: Some(Symptom::ConnectionExhaustion),
        title: title.into(),
        confidence,
        evidence: evidence.iter().map(|s| (*s).to_owned()).collect(),
        against: against.iter().map(|s| (*s).to_owned()).collect(),
        ruled_out,
        score: confidence * 4.0,
        points: [("weight", 0.75), ("deploy", 0.5), ("quiet", -0.25)]
            .map(|(feature, share)| CausePoint {
                feature: feature.into(),
                weight: confidence * 4.0 * share,
                text: format!("what {feature} says of it"),
                evidence: vec!["E1".into()],
            })
            .into(),
        verdict: None,
    };
    let suggestion = |id: &str, kind, risk, title: &str, command: &str, undo: Option<&str>, state| Suggestion {
        id: id.into(),
        entry: None,
        kind,
        risk,
        title: title.into(),
        rationale: "Expect payments-worker at the top with more than 300. If it is below 60, hypothesis 1 is wrong."
            .into(),
        command: Some(command.into()),
        undo: undo.map(str::to_owned),
        evidence: vec!["E1".into()],
        runbook_url: None,
        docs_url: None,
        state,
    };
    let thought = |id, m, kind, text: &str, evidence: &[&str]| Thought {
        id,
        at: ago(m),
        kind,
        text: text.into(),
        evidence: evidence.iter().map(|s| (*s).to_owned()).collect(),
    };
    let entry = |seq, m, kind, actor: &str, text: &str| TimelineEntry {
        seq,
        at: ago(m),
        kind,
        actor: actor.into(),
        text: text.into(),
        data: serde_json::Value::Null,
    };
    let alerts = [
        (
            alert(1, "CheckoutHighErrorRate", "grafana", Severity::Critical, "checkout-api"),
            Strategy::Primary,
            1.0,
            "opened the incident",
        ),
        (
            alert(2, "PostgresConnectionsNearLimit", "netdata", Severity::Critical, "pg-primary-1"),
            Strategy::SharedDependency,
            0.93,
            "checkout-api needs pg-primary-1; 90 s before",
        ),
        (
            alert(3, "payments-worker: connections per pod", "datadog", Severity::High, "payments-worker"),
            Strategy::Topology,
            0.88,
            "payments-worker calls pg-primary-1; 3 min before",
        ),
        (
            alert(4, "redis-cart evictions", "netdata", Severity::Low, "redis-cart"),
            Strategy::TimeCluster,
            0.7,
            "2 min after the start; no other link",
        ),
    ];
    let mut i = incident(2041);
    i.investigation.summary = Some("The 02:56 deploy of payments-worker 2.31.0 opens a database connection per job and never returns it [E2, E3]. pg-primary-1 has run out of connections [E1], so checkout-api fails.".into());
    super::incident::Read {
        scene: scene(),
        queue: None,
        muted_by: Vec::new(),
        told: Default::default(),
        members: alerts.iter().map(|(a, s, score, why)| (membership(a, *s, *score, why), a.clone())).collect(),
        thoughts: vec![
            thought(
                1,
                12,
                ThoughtKind::Observation,
                "Incident opened from Grafana alert CheckoutHighErrorRate. What changed before 03:02 on checkout-api or anything it calls?",
                &[],
            ),
            thought(
                2,
                11,
                ThoughtKind::Analysis,
                "11 alerts found. The earliest is on payments-worker at 02:59, three minutes before the errors.",
                &["E1"],
            ),
            thought(3, 11, ThoughtKind::Action, "Looked for changes on 5 services in the 24 h before", &[]),
            thought(4, 10, ThoughtKind::Hypothesis, "Deploy found: payments-worker 2.31.0 at 02:56 [E2]", &["E2"]),
        ],
        answer: Investigation {
            causes: vec![
                cause(
                    1,
                    "payments-worker 2.31.0 opens a connection per job and never returns it, so pg-primary-1 runs out of connections",
                    0.82,
                    &["E2", "E3", "E1"],
                    &[],
                    false,
                ),
                cause(
                    2,
                    "A long transaction on pg-primary-1 blocks sessions until the limit is reached",
                    0.11,
                    &["E1"],
                    &["E3"],
                    false,
                ),
                cause(3, "Traffic surge from a campaign", 0.02, &[], &["E4"], true),
            ],
            evidence,
            suggestions: vec![
                suggestion(
                    "S1",
                    SuggestionKind::Diagnostic,
                    Risk::Safe,
                    "Count connections by client",
                    "psql -h pg-primary-1 -c \"select application_name, count(*) from pg_stat_activity group by 1 order by 2 desc limit 10\"",
                    None,
                    SuggestionState::Open,
                ),
                suggestion(
                    "S2",
                    SuggestionKind::Fix,
                    Risk::Low,
                    "Roll payments-worker back to 2.30.4",
                    "kubectl -n pay rollout undo deployment/payments-worker --to-revision=57",
                    Some("kubectl -n pay rollout undo deployment/payments-worker"),
                    SuggestionState::Open,
                ),
                suggestion(
                    "S3",
                    SuggestionKind::Fix,
                    Risk::High,
                    "End idle connections of payments-worker",
                    "psql -c 'select 1'",
                    None,
                    SuggestionState::Dismissed,
                ),
            ],
            ..Investigation::default()
        },
        timeline: vec![
            entry(30, 18, TimelineKind::Opened, "grafana", "Opened by CheckoutHighErrorRate"),
            entry(
                31,
                12,
                TimelineKind::AlertCorrelated,
                "system",
                "PostgresConnectionsNearLimit joined: shared dependency, score 0.93",
            ),
            entry(32, 11, TimelineKind::InvestigationStarted, "system", "Investigation started"),
            entry(33, 6, TimelineKind::Comment, "sre-1", "Looking at the pool of payments-worker now"),
        ],
        before: vec![{
            let mut b = closed().remove(0);
            b.id = IncidentId(1874);
            b.title = "Connection limit on pg-primary-1".into();
            Before { incident: b, similarity: 0.86, recorded: None }
        }],
        change: Some(Change {
            service: Some("payments-worker".into()),
            kind: ChangeKind::Deploy,
            title: "payments-worker 2.31.0".into(),
            url: Some("https://ci.example.com/418".into()),
            version: Some("2.31.0".into()),
            at: Some(ago(18)),
            source: "jenkins".into(),
            outcome: None,
            details: Default::default(),
        }),
        raw: Some(delivery()),
        incident: i,
    }
}

/// Alerts of five services over a quarter of an hour, and the deployment before them.
pub fn scene() -> super::panels::Scene {
    let dot = |number: u64, m: u64, service: &str, severity| Dot {
        number,
        title: format!("alert {number}"),
        service: Some(service.into()),
        host: None,
        severity,
        at: ago(m),
    };
    let service = |name: &str, calls: &[&str]| Service {
        name: name.into(),
        depends_on: calls.iter().map(|c| (*c).to_owned()).collect(),
        ..Service::default()
    };
    super::panels::Scene {
        dots: vec![
            dot(1, 15, "payments-worker", Severity::Medium),
            dot(2, 14, "pg-primary-1", Severity::High),
            dot(3, 12, "checkout-api", Severity::Critical),
            dot(4, 11, "pg-primary-1", Severity::Critical),
            dot(5, 10, "redis-cart", Severity::Low),
            dot(6, 9, "edge-gateway", Severity::High),
            dot(7, 3, "checkout-api", Severity::High),
        ],
        changes: vec![Change {
            service: Some("payments-worker".into()),
            kind: ChangeKind::Deploy,
            title: "payments-worker 2.31.0".into(),
            url: Some("https://ci.example.com/418".into()),
            version: Some("2.31.0".into()),
            at: Some(ago(18)),
            source: "jenkins".into(),
            outcome: None,
            details: Default::default(),
        }],
        services: Topology::new(
            vec![
                service("storefront", &["edge-gateway"]),
                service("edge-gateway", &["checkout-api", "booking"]),
                service("checkout-api", &["redis-cart", "pg-primary-1"]),
                service("payments-worker", &["pg-primary-1"]),
            ],
            Vec::new(),
            Default::default(),
        ),
    }
}

/// What is set for a connector that nobody has touched.
pub fn connector(platform: &str) -> ConnectorSettings {
    let settings = serde_json::json!({"platform": platform, "enabled": true, "auth": "key", "key": [],
        "rate_per_minute": 600, "created_at": ago(900)});
    serde_json::from_value(settings).unwrap()
}
