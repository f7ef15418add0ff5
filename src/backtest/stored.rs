//! Stored deliveries with two settings side by side: which alerts would be together with others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::AFTER;
use crate::{
    model::*,
    store::{
        DeliveryFilter, NewDelivery, Policy, Store, StoreError,
        rehearsal::{Cue, Fate, Played, Rehearsal, Which},
    },
};

/// Deliveries played at most, the newest of them.
const MOST: usize = 200_000;
/// Rows of one of the two rehearsals at most; memory is several times as much.
const MOST_BYTES: u64 = 200 << 20;
/// Read in one snapshot, and played at once.
const PAGE: usize = 500;
/// Alerts named in the outcome.
const NAMED: usize = 200;
/// Alerts that tell which incident a person ended.
const MEMBERS: usize = 200;
/// The word of the audit log for an end by a person.
const RESOLVED: &str = "incident.resolve";

/// How far a backtest has come, and whether it is to go on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Deliveries played.
    pub done: AtomicU64,
    /// Of so many; 0 while they are counted.
    pub total: AtomicU64,
    /// Stop.
    pub cancelled: AtomicBool,
}

impl Progress {
    fn go_on(&self) -> Result<(), Stopped> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Stopped::Cancelled) } else { Ok(()) }
    }
}

/// Why a backtest ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// It was told to.
    #[error("it was cancelled")]
    Cancelled,
    /// There is more than fits into memory.
    #[error("there is more than fits into memory; choose fewer days")]
    TooMuch,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An alert of the store, as it comes in both rehearsals.
struct Item {
    alert: AlertId,
    now: u64,
    then: u64,
}

/// Plays the deliveries received from `since` on with both policies.
pub fn compare(
    store: &Store,
    since: Time,
    now: Policy,
    then: Policy,
    progress: &Progress,
) -> Result<BacktestOutcome, Stopped> {
    let numbers = numbers(store, since, progress)?;
    progress.total.store(numbers.len() as u64, Ordering::Relaxed);
    let view = store.view()?;
    let (mut now, mut then) = (Rehearsal::beside(&view, now)?, Rehearsal::beside(&view, then)?);
    drop(view);
    let mut outcome = BacktestOutcome::default();
    let mut ends = ends(store, since)?.into_iter().peekable();
    let mut items: BTreeMap<u64, Item> = BTreeMap::new();
    let mut last = since;
    for page in numbers.chunks(PAGE) {
        progress.go_on()?;
        let (mut cues, mut stored) = (Vec::new(), Vec::new());
        let view = store.view()?;
        for seq in page {
            // Gone meanwhile, because it is too old.
            let Some(delivery) = view.delivery(*seq)? else { continue };
            let applied = view.results(*seq)?.unwrap_or_default();
            outcome.from.get_or_insert(delivery.at);
            last = last.max(delivery.at);
            while let Some(end) = ends.next_if(|end| end.at() < delivery.at) {
                cues.push(end);
                stored.push(Vec::new());
            }
            cues.push(Cue::Delivery(Box::new(as_new(delivery))));
            stored.push(applied);
            outcome.deliveries += 1;
        }
        drop(view);
        let (played_now, played_then) = (play(&mut now, cues.clone())?, play(&mut then, cues)?);
        for ((stored, now), then) in stored.iter().zip(&played_now).zip(&played_then) {
            note(&mut items, stored, now, then);
        }
        progress.done.fetch_add(page.len() as u64, Ordering::Relaxed);
        if now.bytes().max(then.bytes()) > MOST_BYTES {
            return Err(Stopped::TooMuch);
        }
    }
    for rehearsal in [&mut now, &mut then] {
        play(rehearsal, ends.clone().collect())?;
        rehearsal.pass_until(last.plus(AFTER), None)?;
    }
    progress.go_on()?;
    (outcome.now, outcome.then) = (figures(&now)?, figures(&then)?);
    regrouped(&items, &now.fates()?, &then.fates()?, &mut outcome);
    let view = store.view()?;
    for change in &mut outcome.changes {
        change.incident_id = view.alert(change.alert_id)?.and_then(|a| a.incident);
    }
    Ok(outcome)
}

/// The numbers of what was received from `since` on and understood, oldest first.
fn numbers(store: &Store, since: Time, progress: &Progress) -> Result<Vec<u64>, Stopped> {
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        progress.go_on()?;
        let page = store.view()?.deliveries(&DeliveryFilter::default(), before, PAGE)?;
        let end = page.items.iter().any(|row| row.at < since);
        let wanted = |row: &&DeliveryRow| row.at >= since && row.outcome == DeliveryOutcome::Accepted;
        numbers.extend(page.items.iter().filter(wanted).map(|row| row.seq));
        before = page.next;
        if end || before.is_none() || numbers.len() >= MOST {
            break;
        }
    }
    numbers.truncate(MOST);
    numbers.reverse();
    Ok(numbers)
}

