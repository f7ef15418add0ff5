//! What happened over weeks and months, from the buckets that the writer keeps.

use std::collections::HashMap;

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional, value},
        insights::{Heard, Tally, day, hour, midnight, monday, weekday},
        tables::{self, FORGOTTEN, STORED},
    },
};

/// Services told of, those with most incidents.
const SERVICES: usize = 50;
/// Kinds of alerts told of, the noisiest.
const KINDS: usize = 10;
/// Days in a week of the charts.
const WEEK: i64 = 7;

/// Sums of a stretch of days.
#[derive(Default)]
struct Sums {
    days: DayFigures,
    // Webhooks, alerts, times received.
    received: [i64; 3],
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl View {
    /// The days from `since` to before `until` (days since the epoch), and as many before them; of one service or of all.
    /// Reads a few rows a day, and one for each service that had incidents on a day.
    pub fn insights(&self, since: i64, until: i64, service: Option<&str>) -> Result<Insights, StoreError> {
        let service = service.map(name_key).filter(|s| !s.is_empty());
        let scope = service.as_deref().unwrap_or_default();
        let mut hours = [[0; 24]; 7];
        let (mut period, mut weeks) = (Sums::default(), Vec::new());
        for first in (since..until).step_by(usize::try_from(WEEK).unwrap_or(1)) {
            let end = (first + WEEK).min(until);
            let mut week = Sums::default();
            self.add_days(first, end, scope, &mut week, |day, figures| {
                let row = usize::try_from(weekday(day)).ok().and_then(|n| hours.get_mut(n));
                for (sum, n) in row.into_iter().flatten().zip(figures.hours) {
                    *sum += count(n);
                }
            })?;
            weeks.push(Week {
                since: midnight(first),
                until: midnight(end),
                incidents: count(week.days.hours.iter().sum()),
                acknowledge: week.days.acknowledged.spread(),
                resolve: week.days.resolved.spread(),
            });
            period.days.add(&week.days, 1);
            for (sum, n) in period.received.iter_mut().zip(week.received) {
                *sum += n;
            }
        }
        let mut before = Sums::default();
        let earlier = since - (until - since);
        self.add_days(earlier, since, scope, &mut before, |_, _| {})?;
        let all = service.is_none();
        Ok(Insights {
            period: told(&period, since, until, all),
            before: told(&before, earlier, since, all),
            weeks,
            services: if all { self.busiest(since, until)? } else { Vec::new() },
            hours,
            noisiest: if all { self.noisiest(monday(since), until)? } else { Vec::new() },
            percentile_error: PERCENTILE_ERROR,
            service,
        })
    }

    fn add_days(
        &self,
        from: i64,
        to: i64,
        scope: &str,
        sums: &mut Sums,
        mut each: impl FnMut(i64, &DayFigures),
    ) -> Result<(), StoreError> {
        let days = self.table(tables::INSIGHT_DAYS)?;
        let received = self.table(tables::INSIGHT_RECEIVED)?;
        for day in from..to {
            for of in [STORED, FORGOTTEN] {
                if let Some(row) = days.get((of, day, scope))? {
                    let figures: DayFigures = codec::decode(row.value())?;
                    each(day, &figures);
                    sums.days.add(&figures, 1);
                }
                if let Some(row) = received.get((of, day, scope))? {
                    let counted: [i64; 3] = row.value().into();
                    for (sum, n) in sums.received.iter_mut().zip(counted) {
                        *sum += n;
                    }
                }
            }
        }
        Ok(())
    }

    fn busiest(&self, since: i64, until: i64) -> Result<Vec<ServiceFigures>, StoreError> {
        let mut sums: HashMap<String, [i64; 5]> = HashMap::new();
        let table = self.table(tables::INSIGHT_SEVERITIES)?;
        for of in [STORED, FORGOTTEN] {
            for row in table.range((of, since, "")..(of, until, ""))? {
                let (key, counted) = row?;
                let (_, _, service) = key.value();
                if service.is_empty() {
                    continue;
                }
                let counted: [i64; 5] = counted.value().into();
                match sums.get_mut(service) {
                    Some(sum) => sum.iter_mut().zip(counted).for_each(|(s, n)| *s += n),
                    None => drop(sums.insert(service.to_owned(), counted)),
                }
            }
        }
        let mut found: Vec<ServiceFigures> = sums
            .into_iter()
            .map(|(service, counted)| {
                let [critical, high, medium, low, info] = counted.map(count);
                let incidents = critical + high + medium + low + info;
                ServiceFigures { service, incidents, critical, high, medium, low, info }
            })
            .filter(|s| s.incidents > 0)
            .collect();
        found.sort_by(|a, b| {
            (b.incidents, b.severities()).cmp(&(a.incidents, a.severities())).then(a.service.cmp(&b.service))
        });
        found.truncate(SERVICES);
        Ok(found)
    }

    fn noisiest(&self, since: i64, until: i64) -> Result<Vec<Noisy>, StoreError> {
        let mut sums: HashMap<u64, [i64; 5]> = HashMap::new();
        for row in self.table(tables::INSIGHT_KINDS)?.range((since, 0)..(until, 0))? {
            let (key, counted) = row?;
            let counted: [i64; 5] = counted.value().into();
            let sum = sums.entry(key.value().1).or_default();
            sum.iter_mut().zip(counted).for_each(|(s, n)| *s += n);
        }
        let mut found: Vec<(u64, [i64; 5])> = sums.into_iter().filter(|(_, [alerts, ..])| *alerts > 0).collect();
        found.sort_unstable_by_key(|(kind, [alerts, times, ..])| (-times, -alerts, *kind));
        let mut told = Vec::new();
        for (kind, counted) in found {
            if told.len() == KINDS {
                break;
            }
            if let Some(name) = self.row::<_, KindName>(tables::INSIGHT_NAMES, kind)? {
                told.push(Noisy::new(&name, counted));
            }
        }
        Ok(told)
    }

    /// Incidents that were opened on that weekday (0 is Monday) in that hour, tests and merged ones left out, newest first;
    /// at most `limit`. Walks over the incidents of these days.
    pub fn opened_in(
        &self,
        since: i64,
        until: i64,
        (weekday_, hour_): (i64, usize),
        service: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        let service = service.map(name_key);
        let mut found = Vec::new();
        for row in self.newest(tables::INCIDENTS, None)? {
            let (_, bytes) = row?;
            let row = codec::plain(bytes.value())?;
            let [at, test, status] = fields(&row, ["detected_at", "test", "status"])?;
            let at: Time = value(at)?;
            // A clock that was set back may have put an older one behind.
            if day(at) < since - 1 || found.len() == limit {
                break;
            }
            let here = (since..until).contains(&day(at)) && weekday(day(at)) == weekday_ && hour(at) == hour_;
            let counts = here
                && !optional::<bool>(test)?.unwrap_or(false)
                && value::<IncidentStatus>(status)? != IncidentStatus::Merged;
            if !counts {
                continue;
            }
            let incident: Incident = codec::value(&row)?;
            let of = |s: &String| incident.affected_services.iter().any(|a| name_key(a) == *s);
            if service.as_ref().is_none_or(of) {
                found.push(incident);
            }
        }
        Ok(found)
    }

    /// That the buckets are what the rows count, as a sentence for each table that says otherwise.
    pub(super) fn check_insights(&self) -> Result<Vec<String>, StoreError> {
        let mut want = Tally::default();
        for row in self.table(tables::INCIDENTS)?.iter()? {
            let incident: Incident = codec::decode(row?.1.value())?;
            want.incident(STORED, &incident, 1);
            let right = self.investigation(incident.id)?.first_was_right();
            if right != incident.first_right {
                return Ok(vec![format!(
                    "{} says that its first answer was {:?} and people say {right:?}",
                    incident.id, incident.first_right
                )]);
            }
            let told = self.notices_of(incident.id)?.iter().any(|n| n.arrived_at().is_some());
            if told && incident.told_at.is_none() {
                return Ok(vec![format!(
                    "{} says that nobody was told of it, and a message says otherwise",
                    incident.id
                )]);
            }
        }
        for row in self.table(tables::ALERTS)?.iter()? {
            want.alert(STORED, &Heard::read(&codec::plain(row?.1.value())?)?, 1);
        }
        for row in self.table(tables::DELIVERIES)?.iter()? {
            want.delivery(STORED, &codec::decode(row?.1.value())?, 1);
        }
        let mut is = Tally::default();
        let below = (FORGOTTEN, i64::MIN, "");
        let owned = |(of, day, scope): (u8, i64, &str)| (of, day, scope.to_owned());
        for row in self.table(tables::INSIGHT_DAYS)?.range(..below)? {
            let (key, figures) = row?;
            is.days.insert(owned(key.value()), codec::decode(figures.value())?);
        }
        for row in self.table(tables::INSIGHT_SEVERITIES)?.range(..below)? {
            let (key, counted) = row?;
            is.severities.insert(owned(key.value()), counted.value().into());
        }
        for row in self.table(tables::INSIGHT_RECEIVED)?.range(..below)? {
            let (key, counted) = row?;
            is.received.insert(owned(key.value()), counted.value().into());
        }
        for row in self.table(tables::INSIGHT_KINDS)?.iter()? {
            let (key, counted) = row?;
            is.kinds.insert(key.value(), counted.value().into());
        }
        let mut found = Vec::new();
        let remedy = "run `watchfire reindex` to count them anew";
        for (what, same) in [
            ("incidents by day", is.days == want.days),
            ("incidents by severity", is.severities == want.severities),
            ("what was received by day", is.received == want.received),
            ("kinds of alerts by week", is.kinds == want.kinds),
        ] {
            if !same {
                found.push(format!("insights count {what} otherwise than the rows; {remedy}"));
            }
        }
        Ok(found)
    }
}

fn told(sums: &Sums, since: i64, until: i64, all: bool) -> Figures {
    let [webhooks, alerts, received] = sums.received.map(count);
    let days = &sums.days;
    Figures {
        since: midnight(since),
        until: midnight(until),
        acknowledge: days.acknowledged.spread(),
        resolve: days.resolved.spread(),
        funnel: Funnel {
            webhooks: all.then_some(webhooks),
            received,
            alerts,
            groups: count(days.groups),
            incidents: count(days.hours.iter().sum()),
            told: count(days.told),
            notified: count(days.notified),
        },
        night: count(days.night),
        first_answers: Judgements { judged: count(days.judged), right: count(days.right) },
    }
}
