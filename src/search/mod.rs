//! Text: a tantivy index of incidents and alerts beside the store. Derived and disposable: it follows the store, is never
//! ahead of it, and is made anew when it is missing, unreadable or of another version. The only room that names tantivy.
//!
//! It may lag: lists look at the rows of what is not indexed yet.

mod analyzer;
mod asked;
mod facets;
mod find;
mod follow;
mod schema;
mod similar;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError, collector::Count,
    schema::Schema,
};

use crate::{
    runtime::background::{Weight, of_weight},
    store::{Store, StoreError, private_folder},
};
use schema::{Fields, schema};

pub use facets::{Counts, Named};

/// Changes with the schema or the analyzer; an index of another number is made anew.
const VERSION: u32 = 4;
/// The value of `kind` of incidents.
const INCIDENT: u64 = 1;
/// What tantivy may use for what is not yet committed.
const WRITER_BYTES: usize = 20 << 20;

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// tantivy's own.
    #[error("the text index failed: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// Reading what is to be indexed failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not open: the last attempt to write it failed.
    #[error("the text index is not open; it is opened again by itself")]
    Closed,
    /// What stands in its files cannot be read.
    #[error("the text index is damaged; it is made anew by itself")]
    Damaged,
    /// The folder cannot be made or moved.
    #[error("the folder of the text index cannot be used: {0}")]
    Folder(#[from] std::io::Error),
}

/// The text index. Cheap to clone.
#[derive(Clone)]
pub struct Search {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    fields: Fields,
    // None from a failure on until it is opened again: tantivy's writer does nothing more after one.
    opened: RwLock<Option<Opened>>,
    // What is in the folder cannot be read: it is made anew.
    damaged: AtomicBool,
    /// The last change that is in the index.
    seq: AtomicU64,
    /// The number of the last alert that is in the index.
    alerts: AtomicU64,
    memory: Mutex<follow::Memory>,
}

/// How far the index has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Places {
    seq: u64,
    alerts: u64,
}

struct Opened {
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("seq", &self.seq()).finish_non_exhaustive()
    }
}

impl Search {
    /// Opens the index of the store's data folder, or makes a new one when there is none that fits. Blocking.
    pub fn open(store: Store) -> Result<Self, SearchError> {
        let (_, fields) = schema();
        let (opened, places) = open(&store, false)?;
        let (opened, damaged) = (RwLock::new(Some(opened)), AtomicBool::new(false));
        let (seq, alerts) = (AtomicU64::new(places.seq), AtomicU64::new(places.alerts));
        Ok(Self { inner: Arc::new(Inner { store, fields, opened, damaged, seq, alerts, memory: Mutex::default() }) })
    }

    /// Opens the index again after a failure; anew, if what is there is damaged.
    fn mend(&self) -> Result<(), SearchError> {
        let mut place = self.inner.opened.write().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            let (opened, places) = open(&self.inner.store, self.inner.damaged.load(Ordering::Acquire))?;
            *place = Some(opened);
            // What was given to the writer that failed is not in the index.
            *self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner) = follow::Memory::default();
            self.inner.alerts.store(places.alerts, Ordering::Release);
            self.inner.seq.store(places.seq, Ordering::Release);
            self.inner.damaged.store(false, Ordering::Release);
            tracing::info!(seq = places.seq, "the text index was opened again");
        }
        Ok(())
    }

    /// Closes it after a failure.
    fn give_up(&self, damaged: bool) {
        *self.inner.opened.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.inner.damaged.fetch_or(damaged, Ordering::AcqRel);
    }

    fn opened<R>(&self, f: impl FnOnce(&Opened) -> Result<R, SearchError>) -> Result<R, SearchError> {
        match &*self.inner.opened.read().unwrap_or_else(PoisonError::into_inner) {
            Some(opened) => f(opened),
            None => Err(SearchError::Closed),
        }
    }

    fn searcher(&self) -> Result<Searcher, SearchError> {
        self.opened(|o| Ok(o.reader.searcher()))
    }

    /// Makes the index anew from the store, whatever it holds now, and tells how many of how many alerts are done.
    /// Blocking; a minute or so with a million alerts.
    pub fn anew(store: Store, told: impl Fn(u64, u64)) -> Result<Self, SearchError> {
        let folder = store.dir().join("index");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let search = Self::open(store)?;
        let mut done = 0;
        while search.step(follow::What::ALL)? {
            let (first, last, all) = search.inner.store.view()?.alert_range()?;
            // Numbers have gaps where alerts were removed: the share of the numbers is the share of the alerts.
            let (of, reached) = (last.saturating_sub(first).max(1), search.alerts_reached().saturating_sub(first));
            let now = all.saturating_mul(reached) / of;
            if now > done {
                done = now;
                told(done, all);
            }
        }
        Ok(search)
    }

    /// Incidents in the index.
    pub fn len(&self) -> u64 {
        let count = self.searcher().and_then(|s| Ok(s.search(&self.incident_documents(), &Count)?)).unwrap_or(0);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The number of the last alert that is in the index.
    fn alerts_reached(&self) -> u64 {
        self.inner.alerts.load(Ordering::Acquire)
    }

    /// Whether nothing is in the index.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last change that is in the index.
    pub fn seq(&self) -> u64 {
        self.inner.seq.load(Ordering::Acquire)
    }
}

