//! The store as its users see it: deliveries in, commands in, views out, also after a restart.

use std::time::Duration;

use super::*;

pub(super) struct Fixture {
    pub dir: tempfile::TempDir,
    pub clock: Clock,
    pub store: Store,
}

pub(super) const START: i64 = 1_772_500_000;
/// Nothing takes this long unless it hangs; a busy disk takes a second for a sync.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

impl Fixture {
    pub fn new() -> Self {
        Self::with(Policy { mode: CorrelationMode::Any, reserve: 0, ..Policy::default() })
    }

    pub fn with(policy: Policy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Time::from_secs(START));
        let options = StoreOptions { dir: dir.path().to_owned(), cache_bytes: 8 << 20, policy };
        let store = Store::open(options, clock.clone()).unwrap();
        Self { dir, clock, store }
    }

    pub fn open(dir: &Path, clock: &Clock) -> Store {
        let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
        Store::open(options, clock.clone()).unwrap()
    }

    pub fn restart(&mut self) {
        self.store.close();
        let (dir, clock) = (self.dir.path().to_owned(), self.clock.clone());
        // The old store must be gone before its folder can be opened again.
        let placeholder = tempfile::tempdir().unwrap();
        let old = std::mem::replace(&mut self.store, Self::open(placeholder.path(), &clock));
        drop(old);
        let other = std::mem::replace(&mut self.store, Self::open(&dir, &clock));
        other.close();
    }

    pub async fn send(&self, platform: &str, signals: Vec<Signal>) -> Vec<Applied> {
        self.deliver(platform, Parsed { signals, ..Parsed::default() }).await
    }

    /// Sends what a connector read.
    pub async fn deliver(&self, platform: &str, parsed: Parsed) -> Vec<Applied> {
        let body = serde_json::to_vec(&parsed.signals.iter().map(|s| &s.title).collect::<Vec<_>>()).unwrap();
        let delivery = NewDelivery {
            at: self.clock.now(),
            platform: platform.into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body,
            parsed,
            replay_of: None,
        };
        let submitted = self.store.submit(delivery).await.unwrap();
        assert!(self.store.applied(submitted.seq, PATIENCE).await);
        let results = self.store.view().unwrap().results(submitted.seq).unwrap().unwrap();
        self.consistent();
        results
    }

    pub fn incident(&self, n: u64) -> Incident {
        self.store.view().unwrap().incident(IncidentId(n)).unwrap().unwrap()
    }

    /// Every invariant holds, and the memory says what the disk says.
    pub fn consistent(&self) {
        let view = self.store.view().unwrap();
        assert_eq!(view.check().unwrap(), Vec::<String>::new());
    }
}

pub(super) fn firing(key: &str, service: Option<&str>) -> Signal {
    let mut signal = Signal::new(key, format!("title of {key}"));
    signal.severity = Severity::High;
    signal.service = service.map(str::to_owned);
    signal
}

/// The same with another title: in mode `any` alerts join by texts that say about the same.
pub(super) fn titled(title: &str, signal: Signal) -> Signal {
    Signal { title: title.to_owned(), ..signal }
}

pub(super) fn resolved(key: &str) -> Signal {
    let mut signal = firing(key, None);
    signal.status = SignalStatus::Resolved;
    signal
}

pub(super) fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(super) fn me() -> Actor {
    Actor::Person("sre-1".into())
}

/// A delivery of one alert, as it is submitted.
pub(super) fn plain(clock: &Clock, key: &str) -> NewDelivery {
    NewDelivery {
        at: clock.now(),
        platform: "grafana".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: Vec::new(),
        body: key.as_bytes().to_vec(),
        parsed: Parsed { signals: vec![firing(key, Some("api"))], ..Parsed::default() },
        replay_of: None,
    }
}

#[tokio::test]
async fn an_alert_opens_an_incident_repeats_count_and_the_end_resolves() {
    let f = Fixture::new();
    let first = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    assert!(first[0].new_incident);
    assert_eq!(first[0].strategy, Some(Strategy::Primary));
    let again = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    assert_eq!((again[0].alert_id, again[0].incident_id), (first[0].alert_id, first[0].incident_id));
    let alert = f.store.view().unwrap().alert(first[0].alert_id.unwrap()).unwrap().unwrap();
    assert_eq!((alert.count, f.incident(1).alert_count, f.incident(1).firing_count), (2, 1, 1));

    let done = f.send("grafana", vec![resolved("grafana:a")]).await;
    assert_eq!(done[0].incident_id, Some(IncidentId(1)));
    let incident = f.incident(1);
    assert_eq!((incident.status, incident.firing_count), (IncidentStatus::Resolved, 0));
    assert_eq!(incident.resolution.as_deref(), Some("Its alert resolved at the source."));
    assert_eq!(f.send("grafana", vec![resolved("grafana:never")]).await[0].alert_id, None);
}

