//! What holds whatever people and senders do: random sequences of deliveries and commands.

use proptest::{
    collection,
    prelude::{ProptestConfig, any, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Drawn,
};

use super::{
    corrections_tests::{essence, memberships},
    tests::{Fixture, firing, me, minutes, resolved},
    *,
};

#[derive(Clone, Debug)]
enum Step {
    Fire(u8, u8),
    End(u8),
    Merge(u8, u8),
    Unmerge(u8),
    Split(u8, u8),
    Attach(u8, u8),
    Resolve(u8),
    Reopen(u8),
    Wait(u8),
}

fn step() -> impl Drawn<Value = Step> {
    use Step::*;
    prop_oneof![
        6 => (0..12_u8, 0..4_u8).prop_map(|(k, s)| Fire(k, s)),
        2 => (0..12_u8).prop_map(End),
        3 => (0..8_u8, 0..8_u8).prop_map(|(a, b)| Merge(a, b)),
        2 => (0..8_u8).prop_map(Unmerge),
        2 => (0..8_u8, 0..8_u8).prop_map(|(i, a)| Split(i, a)),
        2 => (0..8_u8, 0..12_u8).prop_map(|(i, a)| Attach(i, a)),
        1 => (0..8_u8).prop_map(Resolve),
        1 => (0..8_u8).prop_map(Reopen),
        2 => (1..25_u8).prop_map(Wait),
    ]
}

impl Fixture {
    fn some_incident(&self, n: u8) -> Option<IncidentId> {
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        let all = self.store.view().unwrap().incidents(&filter, None, 100).unwrap().items;
        all.get(usize::from(n) % all.len().max(1)).map(|i| i.id)
    }

    fn some_alert(&self, n: u8) -> Option<AlertId> {
        let all = self.store.view().unwrap().alerts(&AlertFilter::default(), None, 100).unwrap().items;
        all.get(usize::from(n) % all.len().max(1)).map(|a| a.id)
    }

    /// Alerts of closed incidents.
    fn closed(&self) -> Vec<(IncidentId, u64)> {
        let filter = IncidentFilter { statuses: vec![IncidentStatus::Resolved], ..IncidentFilter::default() };
        let all = self.store.view().unwrap().incidents(&filter, None, 100).unwrap().items;
        all.into_iter().map(|i| (i.id, i.alert_count)).collect()
    }

    async fn step(&self, step: &Step) {
        let closed = self.closed();
        match step {
            Step::Fire(key, service) => {
                let service = ["api", "db", "web", ""][usize::from(*service)];
                let mut signal = firing(&format!("k{key}"), Some(service).filter(|s| !s.is_empty()));
                signal.severity = [Severity::Critical, Severity::High, Severity::Info][usize::from(*key) % 3];
                self.send("grafana", vec![signal]).await;
            }
            Step::End(key) => drop(self.send("grafana", vec![resolved(&format!("k{key}"))]).await),
            Step::Merge(a, b) => {
                if let (Some(a), Some(b)) = (self.some_incident(*a), self.some_incident(*b)) {
                    let _ = self.store.merge_incidents(a, vec![b], me()).await;
                }
            }
            Step::Unmerge(a) => {
                let merged = IncidentFilter { statuses: vec![IncidentStatus::Merged], ..IncidentFilter::default() };
                let all = self.store.view().unwrap().incidents(&merged, None, 100).unwrap().items;
                if let Some(i) = all.get(usize::from(*a) % all.len().max(1)) {
                    let _ = self.store.unmerge(i.id, me()).await;
                }
            }
            Step::Split(i, a) => {
                if let Some(id) = self.some_incident(*i) {
                    let of = AlertFilter { incident: Some(id), ..AlertFilter::default() };
                    let alerts = self.store.view().unwrap().alerts(&of, None, 100).unwrap().items;
                    if let Some(alert) = alerts.get(usize::from(*a) % alerts.len().max(1)) {
                        let _ = self.store.split(id, vec![alert.id], None, me()).await;
                    }
                }
            }
            Step::Attach(i, a) => {
                if let (Some(i), Some(a)) = (self.some_incident(*i), self.some_alert(*a)) {
                    let _ = self.store.attach(i, vec![a], me()).await;
                }
            }
            Step::Resolve(i) => {
                if let Some(i) = self.some_incident(*i) {
                    let _ = self.store.resolve(i, None, me()).await;
                }
            }
            Step::Reopen(i) => {
                if let Some(i) = self.some_incident(*i) {
                    let _ = self.store.reopen(i, me()).await;
                }
            }
            Step::Wait(n) => self.clock.advance(minutes(u64::from(*n))),
        }
        self.settled().await;
        for (id, count) in closed {
            let now = self.incident(id.0);
            let grew = now.status == IncidentStatus::Resolved && now.alert_count > count;
            assert!(!grew, "{id} is closed and gained alerts by {step:?}");
        }
    }

    /// Everything there is, but for ids that hold random bits of nothing: they are numbers and times.
    fn digest(&self) -> String {
        let view = self.store.view().unwrap();
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        let incidents = view.incidents(&filter, None, 1_000).unwrap().items;
        let members: Vec<_> =
            incidents.iter().map(|i| (view.members(i.id, 1_000), view.timeline(i.id, None, 1_000))).collect();
        format!("{incidents:?} {members:?} {:?}", view.lessons())
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A few by default; `CORRECTIONS_RUNS=1000` is a long run.
fn cases() -> u32 {
    std::env::var("CORRECTIONS_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

fn fresh(weighted: bool) -> Fixture {
    let mode = if weighted { CorrelationMode::Weighted } else { CorrelationMode::Any };
    Fixture::with(Policy { mode, reserve: 0, ..Policy::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_agree_whatever_is_done(weighted in any::<bool>(), steps in collection::vec(step(), 1..40)) {
        let digests = [0, 1].map(|_| run(async {
            let f = fresh(weighted);
            for step in &steps {
                f.step(step).await;
            }
            f.digest()
        }));
        prop_assert_eq!(&digests[0], &digests[1], "the same sequence gives the same rows");
    }

    #[test]
    fn merging_and_back_is_the_original(weighted in any::<bool>(), steps in collection::vec(step(), 4..25), a in 0..8_u8, b in 0..8_u8) {
        run(async {
            let f = fresh(weighted);
            for step in &steps {
                f.step(step).await;
            }
            let (Some(a), Some(b)) = (f.some_incident(a), f.some_incident(b)) else { return };
            let before = [a, b].map(|i| (essence(f.incident(i.0)), memberships(&f, i.0)));
            if f.store.merge_incidents(a, vec![b], me()).await.is_err() {
                return;
            }
            f.store.unmerge(b, me()).await.unwrap();
            f.consistent();
            for (i, (row, members)) in [a, b].into_iter().zip(before) {
                assert_eq!(essence(f.incident(i.0)), row);
                assert_eq!(memberships(&f, i.0), members);
            }
        });
    }

    #[test]
    fn splitting_and_merging_back_is_as_many(weighted in any::<bool>(), steps in collection::vec(step(), 4..25), i in 0..8_u8, n in 1..4_usize) {
        run(async {
            let f = fresh(weighted);
            for step in &steps {
                f.step(step).await;
            }
            let Some(id) = f.some_incident(i) else { return };
            let before = f.incident(id.0);
            let alerts: Vec<AlertId> = memberships(&f, id.0).iter().take(n).map(|m| m.alert).collect();
            let Ok(new) = f.store.split(id, alerts, None, me()).await else { return };
            f.consistent();
            let parts = [f.incident(id.0), new.clone()];
            assert_eq!(parts.iter().map(|i| i.alert_count).sum::<u64>(), before.alert_count);
            assert_eq!(parts.iter().map(|i| i.firing_count).sum::<u64>(), before.firing_count);
            if f.store.merge_incidents(id, vec![new.id], me()).await.is_err() {
                return;
            }
            f.consistent();
            let after = f.incident(id.0);
            assert_eq!((after.alert_count, after.firing_count), (before.alert_count, before.firing_count));
            assert_eq!(after.severity, before.severity.min(after.severity));
        });
    }
}
