//! Drafts: what stands in them for a whole story, for almost nothing, and for text that would be something else.

use pulldown_cmark::{Event, Options, Parser};

use super::*;
use crate::model::*;

fn at(clock: &str) -> Time {
    format!("2026-03-02T{clock}:00Z").parse().unwrap()
}

/// Of JSON as the store reads it: what is left out has its default.
fn of<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).unwrap()
}

fn incident(over: &serde_json::Value) -> Incident {
    let mut json = serde_json::json!({
        "id": "INC-7", "status": "investigating", "severity": "critical", "title": "Payment gateway time-outs",
        "source": "pagerduty", "started_at": at("21:04"), "onset_at": at("21:04"), "detected_at": at("21:06"),
        "updated_at": at("21:06"), "last_alert_at": at("21:04"), "alert_count": 1, "firing_count": 1,
    });
    json.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    of(json)
}

fn alert(n: u64, clock: &str, service: &str, title: &str) -> Alert {
    of(serde_json::json!({
        "id": AlertId::new(at(clock), n), "fingerprint": Fingerprint(u128::from(n)), "platform": "pagerduty",
        "dedup_key": title, "title": title, "service": service, "severity": "high", "status": "resolved",
        "started_at": at(clock), "onset_at": at(clock), "ended_at": at("21:40"), "first_seen": at(clock),
        "last_seen": at(clock), "count": 1, "first_delivery": 1,
        "last_delivery": 1,
    }))
}

fn entry(seq: u64, clock: &str, kind: TimelineKind, actor: &str, text: &str, data: serde_json::Value) -> TimelineEntry {
    TimelineEntry { seq, at: at(clock), kind, actor: actor.to_owned(), text: text.to_owned(), data }
}

fn bare() -> Material {
    Material {
        incident: incident(&serde_json::json!({})),
        alerts: Vec::new(),
        answer: Investigation::default(),
        timeline: Vec::new(),
        changes: Vec::new(),
        before: Vec::new(),
        now: at("22:00"),
    }
}

