//! Merged incidents as readers see them: what was merged lives on at the survivor, with its alerts. Rows say what each was
//! merged into directly; here both an incident and an alert name the survivor.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use super::{Found, View};
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional},
        tables,
    },
};

/// Merges are followed so far.
const DEEPEST: usize = 1_000;
/// Members looked at from each end of each part, and of all parts together.
const MEMBERS: usize = 1_000;

/// Where incidents live on, each looked up once.
pub(super) struct Homes<'v> {
    view: &'v View,
    known: HashMap<IncidentId, IncidentId>,
}

impl<'v> Homes<'v> {
    pub fn new(view: &'v View) -> Self {
        Self { view, known: HashMap::new() }
    }

    pub fn of(&mut self, id: IncidentId) -> Result<IncidentId, StoreError> {
        Ok(match self.known.entry(id) {
            Entry::Occupied(home) => *home.get(),
            Entry::Vacant(unknown) => *unknown.insert(self.view.home(id)?),
        })
    }
}

impl View {
    /// Where an incident lives on: itself, unless it was merged.
    pub fn home(&self, id: IncidentId) -> Result<IncidentId, StoreError> {
        let table = self.table(tables::INCIDENTS)?;
        let mut at = id;
        for _ in 0..DEEPEST {
            let Some(row) = table.get(at.0)? else { break };
            let row = codec::plain(row.value())?;
            let [into] = fields(&row, ["merged_into"])?;
            let Some(into) = optional(into)? else { break };
            at = into;
        }
        Ok(at)
    }

