//! What the outbox promises, without anything being called: messages are taken and their ends written down by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    tests::{Fixture, firing, me, minutes, titled},
    *,
};

pub(in crate::store) const ALL: &[NoticeEvent] = &[
    NoticeEvent::Opened,
    NoticeEvent::Reopened,
    NoticeEvent::SeverityUp,
    NoticeEvent::Acknowledged,
    NoticeEvent::Resolved,
];
/// Texts that have nothing in common, so that none joins another.
const TITLES: [&str; 8] = [
    "Disk full",
    "Certificate expires",
    "Replication lag",
    "Queue grows",
    "CPU saturated",
    "DNS fails",
    "OOM kill",
    "Backup missing",
];

/// A rule without conditions.
pub(in crate::store) fn rule(events: &[NoticeEvent], targets: Vec<Target>) -> NoticeRule {
    NoticeRule {
        id: RuleId(0),
        name: "All".to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: events.to_vec(),
        targets,
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: Time::default(),
        created_by: String::new(),
        updated_at: Time::default(),
    }
}

/// A policy of these steps: seconds, and who is told.
pub(in crate::store) fn policy(steps: &[(u32, ChannelId)]) -> EscalationPolicy {
    let step = |(after_secs, id): &(u32, ChannelId)| EscalationStep {
        after_secs: *after_secs,
        targets: vec![Target::Channel(*id)],
    };
    EscalationPolicy {
        id: PolicyId(0),
        name: "On call".to_owned(),
        steps: steps.iter().map(step).collect(),
        repeat: 0,
        unacknowledge_secs: None,
        created_at: Time::default(),
        created_by: String::new(),
        updated_at: Time::default(),
    }
}

impl Fixture {
    /// Incidents are told apart by their services and texts only, and each is told at once.
    pub(in crate::store) fn telling() -> Self {
        let policy =
            Policy { mode: CorrelationMode::Any, cluster_window: Duration::ZERO, reserve: 0, ..Policy::default() };
        Self::with(policy)
    }

    pub(in crate::store) async fn channel(&self, name: &str, kind: &str, fallback: Option<ChannelId>) -> ChannelId {
        let secret = self.store.sealer().seal("https://chat.example.com/hooks/abc").unwrap();
        let new = NewChannel {
            name: name.to_owned(),
            kind: kind.to_owned(),
            settings: BTreeMap::new(),
            secrets: BTreeMap::from([("url".to_owned(), secret)]),
            shown: BTreeMap::new(),
            enabled: true,
            fallback,
        };
        self.store.make_channel(new, me()).await.unwrap().id
    }

    pub(in crate::store) async fn rule(&self, rule: NoticeRule) -> RuleId {
        self.store.put_notice_rule(None, rule, me()).await.unwrap().id
    }

    /// Opens the incident of that number.
    pub(in crate::store) async fn open_incident(&self, n: u64) {
        let title = TITLES[usize::try_from(n).unwrap() - 1];
        let signal = titled(title, firing(&format!("grafana:{n}"), Some(&format!("service-{n}"))));
        let opened = self.send("grafana", vec![signal]).await;
        assert_eq!((opened[0].incident_id, opened[0].new_incident), (Some(IncidentId(n)), true));
    }

    pub(in crate::store) async fn take(&self) -> Vec<Package> {
        self.store.take_notices(BTreeSet::new(), BTreeSet::new(), 32).await.unwrap()
    }

