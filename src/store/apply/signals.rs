//! Signals meet alerts by their identity alone; new alerts find their incident or open one.

use std::time::Duration;

use serde_json::json;

use super::{
    flapping, lifecycle, mutes,
    place::{self, Decided},
    taught,
    thresholds::{self, Held},
};
use crate::{
    correlation::{self, Group, mutes::Facts, weighted::Doc},
    model::*,
    store::{
        StoreError,
        tables::meta,
        tx::{Rules, Tx},
        world::LiveAlert,
    },
};

/// A heartbeat that is heard again so soon is not written down again.
const HEARD_AGAIN: Duration = Duration::from_secs(5);

/// Applies the signals of a delivery. The answers stand in the order of the body; the work is done in an order that does
/// not depend on it: beginnings before ends, earlier before later.
pub fn apply(tx: &mut Tx<'_>, delivery: &Delivery, read: &[Option<Doc>]) -> Result<Vec<Applied>, StoreError> {
    let platform = delivery.platform.as_str();
    let rules = tx.rules(platform)?;
    let mut order: Vec<(usize, &Signal, Fingerprint)> =
        delivery.parsed.signals.iter().enumerate().map(|(n, s)| (n, s, s.fingerprint())).collect();
    order.sort_by_key(|(n, s, fingerprint)| {
        (s.status, correlation::onset(s.started_at, delivery.at), s.severity, *fingerprint, *n)
    });
    let mut results: Vec<(usize, Applied)> = Vec::with_capacity(order.len());
    for (n, signal, fingerprint) in order {
        let doc = read.get(n).and_then(Option::as_ref);
        let door = Door { delivery, signal, doc, fingerprint, rules: &rules };
        results.push((n, door.apply(tx)?));
    }
    results.sort_by_key(|(n, _)| *n);
    Ok(results.into_iter().map(|(_, applied)| applied).collect())
}

/// One signal on its way in.
struct Door<'a> {
    delivery: &'a Delivery,
    signal: &'a Signal,
    // What the signal says, if it was read before.
    doc: Option<&'a Doc>,
    fingerprint: Fingerprint,
    rules: &'a Rules,
}

