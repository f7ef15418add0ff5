//! Thousands of power cuts: whatever was answered is there afterwards, exactly once, and nothing is half there.
//!
//! `POWER_RUNS` says how many runs (2,000 without it), `POWER_SEED` the seed of the first; the others count on from it. A
//! seed fixes the script, the moment counted in changes of the disk, and what becomes of each write; how the two threads
//! of the store take turns is the machine's, so a rare failure may want the same seed more than once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    faults_power::{Fate, Machine, Random, When},
    *,
};

/// Boots in one run.
const LIVES: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What was answered.
#[derive(Default)]
struct Told {
    deliveries: BTreeMap<u64, (DeliveryId, String)>,
    retries: BTreeMap<String, Submitted>,
    comments: BTreeSet<String>,
}

/// What the runs came by: a test in which nothing happens shows nothing.
#[derive(Debug, Default)]
struct Seen {
    answered: AtomicU64,
    comments: AtomicU64,
    cut_at_work: AtomicU64,
    cut_at_opening: AtomicU64,
}

struct Run {
    machine: Machine,
    random: Random,
    clock: Clock,
    dir: PathBuf,
    told: Told,
    counter: u64,
}

fn count(of: &AtomicU64, more: u64) {
    of.fetch_add(more, Ordering::Relaxed);
}

impl Run {
    fn new(seed: u64, lies: bool, dir: &Path) -> Self {
        let clock = Clock::manual(Time::from_secs(1_772_500_000));
        let (told, dir) = (Told::default(), dir.to_owned());
        // The key of the run before would say that this store was whole once.
        let _ = fs::remove_file(dir.join("secret.key"));
        Self { machine: Machine::new(lies), random: Random(seed), clock, dir, told, counter: 0 }
    }

    fn open(&self) -> Result<Store, StoreError> {
        let options = StoreOptions { dir: self.dir.clone(), cache_bytes: 1 << 20, policy: Policy::default() };
        let lock = fs::File::create(self.dir.join("lock"))?;
        let files = open::together(lock, self.machine.file(0)?, self.machine.file(1)?, &self.dir)?;
        Store::on(files, options, self.clock.clone())
    }

    fn when(&mut self) -> When {
        match self.random.below(3) {
            0 => When::Sync(1 + self.random.below(25)),
            _ => When::Change(1 + self.random.below(250)),
        }
    }

    fn fate(&mut self) -> Fate {
        match self.random.below(8) {
            0 => Fate::Kept,
            1 => Fate::Lost,
            2 => Fate::LastTorn,
            _ => Fate::Chance,
        }
    }

    /// A few lives, each ended by a cut. What is wrong, if anything.
    async fn lead(mut self, seen: &Seen) -> Result<(), String> {
        let mut tale = Vec::new();
        self.lives(seen, &mut tale).await.map_err(|why| format!("{why}; {tale:?}"))
    }

    async fn lives(&mut self, seen: &Seen, tale: &mut Vec<String>) -> Result<(), String> {
        for life in 0..LIVES {
            let when = self.when();
            // Some cuts hit the opening: what it repairs must bear being broken off as well.
            let early = self.random.below(4) == 0;
            if early {
                self.machine.cut_at(when);
            }
            tale.push(format!("life {life}, cut at {when:?}{}", if early { " from the opening on" } else { "" }));
            match self.open() {
                Ok(store) => {
                    if !early {
                        self.verify(&store).await.map_err(|why| format!("life {life}: {why}"))?;
                        self.machine.cut_at(when);
                    }
                    self.live(&store).await;
                    count(&seen.cut_at_work, u64::from(self.machine.is_off()));
                    store.close();
                }
                Err(_) if self.machine.is_off() => count(&seen.cut_at_opening, 1),
                Err(e) => return Err(format!("life {life}: it does not open: {e}")),
            }
            let fate = self.fate();
            tale.push(format!("{} answered, off {}, {fate:?}", self.told.deliveries.len(), self.machine.is_off()));
            self.machine.boot(fate, &mut self.random);
        }
        let store = self.open().map_err(|e| format!("it does not open at the end: {e}"))?;
        let found = self.verify(&store).await;
        store.close();
        count(&seen.answered, self.told.deliveries.len() as u64);
        count(&seen.comments, self.told.comments.len() as u64);
        found
    }