#[tokio::test]
async fn alerts_join_by_service_and_by_time_and_say_why() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.clock.advance(minutes(4));
    let near = f.send("datadog", vec![firing("datadog:b", Some("db"))]).await;
    assert_eq!((near[0].incident_id, near[0].strategy), (Some(IncidentId(1)), Some(Strategy::TimeCluster)));
    assert_eq!(near[0].correlation_score, Some(0.7));
    f.clock.advance(minutes(60));
    let same = f.send("splunk", vec![firing("splunk:c", Some("API"))]).await;
    assert_eq!((same[0].incident_id, same[0].strategy), (Some(IncidentId(1)), Some(Strategy::ServiceMatch)));
    let other = f.send("splunk", vec![firing("splunk:d", Some("db"))]).await;
    assert_eq!(other[0].incident_id, Some(IncidentId(2)), "mode any compares with the incident's own service");
    let view = f.store.view().unwrap();
    let members = view.members(IncidentId(1), 10).unwrap();
    assert_eq!(members.len(), 3);
    assert!(members.iter().all(|(m, _)| !m.reasons.is_empty() && m.reasons.iter().all(|r| !r.text.is_empty())));
}

#[tokio::test]
async fn what_a_sender_groups_stays_together_where_that_is_set() {
    for (set, want, why) in [(false, 1, Strategy::ServiceMatch), (true, 2, Strategy::TagMatch)] {
        let group_by_sender = [("grafana".to_owned(), set)].into();
        let f = Fixture::with(Policy { mode: CorrelationMode::Any, reserve: 0, group_by_sender, ..Policy::default() });
        let title = |key: &str| match key.chars().last() {
            Some('c') => "Queue grows",
            Some('d') => "CPU saturated",
            Some('e') => "Disk full",
            _ => "DNS fails",
        };
        let grouped = |key: &str, service: &str| Signal {
            group_key: Some("g".into()),
            ..titled(title(key), firing(key, Some(service)))
        };
        f.send("grafana", vec![titled("Certificate expires", firing("grafana:a", Some("api")))]).await;
        f.clock.advance(minutes(6));
        f.send("datadog", vec![titled("Replication lag", firing("datadog:b", Some("db")))]).await;
        // The group comes to the second incident with an alert that joins it.
        let first = f.send("grafana", vec![grouped("grafana:c", "db")]).await;
        assert_eq!((first[0].incident_id, first[0].strategy), (Some(IncidentId(2)), Some(Strategy::ServiceMatch)));
        let second = f.send("grafana", vec![grouped("grafana:d", "api")]).await;
        assert_eq!((second[0].incident_id, second[0].strategy), (Some(IncidentId(want)), Some(why)), "{set}");
        // Another sender's group of the same name is another one.
        let other = f.send("alertmanager", vec![grouped("alertmanager:e", "api")]).await;
        assert_eq!(other[0].incident_id, Some(IncidentId(1)));
        f.clock.advance(minutes(6));
        let later = f.send("grafana", vec![grouped("grafana:f", "api")]).await;
        assert_eq!(later[0].incident_id, Some(IncidentId(1)), "outside of the window");
        f.store.resolve(IncidentId(2), None, me()).await.unwrap();
        f.consistent();
    }
}

#[tokio::test]
async fn a_refire_reopens_in_time_and_opens_anew_later() {
    let f = Fixture::new();
    f.send("grafana", vec![titled("Certificate expires", firing("grafana:a", Some("api")))]).await;
    f.store.resolve(IncidentId(1), Some("restarted".into()), me()).await.unwrap();
    f.consistent();
    f.clock.advance(minutes(14));
    let back = f.send("grafana", vec![titled("Certificate expires", firing("grafana:a", Some("api")))]).await;
    assert_eq!((back[0].incident_id, f.incident(1).status), (Some(IncidentId(1)), IncidentStatus::Investigating));
    f.send("grafana", vec![resolved("grafana:a")]).await;
    f.clock.advance(minutes(16));
    let late = f.send("grafana", vec![titled("Certificate expires", firing("grafana:a", Some("api")))]).await;
    assert_eq!((late[0].incident_id, f.incident(1).status), (Some(IncidentId(2)), IncidentStatus::Resolved));
    assert_ne!(late[0].alert_id, back[0].alert_id);
}

