//! From rows to what is told: the message of a notice, as things stand when it is sent.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use watchfire::{
    model::*,
    notifications::{
        message::{About, Digest, Message},
        render::{self, Here},
    },
    runtime::clock::Clock,
    store::{NewChannel, Package},
};

use crate::support::{TestApp, start_of_time};

fn me() -> Actor {
    Actor::Person("ada".to_owned())
}

/// A server whose rule holds every message back for an hour, and its channel.
async fn start() -> (TestApp, ChannelRow) {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |_| {}).await;
    let store = test.app().store();
    let secrets =
        BTreeMap::from([("url".to_owned(), store.sealer().seal("https://chat.example.com/hooks/x").unwrap())]);
    let new = NewChannel {
        name: "ops".to_owned(),
        kind: "mattermost".to_owned(),
        settings: BTreeMap::new(),
        secrets,
        shown: BTreeMap::new(),
        enabled: true,
        fallback: None,
    };
    let channel = store.make_channel(new, me()).await.unwrap();
    let rule = json!({"name": "All", "events": ["opened", "acknowledged", "resolved"], "wait_secs": 3600,
        "targets": [{"channel": channel.id}]});
    assert_eq!(test.post("/api/rules", &rule).await.status, 201);
    (test, channel)
}

async fn open(test: &TestApp, service: &str, severity: &str) {
    let body = json!({"title": format!("{service} fails"), "service": service, "severity": severity});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
}

fn told(test: &TestApp, channel: &ChannelRow, notices: Vec<Notice>, digest: bool) -> Option<Message> {
    let here = Here { base_url: "https://wf.example.com".to_owned(), now: test.clock.now() };
    let package = Package { channel: channel.clone(), notices, digest, receipt: BTreeMap::new() };
    let view = test.app().store().view().unwrap();
    render::message(&view, &package, &here, |incident, notice| format!("{incident}-{notice}")).unwrap()
}

