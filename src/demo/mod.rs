//! A company that does not exist, for trying Watchfire out: months of history, a story of two minutes, and quiet days after
//! it. All of it goes through the door like what others send, with the keys of the connectors; only the clock is special:
//! the history is taken on one that runs through these months, before the server begins on the machine's.

mod bodies;
mod company;
mod history;
mod story;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, ProbeSettings},
    ingest::{Arrival, Door, Memory, Refusal, Trust, rate::SharedTicks},
    investigation::{Probes, Runner, probes::UsualError},
    model::*,
    outgoing::{Client, OutgoingError},
    runtime::clock::Clock,
    store::{CommandError, GivenCause, Resolution, Store, StoreError, day_of, midnight},
};
use bodies::Sent;
use history::{Deed, Moment};

/// What stands in the data folder of a demo, and how far that is.
const MARK: &str = "demo";
const FILLED: &str = "filled\n";
const TOLD: &str = "told\n";
/// An investigation of the history may take this long.
const ANALYSIS: Duration = Duration::from_secs(5);
/// Between the start of the server and the story.
const PAUSE: Duration = Duration::from_secs(3);
/// Between two things that happen when the story is over.
const QUIET: Duration = Duration::from_secs(11 * 60);
/// How long each of them lasts.
const LASTS: Duration = Duration::from_secs(4 * 60);
/// People of the history.
const PEOPLE: [&str; 3] = ["mara", "jonas", "ines"];

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Real data must not be mixed with inventions.
    #[error(
        "--demo wants an empty data folder, and {0} has deliveries or incidents of its own; name another with --data-dir"
    )]
    NotEmpty(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command to it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The door.
    #[error("the demo's own alert was refused: {0}")]
    Refused(String),
    /// The mark in the data folder.
    #[error("the data folder cannot be marked as a demo: {0}")]
    Io(#[from] std::io::Error),
    /// What investigations ask with.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The same.
    #[error(transparent)]
    Metrics(#[from] UsualError),
}

impl From<Refusal> for DemoError {
    fn from(r: Refusal) -> Self {
        Self::Refused(r.word().to_owned())
    }
}

/// Sends with the connectors' keys.
struct Sender {
    door: Door,
    keys: BTreeMap<Platform, String>,
    turn: u64,
}

impl Sender {
    async fn new(door: Door) -> Result<Self, DemoError> {
        let settings = door.store.read(|v| v.connectors()).await?;
        let mut keys = BTreeMap::new();
        for connector in settings {
            keys.insert(connector.platform.clone(), door.store.sealer().open(&connector.key)?);
        }
        // Ids that senders give must differ from those before a restart.
        let turn = door.clock.now().millis().unsigned_abs() << 8;
        Ok(Self { door, keys, turn })
    }

    fn turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Sends it and waits until it is applied. The incident that its first alert is in.
    async fn send(&self, sent: Sent) -> Result<Option<IncidentId>, DemoError> {
        let key = self.keys.get(sent.platform).map(String::as_str);
        let admission = self.door.admit(sent.platform, &sent.headers, &[], key, None).await?;
        self.door.may_take(&admission)?;
        let arrival = Arrival { headers: sent.headers, query: Vec::new(), body: sent.body.to_string().into_bytes() };
        let taken = self.door.accept(&admission, arrival).await?;
        if let Some(problem) = taken.problem {
            return Err(DemoError::Refused(problem.detail));
        }
        let seq = taken.stored.seq;
        self.door.store.applied(seq, Duration::from_secs(30)).await;
        let applied = self.door.store.read(move |v| v.results(seq)).await?.unwrap_or_default();
        Ok(applied.iter().find_map(|a| a.incident_id))
    }
}

/// Whether this folder is that of a demo.
pub fn is_marked(dir: &Path) -> bool {
    dir.join(MARK).exists()
}

/// Whether nothing was ever received.
pub fn is_empty(store: &Store) -> bool {
    *store.position().borrow() == 0
}

/// When the history before that time begins: at a midnight.
pub fn beginning(until: Time) -> Time {
    midnight(day_of(until) - i64::try_from(history::DAYS).unwrap_or(0))
}

/// Fills an empty store with the months before `until`. Nothing is done in the folder of a demo; false then.
pub async fn fill(store: &Store, config: &Arc<Config>, clock: &Clock, until: Time) -> Result<bool, DemoError> {
    if is_marked(&config.data_dir) {
        return Ok(false);
    }
    if !is_empty(store) {
        return Err(DemoError::NotEmpty(config.data_dir.display().to_string()));
    }
    store.replace_topology(company::services(), Actor::System).await?;
    let stop = CancellationToken::new();
    let probes = Probes::open(Client::open(None)?, clock.clone(), ProbeSettings::default())?;
    let runner = Runner::new(store.clone(), clock.clone(), Arc::new(probes), 2);
    let runner = tokio::spawn(runner.run(stop.clone()));
    let done = live_through(store, config, clock, until).await;
    stop.cancel();
    // It has given back what it had by then, or it never will.
    let _ = tokio::time::timeout(ANALYSIS, runner).await;
    done?;
    clock.advance(until.since(clock.now()));
    std::fs::write(config.data_dir.join(MARK), FILLED)?;
    Ok(true)
}

/// A door for a clock of its own.
fn door(store: &Store, config: &Arc<Config>, clock: &Clock) -> Door {
    let memory = Arc::new(Memory::new(SharedTicks::new(clock.clone()), Trust::none(), None));
    Door { store: store.clone(), config: Arc::clone(config), clock: clock.clone(), memory }
}

/// Goes through the plan of the history.
async fn live_through(store: &Store, config: &Arc<Config>, clock: &Clock, until: Time) -> Result<(), DemoError> {
    let began = beginning(until);
    let mut sender = Sender::new(door(store, config, clock)).await?;
    let mut incidents: BTreeMap<usize, IncidentId> = BTreeMap::new();
    let mut first: BTreeMap<(usize, usize), Time> = BTreeMap::new();
    for moment in history::plan(until.since(began).as_secs()) {
        tracing::debug!(?moment.deed, of = moment.of, "the demo's history goes on");
        let at = began.plus(Duration::from_secs(moment.at));
        clock.advance(at.since(clock.now()));
        let Moment { of, scene, deed, .. } = moment;
        match deed {
            Deed::Deploy => {
                let version = format!("v{}.{}.0", 3 + of / 40, of % 40);
                let what = "Weekly release";
                let turn = sender.turn();
                if let Some(service) = scene.deployed {
                    sender.send(bodies::deployed(service, &version, what, at, turn)).await?;
                }
            }
            Deed::Fire(n) | Deed::End(n) => {
                let Some(alarm) = scene.alarms.get(n) else { continue };
                let firing = matches!(deed, Deed::Fire(_));
                let from = *first.entry((of, n)).or_insert(at);
                let turn = sender.turn();
                if let Some(id) = sender.send(alarm.sent(firing, from, at, turn)).await? {
                    incidents.entry(of).or_insert(id);
                }
            }
            Deed::Take => {
                if let Some(id) = incidents.get(&of) {
                    let who = PEOPLE.get(of % PEOPLE.len()).copied().unwrap_or_default();
                    // Over already, or part of another: then there is nothing to take.
                    let _ = store.acknowledge(*id, Actor::Person(who.to_owned())).await;
                }
            }
            Deed::Judge { otherwise } => {
                if let Some(id) = incidents.get(&of) {
                    judge(store, clock, *id, scene.cause, otherwise, of).await?;
                }
            }
        }
    }
    Ok(())
}

/// A person ends an incident and says what it was, once its analysis is done.
async fn judge(
    store: &Store,
    clock: &Clock,
    id: IncidentId,
    cause: Option<&str>,
    otherwise: bool,
    of: usize,
) -> Result<(), DemoError> {
    analyzed(store, clock, id).await?;
    let who = PEOPLE.get((of + 1) % PEOPLE.len()).copied().unwrap_or_default();
    let service = if otherwise { Some("orders-api") } else { cause };
    let cause = service.map(|s| GivenCause::Named { service: Some(s.to_owned()), host: None, symptom: None });
    let reason = match otherwise {
        true => "A job of another team; it was stopped.".to_owned(),
        false => "Went back to the version before.".to_owned(),
    };
    let resolution = Resolution { reason: Some(reason), cause };
    // Over already, or part of another.
    let _ = store.resolve_with(id, resolution, Actor::Person(who.to_owned())).await;
    Ok(())
}

/// Waits until an incident's investigation has ended, a little while.
async fn analyzed(store: &Store, clock: &Clock, id: IncidentId) -> Result<(), DemoError> {
    let mut changes = store.changes();
    let wait = async {
        loop {
            changes.borrow_and_update();
            let state = store.read(move |v| v.incident(id)).await?.map(|i| i.investigation.state);
            let busy = matches!(state, Some(InvestigationState::Queued | InvestigationState::Running));
            if !busy {
                return Ok(());
            }
            // What waits for the rest of a burst need not wait.
            clock.advance(Duration::from_secs(1));
            if tokio::time::timeout(Duration::from_millis(10), changes.changed()).await.is_ok_and(|c| c.is_err()) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(ANALYSIS, wait).await.unwrap_or(Ok(()))
}

/// Tells the story, unless this folder has had it, and goes on quietly until `stop`.
pub async fn tell(door: Door, stop: CancellationToken) {
    let work = async {
        if let Err(e) = told(door).await {
            tracing::warn!(error = %e, "the demo ended early");
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => stop.cancelled().await,
    }
}

async fn told(door: Door) -> Result<(), DemoError> {
    let (clock, mark) = (door.clock.clone(), door.config.data_dir.join(MARK));
    let mut sender = Sender::new(door).await?;
    clock.sleep(PAUSE).await;
    if std::fs::read_to_string(&mark).unwrap_or_default() != TOLD {
        the_story(&mut sender, clock.now()).await?;
        std::fs::write(&mark, TOLD)?;
    }
    let quiet = [company::NOISE[0], company::NOISE[2], company::FLAPS];
    for n in 0.. {
        clock.sleep(QUIET).await;
        let Some(alarm) = quiet.get(n % quiet.len()) else { break };
        let from = clock.now();
        let turn = sender.turn();
        sender.send(alarm.sent(true, from, from, turn)).await?;
        clock.sleep(LASTS).await;
        let turn = sender.turn();
        sender.send(alarm.sent(false, from, clock.now(), turn)).await?;
    }
    Ok(())
}

/// The story, from `start` on.
async fn the_story(sender: &mut Sender, start: Time) -> Result<(), DemoError> {
    let clock = sender.door.clock.clone();
    for step in story::steps() {
        clock.sleep_until(start.plus(Duration::from_secs(step.at))).await;
        let turn = sender.turn();
        sender.send(step.sent(start, turn)).await?;
    }
    Ok(())
}