#[tokio::test]
async fn the_order_inside_a_body_does_not_matter() {
    let signals = || {
        let mut late = firing("grafana:late", Some("api"));
        late.started_at = Some(Time::from_secs(START - 10));
        let mut early = firing("grafana:early", Some("api"));
        early.started_at = Some(Time::from_secs(START - 100));
        vec![late, early, resolved("grafana:early")]
    };
    let mut reversed = signals();
    reversed.reverse();
    let mut seen = Vec::new();
    for order in [signals(), reversed] {
        let f = Fixture::new();
        let results = f.send("grafana", order.clone()).await;
        assert_eq!(
            results.iter().map(|r| r.fingerprint).collect::<Vec<_>>(),
            order.iter().map(Signal::fingerprint).collect::<Vec<_>>()
        );
        seen.push(f.incident(1));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].title, "title of grafana:early");
}

#[tokio::test]
async fn info_opens_nothing_and_tests_and_manual_incidents_stay_alone() {
    let f = Fixture::new();
    let mut info = firing("grafana:info", Some("api"));
    info.severity = Severity::Info;
    assert_eq!(f.send("grafana", vec![info]).await[0].incident_id, None);
    let mut test = firing("grafana:test", Some("api"));
    test.is_test = true;
    assert_eq!(f.send("grafana", vec![test]).await[0].incident_id, Some(IncidentId(1)));
    assert!(f.send("manual", vec![firing("manual:1", Some("api"))]).await[0].new_incident);
    assert!(f.send("grafana", vec![firing("grafana:a", Some("api"))]).await[0].new_incident);
    f.clock.advance(minutes(11));
    // The timer runs on the writer's thread: its change is what we wait for.
    let mut changes = f.store.changes();
    while f.incident(1).status != IncidentStatus::Resolved {
        changes.changed().await.unwrap();
    }
    assert_eq!(f.incident(2).status, IncidentStatus::Investigating);
    f.consistent();
}

#[tokio::test]
async fn a_note_of_the_sender_goes_to_the_timeline_and_changes_nothing_else() {
    let f = Fixture::new();
    f.send("pagerduty", vec![firing("pagerduty:a", Some("api"))]).await;
    let mut note = firing("pagerduty:a", None);
    note.status = SignalStatus::Info;
    note.title = "Note: rebooting it".into();
    f.send("pagerduty", vec![note]).await;
    let view = f.store.view().unwrap();
    let last = view.timeline(IncidentId(1), None, 50).unwrap().pop().unwrap();
    assert_eq!((last.kind, last.text.as_str()), (TimelineKind::AlertNote, "Note: rebooting it"));
    let (_, alert) = view.members(IncidentId(1), 1).unwrap().pop().unwrap();
    assert_eq!((alert.title.as_str(), alert.count), ("title of pagerduty:a", 1));
}

