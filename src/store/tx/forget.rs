//! Removing what is no longer kept. Each step removes a bounded number of rows and leaves a store that is whole: an
//! incident with very many alerts loses them first and counts fewer each time.

use redb::ReadableTable;

use super::Tx;
use crate::{
    model::*,
    store::{StoreError, codec, pack, tables::meta, world},
};

impl Tx<'_> {
    /// Removes deliveries received before `horizon`, oldest first, at most about `budget` rows. Returns how many rows.
    pub fn forget_deliveries(&mut self, horizon: Time, budget: usize) -> Result<usize, StoreError> {
        let mut old: Vec<DeliveryRow> = Vec::new();
        let mut dated = 0;
        for row in self.deliveries.iter()?.take(budget / 2) {
            let row = codec::decode::<DeliveryRow>(row?.1.value())?;
            let at = row.at;
            // Received while the clock was ahead: what came after it tells how old it is, or it would keep all of that.
            let astray = at > self.now;
            if at >= horizon && !astray {
                break;
            }
            old.push(row);
            if !astray {
                dated = old.len();
            }
        }
        old.truncate(dated);
        // The last one applied stays: the position points at it.
        old.retain(|row| row.seq != self.world.last(meta::POSITION));
        for row in &old {
            self.forget_counted_delivery(row);
            self.deliveries.remove(row.seq)?;
            self.results.remove(row.seq)?;
        }
        let mut removed = 2 * old.len();
        let Some(last) = old.last().map(|row| row.seq) else { return Ok(0) };
        let firsts: Vec<u64> =
            self.raw.range(..=last)?.map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
        for first in firsts {
            let deliveries = match self.raw.get(first)? {
                Some(blob) => pack::count(blob.value())?,
                None => 0,
            };
            // A blob goes with the last of its deliveries.
            if first + deliveries > last + 1 {
                break;
            }
            self.raw.remove(first)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes incidents that ended before `horizon`, oldest end first, at most about `budget` rows.
    pub fn forget_incidents(&mut self, horizon: Time, budget: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        while removed < budget {
            let Some((ended, number)) = self.closed.first()?.map(|(key, _)| key.value()) else { break };
            if ended >= horizon.millis() {
                break;
            }
            removed += self.forget_incident(IncidentId(number), budget - removed)?;
        }
        Ok(removed)
    }

    /// Removes a closed incident, or as much of it as the budget allows: first what was merged into it.
    fn forget_incident(&mut self, id: IncidentId, budget: usize) -> Result<usize, StoreError> {
        let number = id.0;
        if let Some(part) = self.known_incident(id)?.merging.absorbed.last().copied() {
            let removed = self.forget_incident(part, budget)?;
            if self.incident(part)?.is_none() {
                self.known_incident(id)?.merging.absorbed.retain(|i| *i != part);
            }
            return Ok(removed);
        }
        let mut removed = 0;
        let members: Vec<u64> = self
            .members
            .range((number, 0)..=(number, u64::MAX))?
            .take((budget / 2).max(1))
            .map(|row| Ok(row?.0.value().1))
            .collect::<Result<_, StoreError>>()?;
        for alert in &members {
            if let Some(alert) = self.alert(*alert)? {
                self.forget_alert(&alert)?;
            }
            self.members.remove((number, *alert))?;
            self.last_membership = None;
            removed += 2;
        }
        let children = [&mut self.timeline, &mut self.thoughts, &mut self.postmortem_versions, &mut self.transcripts];
        for children in children {
            let keys: Vec<(u64, u64)> = children
                .range((number, 0)..=(number, u64::MAX))?
                .take(budget.saturating_sub(removed))
                .map(|row| Ok(row?.0.value()))
                .collect::<Result<_, StoreError>>()?;
            for key in &keys {
                children.remove(*key)?;
            }
            removed += keys.len();
        }
        self.count(id, -i64::try_from(members.len()).unwrap_or(i64::MAX), 0)?;
        if removed >= budget {
            return Ok(removed);
        }
        removed += self.forget_notices(id)?;
        self.answers.remove(number)?;
        self.remove_job(id)?;
        self.outcomes.remove(number)?;
        self.postmortems.remove(number)?;
        self.remove_incident(id)?;
        Ok(removed + 2)
    }

    /// Removes the row of an incident with its indexes, and says so in the change log.
    fn remove_incident(&mut self, id: IncidentId) -> Result<(), StoreError> {
        let number = id.0;
        let Some(held) = self.held.remove(&number) else { return Ok(()) };
        // As it stands on the disk: its indexes were made from that.
        let incident = held.before.unwrap_or(held.incident);
        self.forget_counted_incident(&incident);
        self.incidents.remove(number)?;
        self.open.remove(number)?;
        self.closed.remove((incident.resolved_at.unwrap_or(incident.updated_at).millis(), number))?;
        for service in &incident.affected_services {
            self.by_service.remove((world::key(service).as_str(), number))?;
        }
        if let Some(snooze) = &incident.snoozed {
            self.snoozes.remove((snooze.until.millis(), number))?;
        }
        if let Some(at) = incident.acknowledged_at {
            self.acks.remove((at.millis(), number))?;
        }
        self.world.remove(id);
        self.log(ChangeSubject::Incident(id, IncidentChange::Removed))?;
        Ok(())
    }

    /// Removes an alert with what can meet and close it.
    fn forget_alert(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let number = alert.id.number();
        self.forget_counted_alert(alert);
        self.alerts.remove(number)?;
        self.alerts_touched.push(number);
        self.live_alerts.remove(number)?;
        if let Some(at) = alert.timer() {
            self.quiet.remove((at.millis(), number))?;
        }
        self.forget_muted(alert)?;
        if self.world.alerts.get(&alert.fingerprint).is_some_and(|live| live.number == number) {
            self.world.forget(&alert.fingerprint);
        }
        Ok(())
    }

    /// Removes alerts that never had an incident and were last heard of before `horizon`. Goes on where the last step
    /// ended, and begins anew when it has come to alerts that are younger.
    pub fn forget_lone_alerts(&mut self, horizon: Time, budget: usize) -> Result<usize, StoreError> {
        let from = self.world.last(meta::SWEPT);
        let mut looked = from;
        let mut old = Vec::new();
        let mut done = true;
        for (n, row) in self.alerts.range(from + 1..)?.enumerate() {
            let (number, bytes) = row?;
            if n >= budget {
                done = false;
                break;
            }
            let alert: Alert = codec::decode(bytes.value())?;
            // One that was received while the clock was ahead says nothing about those after it.
            if alert.first_seen >= horizon && alert.first_seen <= self.now {
                break;
            }
            looked = number.value();
            if alert.incident.is_none() && alert.last_seen < horizon {
                old.push(alert);
            }
        }
        for alert in &old {
            self.forget_alert(alert)?;
        }
        let next = if done { 0 } else { looked };
        if next != from {
            self.world.touched = true;
            self.world.numbers.insert(meta::SWEPT, next);
        }
        // Looking costs as much as removing: the budget is spent, and a walk that is not done goes on.
        Ok(if done { old.len() } else { budget })
    }

    /// Removes changes, audit entries and counts from before `horizon`, at most `budget` of them.
    pub fn forget_records(&mut self, horizon: Time, budget: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        let old: Vec<(i64, u64)> = self
            .changes
            .range(..(horizon.millis(), 0))?
            .take(budget)
            .map(|row| Ok(row?.0.value()))
            .collect::<Result<_, StoreError>>()?;
        for key in &old {
            self.changes.remove(*key)?;
        }
        removed += old.len();
        let mut old = Vec::new();
        for row in self.audit.iter()?.take(budget.saturating_sub(removed)) {
            let (number, bytes) = row?;
            let at = codec::decode::<AuditEntry>(bytes.value())?.at;
            if at > self.now {
                continue;
            }
            if at >= horizon {
                break;
            }
            old.push(number.value());
        }
        for number in &old {
            self.audit.remove(number)?;
        }
        removed += old.len();
        let minute = horizon.millis().div_euclid(60_000);
        let old: Vec<i64> = self
            .signals_per_minute
            .range(..minute)?
            .take(budget.saturating_sub(removed))
            .map(|row| Ok(row?.0.value()))
            .collect::<Result<_, StoreError>>()?;
        for minute in &old {
            self.signals_per_minute.remove(minute)?;
        }
        removed += old.len();
        Ok(removed + self.forget_insights(budget.saturating_sub(removed))?)
    }
}
