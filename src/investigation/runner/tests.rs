use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{super::tests::case, *};
use crate::config::ProbeSettings;

/// A queue and what was written, in memory.
#[derive(Debug)]
struct Table {
    clock: Clock,
    changes: watch::Sender<u64>,
    jobs: Mutex<Vec<Job>>,
    // Of each incident, step by step.
    lines: Mutex<BTreeMap<IncidentId, Vec<Vec<Line>>>>,
    ends: Mutex<BTreeMap<IncidentId, Finish>>,
    released: Mutex<Vec<IncidentId>>,
    leases: AtomicUsize,
    most: AtomicUsize,
    trouble: Trouble,
}

/// What goes wrong at the third line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Panic(IncidentId),
    Cancel(IncidentId),
    Broken(IncidentId),
    // What happened before cannot be read, or reading it never ends.
    Unread(IncidentId),
    Hangs(IncidentId),
    // The tool that is asked is not there.
    NoTool,
    Stop,
}

impl Table {
    fn new(jobs: &[u64], trouble: Trouble) -> Arc<Self> {
        let at = Time::from_secs(1_000);
        let table = Self {
            clock: Clock::manual(at),
            changes: watch::Sender::new(0),
            jobs: Mutex::new(jobs.iter().map(|n| job(*n, at)).collect()),
            lines: Mutex::default(),
            ends: Mutex::default(),
            released: Mutex::default(),
            leases: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            trouble,
        };
        Arc::new(table)
    }

    fn ended(&self) -> BTreeMap<u64, InvestigationState> {
        lock(&self.ends).iter().map(|(id, f)| (id.0, f.state)).collect()
    }