#[tokio::test]
async fn commands_follow_the_lifecycle() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    let id = IncidentId(1);
    let taken = f.store.acknowledge(id, me()).await.unwrap();
    assert_eq!((taken.owner.as_deref(), taken.status), (Some("sre-1"), IncidentStatus::Investigating));
    f.store.comment(id, "looking".into(), me()).await.unwrap();
    assert!(matches!(f.store.comment(id, " ".into(), me()).await, Err(CommandError::Invalid { .. })));
    assert!(matches!(f.store.reopen(id, me()).await, Err(CommandError::Conflict { .. })));
    assert!(matches!(f.store.resolve(IncidentId(9), None, me()).await, Err(CommandError::NotFound(_))));
    let patch =
        IncidentPatch { severity: Some(Some(Severity::Low)), title: Some("better".into()), ..IncidentPatch::default() };
    assert_eq!(f.store.patch_incident(id, patch, me()).await.unwrap().title, "better");
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    assert_eq!(f.incident(1).severity, Severity::Low, "what a person set stays");
    f.store.resolve(id, None, me()).await.unwrap();
    match f.store.resolve(id, None, me()).await {
        Err(CommandError::Conflict { allowed, .. }) => assert_eq!(allowed, ["investigating"]),
        other => panic!("{other:?}"),
    }
    let kinds: Vec<TimelineKind> =
        f.store.view().unwrap().timeline(id, None, 50).unwrap().iter().map(|e| e.kind).collect();
    use TimelineKind as K;
    assert_eq!(kinds, [K::Opened, K::Acknowledged, K::Comment, K::Severity, K::Title, K::Resolved]);
    f.consistent();
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api")), firing("grafana:b", Some("db"))]).await;
    f.store.acknowledge(IncidentId(1), me()).await.unwrap();
    let before = (f.incident(1), f.store.view().unwrap().change_range().unwrap());
    f.restart();
    assert_eq!((f.incident(1), f.store.view().unwrap().change_range().unwrap()), before);
    assert_eq!(*f.store.changes().borrow(), before.1.1);
    let again = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    assert_eq!(again[0].incident_id, Some(IncidentId(1)));
    assert!(!again[0].new_incident);
    f.send("grafana", vec![resolved("grafana:a"), resolved("grafana:b")]).await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn the_folder_is_locked_and_a_newer_schema_is_refused() {
    let f = Fixture::new();
    let options = StoreOptions { dir: f.dir.path().to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
    let second = Store::open(options.clone(), f.clock.clone()).unwrap_err();
    assert!(matches!(second, StoreError::Locked(_)), "{second}");
    let dir = f.dir;
    f.store.close();
    drop(f.store);
    let db = redb::Database::create(dir.path().join("watchfire.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(tables::META).unwrap().insert(tables::meta::SCHEMA, 99).unwrap();
    txn.commit().unwrap();
    drop(db);
    let newer = Store::open(options, f.clock).unwrap_err();
    assert!(newer.to_string().contains("schema 99") && newer.to_string().contains("backup"), "{newer}");
}

#[tokio::test]
async fn lists_page_without_losing_or_doubling_rows() {
    let f = Fixture::new();
    for n in 0..7 {
        f.clock.advance(minutes(10));
        let title = [
            "Disk full",
            "Certificate expires",
            "Replication lag",
            "Queue grows",
            "CPU saturated",
            "DNS fails",
            "OOM kill",
        ];
        f.send("grafana", vec![titled(title[n], firing(&format!("grafana:{n}"), Some(&format!("s{n}"))))]).await;
    }
    f.store.resolve(IncidentId(3), None, me()).await.unwrap();
    let view = f.store.view().unwrap();
    let open = IncidentFilter {
        statuses: vec![IncidentStatus::Investigating, IncidentStatus::Analyzed],
        ..IncidentFilter::default()
    };
    for (filter, want) in [(IncidentFilter::default(), vec![7, 6, 5, 4, 3, 2, 1]), (open, vec![7, 6, 5, 4, 2, 1])] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = view.incidents(&filter, before, 2).unwrap();
            assert_eq!((page.total, page.total_is_exact), (want.len() as u64, true));
            seen.extend(page.items.iter().map(|i| i.id.0));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, want);
    }
    let overview = view.overview(f.clock.now()).unwrap();
    assert_eq!((overview.open, overview.unowned, overview.alerts_24h, overview.incidents_24h), (6, 6, 7, 7));
    assert_eq!(overview.volume.iter().sum::<u32>(), 7);
    // In the same second: what is remembered of the figures does not outlive a change.
    f.send("grafana", vec![firing("grafana:later", Some("S1"))]).await;
    let later = f.store.view().unwrap();
    assert_eq!(later.overview(f.clock.now()).unwrap().alerts_24h, 8);
    assert_eq!(later.overview(f.clock.now()).unwrap(), later.overview(f.clock.now()).unwrap());
    assert_eq!(view.earlier_incidents("S1", IncidentId(7), 5).unwrap().len(), 1);
    assert_eq!(view.closed_since(f.clock.now().minus(minutes(5)), 5).unwrap().1, 1);
}

#[tokio::test]
async fn an_incident_with_very_many_alerts_shows_both_ends_once() {
    let f = Fixture::new();
    f.send("grafana", (0..2_500).map(|n| firing(&format!("grafana:{n}"), Some("api"))).collect()).await;
    assert_eq!(f.incident(1).alert_count, 2_500);
    let members = f.store.view().unwrap().members(IncidentId(1), 5_000).unwrap();
    let mut numbers: Vec<u64> = members.iter().map(|(m, _)| m.alert.number()).collect();
    assert_eq!(numbers.first(), Some(&1), "the first alert stands first");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), numbers.first(), numbers.last()), (2_000, Some(&1), Some(&2_500)));
}

