//! A disk that fails for a while under either file: nothing that was answered is lost, everybody is told quickly, and
//! work goes on by itself.

use std::{collections::BTreeMap, time::Duration};

use super::{
    faults::{Call, Disk},
    *,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody waits longer for an answer while the disk fails.
const QUICK: Duration = Duration::from_secs(5);

struct Patient {
    store: Store,
    disks: [Disk; 2],
    clock: Clock,
    answered: BTreeMap<u64, DeliveryId>,
    comments: Vec<String>,
    counter: u64,
    _dir: tempfile::TempDir,
}

impl Patient {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Time::from_secs(1_772_500_000));
        let disks = [Disk::default(), Disk::default()];
        let lock = std::fs::File::create(dir.path().join("lock")).unwrap();
        let files = open::together(lock, disks[0].file(), disks[1].file(), dir.path()).unwrap();
        let options = StoreOptions { dir: dir.path().to_owned(), cache_bytes: 1 << 20, policy: Policy::default() };
        let store = Store::on(files, options, clock.clone()).unwrap();
        let (answered, comments) = (BTreeMap::new(), Vec::new());
        Self { store, disks, clock, answered, comments, counter: 0, _dir: dir }
    }

    /// One delivery and one comment; which of them were taken.
    async fn work(&mut self) -> (bool, bool) {
        self.counter += 1;
        let mut signal = Signal::new(format!("grafana:{}", self.counter), "a title");
        (signal.severity, signal.service) = (Severity::High, Some("api".to_owned()));
        let delivery = NewDelivery {
            at: self.clock.now(),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: vec![b'x'; 3_000],
            parsed: Parsed { signals: vec![signal], ..Parsed::default() },
            replay_of: None,
        };
        let submitted = tokio::time::timeout(QUICK, self.store.submit(delivery)).await.expect("an answer comes");
        let text = format!("comment {}", self.counter);
        let said = self.store.comment(IncidentId(1), text.clone(), Actor::System);
        let said = tokio::time::timeout(QUICK, said).await.expect("an answer comes");
        if let Ok(submitted) = &submitted {
            self.answered.insert(submitted.seq, submitted.id);
        }
        if said.is_ok() {
            self.comments.push(text);
        }
        (submitted.is_ok(), said.is_ok())
    }

    async fn applied(&self) {
        let last = self.answered.keys().next_back().copied().unwrap_or(0);
        assert!(self.store.applied(last, PATIENCE).await, "{:?}", self.store.health());
    }

    async fn recovers(&mut self) {
        tokio::time::timeout(PATIENCE, async { while self.work().await != (true, true) {} })
            .await
            .expect("it goes on by itself");
        self.applied().await;
        self.store.health().unwrap();
        let view = self.store.view().unwrap();
        assert_eq!(view.check().unwrap(), Vec::<String>::new());
        for (seq, id) in &self.answered {
            assert_eq!(view.delivery(*seq).unwrap().unwrap().id, *id);
            assert_eq!(view.results(*seq).unwrap().unwrap().len(), 1);
        }
        let timeline = view.timeline(IncidentId(1), None, usize::MAX).unwrap();
        for comment in &self.comments {
            assert_eq!(timeline.iter().filter(|e| e.text == *comment).count(), 1, "{comment}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_for_a_while_cost_nothing_that_was_answered() {
    for which in 0..2 {
        for call in [Call::Write, Call::Sync, Call::Read] {
            let mut patient = Patient::new();
            patient.work().await;
            patient.applied().await;
            for times in [1, 2, 3, 7, 20] {
                patient.disks[which].fail(call, times);
                patient.recovers().await;
                patient.disks[which].fail(call, 0);
            }
            patient.store.close();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_is_said_quickly_and_ends_by_itself() {
    for (which, call) in [(0, Call::Write), (1, Call::Write), (0, Call::Sync), (1, Call::Sync)] {
        let mut patient = Patient::new();
        patient.work().await;
        patient.applied().await;
        patient.disks[which].fail(call, u32::MAX);
        let mut changes = patient.store.changes();
        changes.mark_unchanged();
        // The first delivery may still be taken, when only applying it fails.
        let failing = async { while patient.work().await.0 || patient.store.health().is_ok() {} };
        tokio::time::timeout(PATIENCE, failing).await.expect("it is noticed");
        for _ in 0..30 {
            let (stored, said) = patient.work().await;
            // People can still write while only the intake's file fails.
            assert!(!stored && (!said || which == 0), "{which} {call:?}");
            assert!(patient.store.health().is_err());
        }
        // What follows the store waits; it is not turned away.
        assert!(changes.has_changed().is_ok());
        patient.disks[which].fail(call, 0);
        patient.recovers().await;
        patient.store.close();
    }
}