fn notices(test: &TestApp, id: u64) -> Vec<Notice> {
    test.app().store().view().unwrap().notices_of(IncidentId(id)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_what_the_rows_say_when_it_is_sent() {
    let (test, channel) = start().await;
    let alert = json!({"id": "a", "title": "Disk full [E3]", "description": "98 % used.", "service": "db", "host": "db-1",
        "severity": "high", "environment": "prod", "url": "https://tool.example.com/1", "labels": {"team": "core"}});
    test.deliver("generic", &alert).await;
    open(&test, "mail", "critical").await;
    open(&test, "web", "low").await;
    let lead = notices(&test, 1).remove(0);
    let message = told(&test, &channel, vec![lead.clone()], false).unwrap();
    let subject = message.subject().unwrap();
    assert_eq!(message.key, lead.key);
    assert_eq!(message.events, [NoticeEvent::Opened]);
    assert_eq!(message.ack_url.as_deref(), Some(format!("https://wf.example.com/ack/INC-1-{}", lead.id).as_str()));
    assert_eq!((message.late, message.repeated), (None, false));
    assert_eq!(subject.url, "https://wf.example.com/incidents/INC-1");
    assert_eq!((subject.title.as_str(), subject.description.as_deref()), ("Disk full [E3]", Some("98 % used.")));
    assert_eq!((subject.service.as_deref(), subject.host.as_deref()), (Some("db"), Some("db-1")));
    assert_eq!((subject.source_name.as_str(), subject.alert_count, subject.firing_count), ("Generic JSON", 1, 1));
    assert_eq!((subject.other_critical, subject.other_warning), (1, 1), "the other ones that are open");
    assert_eq!(subject.alerts[0].labels["team"], "core");
    assert_eq!(subject.source_url.as_deref(), Some("https://tool.example.com/1"));

    // It says late when it is, that it may have come before, and each event once.
    for (minutes, late) in [(4, false), (5, true)] {
        let planned_at = test.clock.now().minus(Duration::from_secs(minutes * 60));
        let notice = Notice { planned_at, in_doubt: late, ..lead.clone() };
        let again = Notice { event: NoticeEvent::Resolved, ..notice.clone() };
        let message = told(&test, &channel, vec![notice.clone(), again.clone(), again, notice], false).unwrap();
        assert_eq!(message.late.is_some(), late, "{minutes}");
        assert_eq!(message.repeated, late);
        assert_eq!(message.events, [NoticeEvent::Opened, NoticeEvent::Resolved]);
    }
    // What was taken or is over has nothing to press; what is gone is not told; a test is of no incident.
    assert_eq!(test.post("/api/incidents/1/acknowledge", &json!({})).await.status, 200);
    let message = told(&test, &channel, vec![lead.clone()], false).unwrap();
    assert!(message.ack_url.is_none() && message.subject().unwrap().owner.is_some());
    assert_eq!(test.post("/api/incidents/1/resolve", &json!({"reason": "Made room."})).await.status, 200);
    let message = told(&test, &channel, vec![lead.clone()], false).unwrap();
    assert!(message.ack_url.is_none() && message.is_over());
    assert_eq!(message.subject().unwrap().resolution.as_deref(), Some("Made room."));
    let gone = Notice { incident: Some(IncidentId(77)), ..lead.clone() };
    assert!(told(&test, &channel, vec![gone.clone()], false).is_none());
    assert!(told(&test, &channel, vec![gone], true).is_none() && told(&test, &channel, Vec::new(), false).is_none());
    let trial = Notice { incident: None, event: NoticeEvent::Test, person: Some("ada".to_owned()), ..lead };
    let message = told(&test, &channel, vec![trial.clone()], false).unwrap();
    assert_eq!(message.about, About::Test { by: "ada".to_owned(), token: trial.key });
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_stands_somewhere_says_how_its_incident_stands() {
    let (test, _) = start().await;
    for service in ["db", "mail", "web"] {
        open(&test, service, "high").await;
    }
    let stands = |id: u64| {
        let here = Here { base_url: "https://wf.example.com".to_owned(), now: test.clock.now() };
        let lead = notices(&test, id).remove(0);
        let view = test.app().store().view().unwrap();
        render::standing(&view, &lead, &here).unwrap().map(|m| (m.event(), m.ack_url))
    };
    assert_eq!(stands(1), None, "as it was told");
    assert_eq!(test.post("/api/incidents/1/acknowledge", &json!({})).await.status, 200);
    assert_eq!(stands(1), Some((NoticeEvent::Acknowledged, None)));
    assert_eq!(test.post("/api/incidents/1/resolve", &json!({})).await.status, 200);
    assert_eq!(stands(1), Some((NoticeEvent::Resolved, None)));
    assert_eq!(test.post("/api/incidents/3/merge", &json!({"incident_ids": ["2"]})).await.status, 200);
    assert_eq!(stands(2), Some((NoticeEvent::Merged, None)));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_says_how_many_where_and_which_are_worst() {
    let (test, channel) = start().await;
    for n in 0..14 {
        let (service, severity) =
            (["db", "mail", "web", "queue", "cache", "auth"][n % 6], ["low", "critical", "high"][n % 3]);
        let body = json!({"title": format!("thing {n}"), "source_id": format!("t{n}"), "service": service, "severity": severity});
        assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    }
    let mut all: Vec<Notice> = (1..=14).map(|id| notices(&test, id).remove(0)).collect();
    assert_eq!(test.post("/api/incidents/2/resolve", &json!({})).await.status, 200);
    // Two of one incident count it once.
    all.push(Notice { event: NoticeEvent::Resolved, ..all[1].clone() });
    let Some(Message { about: About::Digest(digest), ack_url, .. }) = told(&test, &channel, all, true) else {
        panic!("no digest")
    };
    let Digest { incidents, severities, services, events, first, url } = digest;
    assert_eq!((incidents, ack_url), (14, None));
    assert_eq!(severities, [(Severity::Critical, 5), (Severity::High, 4), (Severity::Low, 5)]);
    assert_eq!(events, [(NoticeEvent::Opened, 14), (NoticeEvent::Resolved, 1)]);
    let services: Vec<(&str, u64)> = services.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(services, [("db", 3), ("mail", 3), ("auth", 2), ("cache", 2), ("queue", 2)]);
    let order: Vec<(Severity, u64)> = first.iter().map(|l| (l.severity, l.id.0)).collect();
    let worst = [(5, true), (8, true), (11, true), (14, true), (3, false), (6, false), (9, false), (12, false)];
    let want: Vec<(Severity, u64)> =
        worst.iter().map(|(n, c)| (if *c { Severity::Critical } else { Severity::High }, *n)).collect();
    assert_eq!((order.len(), &order[..8]), (10, &want[..]), "what is over comes last");
    assert_eq!(first[0].url, "https://wf.example.com/incidents/INC-5");
    assert_eq!(url, "https://wf.example.com/incidents");
    assert_eq!(test.get("/api/incidents/5").await.json["title"], Value::from("thing 4"));
    test.stop().await;
}