fn whole() -> Material {
    let none = serde_json::Value::Null;
    let cause = |rank, service: &str, title: &str, confidence, verdict| Cause {
        rank,
        service: Some(service.to_owned()),
        host: None,
        symptom: Some(Symptom::Latency),
        title: title.to_owned(),
        confidence,
        evidence: vec!["E1".to_owned()],
        against: Vec::new(),
        ruled_out: false,
        score: 1.0,
        points: vec![
            CausePoint {
                feature: "onset".into(),
                weight: 1.5,
                text: "it alerted first".into(),
                evidence: vec!["E1".into()],
            },
            CausePoint {
                feature: "change".into(),
                weight: -0.5,
                text: "nothing was deployed".into(),
                evidence: vec![],
            },
        ],
        verdict,
    };
    let first = cause(1, "payments-worker", "payments-worker answers slowly", 0.77, Some(Verdict::Right));
    Material {
        incident: incident(&serde_json::json!({
            "status": "resolved", "service": "payments-worker", "environment": "production", "alert_count": 4,
            "affected_services": ["payments-worker", "checkout-api"], "affected_hosts": ["worker-4"], "owner": "sre-2",
            "acknowledged_at": at("21:09"), "resolved_at": at("21:42"), "resolution": "Failed over to the second provider.",
        })),
        alerts: vec![
            alert(1, "21:04", "payments-worker", "Gateway time-out"),
            alert(2, "21:05", "payments-worker", "Worker pool full"),
            alert(3, "21:08", "checkout-api", "Error rate | 5 %"),
            alert(4, "21:12", "checkout-api", "Latency"),
        ],
        answer: Investigation {
            first: Some(FirstAnswer::of(&first, at("21:07"))),
            recorded: Some(RecordedCause {
                service: Some("payments-worker".into()),
                host: None,
                symptom: Some(Symptom::Latency),
                by: "sre-2".into(),
                at: at("21:41"),
            }),
            judged: vec![Judged::of(
                &cause(2, "search-api", "search-api", 0.1, None),
                Verdict::Wrong,
                "kim".into(),
                at("21:30"),
            )],
            causes: vec![first, cause(2, "search-api", "search-api is slow", 0.1, Some(Verdict::Wrong))],
            suggestions: vec![
                of(
                    serde_json::json!({"id": "S1", "kind": "mitigation", "risk": "low", "title": "Fail over to the second provider",
                    "rationale": "x", "state": "done"}),
                ),
                of(
                    serde_json::json!({"id": "S2", "kind": "prevention", "risk": "safe", "title": "Add a circuit breaker",
                    "rationale": "x", "state": "open"}),
                ),
                of(
                    serde_json::json!({"id": "S3", "kind": "prevention", "risk": "safe", "title": "Use another language",
                    "rationale": "x", "state": "dismissed"}),
                ),
            ],
            ..Investigation::default()
        },
        timeline: vec![
            entry(1, "21:06", TimelineKind::Opened, "pagerduty", "Opened by the first alert.", none.clone()),
            entry(2, "21:06", TimelineKind::AlertCorrelated, "system", "Latency joined.", none.clone()),
            entry(
                3,
                "21:07",
                TimelineKind::InvestigationFinished,
                "system",
                "Investigation finished: likely.",
                none.clone(),
            ),
            entry(4, "21:09", TimelineKind::Acknowledged, "sre-2", "Acknowledged.", none.clone()),
            entry(
                5,
                "21:20",
                TimelineKind::Severity,
                "kim",
                "Severity set from high to critical.",
                serde_json::json!({"from": "high", "to": "critical"}),
            ),
            entry(
                6,
                "21:24",
                TimelineKind::Comment,
                "kim",
                "Provider confirms.\nTODO: lower the time-out to 4 s",
                none.clone(),
            ),
            entry(
                7,
                "21:33",
                TimelineKind::Feedback,
                "sre-2",
                "Ran the suggestion “Fail over to the second provider”.",
                serde_json::json!({"state": "done"}),
            ),
            entry(
                8,
                "21:34",
                TimelineKind::Feedback,
                "sre-2",
                "Dismissed the suggestion “Use another language”.",
                serde_json::json!({"state": "dismissed"}),
            ),
            entry(9, "21:42", TimelineKind::Resolved, "sre-2", "Failed over to the second provider.", none),
        ],
        changes: vec![of(
            serde_json::json!({"service": "payments-worker", "kind": "deploy", "title": "payments-worker 2.30.4",
            "version": "2.30.4", "at": at("20:58")}),
        )],
        before: vec![incident(
            &serde_json::json!({"id": "INC-3", "title": "Gateway slow", "resolution": "It passed."}),
        )],
        now: at("22:00"),
    }
}

fn postmortem(text: PostmortemText) -> Postmortem {
    Postmortem {
        incident: IncidentId(7),
        state: PostmortemState::Draft,
        version: 1,
        last_version: 1,
        created_at: at("22:00"),
        updated_at: at("22:00"),
        updated_by: "kim".into(),
        published_at: None,
        published_by: None,
        text,
    }
}

fn exported(m: &Material) -> String {
    let evidence =
        [of(serde_json::json!({"id": "E1", "kind": "alert", "title": "Gateway time-out", "at": at("21:04"),
        "url": "https://pagerduty.example.com/1"}))];
    markdown(&m.incident, &postmortem(draft(m)), &evidence)
}

#[test]
fn a_whole_story() {
    insta::assert_snapshot!("whole", exported(&whole()));
}

#[test]
fn almost_nothing_is_known_and_that_is_said() {
    insta::assert_snapshot!("bare", exported(&bare()));
    assert_eq!(gaps(&draft(&bare())), 5, "a gap in each section but the timeline");
}

#[test]
fn the_same_material_gives_the_same_bytes_whatever_order_it_came_in() {
    let mut turned = whole();
    turned.alerts.reverse();
    turned.changes.reverse();
    assert_eq!(exported(&turned.in_order()), exported(&whole().in_order()));
}

