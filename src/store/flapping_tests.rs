//! Alerts that go up and down: what is told, what stays open, and that an end counts in the end.

use std::collections::BTreeMap;

use proptest::{
    collection,
    prelude::{ProptestConfig, prop_assert, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Drawn,
};

use super::{
    apply::{
        flapping::{HOLD, TIMES, WITHIN},
        timers,
    },
    tests::{Fixture, firing, me, minutes, resolved},
    *,
};

const KEY: &str = "grafana:a";

impl Fixture {
    /// Time passes, and what it does by itself is done.
    pub(super) async fn wait(&self, time: Duration) {
        self.clock.advance(time);
        self.settled().await;
    }

    /// What the clock asks for is done: the writer does it in its own time, and rows that are read before may change by
    /// themselves.
    pub(super) async fn settled(&self) {
        let now = self.clock.now();
        while self.store.command(|tx| Ok(timers::next(tx)?)).await.unwrap().is_some_and(|at| at <= now) {}
        self.consistent();
    }

    async fn fire(&self) -> Alert {
        let applied = self.send("grafana", vec![firing(KEY, Some("api"))]).await;
        self.row(applied[0].alert_id.unwrap())
    }

    async fn end(&self) -> Alert {
        let applied = self.send("grafana", vec![resolved(KEY)]).await;
        self.row(applied[0].alert_id.unwrap())
    }

    fn row(&self, id: AlertId) -> Alert {
        self.store.view().unwrap().alert(id).unwrap().unwrap()
    }

    fn kinds(&self, n: u64) -> Vec<TimelineKind> {
        let view = self.store.view().unwrap();
        let mut entries = view.timeline(IncidentId(n), None, 1_000).unwrap();
        entries.sort_by_key(|e| e.seq);
        entries.into_iter().map(|e| e.kind).filter(|k| !k.as_str().starts_with("investigation")).collect()
    }

    /// Up and down until it flaps; it burns then.
    async fn flap(&self) -> Alert {
        let mut alert = self.fire().await;
        for _ in 0..TIMES {
            self.wait(minutes(1)).await;
            self.end().await;
            self.wait(minutes(1)).await;
            alert = self.fire().await;
        }
        alert
    }
}

#[tokio::test]
async fn while_it_flaps_one_incident_stays_open_and_nothing_is_told_of_its_turns() {
    use TimelineKind::*;
    let f = Fixture::new();
    let alert = f.flap().await;
    let told = vec![
        Opened,
        AlertResolved,
        Resolved,
        AlertRefired,
        Reopened,
        AlertResolved,
        Resolved,
        AlertRefired,
        Reopened,
        AlertResolved,
        Resolved,
        FlappingBegan,
        Reopened,
    ];
    assert_eq!(f.kinds(1), told);
    assert_eq!((alert.flapping.map(|f| f.times), alert.count), (Some(3), 4));
    assert!(f.incident(1).flapping);
    for turn in 1..=10 {
        f.wait(minutes(2)).await;
        let ended = f.end().await;
        assert_eq!((ended.status, ended.is_open(), ended.closed_at), (AlertStatus::Resolved, true, None));
        assert_eq!(ended.ended_at, Some(f.clock.now()), "what the sender said last is shown");
        // An end that comes twice does not begin its time anew.
        f.wait(minutes(1)).await;
        let again = f.end().await;
        assert_eq!(again.flapping, ended.flapping);
        f.wait(minutes(3)).await;
        let fired = f.fire().await;
        assert_eq!((fired.status, fired.ended_at, fired.count), (AlertStatus::Firing, None, 4 + turn));
        assert_eq!(f.incident(1).status, IncidentStatus::Investigating);
    }
    assert_eq!(f.kinds(1), told, "nothing was told");
    f.end().await;
    f.wait(HOLD - Duration::from_secs(1)).await;
    assert!(f.incident(1).is_open());
    f.wait(Duration::from_secs(1)).await;
    let incident = f.incident(1);
    assert_eq!((incident.status, incident.flapping), (IncidentStatus::Resolved, false));
    assert_eq!(incident.resolution.as_deref(), Some("Its alert resolved and stayed quiet for 5\u{a0}min."));
    assert_eq!(f.kinds(1)[told.len()..], [FlappingEnded, Resolved]);
    // The first problem after a recovery is told.
    f.wait(minutes(1)).await;
    assert_eq!(f.fire().await.flapping, None);
    assert_eq!(f.kinds(1)[told.len() + 2..], [AlertRefired, Reopened]);
    f.end().await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn it_stops_flapping_when_it_burns_for_long_and_then_its_end_counts_at_once() {
    let f = Fixture::new();
    f.flap().await;
    f.wait(WITHIN - Duration::from_secs(1)).await;
    assert!(f.incident(1).flapping);
    f.wait(Duration::from_secs(1)).await;
    assert!(!f.incident(1).flapping && f.incident(1).is_open());
    assert_eq!(f.kinds(1).last(), Some(&TimelineKind::FlappingEnded));
    f.end().await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn turns_that_are_rare_are_told_each() {
    let f = Fixture::new();
    for _ in 0..6 {
        f.fire().await;
        f.wait(minutes(2)).await;
        assert_eq!(f.end().await.flapping, None);
        f.wait(minutes(14)).await;
    }
    assert_eq!(f.kinds(1).iter().filter(|k| **k == TimelineKind::AlertRefired).count(), 5);
}

#[tokio::test]
async fn resolving_by_hand_ends_it_and_going_on_is_told_once() {
    let f = Fixture::new();
    f.flap().await;
    f.end().await;
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    let before = f.kinds(1).len();
    let closed = f.row(f.store.view().unwrap().members(IncidentId(1), 10).unwrap()[0].1.id);
    assert!(!closed.is_open() && !f.incident(1).flapping);
    f.wait(minutes(1)).await;
    assert!(f.fire().await.flapping.is_some());
    assert_eq!(f.kinds(1)[before..], [TimelineKind::FlappingBegan, TimelineKind::Reopened]);
}

#[tokio::test]
async fn an_alert_that_falls_quiet_by_itself_is_held_too_and_acknowledging_an_end_is_nothing() {
    let f = Fixture::new();
    f.flap().await;
    let endless = Signal { quiet_after_secs: Some(120), ..firing(KEY, Some("api")) };
    f.send("grafana", vec![endless]).await;
    f.wait(minutes(2)).await;
    assert!(f.incident(1).is_open(), "it is held down");
    let taken = Signal { status: SignalStatus::Acknowledged, ..firing(KEY, None) };
    let id = f.send("grafana", vec![taken]).await[0].alert_id.unwrap();
    assert_eq!(f.row(id).status, AlertStatus::Resolved);
    f.wait(HOLD).await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn a_clock_that_is_set_back_and_a_restart_hold_nothing_down_for_longer() {
    let mut f = Fixture::new();
    f.flap().await;
    f.end().await;
    f.clock.set(f.clock.now().minus(minutes(60)));
    f.settled().await;
    f.restart();
    f.wait(HOLD).await;
    assert_eq!(f.incident(1).status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn an_incident_flaps_as_long_as_one_of_its_alerts_does_wherever_they_are_moved() {
    let f = Fixture::new();
    let alert = f.flap().await;
    let other = f.send("grafana", vec![firing("grafana:b", Some("db"))]).await[0].alert_id.unwrap();
    let two = f.store.split(IncidentId(1), vec![other], None, me()).await.unwrap();
    let flaps = |n: u64| f.incident(n).flapping;
    let id = IncidentId(2);
    assert_eq!((two.id, flaps(1), flaps(2)), (id, true, false));
    f.store.merge_incidents(id, vec![IncidentId(1)], me()).await.unwrap();
    assert!(flaps(2));
    f.store.unmerge(IncidentId(1), me()).await.unwrap();
    assert_eq!((flaps(1), flaps(2)), (true, false));
    f.store.merge_incidents(id, vec![IncidentId(1)], me()).await.unwrap();
    f.end().await;
    f.wait(HOLD).await;
    assert!(!flaps(2) && f.incident(2).is_open(), "the other one burns");
    assert!(!f.row(alert.id).is_open());
    f.consistent();
}

#[derive(Clone, Debug)]
enum Step {
    Fire(u8),
    End(u8),
    Wait(u32),
}

/// What is meant, written without the store: one alert of one sender.
#[derive(Clone, Debug, Default)]
struct Meant {
    firing: bool,
    closed: Option<Time>,
    refires: Vec<Time>,
    flaps_until: Option<Time>,
}

impl Meant {
    fn fire(&mut self, now: Time) {
        if self.firing {
            return;
        }
        self.firing = true;
        if self.closed.take().is_some_and(|at| now.since(at) > minutes(15)) {
            self.refires.clear();
            return;
        }
        self.refires.push(now);
        let recent = self.refires.iter().filter(|at| now.since(**at) <= WITHIN).count();
        if self.flaps_until.is_some() || recent >= TIMES {
            self.flaps_until = Some(now.plus(WITHIN));
        }
    }

    fn end(&mut self, now: Time) {
        if !std::mem::take(&mut self.firing) {
            return;
        }
        match &mut self.flaps_until {
            Some(until) => *until = now.plus(HOLD),
            None => self.closed = Some(now),
        }
    }

    fn until(&mut self, now: Time) {
        if let Some(until) = self.flaps_until.take_if(|at| *at <= now) {
            self.refires.clear();
            if !self.firing {
                self.closed = Some(until);
            }
        }
    }
}

fn step() -> impl Drawn<Value = Step> {
    prop_oneof![
        4 => (0..3_u8).prop_map(Step::Fire),
        4 => (0..3_u8).prop_map(Step::End),
        4 => (1..200_u32).prop_map(Step::Wait),
        1 => (200..2_000_u32).prop_map(Step::Wait),
    ]
}

/// A few by default; `FLAPPING_RUNS=1000` is a long run.
fn cases() -> u32 {
    std::env::var("FLAPPING_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_incident_is_resolved_exactly_when_all_its_alerts_are_after_the_hold_down(steps in collection::vec(step(), 10..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new();
            let mut meant: BTreeMap<String, Meant> = BTreeMap::new();
            for step in &steps {
                let now = f.clock.now();
                match step {
                    Step::Fire(key) => {
                        let key = format!("k{key}");
                        f.send("grafana", vec![firing(&key, Some("api"))]).await;
                        let first = Meant { firing: true, ..Meant::default() };
                        meant.entry(key).and_modify(|m| m.fire(now)).or_insert(first);
                    }
                    Step::End(key) => {
                        let key = format!("k{key}");
                        f.send("grafana", vec![resolved(&key)]).await;
                        if let Some(m) = meant.get_mut(&key) {
                            m.end(now);
                        }
                    }
                    Step::Wait(secs) => {
                        f.wait(Duration::from_secs(u64::from(*secs))).await;
                        meant.values_mut().for_each(|m| m.until(f.clock.now()));
                    }
                }
                let view = f.store.view().unwrap();
                let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
                for incident in view.incidents(&filter, None, 100).unwrap().items {
                    let members = view.members(incident.id, 100).unwrap();
                    let all = members.iter().all(|(_, a)| a.closed_at.is_some() && a.status == AlertStatus::Resolved);
                    prop_assert_eq!(incident.status == IncidentStatus::Resolved, all, "{:?}", incident);
                    prop_assert_eq!(incident.flapping, members.iter().any(|(_, a)| a.flapping.is_some()));
                }
                for (key, m) in &meant {
                    let alerts = view.alerts(&AlertFilter::default(), None, 100).unwrap().items;
                    let a = alerts.into_iter().find(|a| a.dedup_key == *key).unwrap();
                    prop_assert_eq!(a.flapping.map(|f| f.until), m.flaps_until, "{}: {:?} {:?}", key, a, m);
                    prop_assert_eq!((a.status == AlertStatus::Firing, a.closed_at), (m.firing, m.closed), "{}", key);
                }
            }
            prop_assert!(!f.store.view().unwrap().check().unwrap().iter().any(|_| true));
            Ok(())
        })?;
    }
}