    /// An incident and all that was merged into it, directly or through others; itself first.
    pub fn family(&self, id: IncidentId) -> Result<Vec<IncidentId>, StoreError> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            let incident: Option<Incident> = self.row(tables::INCIDENTS, at.0)?;
            found.extend(incident.map(|i| i.merging.absorbed).unwrap_or_default());
            next += 1;
            if next > DEEPEST * DEEPEST {
                return Err(StoreError::Damaged(format!("{id} was merged in a circle")));
            }
        }
        Ok(found)
    }

    /// The row names what it was merged into directly.
    pub(super) fn at_home(&self, mut incident: Incident) -> Result<Incident, StoreError> {
        if let Some(into) = incident.merged_into {
            incident.merged_into = Some(self.home(into)?);
        }
        Ok(incident)
    }

    /// The rows name the incident that they stand under.
    pub(super) fn alerts_at_home(&self, alerts: &mut [Alert]) -> Result<(), StoreError> {
        let mut known: BTreeMap<IncidentId, IncidentId> = BTreeMap::new();
        for alert in alerts {
            let Some(under) = alert.incident else { continue };
            let home = match known.get(&under) {
                Some(home) => *home,
                None => self.home(under)?,
            };
            known.insert(under, home);
            alert.incident = Some(home);
        }
        Ok(())
    }

    /// The alerts of an incident and of what was merged into it, newest first.
    pub(super) fn alerts_of(&self, id: IncidentId, before: Option<u64>) -> Result<Found, StoreError> {
        let table = self.table(tables::MEMBERS)?;
        let mut parts = Vec::new();
        for part in self.family(id)? {
            let mut numbers =
                table.range((part.0, 0)..(part.0, before.unwrap_or(u64::MAX)))?.rev().map(|row| Ok(row?.0.value().1));
            let first: Option<Result<u64, StoreError>> = numbers.next();
            parts.push((first.transpose()?, numbers));
        }
        // Each part is in order; the newest of all of them is next.
        let merged = std::iter::from_fn(move || {
            let (next, rest) = parts.iter_mut().max_by_key(|(next, _)| *next)?;
            let number = (*next)?;
            match rest.next().transpose() {
                Ok(following) => *next = following,
                Err(e) => {
                    *next = None;
                    return Some(Err(e));
                }
            }
            Some(Ok(number))
        });
        self.picked(tables::ALERTS, merged)
    }

    /// Members with their alerts, the first alert first, then strongest first, at most `limit`. Of an incident with very
    /// many alerts, the earliest and the latest members are looked at: the page of it must not wait for a hundred thousand.
    /// What came with a merged incident is here because of the merge, and before that for its own reasons.
    pub fn members(&self, id: IncidentId, limit: usize) -> Result<Vec<(Membership, Alert)>, StoreError> {
        let table = self.table(tables::MEMBERS)?;
        let mut memberships: Vec<Membership> = Vec::new();
        for part in self.family(id)? {
            let (mut left, most) = (2 * MEMBERS, memberships.len());
            left = left.saturating_sub(most);
            if left == 0 {
                break;
            }
            let mut rows = table.range((part.0, 0)..=(part.0, u64::MAX))?;
            for row in rows.by_ref().take(left / 2) {
                memberships.push(codec::decode(row?.1.value())?);
            }
            // From the other end, up to where the walk from this end stopped.
            for row in rows.rev().take(left - left / 2) {
                memberships.push(codec::decode(row?.1.value())?);
            }
            if part != id {
                let why = self.merge_reasons(part, id)?;
                for membership in memberships.iter_mut().skip(most) {
                    came_with(membership, id, &why);
                }
            }
        }
        memberships.sort_by(|a, b| {
            let first = |m: &Membership| m.strategy != Strategy::Primary;
            first(a).cmp(&first(b)).then(b.score.total_cmp(&a.score)).then(a.alert.number().cmp(&b.alert.number()))
        });
        let mut found = Vec::new();
        for membership in memberships.into_iter().take(limit) {
            if let Some(mut alert) = self.row::<_, Alert>(tables::ALERTS, membership.alert.number())? {
                alert.incident = Some(self.home(id)?);
                found.push((membership, alert));
            }
        }
        Ok(found)
    }

    /// Why the alert is where it is; none without an incident.
    pub fn membership(&self, alert: &Alert) -> Result<Option<Membership>, StoreError> {
        let Some(id) = alert.incident else { return Ok(None) };
        let number = alert.id.number();
        if let Some(found) = self.row(tables::MEMBERS, (id.0, number))? {
            return Ok(Some(found));
        }
        // It stands under something that was merged.
        let Some(row) = self.row::<_, Alert>(tables::ALERTS, number)? else { return Ok(None) };
        let Some(under) = row.incident else { return Ok(None) };
        let Some(mut found) = self.row::<_, Membership>(tables::MEMBERS, (under.0, number))? else { return Ok(None) };
        if under != id {
            came_with(&mut found, id, &self.merge_reasons(under, id)?);
        }
        Ok(Some(found))
    }

    /// Why a part came to an incident: the reasons of its merge, for people.
    fn merge_reasons(&self, part: IncidentId, id: IncidentId) -> Result<Vec<Reason>, StoreError> {
        let incident: Option<Incident> = self.row(tables::INCIDENTS, part.0)?;
        let Some(before) = incident.and_then(|i| i.merging.before) else { return Ok(Vec::new()) };
        let first = before.reasons.first();
        let (strategy, score) = first.map_or((Strategy::Manual, 1.0), |r| (r.strategy, r.score));
        let by = if before.by == "system" { String::new() } else { format!(" by {}", before.by) };
        // Of a person's decision nothing more is known than who made it.
        let known = first.filter(|r| r.strategy != Strategy::Manual);
        let why = known.map(|r| format!(" {}", r.text)).unwrap_or_default();
        let text = format!("Came with {part}, which was merged into {id}{by}.{why}");
        let mut reasons = vec![Reason { strategy, score, text }];
        reasons.extend(before.reasons.into_iter().skip(1));
        Ok(reasons)
    }
}

fn came_with(membership: &mut Membership, id: IncidentId, why: &[Reason]) {
    membership.incident = id;
    if let Some(first) = why.first() {
        (membership.strategy, membership.score) = (first.strategy, first.score);
    }
    membership.reasons.splice(0..0, why.iter().cloned());
}
