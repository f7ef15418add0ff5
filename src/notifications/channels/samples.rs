//! Messages that every channel must be able to tell, for tests: one of each event, a digest, hostile text, long text.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::*,
    notifications::message::{About, AlertLine, Answer, Digest, DigestLine, Message, Subject},
};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

/// The incident that most samples are about.
pub fn subject() -> Subject {
    let labels = BTreeMap::from([("team".to_owned(), "payments".to_owned()), ("zone".to_owned(), "eu-1".to_owned())]);
    let alert = AlertLine {
        id: AlertId::new(at("2026-03-02T02:58:00Z"), 7),
        title: "Connection pool of payments-db is exhausted".to_owned(),
        description: Some("0 of 40 connections are free for 2 minutes.".to_owned()),
        service: Some("payments-db".to_owned()),
        host: Some("db-1".to_owned()),
        severity: Severity::Critical,
        status: AlertStatus::Firing,
        started_at: at("2026-03-02T02:58:00Z"),
        ended_at: None,
        labels: BTreeMap::from([
            ("chart".to_owned(), "postgres.connections".to_owned()),
            ("context".to_owned(), "postgres.connections_utilization".to_owned()),
            ("space".to_owned(), "Production".to_owned()),
            ("rooms".to_owned(), "All nodes".to_owned()),
            ("family".to_owned(), "connections".to_owned()),
            ("class".to_owned(), "Utilization".to_owned()),
        ]),
        source_url: Some("https://grafana.example.com/alerting/1".to_owned()),
    };
    Subject {
        id: IncidentId(42),
        title: "Connection pool of payments-db is exhausted".to_owned(),
        description: Some("0 of 40 connections are free for 2 minutes.".to_owned()),
        status: IncidentStatus::Investigating,
        severity: Severity::Critical,
        severity_before: None,
        service: Some("payments-db".to_owned()),
        services: vec!["payments-db".to_owned(), "checkout-api".to_owned()],
        host: Some("db-1".to_owned()),
        environment: Some("prod".to_owned()),
        owner: None,
        started_at: at("2026-03-02T02:58:00Z"),
        acknowledged_at: None,
        resolved_at: None,
        resolution: None,
        url: "https://watchfire.example.com/incidents/INC-42".to_owned(),
        source: "grafana".to_owned(),
        source_name: "Grafana".to_owned(),
        source_url: Some("https://grafana.example.com/alerting/1".to_owned()),
        runbook_url: Some("https://wiki.example.com/payments-db".to_owned()),
        labels,
        alert_count: 3,
        firing_count: 3,
        alerts: vec![alert],
        answer: None,
        other_critical: 1,
        other_warning: 4,
    }
}

/// A message about that.
pub fn message(event: NoticeEvent, subject: Subject) -> Message {
    about(event, subject)
}

fn about(event: NoticeEvent, subject: Subject) -> Message {
    Message {
        key: "0198f3a2-7c11-7b3e-9d4a-5f0e6a1b2c3d".to_owned(),
        events: vec![event],
        now: at("2026-03-02T03:02:00Z"),
        late: None,
        repeated: false,
        about: About::Incident(Box::new(subject)),
        reason: "Rule “Payments” tells this channel of critical incidents.".to_owned(),
        ack_url: Some("https://watchfire.example.com/ack/eyJ0.c2ln".to_owned()),
        base_url: "https://watchfire.example.com".to_owned(),
    }
}

fn over(status: IncidentStatus) -> Subject {
    Subject {
        status,
        owner: Some("sre-1".to_owned()),
        acknowledged_at: Some(at("2026-03-02T03:00:00Z")),
        resolved_at: Some(at("2026-03-02T03:40:00Z")),
        resolution: Some("The pool was made larger.".to_owned()),
        firing_count: 0,
        ..subject()
    }
}

