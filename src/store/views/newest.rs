//! The newest alerts, held in memory as lists, charts and groups look at them. A page that unpacked ten thousand rows each
//! time would take thirty milliseconds; from one page to the next only a few of them change.
//!
//! The writer says after each commit which alerts it touched. A snapshot is taken after the number of that commit was read,
//! so that it has at least what was said by then; what it has besides is said later and read again, which changes nothing.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::View;
use crate::{
    model::*,
    query::{AlertSeen, Wants},
    store::{
        StoreError, codec,
        fields::{fields, optional, value},
        tables,
    },
};

/// Alerts that are held.
pub const NEWEST: usize = 10_000;

/// What is held of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// Its number.
    pub number: u64,
    /// First received.
    pub first_seen: Time,
    /// Last received.
    pub last_seen: Time,
    /// Where it stands.
    pub status: AlertStatus,
    /// How bad.
    pub severity: Severity,
    /// What it is called.
    pub title: Arc<str>,
    /// Its platform.
    pub platform: Arc<str>,
    /// Its service.
    pub service: Option<Arc<str>>,
    /// Its host.
    pub host: Option<Arc<str>>,
    /// The incident that its row names.
    pub incident: Option<IncidentId>,
}

impl Brief {
    /// Of a row without its tag.
    pub fn of(number: u64, row: &[u8]) -> Result<Self, StoreError> {
        let names =
            ["platform", "service", "host", "severity", "status", "title", "first_seen", "last_seen", "incident"];
        let [platform, service, host, severity, status, title, first_seen, last_seen, incident] = fields(row, names)?;
        let text = |bytes| Ok::<_, StoreError>(optional::<&str>(bytes)?.map(Arc::from));
        Ok(Self {
            number,
            first_seen: value(first_seen)?,
            last_seen: value(last_seen)?,
            status: value(status)?,
            severity: value(severity)?,
            title: text(title)?.unwrap_or_default(),
            platform: Arc::from(value::<&str>(platform)?),
            service: text(service)?,
            host: text(host)?,
            incident: optional(incident)?,
        })
    }

    /// Whether a filter that wants this of an alert can be answered from what is held.
    pub fn answers(wants: Wants) -> bool {
        !(wants.labels || wants.words || wants.rest || wants.strategies)
    }

    /// As a filter looks at it; its incident is the one that its row names, whatever became of that.
    pub fn seen(&self) -> AlertSeen<'_> {
        AlertSeen {
            status: self.status,
            severity: self.severity,
            title: &self.title,
            source: &self.platform,
            service: self.service.as_deref(),
            host: self.host.as_deref(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            ended_at: None,
            incident: self.incident,
            count: 0,
            labels: Default::default(),
            marks: Vec::new(),
            strategy: None,
        }
    }
}

/// The newest alerts of a snapshot, the lowest number first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// The alerts.
    pub alerts: Arc<VecDeque<Brief>>,
    /// There are older ones.
    pub older: bool,
}

/// What is held, and what has changed since it was read.
#[derive(Debug)]
pub struct Newest {
    most: usize,
    commits: AtomicU64,
    changes: Mutex<Changes>,
    held: Mutex<(Option<u64>, Held)>,
}

/// The alerts that were touched by the commits after `since`, at most as many as are held: with more it is quicker to read
/// all anew.
#[derive(Debug, Default)]
struct Changes {
    since: u64,
    by_commit: VecDeque<(u64, Vec<u64>)>,
    many: usize,
}

impl Default for Newest {
    fn default() -> Self {
        Self::holding(NEWEST)
    }
}

impl Newest {
    /// Holds so many.
    pub fn holding(most: usize) -> Self {
        Self { most, commits: AtomicU64::default(), changes: Mutex::default(), held: Mutex::default() }
    }

    /// The last commit whose alerts are known. To be asked for before a snapshot is taken.
    pub fn commit(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// These were written or removed by a commit that is durable.
    pub fn touched(&self, alerts: Vec<u64>) {
        if alerts.is_empty() {
            return;
        }
        let mut changes = lock(&self.changes);
        let commit = self.commit() + 1;
        changes.many += alerts.len();
        changes.by_commit.push_back((commit, alerts));
        while changes.many > self.most {
            let Some((commit, alerts)) = changes.by_commit.pop_front() else { break };
            changes.many -= alerts.len();
            changes.since = commit;
        }
        self.commits.store(commit, Ordering::Release);
    }

    /// What the file holds may be something else than was said.
    pub fn doubted(&self) {
        let mut changes = lock(&self.changes);
        let commit = self.commit() + 1;
        *changes = Changes { since: commit, ..Changes::default() };
        self.commits.store(commit, Ordering::Release);
    }

    /// Those of a snapshot that was taken after `commit`, or of a later one.
    pub fn of(&self, view: &View, commit: u64) -> Result<Held, StoreError> {
        let mut held = lock(&self.held);
        // Whatever stops it half-way, a damaged page for one, leaves nothing that is believed.
        let known = held.0.take();
        if known.is_none_or(|known| known < commit) {
            let changed = known.and_then(|known| lock(&self.changes).after(known, commit));
            let good = match changed {
                Some(numbers) => held.1.update(view, &numbers, self.most)?,
                None => false,
            };
            if !good {
                held.1 = Held::read(view, self.most)?;
            }
        }
        held.0 = known.max(Some(commit));
        Ok(held.1.clone())
    }
}

impl Changes {
    /// What the commits after `known` up to `commit` touched; none where that is no longer known.
    fn after(&self, known: u64, commit: u64) -> Option<Vec<u64>> {
        if known < self.since {
            return None;
        }
        let commits = self.by_commit.iter().filter(|(at, _)| (known + 1..=commit).contains(at));
        let mut numbers: Vec<u64> = commits.flat_map(|(_, numbers)| numbers).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Some(numbers)
    }
}

impl Held {
    fn read(view: &View, most: usize) -> Result<Self, StoreError> {
        let mut alerts = VecDeque::new();
        let mut rows = view.newest(tables::ALERTS, None)?;
        for row in rows.by_ref().take(most) {
            let (number, bytes) = row?;
            alerts.push_front(Brief::of(number, &codec::plain(bytes.value())?)?);
        }
        Ok(Self { alerts: Arc::new(alerts), older: rows.next().transpose()?.is_some() })
    }