/// What a commit says of itself.
fn payload(nonce: u64, Places { seq, alerts }: Places) -> String {
    format!("{VERSION} {nonce} {seq} {alerts}")
}

/// The index of the folder and how far it has come, when it is ours, of this version and of this store.
fn existing(folder: &Path, schema: &Schema, nonce: u64) -> Option<(Index, Places)> {
    let index = Index::open_in_dir(folder).ok().filter(|i| i.schema() == *schema)?;
    let payload = index.load_metas().ok()?.payload?;
    let mut words = payload.split(' ');
    let version: u32 = words.next()?.parse().ok()?;
    let of: u64 = words.next()?.parse().ok()?;
    let seq: u64 = words.next()?.parse().ok()?;
    let alerts: u64 = words.next()?.parse().ok()?;
    (version == VERSION && of == nonce).then_some((index, Places { seq, alerts }))
}

/// Opens the index of the store's folder for writing, or makes one where none fits or it is damaged; and how far it has come.
fn open(store: &Store, damaged: bool) -> Result<(Opened, Places), SearchError> {
    let folder = store.dir().join("index");
    let (schema, _) = schema();
    let found = if damaged { None } else { existing(&folder, &schema, store.nonce()) };
    if let Some((index, places)) = found.filter(|(_, places)| places.seq <= *store.changes().borrow()) {
        match unharmed(|| writable(&index)) {
            Err(SearchError::Damaged) => tracing::warn!("the text index is damaged"),
            opened => return Ok((opened?, places)),
        }
    }
    Ok((writable(&make(&folder, schema)?)?, Places::default()))
}

fn writable(index: &Index) -> Result<Opened, SearchError> {
    index.tokenizers().register(analyzer::NAME, analyzer::analyzer());
    index.tokenizers().register(analyzer::NAMES, analyzer::names());
    // The follower reloads after its own commits: no thread that watches the folder.
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    // Its threads, and those that merge, weigh what the thread does that feeds them.
    let writer =
        of_weight(Weight::Least, || index.writer_with_num_threads(1, WRITER_BYTES)).map_err(TantivyError::from)??;
    let writer = Mutex::new(writer);
    Ok(Opened { reader, writer })
}

/// Runs `f` on an index that may be damaged: tantivy says so with an error or by a panic.
fn unharmed<R>(f: impl FnOnce() -> Result<R, SearchError>) -> Result<R, SearchError> {
    use TantivyError as E;
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Err(SearchError::Index(
            E::DataCorruption(_) | E::OpenReadError(_) | E::IncompatibleIndex(_) | E::SchemaError(_),
        )))
        | Err(_) => Err(SearchError::Damaged),
        Ok(done) => done,
    }
}