#[tokio::test]
async fn a_reopened_incident_whose_alerts_are_over_is_no_damage() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    f.store.reopen(IncidentId(1), me()).await.unwrap();
    assert_eq!((f.incident(1).status, f.incident(1).firing_count), (IncidentStatus::Investigating, 0));
    f.consistent();
}

#[tokio::test]
async fn a_repeat_of_what_ended_long_ago_opens_nothing() {
    let f = Fixture::new();
    f.send("datadog", vec![firing("datadog:a", Some("api"))]).await;
    f.send("datadog", vec![resolved("datadog:a")]).await;
    // Less than the pause between two clean-ups: the identity is still in memory.
    f.clock.advance(minutes(15) + Duration::from_secs(1));
    let mut repeat = firing("datadog:a", Some("api"));
    repeat.repeat_only = true;
    assert_eq!(f.send("datadog", vec![repeat]).await[0].alert_id, None);
    assert!(f.send("datadog", vec![firing("datadog:a", Some("api"))]).await[0].new_incident);
}

#[tokio::test]
async fn an_incident_is_opened_again_and_assigned_at_once() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    let patch = IncidentPatch {
        status: Some(IncidentStatus::Investigating),
        owner: Some(Some("sre-2".into())),
        ..IncidentPatch::default()
    };
    let opened = f.store.patch_incident(IncidentId(1), patch, me()).await.unwrap();
    assert_eq!((opened.status, opened.owner.as_deref()), (IncidentStatus::Investigating, Some("sre-2")));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("made/here");
    Fixture::open(&data, &Clock::manual(Time::from_secs(START))).close();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["watchfire.redb", "intake.redb", "secret.key"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

/// What an administrator does as root in a folder of the service must not keep the service out of it.
#[cfg(unix)]
#[test]
fn files_that_root_makes_belong_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let dir = tempfile::tempdir().unwrap();
    if chown(dir.path(), Some(12_345), Some(12_345)).is_err() {
        return; // Not root: the files belong to whoever runs this.
    }
    Fixture::open(dir.path(), &Clock::manual(Time::from_secs(START))).close();
    for name in ["lock", "secret.key", "intake.redb", "watchfire.redb"] {
        let meta = std::fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12_345, 12_345), "{name}");
    }
}

/// One of both files is a copy of last week: what was acknowledged since is in neither.
#[tokio::test]
async fn files_with_a_gap_between_them_are_refused() {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", None)]).await;
    f.store.close();
    let main = f.dir.path().join("watchfire.redb");
    let old = std::fs::read(&main).unwrap();
    let store = Fixture::open(f.dir.path(), &f.clock);
    for _ in 0..600 {
        let sent = store.submit(plain(&f.clock, "grafana:b")).await.unwrap();
        assert!(store.applied(sent.seq, PATIENCE).await);
    }
    store.close();
    std::fs::write(&main, old).unwrap();
    let options = StoreOptions { dir: f.dir.path().to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
    let said = Store::open(options, f.clock.clone()).unwrap_err().to_string();
    assert!(said.contains("do not belong together") && said.contains("from one backup"), "{said}");
}

#[tokio::test]
async fn a_second_look_that_cannot_be_had_holds_nothing_up() {
    let f = Fixture::with(Policy { mode: CorrelationMode::Weighted, reserve: 0, ..Policy::default() });
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.store
        .command(|tx| {
            let mut alert = tx.alert(1)?.unwrap();
            alert.incident = Some(IncidentId(999));
            let quiet = alert.quiet_at;
            Ok(tx.put_alert(&alert, quiet)?)
        })
        .await
        .unwrap();
    use redb::ReadableTableMetadata;
    let looks = || f.store.view().unwrap().transactions().0.open_table(tables::LOOKS).unwrap().len().unwrap();
    assert_eq!(looks(), 1);
    f.clock.advance(minutes(2));
    let mut changes = f.store.changes();
    while looks() > 0 {
        tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.expect("it is left out").unwrap();
    }
}