    /// Reads these again. Whether it still holds as many as it should.
    fn update(&mut self, view: &View, numbers: &[u64], most: usize) -> Result<bool, StoreError> {
        let table = view.table(tables::ALERTS)?;
        let lowest = self.alerts.front().map_or(0, |a| a.number);
        let alerts = Arc::make_mut(&mut self.alerts);
        for number in numbers {
            // What is older than what is held was and stays out of sight.
            if self.older && *number < lowest {
                continue;
            }
            let row = table.get(number)?;
            let brief = row.map(|bytes| Brief::of(*number, &codec::plain(bytes.value())?)).transpose()?;
            match (alerts.binary_search_by_key(number, |a| a.number), brief) {
                (Ok(at), Some(brief)) => drop(alerts.get_mut(at).map(|slot| std::mem::replace(slot, brief))),
                (Ok(at), None) => drop(alerts.remove(at)),
                (Err(at), Some(brief)) => alerts.insert(at, brief),
                (Err(_), None) => {}
            }
        }
        while alerts.len() > most {
            alerts.pop_front();
            self.older = true;
        }
        Ok(!self.older || alerts.len() == most)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// The newest alerts; those of a later snapshot, if one was asked already.
    pub(super) fn newest_alerts(&self) -> Result<Held, StoreError> {
        self.remembered.newest.of(self, self.commit)
    }
}

#[cfg(test)]
impl View {
    /// What was kept up to date from commit to commit is what a look at the rows finds.
    pub fn newest_says_what_rows_say(&self) {
        assert_eq!(self.newest_alerts().unwrap(), Held::read(self, NEWEST).unwrap());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{Fixture, firing, resolved};

    const MOST: usize = 4;

    fn check(f: &Fixture, newest: &Newest, what: &str) -> Held {
        let commit = newest.commit();
        let view = f.store.view().unwrap();
        let held = newest.of(&view, commit).unwrap();
        assert_eq!(held, Held::read(&view, MOST).unwrap(), "{what}");
        held
    }

    async fn fire(f: &Fixture, keys: std::ops::Range<u64>) -> Vec<u64> {
        for key in keys.clone() {
            f.send("grafana", vec![firing(&format!("k{key}"), Some("api"))]).await;
        }
        f.settled().await;
        keys.collect()
    }

    #[tokio::test]
    async fn what_was_told_is_read_again_and_nothing_else() {
        let f = Fixture::new();
        let newest = Newest::holding(MOST);
        assert_eq!(check(&f, &newest, "nothing is stored").alerts.len(), 0);
        newest.touched(fire(&f, 1..4).await);
        let held = check(&f, &newest, "fewer than are held");
        assert_eq!((held.alerts.len(), held.older), (3, false));
        newest.touched(fire(&f, 4..7).await);
        let held = check(&f, &newest, "more than are held");
        assert_eq!((held.alerts.front().map(|a| a.number), held.older), (Some(3), true));

        f.send("grafana", vec![resolved("k1")]).await;
        f.send("grafana", vec![resolved("k5")]).await;
        f.settled().await;
        newest.touched(vec![1]);
        let view = f.store.view().unwrap();
        let held = newest.of(&view, newest.commit()).unwrap();
        assert_ne!(held, Held::read(&view, MOST).unwrap(), "the end of the fifth was not told");
        newest.touched(vec![5, 77]);
        check(&f, &newest, "it was told, with one that is not there");

        f.send("grafana", vec![resolved("k6")]).await;
        f.settled().await;
        newest.doubted();
        check(&f, &newest, "all is read again after a doubt");
        for _ in 0..3 {
            newest.touched(fire(&f, 7..11).await);
        }
        check(&f, &newest, "so much was told that some of it is forgotten");
    }

    #[tokio::test]
    async fn a_snapshot_from_before_gets_what_is_known() {
        let f = Fixture::new();
        let newest = Newest::holding(MOST);
        let (before, commit) = (f.store.view().unwrap(), newest.commit());
        newest.touched(fire(&f, 1..3).await);
        let later = check(&f, &newest, "of a later snapshot");
        assert_eq!(newest.of(&before, commit).unwrap(), later);
        check(&f, &newest, "and goes on from there");
    }
}
