//! Whether the store says one thing: every invariant between its tables and its files.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, ReadableTableMetadata};

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec, pack,
        tables::{self, meta},
    },
};

/// Findings reported at most: the first ones tell enough.
const FINDINGS: usize = 100;

impl View {
    /// Every violated invariant as a sentence; empty when all hold. Reads everything: minutes with a million alerts. Wants an
    /// exclusive view: between two other snapshots the writer may have moved on.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Findings(Vec::new());
        self.check_deliveries(&mut found)?;
        self.check_intake(&mut found)?;
        self.check_incidents(&mut found)?;
        self.check_children(&mut found)?;
        self.check_alerts(&mut found)?;
        self.check_jobs(&mut found)?;
        self.check_corrections(&mut found)?;
        self.check_mutes(&mut found)?;
        self.check_postmortems()?.into_iter().for_each(|f| found.add(f));
        self.check_notices()?.into_iter().for_each(|f| found.add(f));
        self.check_insights()?.into_iter().for_each(|f| found.add(f));
        self.check_numbers(&mut found)?;
        Ok(found.0)
    }

    /// The part of `check` that is about alerts and incidents: all there is of a rehearsal.
    #[cfg(test)]
    pub fn check_groups(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Findings(Vec::new());
        self.check_incidents(&mut found)?;
        self.check_children(&mut found)?;
        self.check_alerts(&mut found)?;
        self.check_corrections(&mut found)?;
        self.check_mutes(&mut found)?;
        Ok(found.0)
    }

    /// Rows, results and bodies of applied deliveries end at the position, and each row has both others.
    fn check_deliveries(&self, found: &mut Findings) -> Result<(), StoreError> {
        let position = self.number(meta::POSITION)?;
        let rows = self.table(tables::DELIVERIES)?;
        let results = self.table(tables::RESULTS)?;
        let raw = self.table(tables::RAW)?;
        for (what, last) in [
            ("applied delivery", rows.last()?.map(|(k, _)| k.value()).unwrap_or(position)),
            ("delivery as received", if raw.is_empty()? { position } else { pack::last_seq(&raw)? }),
        ] {
            if last != position {
                found.add(format!("the position is {position}, but the last {what} is {last}"));
            }
        }
        let mut next = None;
        for row in raw.iter()? {
            let (first, blob) = row?;
            let first = first.value();
            if let Some(next) = next.filter(|n| *n != first) {
                found.add(format!("deliveries as received go on with {first} where {next} was expected"));
            }
            next = Some(first + pack::count(blob.value())?);
        }
        let oldest = raw.first()?.map(|(k, _)| k.value());
        let mut next = None;
        for row in rows.iter()? {
            let seq = row?.0.value();
            if let Some(next) = next.filter(|n| *n != seq) {
                found.add(format!("applied deliveries go on with {seq} where {next} was expected"));
            }
            if results.get(seq)?.is_none() {
                found.add(format!("delivery {seq} was applied and its results are missing"));
            }
            if oldest.is_none_or(|oldest| oldest > seq) {
                found.add(format!("delivery {seq} has a row and is not there as received"));
            }
            next = Some(seq + 1);
        }
        if rows.len()? != results.len()? {
            found.add("deliveries and their results differ in number".to_owned());
        }
        Ok(())
    }

    /// The intake has every delivery after the position, without a gap, and says of the others what the main file says.
    fn check_intake(&self, found: &mut Findings) -> Result<(), StoreError> {
        let position = self.number(meta::POSITION)?;
        let blobs = self.intake.open_table(tables::BLOBS)?;
        let raw = self.table(tables::RAW)?;
        let mut next: Option<u64> = None;
        for row in blobs.iter()? {
            let (first, blob) = row?;
            let first = first.value();
            let count = pack::count(blob.value())?;
            match next {
                Some(next) if next != first => {
                    found.add(format!("the intake goes on with delivery {first} where {next} was expected"));
                }
                None if first > position + 1 => {
                    found.add(format!(
                        "the intake begins with delivery {first}, and {position} is the last one applied"
                    ));
                }
                _ => {}
            }
            let all = usize::try_from(count).unwrap_or(0);
            for stored in pack::read_after(&blobs, first.saturating_sub(1), all, usize::MAX)? {
                let delivery = stored.delivery;
                if let Some(kept) = pack::read_one(&raw, delivery.seq)?
                    && (kept.id, &kept.body) != (delivery.id, &delivery.body)
                {
                    found.add(format!("delivery {} is not the same in both files", delivery.seq));
                }
            }
            next = Some(first + count);
        }
        if let Some(next) = next.filter(|n| *n <= position) {
            found.add(format!("the intake ends at delivery {}, before the position {position}", next - 1));
        }
        let retries = self.intake.open_table(tables::RETRIES)?;
        let order = self.intake.open_table(tables::RETRY_ORDER)?;
        for row in order.iter()? {
            let (seq, key) = row?;
            let listed = retries.get(key.value())?.map(|first| first.value().0);
            if listed != Some(seq.value()) {
                found.add(format!("the retry id of delivery {} says {listed:?}", seq.value()));
            }
        }
        if retries.len()? != order.len()? {
            found.add("retry ids and their order differ in number".to_owned());
        }
        Ok(())
    }

    fn check_incidents(&self, found: &mut Findings) -> Result<(), StoreError> {
        let open = self.table(tables::OPEN)?;
        let closed = self.table(tables::CLOSED)?;
        let by_service = self.table(tables::BY_SERVICE)?;
        let members = self.table(tables::MEMBERS)?;
        let alerts = self.table(tables::ALERTS)?;
        let (mut opens, mut ends) = (0, 0);
        for row in self.table(tables::INCIDENTS)?.iter()? {
            let incident: Incident = codec::decode(row?.1.value())?;
            let (id, number) = (incident.id, incident.id.0);
            opens += u64::from(incident.is_open());
            if incident.is_open() != open.get(number)?.is_some() {
                found.add(format!("{id} is {} and the list of open incidents says otherwise", incident.status));
            }
            let resolved = incident.status == IncidentStatus::Resolved;
            ends += u64::from(resolved);
            let ended = incident.resolved_at.unwrap_or(incident.updated_at).millis();
            if resolved != closed.get((ended, number))?.is_some() {
                found.add(format!("{id} is {} and the list of closed incidents says otherwise", incident.status));
            }
            self.check_merging(&incident, found)?;
            for service in &incident.affected_services {
                if by_service.get((crate::store::world::key(service).as_str(), number))?.is_none() {
                    found.add(format!("{id} is not listed under its service {service}"));
                }
            }
            let (mut count, mut firing, mut flapping) = (0, 0, 0);
            for row in members.range((number, 0)..=(number, u64::MAX))? {
                let (_, alert) = row?.0.value();
                count += 1;
                match alerts.get(alert)?.map(|bytes| codec::decode::<Alert>(bytes.value())).transpose()? {
                    Some(a) if a.incident == Some(id) => {
                        firing += u64::from(a.is_open());
                        flapping += u64::from(a.flapping.is_some());
                    }
                    Some(a) => found.add(format!("alert {} is a member of {id} and says {:?}", a.id, a.incident)),
                    None => found.add(format!("{id} has the member {alert}, which has no row")),
                }
            }
            for part in &incident.merging.absorbed {
                let part: Option<Incident> = self.row(tables::INCIDENTS, part.0)?;
                count += part.as_ref().map_or(0, |p| p.alert_count);
                firing += part.as_ref().map_or(0, |p| p.firing_count);
                flapping += part.as_ref().map_or(0, |p| p.flapping_count);
            }
            if (count, firing) != (incident.alert_count, incident.firing_count) {
                found.add(format!(
                    "{id} counts {} alerts, {} of them open; it has {count}, {firing} of them open",
                    incident.alert_count, incident.firing_count
                ));
            }
            if flapping != incident.flapping_count || incident.flapping != (flapping > 0) {
                let (says, counts) = (incident.flapping, incident.flapping_count);
                found.add(format!("{id} says flapping {says} and counts {counts} such alerts; it has {flapping}"));
            }
            if incident.status == IncidentStatus::Resolved && firing > 0 {
                found.add(format!("{id} is resolved and {firing} of its alerts are open"));
            }
            if incident.is_open() && firing == 0 && !incident.manual && !self.was_reopened(id)? {
                found.add(format!("{id} is open and none of its alerts is"));
            }
        }
        if open.len()? != opens || closed.len()? != ends {
            found.add("the lists of open and closed incidents hold incidents that have no row".to_owned());
        }
        Ok(())
    }

    /// What was merged and what it was merged into name each other, and it is remembered how it was.
    fn check_merging(&self, incident: &Incident, found: &mut Findings) -> Result<(), StoreError> {
        let id = incident.id;
        let merged = incident.status == IncidentStatus::Merged;
        if merged != incident.merged_into.is_some() || merged != incident.merging.before.is_some() {
            found.add(format!("{id} is {} and says otherwise of a merge", incident.status));
        }
        if let Some(into) = incident.merged_into {
            let absorbed = self.row::<_, Incident>(tables::INCIDENTS, into.0)?.map(|i| i.merging.absorbed);
            if absorbed.unwrap_or_default().iter().filter(|i| **i == id).count() != 1 {
                found.add(format!("{id} is merged into {into}, which does not name it once"));
            }
        }
        for part in &incident.merging.absorbed {
            let into = self.row::<_, Incident>(tables::INCIDENTS, part.0)?.and_then(|i| i.merged_into);
            if into != Some(id) {
                found.add(format!("{id} has {part} as a part, which is merged into {into:?}"));
            }
        }
        Ok(())
    }

    /// Nothing hangs on an incident that is not there.
    fn check_children(&self, found: &mut Findings) -> Result<(), StoreError> {
        let incidents = self.table(tables::INCIDENTS)?;
        for (what, definition) in
            [("a membership", tables::MEMBERS), ("a timeline entry", tables::TIMELINE), ("a thought", tables::THOUGHTS)]
        {
            let mut seen = None;
            for row in self.table(definition)?.iter()? {
                let (number, _) = row?.0.value();
                if seen != Some(number) && incidents.get(number)?.is_none() {
                    found.add(format!("{what} belongs to INC-{number}, which has no row"));
                }
                seen = Some(number);
            }
        }
        for row in self.table(tables::ANSWERS)?.iter()? {
            let number = row?.0.value();
            if incidents.get(number)?.is_none() {
                found.add(format!("an investigation belongs to INC-{number}, which has no row"));
            }
        }
        for row in self.table(tables::BY_SERVICE)?.iter()? {
            let (key, _) = row?;
            let (service, number) = key.value();
            let incident: Option<Incident> = self.row(tables::INCIDENTS, number)?;
            let affected = |i: &Incident| i.affected_services.iter().any(|s| crate::store::world::key(s) == service);
            if !incident.is_some_and(|i| affected(&i)) {
                found.add(format!("INC-{number} is listed under the service {service}, which it does not affect"));
            }
        }
        let mut acknowledged = 0;
        for row in self.table(tables::ACKS)?.iter()? {
            let (at, number) = row?.0.value();
            let incident: Option<Incident> = self.row(tables::INCIDENTS, number)?;
            if incident.and_then(|i| i.acknowledged_at).map(Time::millis) != Some(at) {
                found.add(format!("INC-{number} is listed as acknowledged at another time than it says"));
            }
            acknowledged += 1;
        }
        let mut snoozed = BTreeSet::new();
        for row in self.table(tables::SNOOZES)?.iter()? {
            snoozed.insert(row?.0.value());
        }
        let mut says = 0;
        for row in incidents.iter()? {
            let incident: Incident = codec::decode(row?.1.value())?;
            says += u64::from(incident.acknowledged_at.is_some() && !incident.test);
            let listed = incident.snoozed.as_ref().is_none_or(|s| snoozed.remove(&(s.until.millis(), incident.id.0)));
            if !listed || (incident.snoozed.is_some() && !incident.is_open()) {
                found.add(format!("{} is snoozed and is not open, or is not listed to wake", incident.id));
            }
        }
        for (_, number) in snoozed {
            found.add(format!("INC-{number} is listed to wake at a time until which it is not snoozed"));
        }
        if says != acknowledged {
            found.add(format!("{says} incidents are acknowledged and {acknowledged} are listed so"));
        }
        Ok(())
    }

    /// A person may open an incident again whose alerts are all over.
    fn was_reopened(&self, id: IncidentId) -> Result<bool, StoreError> {
        Ok(self.timeline(id, None, usize::MAX)?.iter().any(|e| e.kind == TimelineKind::Reopened))
    }

    fn check_alerts(&self, found: &mut Findings) -> Result<(), StoreError> {
        let live = self.table(tables::LIVE_ALERTS)?;
        let members = self.table(tables::MEMBERS)?;
        let (mut members_found, mut quiet) = (0, 0);
        for row in self.table(tables::ALERTS)?.iter()? {
            let alert: Alert = codec::decode(row?.1.value())?;
            let number = alert.id.number();
            let listed = live.get(number)?.map(|v| v.value());
            if alert.is_open() && listed != Some((alert.fingerprint.0, i64::MAX)) {
                found.add(format!("alert {} is open and its identity is not listed so", alert.id));
            }
            quiet += u64::from(alert.timer().is_some());
            if alert.flapping.is_some() && alert.closed_at.is_some() {
                found.add(format!("alert {} is closed and flaps", alert.id));
            }
            if let Some(id) = alert.incident {
                members_found += 1;
                if members.get((id.0, number))?.is_none() {
                    found.add(format!("alert {} says {id}, where it is no member", alert.id));
                }
            }
        }
        let alerts = self.table(tables::ALERTS)?;
        let mut fingerprints = BTreeSet::new();
        for row in live.iter()? {
            let (number, value) = row?;
            let (fingerprint, closed) = value.value();
            let alert = alerts.get(number.value())?.map(|row| codec::decode::<Alert>(row.value())).transpose()?;
            let says = alert.map(|a| (a.fingerprint.0, a.closed_at.map_or(i64::MAX, Time::millis)));
            if says != Some((fingerprint, closed)) {
                found.add(format!("alert {} can be met as something else than it is", number.value()));
            }
            if !fingerprints.insert(fingerprint) {
                found.add(format!("a signal could meet two alerts, one of them {}", number.value()));
            }
        }
        let mut waiting = 0;
        for row in self.table(tables::QUIET)?.iter()? {
            let (at, number) = row?.0.value();
            let alert = alerts.get(number)?.map(|row| codec::decode::<Alert>(row.value())).transpose()?;
            if alert.and_then(|a| a.timer()).map(Time::millis) != Some(at) {
                found.add(format!("alert {number} is listed to fall quiet at another time than it says"));
            }
            waiting += 1;
        }
        if waiting != quiet {
            found.add(format!("{quiet} alerts may fall quiet and {waiting} are listed so"));
        }
        if members.len()? != members_found {
            found.add(format!("there are {} memberships and {members_found} alerts with an incident", members.len()?));
        }
        Ok(())
    }

    /// What is muted, and what waits, is what the alerts say; and the counts are of these.
    fn check_mutes(&self, found: &mut Findings) -> Result<(), StoreError> {
        let (mut rows, mut by_mute, mut by_incident) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        for row in self.table(tables::MUTED)?.iter()? {
            let (key, incident) = row?;
            let (alert, mute) = key.value();
            *by_mute.entry(mute).or_insert(0) += 1;
            if rows.last().is_none_or(|(last, _, _)| *last != alert) {
                *by_incident.entry(incident.value()).or_insert(0) += 1;
            }
            rows.insert((alert, mute, incident.value()));
        }
        let (mut says, mut waits) = (BTreeSet::new(), BTreeSet::new());
        for row in self.table(tables::ALERTS)?.iter()? {
            let alert: Alert = codec::decode(row?.1.value())?;
            let number = alert.id.number();
            if alert.is_muted() {
                let incident = alert.incident.map_or(0, |i| i.0);
                says.extend(alert.muted_by.iter().map(|m| (number, m.number, incident)));
            }
            if alert.is_waiting() {
                waits.extend(alert.threshold.map(|t| (t.0, number)));
            }
        }
        for (alert, mute, _) in says.symmetric_difference(&rows) {
            found.add(format!("alert {alert} and the list of what mute {mute} mutes do not agree"));
        }
        let mut waiting = BTreeSet::new();
        for row in self.table(tables::WAITING)?.iter()? {
            waiting.insert(row?.0.value());
        }
        for (threshold, alert) in waits.symmetric_difference(&waiting) {
            found.add(format!("alert {alert} and the list of what waits for T-{threshold} do not agree"));
        }
        for mute in self.mutes()? {
            let count = by_mute.remove(&mute.id.number).unwrap_or(0);
            if count != mute.muted_now {
                found.add(format!("{} counts {} alerts that it mutes; there are {count}", mute.id, mute.muted_now));
            }
            if mute.on_until.is_none() && count > 0 {
                found.add(format!("{} is off and mutes {count} alerts", mute.id));
            }
        }
        for (mute, count) in by_mute {
            found.add(format!("mute {mute} mutes {count} alerts and has no row"));
        }
        for row in self.table(tables::INCIDENTS)?.iter()? {
            let incident: Incident = codec::decode(row?.1.value())?;
            let parts = self.family(incident.id)?;
            let count: u64 = parts.iter().filter_map(|part| by_incident.get(&part.0)).sum();
            if count != incident.muted_count {
                let says = incident.muted_count;
                found.add(format!("{} counts {says} open alerts that are muted; there are {count}", incident.id));
            }
            let all = incident.firing_count > 0 && count >= incident.firing_count;
            if incident.is_open() && incident.muted != all {
                found.add(format!(
                    "{} says muted {} with {count} of {} open alerts muted",
                    incident.id, incident.muted, incident.firing_count
                ));
            }
        }
        Ok(())
    }

    fn check_jobs(&self, found: &mut Findings) -> Result<(), StoreError> {
        for job in self.jobs(usize::MAX)? {
            match self.incident(job.incident)? {
                None => found.add(format!("an investigation of {} waits, which has no row", job.incident)),
                Some(i) => {
                    let state = i.investigation.state;
                    if !matches!(state, InvestigationState::Queued | InvestigationState::Running) {
                        found.add(format!("an investigation of {} waits or runs, and it says {state}", job.incident));
                    }
                }
            }
        }
        Ok(())
    }
}

