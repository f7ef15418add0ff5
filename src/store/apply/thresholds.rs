//! Alerts that wait until enough like them have come, and what happens when they have.

use serde_json::json;

use super::{lifecycle, place};
use crate::{
    correlation::{
        Match,
        mutes::Facts,
        thresholds::{self, Progress},
    },
    model::*,
    store::{
        StoreError,
        tx::{Tx, mutes::clock},
    },
};

/// Times of one alert that are remembered while it waits: as many as a threshold may ask for.
const HITS: usize = 500;
/// Alerts named in a sentence.
const NAMED: usize = 3;
/// That alerts came together is as much as that they began at the same time.
const SCORE: f64 = 0.7;

/// What a threshold says of an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// None concerns it.
    Free,
    /// It waits.
    Waits,
    /// One was reached before, and its incident is still open.
    Follows(ThresholdId, IncidentId),
    /// It is the one by which a threshold is reached.
    Reaches(ThresholdId, Progress),
}

/// Whether an alert that was received at `at` waits for a threshold. Its row is the caller's to write.
pub fn hold(tx: &mut Tx<'_>, alert: &mut Alert, at: Time) -> Result<Held, StoreError> {
    let fitting = tx.world.calm.holding(&Facts::of(alert));
    // The one that it waits for already, else the first.
    let waits = alert.threshold.filter(|id| alert.is_waiting() && fitting.contains(id));
    let Some(threshold) = waits.or(fitting.first().copied()).and_then(|id| tx.threshold(id)) else {
        tx.wait_no_more(alert)?;
        return Ok(Held::Free);
    };
    let id = threshold.id;
    if alert.threshold != Some(id) {
        tx.wait_no_more(alert)?;
    }
    if let Some(incident) = threshold.incident
        && tx.incident(incident)?.is_some()
    {
        let incident = tx.home(incident)?;
        if tx.known_incident(incident)?.is_open() {
            tx.wait_no_more(alert)?;
            return Ok(Held::Follows(id, incident));
        }
    }
    alert.threshold = Some(id);
    alert.threshold_hits.retain(|hit| !thresholds::is_past(&threshold, *hit, at));
    alert.threshold_hits.push(at);
    let most = alert.threshold_hits.len().saturating_sub(HITS);
    alert.threshold_hits.drain(..most);
    if tx.wait(id, alert)? {
        tx.count_threshold(id, |t| t.held += 1);
    }
    let progress = thresholds::progress(&threshold, tx.world.calm.waiting(id).map(|(_, w)| w), at);
    Ok(if progress.reached { Held::Reaches(id, progress) } else { Held::Waits })
}

/// Where an alert goes whose threshold was reached before, when nothing else says so.
pub fn follows(held: &Held) -> Option<Match> {
    let Held::Follows(threshold, incident) = held else { return None };
    let text = format!("Threshold {threshold} was reached for this incident: what fits it waits no more.");
    let reasons = vec![Reason { strategy: Strategy::TimeCluster, score: SCORE, text }];
    Some(Match { incident: *incident, reasons })
}

/// After the alert by which a threshold is reached went into its incident: those that waited follow it.
pub fn reached(tx: &mut Tx<'_>, held: &Held, alert: &mut Alert) -> Result<(), StoreError> {
    let (Held::Reaches(id, progress), Some(incident)) = (held, alert.incident) else { return Ok(()) };
    let Some(threshold) = tx.threshold(*id) else { return Ok(()) };
    let came = thresholds::words(&threshold, *progress);
    let within = threshold.within_minutes;
    let why = format!("With it, threshold {id} was reached: {came} within {within}\u{a0}min.");
    if let Some(mut membership) = tx.membership(incident, alert.id)? {
        membership.reasons.push(Reason { strategy: Strategy::TimeCluster, score: SCORE, text: why });
        tx.put_membership(&membership)?;
    }
    tx.wait_no_more(alert)?;
    let names = release(tx, &threshold, incident, |since| {
        format!(
            "It waited for threshold {id} since {}, which was then reached: {came} within {within}\u{a0}min.",
            clock(since)
        )
    })?;
    let passed = match threshold.passed_since {
        0 => String::new(),
        1 => " Before, 1 alert waited in vain.".to_owned(),
        n => format!(" Before, {n} alerts waited in vain."),
    };
    let text = format!(
        "Threshold {id} was reached: {came} within {within}\u{a0}min ({}). Held back until then: {}.{passed}",
        threshold.reason.trim_end_matches('.'),
        listed(&names),
    );
    let now = tx.now;
    tx.count_threshold(*id, |t| {
        t.reached += 1;
        t.reached_at = Some(now);
        t.incident = Some(incident);
        t.passed_since = 0;
    });
    let data = json!({ "threshold": id, "count": progress.count, "distinct": progress.distinct, "held_back": names.len(), "passed": threshold.passed_since });
    tx.note(incident, TimelineKind::Threshold, &Actor::System, text, data)
}