fn make(folder: &Path, schema: Schema) -> Result<Index, SearchError> {
    if folder.exists() {
        tracing::info!("the text index does not fit; making it anew");
        std::fs::remove_dir_all(folder)?;
    }
    private_folder(folder)?;
    Ok(Index::create_in_dir(folder, schema)?)
}

type Document = TantivyDocument;

#[cfg(test)]
mod filter_tests;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::*,
        runtime::clock::Clock,
        store::{AlertFilter, IncidentFilter, NewDelivery, Policy, StoreOptions},
    };

    fn open_store(dir: &Path) -> Store {
        let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
        Store::open(options, Clock::manual(Time::from_secs(1_772_500_000))).unwrap()
    }

    async fn send(store: &Store, n: usize, title: &str) {
        let mut signal = Signal::new(format!("grafana:{n}"), title);
        signal.service = Some(format!("service-{n}"));
        signal.severity = Severity::High;
        signal.started_at = Some(Time::from_secs(1_772_500_000 - 600 * n as i64));
        let submitted = store
            .submit(NewDelivery {
                at: Time::from_secs(1_772_500_000),
                platform: "grafana".into(),
                outcome: DeliveryOutcome::Accepted,
                problem: None,
                headers: Vec::new(),
                body: b"{}".to_vec(),
                parsed: Parsed { signals: vec![signal], ..Parsed::default() },
                replay_of: None,
            })
            .await
            .unwrap();
        assert!(store.applied(submitted.seq, Duration::from_secs(120)).await);
    }

    #[tokio::test]
    async fn follows_the_store_survives_a_restart_and_finds_what_is_alike() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        send(&store, 0, "Connection pool exhausted on orders database").await;
        send(&store, 1, "Certificate of the edge expires in three days").await;
        send(&store, 2, "orders database: connection pools are exhausted").await;
        let search = Search::open(store.clone()).unwrap();
        let similar = |search: &Search| {
            let view = store.view().unwrap();
            let incident = view.incident(IncidentId(3)).unwrap().unwrap();
            search.similar(&view, &incident, 5).unwrap()
        };
        assert!(similar(&search).is_empty(), "nothing is indexed yet");
        search.catch_up().unwrap();
        let alike = similar(&search);
        assert_eq!(alike.first().map(|(id, _)| id.0), Some(1), "{alike:?}");
        assert!(alike.iter().all(|(id, s)| id.0 != 3 && (0.0..=1.0).contains(s)), "{alike:?}");
        let seq = search.seq();
        assert_eq!(seq, *store.changes().borrow());
        drop(search);
        let again = Search::open(store.clone()).unwrap();
        assert_eq!(again.seq(), seq, "the index was kept");
        store.resolve(IncidentId(1), Some("raised the limit".into()), Actor::System).await.unwrap();
        again.catch_up().unwrap();
        assert_eq!(similar(&again).iter().filter(|(id, _)| id.0 == 1).count(), 1);
    }

    fn found(search: &Search, store: &Store, words: &str) -> (Vec<u64>, Vec<String>) {
        let view = store.view().unwrap();
        let words: Vec<String> = words.split('+').map(str::to_owned).collect();
        let filter = IncidentFilter { words: words.clone(), ..IncidentFilter::default() };
        let incidents = search.incidents(&view, &filter, None, 50).unwrap();
        let filter = AlertFilter { words, ..AlertFilter::default() };
        let alerts = search.alerts(&view, &filter, None, 50).unwrap();
        assert_eq!(incidents.total, incidents.items.len() as u64);
        (incidents.items.iter().map(|i| i.id.0).collect(), alerts.items.into_iter().map(|a| a.title).collect())
    }

    #[tokio::test]
    async fn words_are_found_in_what_is_indexed_and_in_what_is_not_yet() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        send(&store, 0, "PostgreSQL connections exhausted on pg-primary-1").await;
        send(&store, 1, "Certificate of the edge expires in three days").await;
        let search = Search::open(store.clone()).unwrap();
        let check = |words: &str, want: &[u64]| {
            let (incidents, alerts) = found(&search, &store, words);
            assert_eq!(incidents, want, "incidents: {words}");
            assert_eq!(alerts.len(), want.len(), "alerts: {words}");
        };
        // Nothing is indexed: rows are looked through, for what stands there.
        check("certificate", &[2]);
        check("postgresql+connections", &[1]);
        search.catch_up().unwrap();
        for (words, want) in [
            ("certificate", vec![2]),
            ("SSL", vec![2]),
            ("cert", vec![2]),
            ("postgres+connection", vec![1]),
            ("pg-primary", vec![1]),
            ("service-1", vec![2]),
            ("certificate+postgres", vec![]),
            ("certificate of the edge", vec![2]),
            ("nowhere", vec![]),
        ] {
            check(words, &want);
        }
        // What came since then, at once, and with what was there before.
        send(&store, 2, "Certificate revoked").await;
        check("certificate", &[3, 2]);
        check("certif+revoked", &[3]);
        search.catch_up().unwrap();
        check("certificate", &[3, 2]);
        // What is said in an incident is found with it.
        store.comment(IncidentId(1), "the vacuum was paused".into(), Actor::System).await.unwrap();
        search.catch_up().unwrap();
        assert_eq!(found(&search, &store, "vacuum").0, [1]);
        let incident = store.view().unwrap().incident(IncidentId(1)).unwrap().unwrap();
        let says = |word: &str| {
            search.says(&incident, &IncidentFilter { words: vec![word.to_owned()], ..IncidentFilter::default() })
        };
        assert!(says("vacuum") && !says("revoked"));
        // A repeat that says something else; its alert is not another one.
        send(&store, 1, "Certificate of the mail gateway expires tomorrow").await;
        search.catch_up().unwrap();
        assert_eq!(found(&search, &store, "gateway").1, ["Certificate of the mail gateway expires tomorrow"]);
        assert_eq!(found(&search, &store, "edge").1, [""; 0]);
        let all = IncidentFilter::default();
        let words = IncidentFilter { words: vec!["certificate".into()], ..all.clone() };
        let service = IncidentFilter { services: vec!["Service-1".into()], ..all.clone() };
        for (filter, value, want) in [
            (&all, "source:grafana", Some(3)),
            (&words, "severity:high", Some(2)),
            (&words, "service:service-0", None),
            (&service, "status:investigating", Some(1)),
            // What else there is to choose.
            (&service, "service:service-2", Some(1)),
        ] {
            assert_eq!(search.facets(filter).unwrap().by.get(value).copied(), want, "{value} of {filter:?}");
        }
    }

    #[tokio::test]
    async fn alerts_that_wait_for_the_index_are_found_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        send(&store, 0, "Disk full on log-store").await;
        let search = Search::open(store.clone()).unwrap();
        search.catch_up().unwrap();
        send(&store, 1, "Certificate expires").await;
        let more = search.step(follow::What { repeats: false, alerts: false }).unwrap();
        assert!(more, "it must go on with the alerts");
        assert_eq!((search.seq(), search.alerts_reached()), (*store.changes().borrow(), 1));
        let certificate = (vec![2], vec!["Certificate expires".to_owned()]);
        assert_eq!(found(&search, &store, "certificate"), certificate);
        search.catch_up().unwrap();
        assert_eq!(search.alerts_reached(), 2);
        assert_eq!(found(&search, &store, "certificate"), certificate);
    }

    #[tokio::test]
    async fn pages_of_what_was_found_go_on_where_they_ended() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        for n in 0..12 {
            send(&store, n, &format!("Disk full on log-store-{n}")).await;
        }
        let search = Search::open(store.clone()).unwrap();
        search.catch_up().unwrap();
        for n in 12..15 {
            send(&store, n, &format!("Disk full on log-store-{n}")).await;
        }
        let view = store.view().unwrap();
        let words = vec!["disk".to_owned()];
        for statuses in [vec![], vec![AlertStatus::Firing]] {
            let filter = AlertFilter { words: words.clone(), statuses, ..AlertFilter::default() };
            let (mut numbers, mut before) = (Vec::new(), None);
            loop {
                let page = search.alerts(&view, &filter, before, 4).unwrap();
                assert_eq!((page.total, page.total_is_exact), (15, true));
                numbers.extend(page.items.iter().map(|a| a.id.number()));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(numbers.len(), 15);
            assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
        }
        let open = IncidentFilter { words, statuses: vec![IncidentStatus::Resolved], ..IncidentFilter::default() };
        assert_eq!(search.incidents(&view, &open, None, 50).unwrap().total, 0);
    }

    #[tokio::test]
    async fn made_anew_it_holds_every_incident_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        for n in 0..3 {
            send(&store, n, &format!("Disk full on log-store-{n}")).await;
        }
        Search::open(store.clone()).unwrap().catch_up().unwrap();
        let search = Search::anew(store.clone(), |_, _| {}).unwrap();
        assert_eq!((search.len(), search.seq()), (3, *store.changes().borrow()));
    }

    /// So far behind that the log no longer says which incidents were removed.
    #[tokio::test]
    async fn what_was_removed_unseen_is_not_found_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        send(&store, 0, "Disk full on log-store").await;
        let search = Search::open(store.clone()).unwrap();
        let view = store.view().unwrap();
        let incident = view.incident(IncidentId(1)).unwrap().unwrap();
        search.index(&view, &Incident { id: IncidentId(99), ..incident }).unwrap();
        search.commit(Places { seq: 1, alerts: 1 }).unwrap();
        assert_eq!(search.len(), 1);
        search.inner.seq.store(0, Ordering::Release);
        search.catch_up().unwrap();
        assert_eq!((search.len(), search.seq()), (1, *store.changes().borrow()));
        send(&store, 1, "Certificate expires").await;
        search.catch_up().unwrap();
        assert_eq!(search.len(), 2);
    }

    #[tokio::test]
    async fn an_index_of_another_store_or_a_broken_one_is_made_anew() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = open_store(one.path());
        send(&store, 0, "Disk full on log-store").await;
        let search = Search::open(store.clone()).unwrap();
        search.catch_up().unwrap();
        drop(search);
        let other = open_store(two.path());
        std::fs::rename(one.path().join("index"), two.path().join("index")).unwrap();
        assert_eq!(Search::open(other.clone()).unwrap().seq(), 0);
        std::fs::write(two.path().join("index").join("meta.json"), b"{ not json").unwrap();
        assert_eq!(Search::open(other).unwrap().seq(), 0);
    }

    #[tokio::test]
    async fn after_a_disk_that_failed_it_goes_on_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let (folder, aside) = (dir.path().join("index"), dir.path().join("aside"));
        send(&store, 0, "Disk full on log-store").await;
        let search = Search::open(store.clone()).unwrap();
        search.catch_up().unwrap();
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, b"in the way").unwrap();
        send(&store, 1, "Disk full on mail-store").await;
        for _ in 0..3 {
            assert!(search.catch_up().is_err());
        }
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        search.catch_up().unwrap();
        assert_eq!((search.len(), search.seq()), (2, *store.changes().borrow()));
    }

    #[tokio::test]
    async fn a_damaged_index_is_made_anew() {
        for contents in [b"".as_slice(), b"garbage", &[0; 5_000]] {
            let dir = tempfile::tempdir().unwrap();
            let store = open_store(dir.path());
            send(&store, 0, "Disk full on log-store").await;
            Search::open(store.clone()).unwrap().catch_up().unwrap();
            for file in std::fs::read_dir(dir.path().join("index")).unwrap() {
                let path = file.unwrap().path();
                if !path.ends_with("meta.json") && !path.ends_with(".managed.json") {
                    std::fs::write(path, contents).unwrap();
                }
            }
            let search = Search::open(store.clone()).unwrap();
            send(&store, 1, "Disk full on mail-store").await;
            search.catch_up().unwrap();
            assert_eq!((search.len(), search.seq()), (2, *store.changes().borrow()));
        }
    }
}
