//! Whether the store says one thing: every invariant between its tables and its files.

use redb::{ReadableTable, ReadableTableMetadata};

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, intake, tables},
};

/// Findings reported at most: the first ones tell enough.
const FINDINGS: usize = 100;

impl View {
    /// Every violated invariant as a sentence; empty when all hold. Reads everything: minutes with a million alerts.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Findings(Vec::new());
        self.check_position(&mut found)?;
        self.check_incidents(&mut found)?;
        self.check_alerts(&mut found)?;
        self.check_jobs(&mut found)?;
        Ok(found.0)
    }

    fn check_position(&self, found: &mut Findings) -> Result<(), StoreError> {
        let position = self.table(tables::META)?.get(tables::meta::POSITION)?.map_or(0, |n| n.value());
        let blobs = self.intake.open_table(tables::BLOBS)?;
        let mut next: Option<u64> = None;
        for row in blobs.iter()? {
            let (first, _) = row?;
            if let Some(next) = next.filter(|n| *n > first.value()) {
                found.add(format!("delivery {} is stored twice: {next} was expected", first.value()));
            }
            let in_blob = intake::read_after(&blobs, first.value().saturating_sub(1), usize::MAX, 1)?;
            next = in_blob.last().map(|d| d.seq + 1);
        }
        let applied = self.table(tables::DELIVERIES)?;
        if let Some(last) = applied.last()?.map(|(k, _)| k.value()).filter(|last| *last != position) {
            found.add(format!("the position is {position}, but the last applied delivery is {last}"));
        }
        if applied.len()? != self.table(tables::RESULTS)?.len()? {
            found.add("deliveries and their results differ in number".to_owned());
        }
        Ok(())
    }

    fn check_incidents(&self, found: &mut Findings) -> Result<(), StoreError> {
        let open = self.table(tables::OPEN)?;
        let closed = self.table(tables::CLOSED)?;
        let by_service = self.table(tables::BY_SERVICE)?;
        let members = self.table(tables::MEMBERS)?;
        let alerts = self.table(tables::ALERTS)?;
        let (mut opens, mut total) = (0, 0);
        for row in self.table(tables::INCIDENTS)?.iter()? {
            let incident: Incident = codec::decode(row?.1.value())?;
            let (id, number) = (incident.id, incident.id.0);
            total += 1;
            opens += u64::from(incident.is_open());
            if incident.is_open() != open.get(number)?.is_some() {
                found.add(format!("{id} is {} and the list of open incidents says otherwise", incident.status));
            }
            let ended = incident.resolved_at.unwrap_or(incident.updated_at).millis();
            if incident.is_open() == closed.get((ended, number))?.is_some() {
                found.add(format!("{id} is {} and the list of closed incidents says otherwise", incident.status));
            }
            for service in &incident.affected_services {
                if by_service.get((crate::store::world::key(service).as_str(), number))?.is_none() {
                    found.add(format!("{id} is not listed under its service {service}"));
                }
            }
            let (mut count, mut firing) = (0, 0);
            for row in members.range((number, 0)..=(number, u64::MAX))? {
                let (_, alert) = row?.0.value();
                count += 1;
                match alerts.get(alert)?.map(|bytes| codec::decode::<Alert>(bytes.value())).transpose()? {
                    Some(a) if a.incident == Some(id) => firing += u64::from(a.is_open()),
                    Some(a) => found.add(format!("alert {} is a member of {id} and says {:?}", a.id, a.incident)),
                    None => found.add(format!("{id} has the member {alert}, which has no row")),
                }
            }
            if (count, firing) != (incident.alert_count, incident.firing_count) {
                found.add(format!(
                    "{id} counts {} alerts, {} of them open; it has {count}, {firing} of them open",
                    incident.alert_count, incident.firing_count
                ));
            }
            if incident.status == IncidentStatus::Resolved && firing > 0 {
                found.add(format!("{id} is resolved and {firing} of its alerts are open"));
            }
            if incident.is_open() && firing == 0 && !incident.manual && !self.was_reopened(id)? {
                found.add(format!("{id} is open and none of its alerts is"));
            }
        }
        if open.len()? != opens || closed.len()? != total - opens {
            found.add("the lists of open and closed incidents hold incidents that have no row".to_owned());
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
        let mut members_found = 0;
        for row in self.table(tables::ALERTS)?.iter()? {
            let alert: Alert = codec::decode(row?.1.value())?;
            let number = alert.id.number();
            let listed = live.get(number)?.map(|v| v.value());
            if alert.is_open() && listed != Some((alert.fingerprint.0, i64::MAX)) {
                found.add(format!("alert {} is open and its identity is not listed so", alert.id));
            }
            if let Some(id) = alert.incident {
                members_found += 1;
                if members.get((id.0, number))?.is_none() {
                    found.add(format!("alert {} says {id}, where it is no member", alert.id));
                }
            }
        }
        if members.len()? != members_found {
            found.add(format!("there are {} memberships and {members_found} alerts with an incident", members.len()?));
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

struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        if self.0.len() < FINDINGS {
            self.0.push(finding);
        }
    }
}
