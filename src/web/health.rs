//! How a connector is doing: one judgement for its page, the table of all, and the API.

use std::time::Duration;

use crate::{
    ingest::{Memory, Run},
    model::*,
};

/// Silence that is never worth a word.
const SHORT: Duration = Duration::from_secs(3 * 3600);
/// What was refused longer ago is of the past.
const DAY: Duration = Duration::from_secs(86_400);
/// So long after the last one over the rate, a connector is still called limited.
const LIMITED: Duration = Duration::from_secs(600);

/// How a connector is doing, worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// A sender fails to prove who it is, and nobody has succeeded since.
    Unproven(Run),
    /// The last delivery was turned away for another reason.
    Refused(String),
    /// Its declaration does not work, so that nothing can be read: why.
    Broken(String),
    /// The last delivery was not understood: why, and where in the body.
    NotUnderstood(String, Option<String>),
    /// More comes than is taken a minute; which were dropped, when that is known.
    Limited(Option<Run>),
    /// Switched off.
    Off,
    /// Takes nothing until then.
    Paused(Time),
    /// Silent for longer than it usually is.
    Quiet(Duration),
    /// All is well.
    Receiving,
    /// Nothing ever came.
    Waiting,
}

impl Health {
    /// From what is set, what came, and what the door remembers.
    pub fn of(s: &ConnectorSettings, c: &ConnectorCounters, door: &Memory, now: Time) -> Self {
        let is = Self::from(s, c, door.turned_away(&s.platform), door.dropped(&s.platform), now);
        let declared = s.declaration.as_ref().and_then(|_| door.registry.find(&s.platform));
        let fault = declared.as_ref().and_then(|handle| handle.declared()).and_then(|d| d.fault());
        match (is, fault) {
            // Who is sent away, or wanted away, meets no declaration.
            (is @ (Self::Off | Self::Paused(_) | Self::Unproven(_)), _) | (is, None) => is,
            (_, Some(fault)) => Self::Broken(fault),
        }
    }

    fn from(
        s: &ConnectorSettings,
        c: &ConnectorCounters,
        turned_away: Option<Run>,
        dropped: Option<Run>,
        now: Time,
    ) -> Self {
        // What somebody wanted is no failure.
        if !s.enabled {
            return Self::Off;
        }
        if let Some(until) = s.paused(now) {
            return Self::Paused(until);
        }
        let after_success = |at: Time| c.last_accepted.is_none_or(|ok| ok < at);
        if let Some(run) = turned_away.filter(|r| after_success(r.last) && now.since(r.last) < DAY) {
            return Self::Unproven(run);
        }
        let dropped = dropped.filter(|r| now.since(r.last) < LIMITED);
        let problem = c.last_problem.as_ref().map(|(p, _)| p);
        match c.last {
            None => return Self::Waiting,
            Some((_, _, DeliveryOutcome::Unparsed)) => {
                let why = problem.map(|p| p.detail.clone()).unwrap_or_default();
                return Self::NotUnderstood(why, problem.and_then(|p| p.path.clone()));
            }
            Some((_, _, DeliveryOutcome::Refused)) => match problem {
                Some(p) if p.code == "over_rate" => return Self::Limited(dropped),
                // Refused by our own doing, which has ended.
                Some(p) if p.code == "connector_off" => {}
                problem => return Self::Refused(problem.map(|p| p.detail.clone()).unwrap_or_default()),
            },
            Some((_, _, DeliveryOutcome::Accepted)) => {}
        }
        match c.last_accepted.map(|at| now.since(at)) {
            _ if dropped.is_some() => Self::Limited(dropped),
            Some(silent) if silent > usual(c) => Self::Quiet(silent),
            Some(_) => Self::Receiving,
            None => Self::Waiting,
        }
    }

    /// As the API says it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unproven(_) | Self::Refused(_) => "refused",
            Self::Broken(_) | Self::NotUnderstood(..) => "not_understood",
            Self::Limited(_) => "limited",
            Self::Off | Self::Paused(_) => "paused",
            Self::Quiet(_) => "quiet",
            Self::Receiving => "receiving",
            Self::Waiting => "waiting",
        }
    }
}