/// What people ended, oldest first.
fn ends(store: &Store, since: Time) -> Result<Vec<Cue>, StoreError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let view = store.view()?;
        let page = view.audit(before, PAGE)?;
        let end = page.items.iter().any(|entry| entry.at < since);
        for entry in page.items.iter().filter(|e| e.at >= since && e.action == RESOLVED) {
            let Ok(id) = entry.subject.parse::<IncidentId>() else { continue };
            let members = view.members(id, MEMBERS)?;
            let of = members.iter().filter(|(_, a)| a.first_seen <= entry.at).map(|(_, a)| a.fingerprint);
            found.push(Cue::Resolve { at: entry.at, which: Which::Of(of.collect()), cause: None });
        }
        before = page.next;
        if end || before.is_none() {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

fn as_new(delivery: Delivery) -> NewDelivery {
    let Delivery { at, platform, outcome, problem, mut parsed, .. } = delivery;
    // The intake knew retries, and kept none of them.
    parsed.retry_id = None;
    NewDelivery { at, platform, outcome, problem, headers: Vec::new(), body: Vec::new(), parsed, replay_of: None }
}

fn play(rehearsal: &mut Rehearsal, cues: Vec<Cue>) -> Result<Vec<Played>, StoreError> {
    rehearsal.play(cues.into_iter().map(Ok::<_, StoreError>), None)?;
    Ok(rehearsal.take_played())
}

fn note(items: &mut BTreeMap<u64, Item>, stored: &[Applied], now: &Played, then: &Played) {
    for ((stored, now), then) in stored.iter().zip(&now.signals).zip(&then.signals) {
        if let (Some(alert), Some(now), Some(then)) = (stored.alert_id, now.alert_id, then.alert_id) {
            let item = Item { alert, now: now.number(), then: then.number() };
            items.entry(item.now).or_insert(item);
        }
    }
}

fn figures(rehearsal: &Rehearsal) -> Result<BacktestFigures, StoreError> {
    let incidents: Vec<Incident> = rehearsal.incidents()?.into_iter().map(|(i, _)| i).filter(|i| !i.test).collect();
    Ok(BacktestFigures {
        incidents: incidents.len() as u64,
        alone: incidents.iter().filter(|i| i.alert_count == 1).count() as u64,
        largest: incidents.iter().map(|i| i.alert_count).max().unwrap_or(0),
    })
}

/// Alerts whose company would be another one.
fn regrouped(
    items: &BTreeMap<u64, Item>,
    now: &HashMap<u64, Fate>,
    then: &HashMap<u64, Fate>,
    outcome: &mut BacktestOutcome,
) {
    let placed: Vec<(&Item, &Fate, IncidentId, IncidentId)> = items
        .values()
        .filter_map(|item| {
            let (a, b) = (now.get(&item.now)?, then.get(&item.then)?);
            Some((item, a, a.incident, b.incident))
        })
        .collect();
    outcome.alerts = placed.len() as u64;
    let (mut in_now, mut in_then): (Groups<'_>, Groups<'_>) = (HashMap::new(), HashMap::new());
    let mut in_both: HashMap<(IncidentId, IncidentId), u64> = HashMap::new();
    for (_, fate, a, b) in &placed {
        in_now.entry(*a).or_default().push((*b, fate));
        in_then.entry(*b).or_default().push((*a, fate));
        *in_both.entry((*a, *b)).or_default() += 1;
    }
    let count = |group: Option<&Vec<(IncidentId, &Fate)>>| group.map_or(0, |g| g.len() as u64);
    let other = |group: Option<&Vec<(IncidentId, &Fate)>>, not: IncidentId| {
        group.and_then(|g| g.iter().find(|(id, _)| *id != not)).map(|(_, fate)| fate.title.clone())
    };
    let mut changes = Vec::new();
    for (item, fate, a, b) in placed {
        let both = in_both.get(&(a, b)).copied().unwrap_or(0);
        let (apart, together) = (count(in_now.get(&a)) - both, count(in_then.get(&b)) - both);
        if apart + together == 0 {
            continue;
        }
        outcome.regrouped += 1;
        changes.push((apart + together, item, fate, a, b, apart, together));
    }
    // A stable sort: of equal ones the earliest alert first.
    changes.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    outcome.changes = changes
        .into_iter()
        .take(NAMED)
        .map(|(_, item, fate, a, b, apart, together)| Regrouped {
            alert_id: item.alert,
            title: fate.title.clone(),
            service: fate.service.clone(),
            incident_id: None,
            apart,
            apart_from: other(in_now.get(&a), b),
            together,
            together_with: other(in_then.get(&b), a),
        })
        .collect();
}

/// An incident's alerts, each with the incident that it is part of on the other side.
type Groups<'a> = HashMap<IncidentId, Vec<(IncidentId, &'a Fate)>>;