    fn written(&self, n: u64) -> usize {
        lock(&self.lines).get(&IncidentId(n)).map_or(0, Vec::len)
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn job(n: u64, at: Time) -> Job {
    Job {
        incident: IncidentId(n),
        severity: Severity::High,
        lease: 1,
        queued_at: at,
        not_before: at,
        leased_until: None,
        attempts: 0,
        reason: "opened".into(),
        again: false,
        answered: false,
    }
}

impl Desk for Table {
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn next_due(&self) -> Result<Option<Time>, StoreError> {
        Ok(lock(&self.jobs).iter().map(|j| j.leased_until.unwrap_or(j.not_before)).min())
    }

    async fn lease(&self) -> Result<Option<Job>, CommandError> {
        self.leases.fetch_add(1, Ordering::SeqCst);
        let now = self.clock.now();
        let mut jobs = lock(&self.jobs);
        let busy = jobs.iter().filter(|j| j.leased_until.is_some()).count();
        let free = jobs.iter_mut().find(|j| j.leased_until.is_none() && j.not_before <= now);
        Ok(free.map(|j| {
            self.most.fetch_max(busy + 1, Ordering::SeqCst);
            j.leased_until = Some(now.plus(LEASE));
            j.attempts += 1;
            j.clone()
        }))
    }

    async fn release(&self, Lease { incident: id, .. }: Lease) -> Result<(), CommandError> {
        lock(&self.released).push(id);
        Ok(())
    }

    async fn alerts(&self, id: IncidentId) -> Result<Option<Case>, StoreError> {
        let mut case = case("deploy, then errors");
        case.incident.id = id;
        Ok(Some(case))
    }

    async fn earlier(&self, case: Case) -> Result<Case, StoreError> {
        tokio::task::yield_now().await;
        match self.trouble {
            Trouble::Unread(at) if at == case.incident.id => Err(StoreError::Io("disk gone".into())),
            Trouble::Hangs(at) if at == case.incident.id => std::future::pending().await,
            _ => Ok(case),
        }
    }

    async fn changed(&self, case: Case) -> Result<Case, StoreError> {
        Ok(case)
    }

    async fn asking(&self, case: &Case) -> Result<Asking, StoreError> {
        let client = crate::outgoing::Client::open(None).map_err(|e| StoreError::Io(e.to_string()))?;
        // Nobody listens on the port of multiplexers.
        let gone = crate::outgoing::address::base("http://127.0.0.1:1").ok();
        let settings = crate::config::defaults("/nowhere".into()).probes;
        let settings = ProbeSettings { loki: gone.filter(|_| self.trouble == Trouble::NoTool), ..settings };
        let probes = Probes::open(client, self.clock.clone(), settings);
        Ok(probes.map_err(|e| StoreError::Io(e.to_string()))?.about(case, &[]))
    }

    async fn write(
        &self,
        Lease { incident: id, .. }: Lease,
        lines: Vec<Line>,
        at: Progress,
    ) -> Result<(), CommandError> {
        assert!(at.done >= 1 && at.done <= at.of, "{at:?}");
        tokio::task::yield_now().await;
        if self.written(id.0) == 2 {
            match self.trouble {
                Trouble::Panic(at) if at == id => panic!("a fault on purpose"),
                Trouble::Cancel(at) if at == id => {
                    return Err(CommandError::Conflict { detail: "it was cancelled".into(), allowed: Vec::new() });
                }
                Trouble::Broken(at) if at == id => return Err(StoreError::Io("disk gone".into()).into()),
                _ => {}
            }
        }
        lock(&self.lines).entry(id).or_default().push(lines);
        Ok(())
    }

    async fn finish(&self, Lease { incident: id, .. }: Lease, finish: Finish) -> Result<(), CommandError> {
        lock(&self.ends).insert(id, finish);
        lock(&self.jobs).retain(|j| j.incident != id);
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }
}

async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// Runs until nothing moves any more, then stops.
async fn run(table: &Arc<Table>, workers: usize) {
    let stop = CancellationToken::new();
    let (desk, clock, token) = (Arc::clone(table), table.clock.clone(), stop.clone());
    let task = tokio::spawn(async move { work(desk, &clock, workers, &token).await });
    settle().await;
    stop.cancel();
    task.await.unwrap();
}

use InvestigationState::{Complete, Error};

#[tokio::test]
async fn each_job_is_led_to_its_end_with_its_thoughts_written_first() {
    let table = Table::new(&[1, 2, 3, 4, 5], Trouble::None);
    run(&table, 2).await;
    assert_eq!(table.ended(), (1..=5).map(|n| (n, Complete)).collect());
    assert_eq!(table.most.load(Ordering::SeqCst), 2);
    let (lines, finish) = super::super::examine(&case("deploy, then errors"));
    assert_eq!(lock(&table.lines)[&IncidentId(5)].concat().len(), lines.len());
    assert_eq!(lock(&table.ends)[&IncidentId(5)].answer, finish.answer);
}

#[tokio::test]
async fn trouble_in_one_leaves_the_others_alone() {
    let check = async |trouble: Trouble, end: Option<InvestigationState>| {
        let table = Table::new(&[1, 2, 3], trouble);
        run(&table, 1).await;
        let mut want = BTreeMap::from([(1, Complete), (3, Complete)]);
        want.extend(end.map(|e| (2, e)));
        assert_eq!(table.ended(), want, "{trouble:?}");
        assert_eq!(table.written(2), 2, "{trouble:?}: nothing is written after it");
        if end == Some(Error) {
            assert!(lock(&table.ends)[&IncidentId(2)].error.as_ref().is_some_and(|e| e.ends_with('.')), "{trouble:?}");
        }
    };
    check(Trouble::Panic(IncidentId(2)), Some(Error)).await;
    check(Trouble::Broken(IncidentId(2)), Some(Error)).await;
    check(Trouble::Cancel(IncidentId(2)), None).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_the_answer_does_without() {
    let check = async |trouble: Trouble, why: &str| {
        let table = Table::new(&[1], trouble);
        let stop = CancellationToken::new();
        let (desk, clock, token) = (Arc::clone(&table), table.clock.clone(), stop.clone());
        let task = tokio::spawn(async move { work(desk, &clock, 1, &token).await });
        settle().await;
        table.clock.advance(PATIENCE);
        settle().await;
        stop.cancel();
        task.await.unwrap();
        assert_eq!(table.ended(), BTreeMap::from([(1, Complete)]), "{trouble:?}");
        let said = lock(&table.lines)[&IncidentId(1)].concat();
        assert!(
            said.iter().any(|l| l.text.starts_with("Earlier incidents could not") && l.text.contains(why)),
            "{said:?}"
        );
    };
    check(Trouble::Unread(IncidentId(1)), "disk gone").await;
    check(Trouble::Hangs(IncidentId(1)), "not there in time").await;
}

#[tokio::test]
async fn a_tool_that_is_not_there_keeps_no_investigation_from_its_end() {
    let table = Table::new(&[1], Trouble::NoTool);
    let stop = CancellationToken::new();
    let (desk, clock, token) = (Arc::clone(&table), table.clock.clone(), stop.clone());
    let task = tokio::spawn(async move { work(desk, &clock, 1, &token).await });
    while table.ended().is_empty() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(table.ended(), BTreeMap::from([(1, Complete)]));
    let lines = lock(&table.lines);
    let step = |part: &str| lines[&IncidentId(1)].iter().position(|step| step.iter().any(|l| l.text.contains(part)));
    let (asked, failed) =
        (step("Asks Loki at 127.0.0.1:1 about checkout: "), step("Loki at 127.0.0.1:1 cannot be reached"));
    assert!(asked.is_some() && asked < failed, "{lines:#?}");
}

#[tokio::test]
async fn stopping_gives_unfinished_jobs_back() {
    let table = Table::new(&[1, 2], Trouble::Stop);
    let stop = CancellationToken::new();
    let (desk, clock, token) = (Arc::clone(&table), table.clock.clone(), stop.clone());
    let task = tokio::spawn(async move { work(desk, &clock, 2, &token).await });
    while table.written(2) < 2 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    task.await.unwrap();
    assert_eq!(table.ended(), BTreeMap::new());
    assert_eq!(*lock(&table.released), [IncidentId(1), IncidentId(2)]);
}

#[tokio::test]
async fn a_job_waits_for_its_time_and_wakes_the_runner_by_itself() {
    let table = Table::new(&[], Trouble::None);
    let later = table.clock.now().plus(Duration::from_secs(3));
    lock(&table.jobs).push(Job { not_before: later, ..job(1, later) });
    let stop = CancellationToken::new();
    let (desk, clock, token) = (Arc::clone(&table), table.clock.clone(), stop.clone());
    let task = tokio::spawn(async move { work(desk, &clock, 2, &token).await });
    settle().await;
    assert_eq!(table.leases.load(Ordering::SeqCst), 0, "looking takes no lease");
    table.clock.advance(Duration::from_secs(3));
    settle().await;
    assert_eq!(table.ended(), BTreeMap::from([(1, Complete)]));
    lock(&table.jobs).push(job(2, later));
    table.changes.send_modify(|n| *n += 1);
    settle().await;
    assert_eq!(table.ended(), BTreeMap::from([(1, Complete), (2, Complete)]), "a change wakes it");
    lock(&table.jobs).push(job(3, later));
    table.clock.advance(TICK);
    settle().await;
    assert!(table.ended().contains_key(&3), "the timer wakes it");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_job_that_keeps_bringing_the_process_down_is_ended() {
    let table = Table::new(&[1], Trouble::None);
    lock(&table.jobs)[0].attempts = ATTEMPTS;
    run(&table, 1).await;
    assert_eq!(table.ended(), BTreeMap::from([(1, Error)]));
}