/// How long it may be silent: the gap that nine of ten between its last hours with deliveries do not exceed, since the
/// few longer ones are nights, holidays and outages.
fn usual(c: &ConnectorCounters) -> Duration {
    let busy: Vec<i64> = c.hours.iter().filter(|(_, (accepted, _))| *accepted > 0).map(|(hour, _)| *hour).collect();
    let mut gaps: Vec<u64> =
        busy.iter().zip(busy.iter().skip(1)).map(|(a, b)| u64::try_from(b - a).unwrap_or(0)).collect();
    gaps.sort_unstable();
    // Two deliveries in hours that follow each other may be almost two hours apart.
    let hours = gaps.get(gaps.len() * 9 / 10).map_or(0, |gap| gap + 1);
    Duration::from_secs(hours * 3600).max(SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Time {
        Time::from_secs(1_772_500_000 + s)
    }

    fn settings() -> ConnectorSettings {
        let some = serde_json::json!({"platform": "grafana", "enabled": true, "auth": "key", "key": [],
            "rate_per_minute": 0, "created_at": at(0)});
        serde_json::from_value(some).unwrap()
    }

    fn counters(outcome: DeliveryOutcome, accepted: Option<i64>, code: Option<&str>) -> ConnectorCounters {
        ConnectorCounters {
            last: Some((DeliveryId::new(at(0), 1), at(0), outcome)),
            last_accepted: accepted.map(at),
            last_problem: code.map(|c| (Problem { code: c.into(), detail: String::new(), path: None }, at(0))),
            ..ConnectorCounters::default()
        }
    }

    #[test]
    fn states() {
        use DeliveryOutcome::*;
        let run = |last| Some(Run { count: 14, since: at(last - 1), last: at(last) });
        let none = ConnectorCounters::default;
        for (c, away, dropped, now, want) in [
            (none(), None, None, 10, "waiting"),
            (none(), run(5), None, 10, "refused"),
            (none(), run(5), None, 90_000, "waiting"),
            (counters(Accepted, Some(0), None), None, None, 10, "receiving"),
            (counters(Accepted, Some(0), None), None, None, 4 * 3600, "quiet"),
            (counters(Accepted, Some(0), None), run(5), None, 10, "refused"),
            (counters(Accepted, Some(7), None), run(5), None, 10, "receiving"),
            (counters(Unparsed, Some(0), None), None, None, 10, "not_understood"),
            (counters(Refused, Some(0), Some("over_rate")), None, None, 10, "limited"),
            (counters(Accepted, Some(7), None), None, run(5), 10, "limited"),
            (counters(Accepted, Some(7), None), None, run(5), 1000, "receiving"),
            (counters(Refused, Some(0), Some("bad_signature")), None, None, 10, "refused"),
            (counters(Refused, Some(0), Some("connector_off")), None, None, 10, "receiving"),
        ] {
            assert_eq!(Health::from(&settings(), &c, away, dropped, at(now)).word(), want, "{c:?} {away:?} {now}");
        }
        let good = counters(Accepted, Some(0), None);
        let off = ConnectorSettings { enabled: false, ..settings() };
        assert_eq!(Health::from(&off, &good, run(5), None, at(10)), Health::Off);
        let paused = ConnectorSettings { paused_until: Some(at(60)), ..settings() };
        assert_eq!(Health::from(&paused, &good, None, None, at(10)), Health::Paused(at(60)));
        assert_eq!(Health::from(&paused, &good, None, None, at(60)), Health::Receiving);
    }

    #[test]
    fn quiet_is_longer_than_the_usual_gap() {
        let check = |hours: &[i64], want: u64| {
            let hours = hours.iter().map(|h| (*h, (1, 0))).collect();
            assert_eq!(usual(&ConnectorCounters { hours, ..Default::default() }), Duration::from_secs(want * 3600));
        };
        check(&[], 3);
        check(&[7], 3);
        check(&[1, 2, 3, 4], 3);
        check(&[0, 12, 24], 13);
        // One night among many hours is not the rule.
        check(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40], 3);
        check(&[0, 24, 48, 72, 73], 25);
    }
}
