use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;

use super::{source::Reading, *};

/// A change log in memory.
#[derive(Clone, Debug)]
struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // The log holds the changes after `.0` and up to `.1`.
    range: StdMutex<(u64, u64)>,
    reads: AtomicUsize,
    broken: StdMutex<Option<StoreError>>,
    changes: watch::Sender<u64>,
}

impl Log {
    fn new(cut: u64, last: u64) -> Self {
        let inner = Inner {
            range: StdMutex::new((cut, last)),
            reads: AtomicUsize::new(0),
            broken: StdMutex::new(None),
            changes: watch::Sender::new(last),
        };
        Self { inner: Arc::new(inner) }
    }

    fn write(&self, n: u64) {
        let last = {
            let mut range = self.inner.range.lock().unwrap();
            range.1 += n;
            range.1
        };
        self.inner.changes.send_replace(last);
    }

    fn cut(&self, upto: u64) {
        self.inner.range.lock().unwrap().0 = upto;
    }

    fn reads(&self) -> usize {
        self.inner.reads.load(Ordering::SeqCst)
    }
}

impl Source for Log {
    fn read(&self, after: u64, limit: usize) -> Reading<'_> {
        self.inner.reads.fetch_add(1, Ordering::SeqCst);
        let (cut, last) = *self.inner.range.lock().unwrap();
        let broken = self.inner.broken.lock().unwrap().take();
        let events: Vec<_> = (after.max(cut) + 1..=last)
            .take(limit)
            .map(|seq| {
                let what =
                    What::Delivery { platform: "grafana".into(), outcome: DeliveryOutcome::Accepted, count: seq };
                Arc::new(Event::new(seq, Time::from_secs(seq.cast_signed()), what))
            })
            .collect();
        let upto = events.last().map(|e| (e.seq, e.at));
        let first = if cut == last { last } else { cut + 1 };
        Box::pin(async move {
            tokio::task::yield_now().await;
            match broken {
                Some(e) => Err(e),
                None => Ok(Piece { first, last, upto, events }),
            }
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }
}

fn start(log: &Log, capacity: usize) -> (Hub, CancellationToken, JoinHandle<()>) {
    let clock = Clock::manual(Time::default());
    let started = start_on(log, capacity, clock.clone());
    // Time that passes by itself, for tests that are not about it.
    tokio::spawn(async move {
        loop {
            tokio::task::yield_now().await;
            clock.advance(ROUND);
        }
    });
    started
}

fn start_on(log: &Log, capacity: usize, clock: Clock) -> (Hub, CancellationToken, JoinHandle<()>) {
    let hub = Hub::over(Box::new(log.clone()), clock, capacity);
    let stop = CancellationToken::new();
    let task = tokio::spawn(hub.clone().run(stop.clone()));
    (hub, stop, task)
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn seqs(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|e| e.seq).collect()
}

/// Reads until the change `upto` has come.
async fn read_upto(stream: &mut Subscription, upto: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| *last < upto) {
        seen.extend(seqs(&stream.next().await.unwrap()));
    }
    seen
}

#[tokio::test]
async fn a_stream_from_now_on_gets_what_comes_and_nothing_before() {
    let log = Log::new(0, 100);
    let (hub, ..) = start(&log, RING);
    let mut stream = hub.subscribe(None);
    log.write(3);
    assert_eq!(seqs(&stream.next().await.unwrap()), [101, 102, 103]);
}

#[tokio::test]
async fn nothing_is_read_while_nobody_listens_and_nothing_is_missed() {
    let log = Log::new(0, 100);
    let (hub, ..) = start(&log, RING);
    settle().await;
    let before = log.reads();
    for _ in 0..10 {
        log.write(500);
        settle().await;
    }
    assert_eq!(log.reads(), before);
    let mut stream = hub.subscribe(Some(40));
    log.write(1);
    assert_eq!(read_upto(&mut stream, 5_101).await, (41..=5_101).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_first_change_goes_out_at_once_and_then_four_rounds_a_second() {
    let clock = Clock::manual(Time::default());
    let log = Log::new(0, 0);
    let (hub, ..) = start_on(&log, RING, clock.clone());
    settle().await;
    clock.advance(ROUND);
    settle().await;
    let mut stream = hub.subscribe(None);
    log.write(1);
    assert_eq!(seqs(&stream.next().await.unwrap()), [1]);
    let told = Arc::new(StdMutex::new(Vec::new()));
    let list = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok(events) = stream.next().await {
            list.lock().unwrap().push(events.len());
        }
    });
    for _ in 0..200 {
        log.write(1);
        settle().await;
        clock.advance(Duration::from_millis(5));
        settle().await;
    }
    assert_eq!(*told.lock().unwrap(), [50, 50, 50, 50]);
}