impl Door<'_> {
    fn apply(&self, tx: &mut Tx<'_>) -> Result<Applied, StoreError> {
        if self.signal.status == SignalStatus::Firing && !self.signal.is_test {
            tx.count_signal(self.delivery.at);
        }
        if let Some(id) = self.heartbeat(tx) {
            return self.beat(tx, id);
        }
        let met = match self.meets(tx) {
            Some(live) => tx.alert(live.number)?,
            None => None,
        };
        match (self.signal.status, met) {
            (SignalStatus::Firing, Some(alert)) if alert.is_held() => self.refire(tx, alert),
            (SignalStatus::Firing, Some(alert)) if alert.is_open() => self.repeat(tx, alert),
            (SignalStatus::Firing, Some(alert)) if self.is_refire(tx, &alert) => self.refire(tx, alert),
            (SignalStatus::Firing, closed) => {
                if let Some(closed) = closed {
                    tx.supersede(&closed)?;
                }
                self.begin(tx)
            }
            (_, Some(alert)) if alert.is_held() => self.answer(tx, Some(&alert)),
            (SignalStatus::Acknowledged, Some(alert)) if alert.is_open() => self.acknowledge(tx, alert),
            (SignalStatus::Resolved, Some(alert)) if alert.is_open() => self.resolve(tx, alert),
            (SignalStatus::Info, Some(alert)) if alert.is_open() => self.inform(tx, &alert),
            (_, Some(alert)) => self.answer(tx, Some(&alert)),
            (_, None) => self.answer(tx, None),
        }
    }

    /// The heartbeat that this is, instead of an alert.
    fn heartbeat(&self, tx: &Tx<'_>) -> Option<HeartbeatId> {
        let s = self.signal;
        if !tx.world.telling.expects_alerts() || s.status != SignalStatus::Firing || s.is_test {
            return None;
        }
        tx.world.telling.heartbeat_of(&Facts {
            service: s.service.as_deref(),
            host: s.host.as_deref(),
            environment: s.environment.as_deref(),
            platform: &self.delivery.platform,
            severity: s.severity,
            title: &s.title,
            labels: &s.labels,
        })
    }

    /// A heartbeat was heard. Of those that come every moment not each is written down. Where the clock was set back, what is
    /// earlier is news all the same.
    fn beat(&self, tx: &mut Tx<'_>, id: HeartbeatId) -> Result<Applied, StoreError> {
        if let Some(row) = tx.world.telling.heartbeats.get(&id.0).cloned() {
            let at = self.delivery.at;
            let news = row.last_at.is_none_or(|last| at.distance(last) >= HEARD_AGAIN);
            if news || row.missing_since.is_some() {
                tx.put_heartbeat(&Heartbeat { last_at: Some(at), ..row })?;
                tx.log(ChangeSubject::Notifications)?;
            }
        }
        Ok(Applied { heartbeat: Some(id), ..self.answer(tx, None)? })
    }

    /// The alert that this is about. One that began by the connector's own rule goes on by that until it ends, whatever
    /// rule people have set since.
    fn meets(&self, tx: &Tx<'_>) -> Option<LiveAlert> {
        let own = self.signal.own_key.as_deref().map(Fingerprint::of);
        let own = own.and_then(|own| tx.world.alerts.get(&own)).filter(|live| live.closed_at.is_none());
        own.or_else(|| tx.world.alerts.get(&self.fingerprint)).copied()
    }

    /// Ended a short time ago: the same trouble, not a new one.
    fn is_refire(&self, tx: &Tx<'_>, alert: &Alert) -> bool {
        alert.closed_at.is_some_and(|closed| tx.now.since(closed) <= tx.policy.reopen_within)
    }

    /// What is said of the alert now.
    fn refresh(&self, tx: &Tx<'_>, alert: &mut Alert) {
        let s = self.signal;
        alert.title.clone_from(&s.title);
        alert.severity = s.severity;
        alert.last_seen = alert.last_seen.max(self.delivery.at);
        alert.last_delivery = self.delivery.seq;
        alert.path.clone_from(&s.path);
        alert.labels.clone_from(&s.labels);
        alert.annotations.clone_from(&s.annotations);
        for (ours, theirs) in [
            (&mut alert.description, &s.description),
            (&mut alert.severity_raw, &s.severity_raw),
            (&mut alert.service, &s.service),
            (&mut alert.host, &s.host),
            (&mut alert.environment, &s.environment),
            (&mut alert.source_url, &s.url),
            (&mut alert.image_url, &s.image_url),
            (&mut alert.runbook_url, &s.runbook_url),
            (&mut alert.group_key, &s.group_key),
        ] {
            // A repeat that leaves something out does not unsay it.
            if theirs.is_some() {
                ours.clone_from(theirs);
            }
        }
        alert.quiet_at = self.quiet_at(tx);
    }

    fn quiet_at(&self, tx: &Tx<'_>) -> Option<Time> {
        if self.signal.is_test {
            return Some(tx.now.plus(tx.policy.test_closes_after));
        }
        let secs = self.signal.quiet_after_secs?;
        Some(tx.now.plus(Duration::from_secs(u64::from(secs))))
    }

    fn repeat(&self, tx: &mut Tx<'_>, mut alert: Alert) -> Result<Applied, StoreError> {
        let timer = alert.timer();
        place::restating(tx, &alert, self.signal);
        self.refresh(tx, &mut alert);
        mutes::mark(tx, &mut alert);
        alert.count += 1;
        alert.status = AlertStatus::Firing;
        if alert.incident.is_none() {
            return self.promote(tx, alert, timer);
        }
        tx.put_alert(&alert, timer)?;
        if let Some(under) = alert.incident {
            let id = tx.home(under)?;
            tx.known_incident(id)?;
            tx.changed(id, IncidentChange::Alerts);
            lifecycle::raise_severity(tx, under, alert.severity)?;
        }
        self.answer(tx, Some(&alert))
    }

    /// It fires after an end. While it flaps, that is counted and told by nothing else.
    fn refire(&self, tx: &mut Tx<'_>, mut alert: Alert) -> Result<Applied, StoreError> {
        let timer = alert.timer();
        place::restating(tx, &alert, self.signal);
        self.refresh(tx, &mut alert);
        mutes::mark(tx, &mut alert);
        alert.count += 1;
        alert.status = AlertStatus::Firing;
        alert.ended_at = None;
        alert.closed_at = None;
        let (told_before, begins) = (alert.flapping.is_some(), flapping::fired_again(tx, &mut alert, self.delivery.at));
        if alert.incident.is_none() {
            return self.promote(tx, alert, timer);
        }
        tx.put_alert(&alert, timer)?;
        if let Some(under) = alert.incident {
            let id = tx.home(under)?;
            let incident = tx.known_incident(id)?;
            let was_resolved = incident.status == IncidentStatus::Resolved;
            tx.changed(id, IncidentChange::Alerts);
            let by = Actor::Sender(self.delivery.platform.clone());
            if !told_before {
                tx.count(under, 0, 1)?;
            }
            if begins {
                tx.count_flapping(under, 1)?;
                flapping::tell_begin(tx, id, &alert, &by)?;
            } else if !told_before {
                let text = format!("{} fired again.", alert.title);
                tx.note(id, TimelineKind::AlertRefired, &by, text, json!({ "alert_id": alert.id }))?;
            }
            if was_resolved {
                lifecycle::reopen(tx, id, &by, format!("Reopened: {} fired again.", alert.title))?;
            }
            lifecycle::raise_severity(tx, under, alert.severity)?;
        }
        self.answer(tx, Some(&alert))
    }

    fn begin(&self, tx: &mut Tx<'_>) -> Result<Applied, StoreError> {
        if self.signal.repeat_only {
            return self.answer(tx, None);
        }
        let mut alert = self.new_alert(tx);
        mutes::mark(tx, &mut alert);
        tx.learn_edges(&alert);
        let opened = self.place(tx, &mut alert)?;
        tx.put_alert(&alert, None)?;
        Ok(Applied { new_incident: opened, ..self.answer(tx, Some(&alert))? })
    }

    /// An alert that was too mild for an incident until now: what it has become decides, from now on.
    fn promote(&self, tx: &mut Tx<'_>, mut alert: Alert, timer: Option<Time>) -> Result<Applied, StoreError> {
        let began = alert.onset_at;
        // What waits for a threshold has burned since then.
        if !alert.is_waiting() {
            alert.onset_at = self.delivery.at;
        }
        let opened = self.place(tx, &mut alert)?;
        if alert.incident.is_none() {
            alert.onset_at = began;
        }
        tx.put_alert(&alert, timer)?;
        Ok(Applied { new_incident: opened, ..self.answer(tx, Some(&alert))? })
    }

    /// Puts an alert into its incident, if it is one that belongs into any. Whether that was opened for it.
    fn place(&self, tx: &mut Tx<'_>, alert: &mut Alert) -> Result<bool, StoreError> {
        let manual = self.delivery.platform == "manual";
        let opens = match self.rules.opens.as_slice() {
            [] => alert.severity != Severity::Info,
            listed => listed.contains(&alert.severity),
        };
        if !manual && !opens {
            return Ok(false);
        }
        let alone = manual || alert.test;
        let held = if alone { Held::Free } else { thresholds::hold(tx, alert, self.delivery.at)? };
        if held == Held::Waits {
            return Ok(false);
        }
        let group_key = alert.group_key.clone().filter(|_| self.rules.group_by_sender);
        let group = group_key.as_deref().map(|key| Group::new(&self.delivery.platform, key));
        let advice = if alone { taught::Advice::default() } else { taught::advice(tx, alert)? };
        let says_as_sent = alert.title == self.signal.title && alert.description == self.signal.description;
        let doc = self.doc.filter(|_| says_as_sent).cloned();
        let decided = if alone { Decided::default() } else { place::decide(tx, alert, doc, group, &advice) };
        let decided = decided.or_with(thresholds::follows(&held));
        let source = manual.then(|| self.signal.labels.get("source_type").map_or("manual", String::as_str));
        let opened = place::put(tx, alert, decided, group, source)?;
        if let Some(id) = alert.incident.filter(|_| opened) {
            lifecycle::kept_out(tx, id, alert, &advice.kept_out)?;
        }
        thresholds::reached(tx, &held, alert)?;
        Ok(opened)
    }

    fn new_alert(&self, tx: &mut Tx<'_>) -> Alert {
        let s = self.signal;
        let at = self.delivery.at;
        Alert {
            id: AlertId::new(at, tx.world.next(meta::ALERT)),
            fingerprint: self.fingerprint,
            dedup_key: s.dedup_key.clone(),
            identity: s.identity.clone(),
            platform: self.delivery.platform.clone(),
            title: s.title.clone(),
            description: s.description.clone(),
            service: s.service.clone(),
            host: s.host.clone(),
            environment: s.environment.clone(),
            severity: s.severity,
            severity_raw: s.severity_raw.clone(),
            status: AlertStatus::Firing,
            started_at: s.started_at.unwrap_or(at),
            onset_at: correlation::onset(s.started_at, at),
            first_seen: at,
            last_seen: at,
            ended_at: None,
            closed_at: None,
            count: 1,
            source_url: s.url.clone(),
            image_url: s.image_url.clone(),
            runbook_url: s.runbook_url.clone(),
            labels: s.labels.clone(),
            annotations: s.annotations.clone(),
            test: s.is_test,
            repaired: s.repaired,
            incident: None,
            first_delivery: self.delivery.seq,
            last_delivery: self.delivery.seq,
            path: s.path.clone(),
            group_key: s.group_key.clone(),
            quiet_at: self.quiet_at(tx),
            muted_by: Vec::new(),
            was_muted_by: Vec::new(),
            threshold: None,
            threshold_hits: Vec::new(),
            refires: Vec::new(),
            flaps: 0,
            flapping: None,
        }
    }

    fn acknowledge(&self, tx: &mut Tx<'_>, mut alert: Alert) -> Result<Applied, StoreError> {
        let first = alert.status != AlertStatus::Acknowledged;
        alert.status = AlertStatus::Acknowledged;
        alert.last_seen = alert.last_seen.max(self.delivery.at);
        alert.last_delivery = self.delivery.seq;
        let timer = alert.timer();
        tx.put_alert(&alert, timer)?;
        if let Some(under) = alert.incident.filter(|_| first) {
            let id = tx.home(under)?;
            tx.known_incident(id)?;
            tx.changed(id, IncidentChange::Alerts);
            let by = Actor::Sender(self.delivery.platform.clone());
            let text = format!("{} was acknowledged in {}.", alert.title, self.delivery.platform);
            tx.note(id, TimelineKind::AlertAcknowledged, &by, text, json!({ "alert_id": alert.id }))?;
        }
        self.answer(tx, Some(&alert))
    }

    fn resolve(&self, tx: &mut Tx<'_>, mut alert: Alert) -> Result<Applied, StoreError> {
        let timer = alert.timer();
        alert.status = AlertStatus::Resolved;
        alert.ended_at = Some(self.signal.ended_at.unwrap_or(self.delivery.at));
        alert.last_seen = alert.last_seen.max(self.delivery.at);
        alert.last_delivery = self.delivery.seq;
        alert.path.clone_from(&self.signal.path);
        if flapping::hold(tx, &mut alert, tx.now, timer)? {
            return self.answer(tx, Some(&alert));
        }
        alert.closed_at = Some(tx.now);
        alert.quiet_at = None;
        tx.put_alert(&alert, timer)?;
        if let Some(under) = alert.incident {
            let id = tx.home(under)?;
            let by = Actor::Sender(self.delivery.platform.clone());
            let text = format!("{} resolved.", alert.title);
            tx.note(id, TimelineKind::AlertResolved, &by, text, json!({ "alert_id": alert.id }))?;
            lifecycle::alert_ended(tx, under, &alert, &by, "resolved at the source")?;
        }
        self.answer(tx, Some(&alert))
    }

    /// A line for the timeline; the alert stays as it is.
    fn inform(&self, tx: &mut Tx<'_>, alert: &Alert) -> Result<Applied, StoreError> {
        if let Some(under) = alert.incident {
            let id = tx.home(under)?;
            tx.known_incident(id)?;
            tx.changed(id, IncidentChange::Alerts);
            let by = Actor::Sender(self.delivery.platform.clone());
            let data = json!({ "alert_id": alert.id, "description": self.signal.description });
            tx.note(id, TimelineKind::AlertNote, &by, self.signal.title.clone(), data)?;
        }
        self.answer(tx, Some(alert))
    }

    fn answer(&self, tx: &Tx<'_>, alert: Option<&Alert>) -> Result<Applied, StoreError> {
        let under = alert.and_then(|a| a.incident);
        let membership = match (alert, under) {
            (Some(alert), Some(incident)) => tx.membership(incident, alert.id)?,
            _ => None,
        };
        let incident_id = under.map(|id| tx.home(id)).transpose()?;
        Ok(Applied {
            fingerprint: alert.map_or(self.fingerprint, |a| a.fingerprint),
            status: self.signal.status,
            alert_id: alert.map(|a| a.id),
            incident_id,
            strategy: membership.as_ref().map(|m| m.strategy),
            correlation_score: membership.as_ref().map(|m| m.score),
            new_incident: false,
            heartbeat: None,
        })
    }
}