/// Every sample under its name: the name of its fixture.
pub fn all() -> Vec<(&'static str, Message)> {
    use NoticeEvent as E;
    let answer = Answer {
        conclusion: Conclusion::Likely,
        summary: "payments-db has run out of connections since the deployment of checkout-api 2.14 at 02:55."
            .to_owned(),
        leading: Some(("Connections of payments-db are exhausted".to_owned(), 0.82)),
        first_step: Some((
            "See who holds connections".to_owned(),
            Some("psql -h db-1 -c 'select usename, count(*) from pg_stat_activity group by 1'".to_owned()),
        )),
    };
    let hostile =
        "<!channel> @everyone @here <script>alert(1)</script> *bold* [x](http://evil) `c` \u{202e}drawkcab\u{0} |a>b&c";
    let long = "lorem 😀 ipsum ".repeat(4_000);
    let mut acknowledged = about(E::Acknowledged, Subject { owner: Some("sre-1".to_owned()), ..subject() });
    acknowledged.ack_url = None;
    let mut resolved = about(E::Resolved, over(IncidentStatus::Resolved));
    (resolved.now, resolved.ack_url) = (at("2026-03-02T03:40:01Z"), None);
    let mut both = resolved.clone();
    both.events = vec![E::Opened, E::Acknowledged, E::Resolved];
    both.late = Some(Duration::from_secs(42 * 60));
    let mut merged = about(E::Merged, over(IncidentStatus::Merged));
    (merged.now, merged.ack_url) = (at("2026-03-02T03:40:01Z"), None);
    let mut repeated =
        about(E::Reminder, Subject { status: IncidentStatus::Analyzed, answer: Some(answer.clone()), ..subject() });
    repeated.repeated = true;
    let digest = Digest {
        incidents: 12,
        severities: vec![(Severity::Critical, 3), (Severity::High, 9)],
        services: vec![("payments-db".to_owned(), 7), ("checkout-api".to_owned(), 5)],
        events: vec![(E::Opened, 11), (E::Resolved, 1)],
        first: (1..=10)
            .map(|n| DigestLine {
                id: IncidentId(40 + n),
                severity: if n <= 3 { Severity::Critical } else { Severity::High },
                status: IncidentStatus::Investigating,
                title: format!("Errors of part {n} are <high> & rising"),
                url: format!("https://watchfire.example.com/incidents/INC-{}", 40 + n),
            })
            .collect(),
        url: "https://watchfire.example.com/incidents?q=status%3Aopen".to_owned(),
    };
    let digest = Message { about: About::Digest(digest), ack_url: None, ..about(E::Opened, subject()) };
    let test = About::Test { by: "ada".to_owned(), token: "5d3f9a52-6f6c-4e7e-9d0a-0a3f0f6f2b11".to_owned() };
    let test = Message {
        about: test,
        ack_url: None,
        reason: "Somebody tries this channel.".to_owned(),
        ..about(E::Test, subject())
    };
    let wild = |text: &str| Subject {
        title: text.to_owned(),
        description: Some(text.to_owned()),
        service: Some(text.to_owned()),
        host: Some(text.to_owned()),
        resolution: Some(text.to_owned()),
        labels: BTreeMap::from([("note".to_owned(), text.to_owned())]),
        ..subject()
    };
    vec![
        ("opened", about(E::Opened, subject())),
        ("severity-up", about(E::SeverityUp, Subject { severity_before: Some(Severity::High), ..subject() })),
        (
            "analyzed",
            about(E::Analyzed, Subject { status: IncidentStatus::Analyzed, answer: Some(answer), ..subject() }),
        ),
        ("acknowledged", acknowledged),
        ("escalated", about(E::Escalated, subject())),
        ("reminder", repeated),
        ("resolved", resolved),
        ("opened-and-resolved", both),
        ("merged", merged),
        ("digest", digest),
        ("test", test),
        ("hostile", about(E::Opened, wild(hostile))),
        ("long", about(E::Opened, wild(&long))),
        (
            "bare",
            about(
                E::Opened,
                Subject {
                    description: None,
                    service: None,
                    services: Vec::new(),
                    host: None,
                    environment: None,
                    source_url: None,
                    runbook_url: None,
                    labels: BTreeMap::new(),
                    alerts: Vec::new(),
                    severity: Severity::Info,
                    ..subject()
                },
            ),
        ),
    ]
}