impl View {
    /// Pairs are listed once, and lessons under their own name.
    fn check_corrections(&self, found: &mut Findings) -> Result<(), StoreError> {
        for row in self.table(tables::APART)?.iter()? {
            let (one, other) = row?.0.value();
            if one >= other {
                found.add(format!("two alerts are kept apart in the wrong order: {one:032x}, {other:032x}"));
            }
        }
        for row in self.table(tables::LESSONS)?.iter()? {
            let (key, row) = row?;
            if codec::decode::<Lesson>(row.value())?.id() != key.value() {
                found.add(format!("the lesson {} has another name than it should", key.value()));
            }
        }
        Ok(())
    }

    /// Numbers were given no higher than the counters say, and the counted bytes are there.
    fn check_numbers(&self, found: &mut Findings) -> Result<(), StoreError> {
        let last = |name| self.number(name);
        let highest = [
            (meta::INCIDENT, self.table(tables::INCIDENTS)?.last()?.map(|(k, _)| k.value())),
            (meta::ALERT, self.table(tables::ALERTS)?.last()?.map(|(k, _)| k.value())),
            (meta::CHANGE, self.table(tables::CHANGE_LOG)?.last()?.map(|(k, _)| k.value())),
            (meta::AUDIT, self.table(tables::AUDIT)?.last()?.map(|(k, _)| k.value())),
        ];
        for (name, highest) in highest {
            if let Some(highest) = highest.filter(|n| last(name).is_ok_and(|last| *n > last)) {
                found.add(format!("the last {name} has the number {highest}, and its counter says {}", last(name)?));
            }
        }
        for (name, bytes) in meta::BYTES.into_iter().zip(tables::measure!(&self.main)) {
            if last(name)? != bytes {
                found.add(format!("{name} says {}, and there are {bytes}", last(name)?));
            }
        }
        Ok(())
    }
}

struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        if self.0.len() < FINDINGS {
            self.0.push(finding);
        }
    }
}