#[tokio::test]
async fn a_stream_that_comes_back_is_replayed_from_the_ring_or_the_store() {
    let check = async |after: u64, capacity: usize| {
        let log = Log::new(0, 3000);
        let (hub, ..) = start(&log, capacity);
        log.write(2000);
        assert_eq!(read_upto(&mut hub.subscribe(Some(4999)), 5000).await, [5000]);
        let want: Vec<u64> = (after + 1..=5000).collect();
        assert_eq!(read_upto(&mut hub.subscribe(Some(after)), 5000).await, want, "after {after} of ring {capacity}");
    };
    for after in [0, 1, 255, 256, 257, 1976, 2999, 3000, 4700, 4998] {
        check(after, 4096).await;
        check(after, 100).await;
        check(after, 1).await;
    }
}

#[tokio::test]
async fn thousands_of_streams_do_not_each_read_the_store() {
    let log = Log::new(0, 20_000);
    let (hub, ..) = start(&log, RING);
    let mut late: Vec<_> = (0..2000).map(|i| hub.subscribe(Some(17_000 + i))).collect();
    log.write(1);
    for stream in &mut late {
        let first = 1 + stream.place;
        assert_eq!(stream.next().await.unwrap().first().unwrap().seq, first);
    }
    assert!(log.reads() < 20, "{} reads for 2,000 streams", log.reads());
}

#[tokio::test]
async fn what_the_log_no_longer_holds_is_a_reset_with_the_newest_sequence() {
    let check = async |cut: u64, after: u64, want: Vec<u64>, reset: bool| {
        let log = Log::new(cut, 5000);
        let (hub, ..) = start(&log, 100);
        log.write(1);
        assert_eq!(read_upto(&mut hub.subscribe(Some(5000)), 5001).await, [5001]);
        let events = hub.subscribe(Some(after)).next().await.unwrap();
        assert_eq!(events.iter().any(|e| e.what == What::Reset), reset, "after {after}, cut at {cut}");
        assert_eq!(seqs(&events).first(), want.first(), "after {after}, cut at {cut}");
    };
    check(4000, 3000, vec![5001], true).await;
    check(4000, 3999, vec![5001], true).await;
    check(4000, 4000, vec![4001], false).await;
    check(4000, 4100, vec![4101], false).await;
    // From another store, whose numbers were higher.
    check(0, 9999, vec![5001], true).await;
}

#[tokio::test]
async fn a_stream_goes_on_after_a_reset() {
    let log = Log::new(0, 10);
    let (hub, ..) = start(&log, 100);
    let mut stream = hub.subscribe(Some(500));
    assert_eq!(stream.next().await.unwrap().first().unwrap().what, What::Reset);
    log.write(1);
    assert_eq!(seqs(&stream.next().await.unwrap()), [11]);
}

#[tokio::test]
async fn a_place_that_the_hub_has_not_reached_yet_waits_for_it() {
    let log = Log::new(0, 10);
    let hub = Hub::over(Box::new(log.clone()), Clock::System, RING);
    log.write(5);
    let mut stream = hub.subscribe(Some(14));
    let task = tokio::spawn(async move { seqs(&stream.next().await.unwrap()) });
    tokio::task::yield_now().await;
    tokio::spawn(hub.run(CancellationToken::new()));
    assert_eq!(task.await.unwrap(), [15]);
}

#[tokio::test]
async fn a_hub_that_fell_behind_a_cut_log_resets_its_streams() {
    let log = Log::new(0, 10);
    let (hub, ..) = start(&log, 100);
    let mut stream = hub.subscribe(None);
    log.cut(600);
    log.write(1000);
    let events = stream.next().await.unwrap();
    assert_eq!(events.first().unwrap().what, What::Reset);
}

#[tokio::test]
async fn a_failed_read_is_tried_again_and_nothing_is_lost() {
    let log = Log::new(0, 0);
    let (hub, ..) = start(&log, RING);
    let mut stream = hub.subscribe(None);
    log.write(1);
    assert_eq!(seqs(&stream.next().await.unwrap()), [1]);
    *log.inner.broken.lock().unwrap() = Some(StoreError::Io("gone".into()));
    log.write(2);
    assert_eq!(seqs(&stream.next().await.unwrap()), [2, 3]);
}

#[tokio::test]
async fn streams_end_with_the_hub_after_what_is_left() {
    let log = Log::new(0, 0);
    let (hub, stop, task) = start(&log, RING);
    let mut late = hub.subscribe(None);
    let mut waiting = hub.subscribe(None);
    log.write(2);
    waiting.next().await.unwrap();
    let waiting = tokio::spawn(async move { waiting.next().await });
    stop.cancel();
    task.await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(StoreError::Stopped)));
    assert_eq!(seqs(&late.next().await.unwrap()), [1, 2]);
    assert!(matches!(late.next().await, Err(StoreError::Stopped)));
}

#[tokio::test]
async fn a_page_that_was_read_half_written_is_read_again() {
    let log = Log::new(0, 100);
    let (hub, ..) = start(&log, 5);
    settle().await;
    assert_eq!(read_upto(&mut hub.subscribe(Some(0)), 100).await.len(), 100);
    log.write(100);
    assert_eq!(read_upto(&mut hub.subscribe(None), 200).await.last(), Some(&200));
    assert_eq!(read_upto(&mut hub.subscribe(Some(100)), 200).await, (101..=200).collect::<Vec<u64>>());
}