    /// Takes the one package that is due: which messages, and whether as a digest.
    pub(in crate::store) async fn taken(&self) -> Package {
        let mut all = self.take().await;
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// Writes down the end of a package's try.
    pub(in crate::store) async fn ends(&self, package: &Package, end: SentEnd) {
        self.ends_so(package, end, false).await;
    }

    pub(in crate::store) async fn ends_so(&self, package: &Package, end: SentEnd, in_doubt: bool) {
        let said = "answered 500".to_owned();
        let attempt = Attempt { at: self.clock.now(), took_ms: 1, ok: end == SentEnd::Done, status: None, said };
        let sent = Sent {
            notices: package.notices.iter().map(|n| n.id).collect(),
            attempt: Some(attempt),
            end,
            receipt: package.receipt.clone(),
            lasting: BTreeMap::new(),
            steps_done: Vec::new(),
            in_doubt,
        };
        self.store.record_notices(vec![sent]).await.unwrap();
        self.consistent();
    }

    pub(in crate::store) fn notices(&self, incident: u64) -> Vec<Notice> {
        self.store.view().unwrap().notices_of(IncidentId(incident)).unwrap()
    }

    /// Events with what became of them.
    pub(in crate::store) fn told(&self, incident: u64) -> Vec<String> {
        self.notices(incident).iter().map(|n| format!("{} {} {}", n.channel, n.event, n.state)).collect()
    }

    pub(in crate::store) fn health(&self, id: ChannelId) -> ChannelHealth {
        self.store.view().unwrap().channel(id).unwrap().unwrap().health
    }
}

fn events(package: &Package) -> Vec<String> {
    package.notices.iter().map(|n| format!("{} {}", n.incident.unwrap(), n.event)).collect()
}

/// A message about nothing that is due.
pub(in crate::store) fn blank(now: Time, id: NoticeId, channel: ChannelId, address: Option<String>) -> Notice {
    Notice {
        id,
        incident: None,
        event: NoticeEvent::Opened,
        severity_before: None,
        rule: None,
        rung: None,
        reason: "Because.".to_owned(),
        channel,
        person: None,
        address,
        created_at: now,
        planned_at: now,
        due_at: now,
        state: NoticeState::Waiting,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        in_doubt: false,
        gathers: false,
        remind_secs: None,
        key: id.to_string(),
        ended_at: None,
        told_in: None,
        instead_of: None,
    }
}

pub(in crate::store) const LATER: SentEnd = SentEnd::Later(None);
pub(in crate::store) const REFUSED: SentEnd = SentEnd::Never { broken: false };

#[tokio::test]
async fn what_was_on_its_way_at_a_kill_comes_once_more_with_the_same_key_and_says_so() {
    let mut f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    f.open_incident(1).await;
    let first = f.taken().await;
    assert!(!first.notices[0].in_doubt);
    assert!(f.take().await.is_empty(), "its place is taken");
    f.restart();
    assert!(f.take().await.is_empty(), "until it is known that nobody has it");
    f.store.release_notices().await.unwrap();
    let again = f.taken().await;
    assert_eq!((&again.notices[0].key, again.notices[0].in_doubt), (&first.notices[0].key, true));
    // That a later try failed does not say that the first one did.
    f.ends(&again, LATER).await;
    f.clock.advance(minutes(1));
    let third = f.taken().await;
    assert!(third.notices[0].in_doubt);
    f.ends(&third, SentEnd::Done).await;
    assert!(!f.notices(1)[0].in_doubt);
    assert_eq!(f.told(1), ["CH-1 opened sent"]);
}

#[tokio::test]
async fn a_try_without_an_answer_may_have_arrived() {
    let f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    f.open_incident(1).await;
    let first = f.taken().await;
    f.ends_so(&first, LATER, true).await;
    f.clock.advance(minutes(1));
    assert!(f.taken().await.notices[0].in_doubt);
}

#[tokio::test]
async fn a_digest_stays_one_through_failures_and_kills() {
    let mut f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    for n in 1..=5 {
        f.open_incident(n).await;
    }
    let first = f.taken().await;
    assert_eq!((first.digest, first.notices.len()), (true, 5));
    let ids = |p: &Package| p.notices.iter().map(|n| n.id).collect::<Vec<_>>();
    f.ends(&first, LATER).await;
    f.open_incident(6).await;
    f.clock.advance(minutes(1));
    let second = f.taken().await;
    assert_eq!((second.digest, ids(&second)), (true, ids(&first)));
    f.restart();
    f.store.release_notices().await.unwrap();
    let third = f.taken().await;
    assert_eq!((third.digest, ids(&third)), (true, ids(&first)));
    f.ends(&third, SentEnd::Done).await;
    assert_eq!(events(&f.taken().await), ["INC-6 opened"]);
}

#[tokio::test]
async fn a_pager_that_may_know_of_it_is_told_the_end() {
    for (before, want) in [
        // Nothing was tried: neither is told.
        ("nothing", vec![]),
        // It was on its way at a kill.
        ("killed", vec!["INC-1 opened", "INC-1 resolved"]),
        // It failed, and may have arrived.
        ("failed", vec!["INC-1 opened", "INC-1 resolved"]),
        // It was told, and got worse and ended while its place was busy.
        ("sent", vec!["INC-1 severity_up", "INC-1 resolved"]),
    ] {
        let mut f = Fixture::telling();
        let id = f.channel("pager", "pagerduty", None).await;
        f.rule(rule(ALL, vec![Target::Channel(id)])).await;
        f.open_incident(1).await;
        match before {
            "killed" => {
                f.taken().await;
                f.restart();
                f.store.release_notices().await.unwrap();
            }
            "failed" => f.ends(&f.taken().await, LATER).await,
            "sent" => {
                f.ends(&f.taken().await, SentEnd::Done).await;
                let worse = IncidentPatch { severity: Some(Some(Severity::Critical)), ..IncidentPatch::default() };
                f.store.patch_incident(IncidentId(1), worse, me()).await.unwrap();
            }
            _ => {}
        }
        f.store.resolve(IncidentId(1), None, me()).await.unwrap();
        f.clock.advance(minutes(1));
        let mut told = Vec::new();
        for _ in 0..3 {
            for package in f.take().await {
                told.extend(events(&package));
                f.ends(&package, SentEnd::Done).await;
            }
        }
        assert_eq!(told, want, "{before}");
    }
}

#[tokio::test]
async fn the_second_channel_is_told_once_whichever_try_fails_for_good() {
    for ends in [vec![REFUSED], vec![LATER, REFUSED], vec![LATER, LATER, REFUSED], vec![LATER, LATER, LATER, REFUSED]] {
        let f = Fixture::telling();
        let spare = f.channel("spare", "mattermost", None).await;
        let id = f.channel("ops", "mattermost", Some(spare)).await;
        f.rule(rule(ALL, vec![Target::Channel(id)])).await;
        f.open_incident(1).await;
        let count = ends.len();
        for end in ends {
            for package in f.take().await {
                f.ends(&package, if package.channel.id == id { end.clone() } else { SentEnd::Done }).await;
            }
            f.clock.advance(minutes(1));
        }
        for package in f.take().await {
            f.ends(&package, SentEnd::Done).await;
        }
        assert_eq!(f.told(1), ["CH-2 opened failed", "CH-1 opened sent"], "{count} tries");
        assert_eq!(f.notices(1)[1].instead_of, Some(id));
    }
}
