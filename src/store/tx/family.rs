//! Incidents that are one: a merged incident keeps its rows and points at the one it was merged into, so that merging and
//! unmerging cost the same for one alert and for a hundred thousand.

use redb::ReadableTable;

use super::{Tx, get};
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional},
    },
};

/// Merges are followed so far: nobody makes so many by hand, and rows that point in a circle end somewhere.
const DEEPEST: usize = 1_000;

fn circle(id: IncidentId) -> StoreError {
    StoreError::Damaged(format!("{id} was merged in a circle"))
}

impl Tx<'_> {
    /// What an incident was merged into directly.
    fn merged_into(&self, id: IncidentId) -> Result<Option<IncidentId>, StoreError> {
        if let Some(held) = self.held.get(&id.0) {
            return Ok(held.incident.merged_into);
        }
        let row = self.incidents.get(id.0)?;
        let row = row.ok_or_else(|| StoreError::Damaged(format!("{id} is referred to and has no row")))?;
        let row = codec::plain(row.value())?;
        let [into] = fields(&row, ["merged_into"])?;
        optional(into)
    }

    /// An incident, what it was merged into, and so on; the last one is the survivor, where it lives on.
    pub fn lineage(&self, id: IncidentId) -> Result<Vec<IncidentId>, StoreError> {
        let mut found = vec![id];
        let mut at = id;
        while let Some(into) = self.merged_into(at)? {
            if found.len() == DEEPEST {
                return Err(circle(id));
            }
            found.push(into);
            at = into;
        }
        Ok(found)
    }

    /// Where an incident lives on: itself, unless it was merged. Whatever is told or decided because of an alert goes there.
    pub fn home(&self, id: IncidentId) -> Result<IncidentId, StoreError> {
        Ok(self.lineage(id)?.pop().unwrap_or(id))
    }

    /// An incident and all that was merged into it, directly or through others; itself first.
    pub fn family(&self, id: IncidentId) -> Result<Vec<IncidentId>, StoreError> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            let absorbed = match self.held.get(&at.0) {
                Some(held) => held.incident.merging.absorbed.clone(),
                None => get::<_, Incident>(&self.incidents, at.0)?.map(|i| i.merging.absorbed).unwrap_or_default(),
            };
            found.extend(absorbed);
            next += 1;
            if next > DEEPEST * DEEPEST {
                return Err(circle(id));
            }
        }
        Ok(found)
    }

    /// Numbers of an incident's alerts, those of what was merged into it among them, oldest first.
    pub fn member_numbers(&self, id: IncidentId) -> Result<Vec<u64>, StoreError> {
        let mut numbers = Vec::new();
        for part in self.family(id)? {
            for row in self.members.range((part.0, 0)..=(part.0, u64::MAX))? {
                numbers.push(row?.0.value().1);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Up to `most` alerts of an incident with why they are there: the earliest half and the latest half of each of its
    /// parts, until there are enough. Whether that is all.
    pub fn some_members(&self, id: IncidentId, most: usize) -> Result<(Vec<Membership>, bool), StoreError> {
        let mut found = Vec::new();
        for part in self.family(id)? {
            let left = most.saturating_sub(found.len());
            let mut rows = self.members.range((part.0, 0)..=(part.0, u64::MAX))?;
            for row in rows.by_ref().take(left / 2) {
                found.push(codec::decode(row?.1.value())?);
            }
            for row in rows.by_ref().rev().take(left - left / 2) {
                found.push(codec::decode(row?.1.value())?);
            }
            if rows.next().transpose()?.is_some() {
                return Ok((found, false));
            }
        }
        Ok((found, true))
    }

    /// One alert more or less is counted by the incident that it stands under and by all that this was merged into.
    pub fn count(&mut self, id: IncidentId, alerts: i64, firing: i64) -> Result<(), StoreError> {
        for part in self.lineage(id)? {
            let incident = self.known_incident(part)?;
            incident.alert_count = incident.alert_count.saturating_add_signed(alerts);
            incident.firing_count = incident.firing_count.saturating_add_signed(firing);
        }
        Ok(())
    }

    /// So many alerts more or less flap under that incident, and under all that it was merged into.
    pub fn count_flapping(&mut self, id: IncidentId, by: i64) -> Result<(), StoreError> {
        if by == 0 {
            return Ok(());
        }
        for part in self.lineage(id)? {
            let incident = self.known_incident(part)?;
            incident.flapping_count = incident.flapping_count.saturating_add_signed(by);
            incident.flapping = incident.flapping_count > 0;
        }
        Ok(())
    }

    /// The alert is no longer under that incident; it is counted elsewhere.
    pub fn remove_membership(&mut self, incident: IncidentId, alert: AlertId) -> Result<(), StoreError> {
        self.members.remove((incident.0, alert.number()))?;
        self.last_membership = None;
        Ok(())
    }

    /// Timeline entries after a change sequence, at most `limit`.
    pub fn timeline_after(&self, id: IncidentId, seq: u64, limit: usize) -> Result<Vec<TimelineEntry>, StoreError> {
        let rows = self.timeline.range((id.0, seq.saturating_add(1))..=(id.0, u64::MAX))?;
        rows.take(limit).map(|row| codec::decode(row?.1.value())).collect()
    }

    /// Writes a timeline entry that happened before, at its own place.
    pub fn copy_note(&mut self, id: IncidentId, entry: &TimelineEntry) -> Result<(), StoreError> {
        self.timeline.put((id.0, entry.seq), entry)
    }

    /// Whether an alert stands under that very incident.
    pub fn stands_under(&self, incident: IncidentId, alert: u64) -> Result<bool, StoreError> {
        Ok(self.members.get((incident.0, alert))?.is_some())
    }
}