fn listed(titles: &[String]) -> String {
    if titles.is_empty() {
        return "none but this one".to_owned();
    }
    let named: Vec<&str> = titles.iter().take(NAMED).map(String::as_str).collect();
    match titles.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Puts all that waits into an incident. Returns their titles, oldest first.
fn release(
    tx: &mut Tx<'_>,
    threshold: &Threshold,
    incident: IncidentId,
    why: impl Fn(Time) -> String,
) -> Result<Vec<String>, StoreError> {
    let numbers: Vec<u64> = tx.world.calm.waiting(threshold.id).map(|(n, _)| n).collect();
    let mut titles = Vec::new();
    for number in numbers {
        let Some(mut alert) = tx.alert(number)? else { continue };
        titles.push(alert.title.clone());
        admit(tx, &mut alert, incident, &why)?;
    }
    Ok(titles)
}

/// One that waited joins an incident, also when it has ended meanwhile.
fn admit(
    tx: &mut Tx<'_>,
    alert: &mut Alert,
    incident: IncidentId,
    why: impl Fn(Time) -> String,
) -> Result<(), StoreError> {
    let since = alert.threshold_hits.first().copied().unwrap_or(alert.first_seen);
    tx.wait_no_more(alert)?;
    let reason = Reason { strategy: Strategy::TimeCluster, score: SCORE, text: why(since) };
    lifecycle::join(tx, incident, alert, SCORE, vec![reason])?;
    place::comes(tx, alert, incident);
    let row = tx.known_incident(incident)?;
    row.started_at = row.started_at.min(alert.started_at);
    row.onset_at = row.onset_at.min(alert.onset_at);
    if !alert.is_open() {
        row.firing_count = row.firing_count.saturating_sub(1);
    }
    // The next alert is compared with it before this transaction ends.
    let found_by = row.clone();
    tx.world.open(&found_by);
    tx.world.opened(&found_by);
    let timer = alert.timer();
    tx.put_alert(alert, timer)
}

/// Lets go what waits and no longer should: of a threshold that is removed or was changed. What burns opens an incident;
/// what has ended stays without one.
pub fn let_go(tx: &mut Tx<'_>, id: ThresholdId, numbers: &[u64], why: &str) -> Result<Option<IncidentId>, StoreError> {
    let mut incident = None;
    for number in numbers {
        let Some(mut alert) = tx.alert(*number)? else { continue };
        if !alert.is_open() {
            tx.wait_no_more(&mut alert)?;
            let timer = alert.timer();
            tx.put_alert(&alert, timer)?;
            continue;
        }
        if let Some(opened) = incident {
            admit(tx, &mut alert, opened, |since| {
                format!("It waited for threshold {id} since {}. {why}", clock(since))
            })?;
            continue;
        }
        tx.wait_no_more(&mut alert)?;
        let opened = lifecycle::open(tx, &mut alert, None)?;
        place::comes(tx, &alert, opened);
        let timer = alert.timer();
        tx.put_alert(&alert, timer)?;
        let text = format!("Alerts that waited for threshold {id} were let go. {why}");
        tx.note(opened, TimelineKind::Threshold, &Actor::System, text, json!({ "threshold": id }))?;
        incident = Some(opened);
    }
    Ok(incident)
}

/// Takes those off the list that waited in vain: they stay stored, without an incident.
pub fn expire(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (id, number) in tx.world.calm.waited_in_vain(tx.now) {
        let Some(mut alert) = tx.alert(number)? else { continue };
        tx.wait_no_more(&mut alert)?;
        let timer = alert.timer();
        tx.put_alert(&alert, timer)?;
        tx.count_threshold(id, |t| {
            t.passed += 1;
            t.passed_since += 1;
        });
    }
    Ok(())
}
