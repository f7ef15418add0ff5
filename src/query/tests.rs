use super::super::Sort;
use super::*;

fn now() -> Time {
    "2026-03-03T12:00:00Z".parse().unwrap()
}

fn asker() -> Asker<'static> {
    Asker { now: now(), me: Some("ann") }
}

fn read(q: &str) -> Result<IncidentFilter, QueryError> {
    let mut f = IncidentFilter::default();
    incidents(q, asker(), &mut f).map(|()| f)
}

fn read_alerts(q: &str) -> Result<AlertFilter, QueryError> {
    let mut f = AlertFilter::default();
    alerts(q, asker(), &mut f).map(|()| f)
}

fn ago(hours: u64) -> Time {
    now().minus(Duration::from_secs(3600 * hours))
}

fn clause<T>(not: bool, test: T) -> Clause<T> {
    Clause { not, test }
}

#[test]
fn terms_fill_the_filter() {
    let f =
        read(r#"status:open,resolved severity:>=high service:"check out",pay* owner:me,none since:6h pool "db down""#)
            .unwrap();
    use IncidentStatus::*;
    assert_eq!(f.statuses, [Investigating, Analyzed, Resolved]);
    assert_eq!(f.severities, [Severity::Critical, Severity::High]);
    assert_eq!(f.services, ["check out", "pay*"]);
    assert_eq!(f.owners, ["ann", "none"]);
    assert_eq!(f.since, Some(ago(6)));
    assert_eq!(f.words, ["pool", "db down"]);
    assert_eq!(read("  \"\" ").unwrap(), IncidentFilter::default());
}

#[test]
fn terms_are_joined_by_and_and_turned_round() {
    let f = read("service:a service:b -severity:low,info -owner:none -timeout text:x,y is:muted,flapping").unwrap();
    assert_eq!(f.services, ["a"]);
    assert_eq!(
        f.also,
        [
            clause(false, IncidentTest::Service(vec!["b".into()])),
            clause(true, IncidentTest::Severity(vec![Severity::Low, Severity::Info])),
            clause(true, IncidentTest::Owner(vec!["none".into()])),
            clause(true, IncidentTest::Text(vec!["timeout".into()])),
            clause(false, IncidentTest::Text(vec!["x".into(), "y".into()])),
            clause(false, IncidentTest::Is(vec![IncidentIs::Silenced, IncidentIs::Flapping])),
        ]
    );
    let f = read("alerts:>10 incident:INC-7,8 state:complete strategy:topology label.Env:prod -label.Env:dev").unwrap();
    assert_eq!(f.numbers(), Some(&[IncidentId(7), IncidentId(8)][..]));
    assert!(f.also.contains(&clause(false, IncidentTest::Alerts(vec![Range { from: 11, to: u64::MAX }]))));
    assert!(f.also.contains(&clause(true, IncidentTest::Label("Env".into(), vec!["dev".into()]))));
}

#[test]
fn times_narrow_from_both_sides() {
    for (q, since, until) in [
        ("since:6h", Some(ago(6)), None),
        ("-since:6h", None, Some(ago(6))),
        ("since:6h since:2h until:1h", Some(ago(2)), Some(ago(1))),
        ("age:<2h", Some(ago(2)), None),
        ("age:2h", Some(ago(2)), None),
        ("age:>2h", None, Some(ago(2))),
        ("-age:>2h", Some(ago(2)), None),
        ("age:>2h age:<6h", Some(ago(6)), Some(ago(2))),
    ] {
        let f = read(q).unwrap();
        assert_eq!((f.since, f.until), (since, until), "{q}");
    }
    assert_eq!(read("closed:<12h").unwrap().closed_since, Some(ago(12)));
    assert_eq!(read("closed:>12h").unwrap().also, [clause(false, IncidentTest::ClosedBefore(ago(12)))]);
    let f = read_alerts("age:<2h -closed:1h").unwrap();
    assert_eq!(f.began_since(), Some(ago(2)));
    assert_eq!(f.also[1], clause(true, AlertTest::ClosedSince(ago(1))));
}

#[test]
fn addresses_and_clock_times_are_words() {
    assert_eq!(read("http://x/y 12:30 -").unwrap().words, ["http://x/y", "12:30", "-"]);
}

#[test]
fn errors_name_the_place_what_is_allowed_and_what_was_meant() {
    let check = |q: &str, at: usize, allowed: Option<&str>, meant: Option<&str>| {
        let e = read(q).unwrap_err();
        assert_eq!(e.at, at, "{q}: {e:?}");
        match allowed {
            Some(a) => assert!(e.allowed.iter().any(|x| x == a), "{q}: {e:?}"),
            None => assert!(e.allowed.is_empty(), "{q}: {e:?}"),
        }
        assert_eq!(e.meant.as_ref().map(|m| m.query.as_str()), meant, "{q}: {e:?}");
        if let Some(meant) = meant {
            read(meant).unwrap();
        }
    };
    check("pool colour:red", 5, Some("severity"), None);
    check("pool severty:high x", 5, Some("severity"), Some("pool severity:high x"));
    check("-ownr:none", 1, Some("owner"), Some("-owner:none"));
    check("status:burning", 7, Some("analyzed"), None);
    check("status:open,resolvd", 12, Some("resolved"), Some("status:open,resolved"));
    check("ä severity:>=bad", 11, Some("critical"), None);
    check("severity:>=hihg", 9, Some("high"), Some("severity:>=high"));
    check("strategy:topolgy", 9, Some("topology"), Some("strategy:topology"));
    check("since:yesterday", 6, None, None);
    check("since:1h,2h", 9, None, None);
    check("alerts:many", 7, None, None);
    check("incident:7,x", 11, None, None);
    check("service:", 0, None, None);
    check("status:", 0, Some("open"), None);
    check("repeats:3", 0, Some("alerts"), None);
    check("label.:x", 0, Some("label.*"), None);
    check("a \"b", 2, None, None);
    check(&"x".repeat(2001), 0, None, None);
    assert!(read("repeats:3").unwrap_err().message.contains("only for alerts"));
    assert!(read_alerts("owner:me").unwrap_err().message.contains("only for incidents"));
}

#[test]
fn alerts_have_labels_and_an_incident() {
    let f = read_alerts("label.Env:prod incident:INC-7 status:open host:db-* repeats:>2 is:waiting").unwrap();
    assert_eq!(f.labels, [("Env".to_owned(), "prod".to_owned())]);
    assert_eq!(f.incident, Some(IncidentId(7)));
    assert_eq!(f.statuses, [AlertStatus::Firing, AlertStatus::Acknowledged]);
    assert_eq!(f.hosts, ["db-*"]);
    assert_eq!(
        read_alerts("incident:none").unwrap().also,
        [clause(false, AlertTest::Incident(vec![OfIncident::None]))]
    );
}

#[test]
fn every_field_can_be_asked_for() {
    for (fields, list) in [(INCIDENTS, "incidents"), (ALERTS, "alerts")] {
        for field in fields {
            let value = match field.values {
                Values::Fixed(words) => words.join(","),
                Values::Names | Values::Words => "x".into(),
                Values::Number => ">3".into(),
                Values::Moment => "6h".into(),
                Values::Incidents => "INC-3".into(),
            };
            let q = format!("{}:{value}", field.name.replace('*', "env"));
            for q in [format!("-{q}"), q] {
                let error = if list == "alerts" { read_alerts(&q).err() } else { read(&q).err() };
                assert_eq!(error, None, "{q} of {list}");
            }
        }
    }
}

fn incident() -> Incident {
    serde_json::from_value(serde_json::json!({
        "id": "INC-7", "status": "investigating", "severity": "high", "title": "Pool exhausted", "source": "grafana",
        "service": "orders", "affected_services": ["Orders", "pay-api"], "affected_hosts": ["db-1"],
        "started_at": ago(3), "onset_at": ago(3), "detected_at": ago(3), "updated_at": ago(1), "last_alert_at": ago(3),
        "alert_count": 12, "firing_count": 1, "labels": {"env": "prod"}, "flapping": true,
        "investigation": {"state": "complete", "summary": "The vacuum holds locks"},
    }))
    .unwrap()
}

#[test]
fn what_is_asked_is_what_fits() {
    let open = incident();
    let closed = |hours| Incident {
        status: IncidentStatus::Resolved,
        resolved_at: Some(ago(hours)),
        owner: Some("Ann".into()),
        ..incident()
    };
    let merged = Incident { status: IncidentStatus::Merged, ..incident() };
    let (lately, long_ago) = (closed(2), closed(20));
    let all = [("open", &open), ("lately", &lately), ("long ago", &long_ago), ("merged", &merged)];
    let check = |q: &str, want: &[&str]| {
        let f = read(q).unwrap();
        let fit: Vec<&str> = all.iter().filter(|(_, i)| f.matches(i)).map(|(name, _)| *name).collect();
        assert_eq!(fit, want, "{q}");
    };
    let unmerged = &["open", "lately", "long ago"][..];
    check("", unmerged);
    check("status:open", &["open"]);
    check("status:open closed:<12h", &["open", "lately"]);
    check("status:closed closed:<12h", &["lately", "merged"]);
    check("closed:<12h", &["open", "lately"]);
    check("-closed:<12h status:resolved", &["long ago"]);
    check("closed:>12h", &["long ago"]);
    check("status:merged", &["merged"]);
    check("-status:resolved", &["open"]);
    check("incident:INC-7", &["open", "lately", "long ago", "merged"]);
    check("incident:INC-8", &[]);
    check("owner:none", &["open"]);
    check("owner:me", &["lately", "long ago"]);
    check("owner:an*", &["lately", "long ago"]);
    check("-owner:none", &["lately", "long ago"]);
    check("service:orders service:PAY*", unmerged);
    check("service:orders -service:pay*", &[]);
    check("service:*", unmerged);
    check("host:db-1 alerts:>10 alerts:<13", unmerged);
    check("alerts:1,12", unmerged);
    check("alerts:>12", &[]);
    check("label.env:PROD -label.env:dev", unmerged);
    check("label.team:*", &[]);
    check("is:flapping -is:test", unmerged);
    check("is:open", &["open"]);
    check("state:complete", unmerged);
    check("vacuum pool", unmerged);
    check("-vacuum", &[]);
    check("text:nothing,LOCKS", unmerged);
    check("severity:>=high age:>2h", unmerged);
    check("severity:>high", &[]);
    check("age:<2h", &[]);
}

#[test]
fn orders_are_total() {
    let make = |n, severity, owner: Option<&str>, alerts| Incident {
        id: IncidentId(n),
        severity,
        owner: owner.map(str::to_owned),
        alert_count: alerts,
        ..incident()
    };
    let mut all = [
        make(1, Severity::Low, None, 5),
        make(2, Severity::Critical, Some("ann"), 9),
        make(3, Severity::Critical, None, 5),
        Incident { muted: true, ..make(4, Severity::Critical, None, 1) },
        Incident { status: IncidentStatus::Resolved, ..make(5, Severity::Critical, None, 2) },
    ];
    for (sort, want) in [
        (Sort::Triage, [3, 1, 2, 4, 5]),
        (Sort::Alerts, [2, 3, 1, 5, 4]),
        (Sort::Severity, [5, 4, 3, 2, 1]),
        (Sort::Newest, [5, 4, 3, 2, 1]),
    ] {
        all.sort_by(|a, b| sort.compare(a, b));
        assert_eq!(all.iter().map(|i| i.id.0).collect::<Vec<_>>(), want, "{sort}");
    }
}