    /// Work until the script or the power ends.
    async fn live(&mut self, store: &Store) {
        for _ in 0..2 + self.random.below(5) {
            let mut asked = tokio::task::JoinSet::new();
            for _ in 0..1 + self.random.below(4) {
                let delivery = self.delivery();
                let store = store.clone();
                asked.spawn(async move {
                    let (title, retry) = (delivery.parsed.signals[0].title.clone(), delivery.parsed.retry_id.clone());
                    store.submit(delivery).await.ok().map(|submitted| (submitted, title, retry))
                });
            }
            let comment = format!("comment {}", self.next());
            let said = store.comment(IncidentId(1), comment.clone(), Actor::System).await;
            if said.is_ok() {
                self.told.comments.insert(comment);
            }
            let mut last = 0;
            while let Some(answered) = asked.join_next().await {
                let Some((submitted, title, retry)) = answered.unwrap() else { continue };
                last = last.max(submitted.seq);
                if !submitted.retry {
                    self.told.deliveries.insert(submitted.seq, (submitted.id, title));
                }
                if let Some(retry) = retry {
                    self.told.retries.entry(retry).or_insert(submitted);
                }
            }
            // Now and then the writer falls behind.
            while self.random.below(3) > 0 && !self.machine.is_off() {
                if store.applied(last, Duration::from_millis(5)).await {
                    break;
                }
            }
            if self.machine.is_off() {
                return;
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn delivery(&mut self) -> NewDelivery {
        let n = self.next();
        // A third repeats what is known, and some of it is over.
        let key = if self.random.below(3) == 0 { self.random.below(6) } else { 100 + n };
        let mut signal = Signal::new(format!("grafana:{key}"), format!("delivery {n}"));
        signal.severity = Severity::High;
        signal.service = Some(format!("service-{}", n % 4));
        if key < 100 && self.random.below(3) == 0 {
            signal.status = SignalStatus::Resolved;
        }
        let retry_id = (self.random.below(4) == 0).then(|| format!("retry {}", self.random.below(12)));
        let size = if self.random.below(10) == 0 { 20_000 } else { 200 };
        let body = (0..size / 8).flat_map(|_| self.random.next().to_le_bytes()).collect();
        NewDelivery {
            at: self.clock.now(),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body,
            parsed: Parsed { signals: vec![signal], retry_id, ..Parsed::default() },
            replay_of: None,
        }
    }

    async fn verify(&mut self, store: &Store) -> Result<(), String> {
        let caught_up = async {
            while store.behind() > 0 {
                let next = *store.position().borrow() + 1;
                store.applied(next, Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, caught_up).await.is_err() {
            return Err(format!("{} deliveries are not applied; {:?}", store.behind(), store.health()));
        }
        let view = store.view().map_err(|e| e.to_string())?;
        // Not the position that is published: that one comes a moment after the transaction.
        let newest = view.deliveries(&DeliveryFilter::default(), None, 1).map_err(|e| e.to_string())?;
        let last = newest.items.first().map_or(0, |row| row.seq);
        self.compare(&view, last).map_err(|e| e.to_string())??;
        drop(view);
        // A sender that was answered and sends again is told the same.
        let told = self.told.retries.iter().next().map(|(retry, told)| (retry.clone(), *told));
        if let Some((retry, told)) = told {
            let mut again = self.delivery();
            again.parsed.retry_id = Some(retry);
            let answer = store.submit(again).await.map_err(|e| e.to_string())?;
            if answer != (Submitted { retry: true, ..told }) {
                return Err(format!("a retry of {told:?} is told {answer:?}"));
            }
        }
        Ok(())
    }

    fn compare(&self, view: &View, last: u64) -> Result<Result<(), String>, StoreError> {
        let violated = view.check()?;
        if !violated.is_empty() {
            return Ok(Err(format!("{violated:?}")));
        }
        let mut stored: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        let mut titles = BTreeSet::new();
        for seq in 1..=last {
            let Some(delivery) = view.delivery(seq)? else { return Ok(Err(format!("delivery {seq} is gone"))) };
            let signal = &delivery.parsed.signals[0];
            if let Some(told) = self.told.deliveries.get(&seq)
                && *told != (delivery.id, signal.title.clone())
            {
                return Ok(Err(format!("{told:?} was answered with the number {seq}, which is {}", signal.title)));
            }
            if !titles.insert(signal.title.clone()) {
                return Ok(Err(format!("{} is stored twice", signal.title)));
            }
            if view.results(seq)?.is_none_or(|r| r.len() != 1) {
                return Ok(Err(format!("delivery {seq} is not applied")));
            }
            let (count, firing) = stored.entry(signal.dedup_key.clone()).or_default();
            let fires = signal.status == SignalStatus::Firing;
            // The end of what is not burning counts for nothing.
            *count += u64::from(fires);
            *firing = fires;
        }
        if let Some((seq, told)) = self.told.deliveries.iter().next_back().filter(|(seq, _)| **seq > last) {
            return Ok(Err(format!("{told:?} was answered with the number {seq}, and all ends at {last}")));
        }
        let mut alerts = view.alerts(&AlertFilter::default(), None, 10_000)?.items;
        alerts.sort_by(|a, b| a.dedup_key.cmp(&b.dedup_key));
        let found: Vec<_> = alerts.iter().map(|a| (a.dedup_key.clone(), (a.count, a.is_open()))).collect();
        let want: Vec<_> = stored.into_iter().filter(|(_, (count, _))| *count > 0).collect();
        if found != want {
            return Ok(Err(format!("alerts are {found:?} and should be {want:?}")));
        }
        let timeline = if view.incident(IncidentId(1))?.is_some() {
            view.timeline(IncidentId(1), None, usize::MAX)?
        } else {
            Vec::new()
        };
        let comments: Vec<&str> =
            timeline.iter().filter(|e| e.kind == TimelineKind::Comment).map(|e| e.text.as_str()).collect();
        let once: BTreeSet<&str> = comments.iter().copied().collect();
        if once.len() != comments.len() || self.told.comments.iter().any(|c| !once.contains(c.as_str())) {
            return Ok(Err(format!("comments are {comments:?}, answered were {:?}", self.told.comments)));
        }
        Ok(Ok(()))
    }
}

/// Runs `times` seeds from `first` on all processors; the first thing found wrong.
fn runs(first: u64, times: u64, lies: bool, seen: &Seen) -> Option<String> {
    let (next, wrong) = (AtomicU64::new(0), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let dir = tempfile::tempdir().unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= times || wrong.lock().unwrap().is_some() {
                        return;
                    }
                    let seed = first.wrapping_add(n);
                    let run = || runtime.block_on(Run::new(seed, lies, dir.path()).lead(seen));
                    let why = match catch_unwind(AssertUnwindSafe(run)) {
                        Ok(Ok(())) => continue,
                        Ok(Err(why)) => why,
                        Err(_) => "it panicked".to_owned(),
                    };
                    wrong.lock().unwrap().get_or_insert(format!("POWER_SEED={seed}: {why}"));
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn what_was_answered_outlives_every_power_cut() {
    let first = number("POWER_SEED").unwrap_or_else(|| getrandom::u64().unwrap() >> 16);
    let (times, seen) = (number("POWER_RUNS").unwrap_or(2_000), Seen::default());
    let wrong = runs(first, times, false, &seen);
    assert_eq!(wrong, None);
    println!("{times} runs from POWER_SEED={first}: {seen:?}");
    let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
    assert!(of(&seen.answered) > times && of(&seen.comments) > times / 2, "{seen:?}");
    assert!(times < 100 || of(&seen.cut_at_work) > times && of(&seen.cut_at_opening) > times / 10, "{seen:?}");
}

/// That the test above can fail: a disk that only says that it has synced loses what was answered.
#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let wrong = runs(1, 200, true, &Seen::default());
    assert!(wrong.is_some());
}