#[test]
fn nothing_foreign_becomes_markup() {
    let hostile = "<script>alert(1)</script> # a\n## b | c `d` *e* [f](javascript:x) ![g](http://h/i) <https://j> &lt; ~~k~~ __l__ \u{202e}";
    let mut m = whole();
    m.incident.title = hostile.to_owned();
    m.incident.resolution = Some(hostile.to_owned());
    m.incident.service = Some(hostile.to_owned());
    m.incident.affected_services = vec![hostile.to_owned()];
    m.incident.affected_hosts = vec![hostile.to_owned()];
    m.incident.environment = Some(hostile.to_owned());
    m.incident.owner = Some(hostile.to_owned());
    for a in &mut m.alerts {
        a.title = hostile.to_owned();
        a.service = Some(hostile.to_owned());
        a.platform = hostile.to_owned();
    }
    for c in &mut m.answer.causes {
        c.title = hostile.to_owned();
        c.points[0].text = hostile.to_owned();
    }
    for s in &mut m.answer.suggestions {
        s.title = hostile.to_owned();
    }
    for e in &mut m.timeline {
        e.actor = hostile.to_owned();
        e.text = hostile.to_owned();
    }
    m.changes[0].title = hostile.to_owned();
    m.changes[0].version = Some(hostile.to_owned());
    m.before[0].title = hostile.to_owned();
    let text = exported(&m);
    let plain = exported(&whole());
    let shape = |text: &str| {
        let tags = |e: Event<'_>| match e {
            Event::Start(tag) => Some(format!("{:?}", tag.to_end())),
            Event::Html(_) | Event::InlineHtml(_) | Event::Code(_) => Some("markup".to_owned()),
            _ => None,
        };
        Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
            .filter_map(tags)
            .collect::<Vec<_>>()
    };
    // The alerts are of one service here, so that one row of the timeline is less.
    let count = |shape: &[String], what: &str| shape.iter().filter(|t| t.as_str() == what).count();
    let (hostile, plain) = (shape(&text), shape(&plain));
    for what in ["markup", "Image", "Emphasis", "Strong", "Strikethrough", "Link", "BlockQuote(None)", "CodeBlock"] {
        assert_eq!(count(&hostile, what), count(&plain, what), "{what}\n{text}");
    }
    let headings = |s: &[String]| s.iter().filter(|t| t.starts_with("Heading")).count();
    assert_eq!(headings(&hostile), headings(&plain), "{text}");
    assert!(count(&hostile, "TableCell") < count(&plain, "TableCell"), "{text}");
}

#[test]
fn words_stay_readable() {
    for (given, want) in [
        ("snake_case_name", "snake_case_name"),
        ("_x_", "\\_x\\_"),
        ("a & b", "a & b"),
        ("&lt;", "\\&lt;"),
        ("# one", "\\# one"),
        ("C# code", "C# code"),
        ("1. x", "1\\. x"),
        ("v1.2.3", "v1.2.3"),
        ("a\n\n b", "a b"),
        ("50 % | 60 %", "50 % \\| 60 %"),
    ] {
        assert_eq!(say::foreign(given), want);
        let shown: String = Parser::new(&say::foreign(given))
            .filter_map(|e| if let Event::Text(t) = e { Some(t.to_string()) } else { None })
            .collect();
        assert_eq!(shown, given.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}

#[test]
fn what_differs_is_told_line_by_line() {
    let told = |old: &str, new: &str| {
        let sign = |l: &Line| {
            format!(
                "{}{}",
                match l.side {
                    LineSide::Both => ' ',
                    LineSide::Old => '-',
                    LineSide::New => '+',
                },
                l.text
            )
        };
        lines(old, new).iter().map(sign).collect::<Vec<_>>()
    };
    assert_eq!(told("a\nb\nc", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
    assert_eq!(told("same\n", "same"), [" same"]);
    assert_eq!(told("", "new"), ["-", "+new"]);
    let long: String = (0..5_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(lines(&long, &long).len(), 10_000, "too long to be compared");
}