/// Ends an alert that fell quiet: a test that has done its duty, or a platform that never says when it is over.
pub fn quiet(tx: &mut Tx<'_>, number: u64) -> Result<(), StoreError> {
    let Some(mut alert) = tx.alert(number)? else {
        return Err(StoreError::Damaged(format!("alert {number} has a timer and no row")));
    };
    let timer = alert.timer();
    if alert.flapping.is_some_and(|f| f.until <= tx.now) {
        return flapping::over(tx, alert);
    }
    if !alert.is_open() {
        alert.quiet_at = None;
        return tx.put_alert(&alert, timer);
    }
    alert.status = AlertStatus::Resolved;
    // When its time came, which may be a while ago: nothing ran meanwhile.
    let over = timer.map_or(tx.now, |at| at.min(tx.now));
    alert.ended_at = Some(over);
    if flapping::hold(tx, &mut alert, over, timer)? {
        return Ok(());
    }
    alert.closed_at = Some(over);
    alert.quiet_at = None;
    let how = if alert.test { "closed: it was a test" } else { "closed: nothing was heard of it for its quiet time" };
    tx.put_alert(&alert, timer)?;
    if let Some(under) = alert.incident {
        let id = tx.home(under)?;
        let text = format!("{} {how}.", alert.title);
        tx.note(id, TimelineKind::AlertResolved, &Actor::System, text, json!({ "alert_id": alert.id }))?;
        lifecycle::alert_ended(tx, under, &alert, &Actor::System, how)?;
    }
    Ok(())
}
