//! How near the alerts that wait are to the number that opens an incident. Pure.

use std::{collections::BTreeSet, time::Duration};

use crate::model::{DistinctBy, Mistake, Threshold, Time, Waiting};

/// Alerts, and times that one was received, that a threshold may ask for.
const MOST: u32 = 500;
/// Minutes within which they must come.
const LONGEST: u32 = 24 * 60;

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How often alerts were received, repeats included.
    pub count: u32,
    /// How many different ones.
    pub distinct: u32,
    /// That is enough.
    pub reached: bool,
}

/// How far back a threshold looks.
pub fn within(t: &Threshold) -> Duration {
    Duration::from_secs(u64::from(t.within_minutes) * 60)
}

/// Whether what was received then counts no more at `now`.
pub fn is_past(t: &Threshold, hit: Time, now: Time) -> bool {
    now.since(hit) >= within(t)
}

/// What has come of those that wait, at `now`.
pub fn progress<'a>(t: &Threshold, waiting: impl IntoIterator<Item = &'a Waiting>, now: Time) -> Progress {
    let mut count: u32 = 0;
    let mut different = BTreeSet::new();
    for alert in waiting {
        let hits = alert.hits.iter().filter(|hit| !is_past(t, **hit, now)).count();
        if hits == 0 {
            continue;
        }
        count = count.saturating_add(u32::try_from(hits).unwrap_or(u32::MAX));
        let host = alert.host.as_deref().filter(|_| t.distinct_by == DistinctBy::Host);
        different.insert(match host {
            Some(host) => (host.trim().to_lowercase(), 0),
            None => (String::new(), alert.fingerprint.0),
        });
    }
    let distinct = u32::try_from(different.len()).unwrap_or(u32::MAX);
    let reached = t.count.is_some_and(|n| count >= n) || t.distinct.is_some_and(|k| distinct >= k);
    Progress { count, distinct, reached }
}

/// How far it is, in words: `2 of 5`, `2 of 5, or 1 of 3 hosts`.
pub fn words(t: &Threshold, p: Progress) -> String {
    let different = match t.distinct_by {
        DistinctBy::Fingerprint => "different ones",
        DistinctBy::Host => "hosts",
    };
    let parts: Vec<String> = [
        t.count.map(|n| format!("{} of {n}", p.count)),
        t.distinct.map(|k| format!("{} of {k} {different}", p.distinct)),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.join(", or ")
}

/// What is wrong with the numbers of a threshold.
pub fn check_numbers(t: &Threshold) -> Vec<Mistake> {
    let mut wrong = Vec::new();
    if t.count.is_none() && t.distinct.is_none() {
        wrong.push(Mistake::new("/count", "a number is needed: `count`, `distinct`, or both"));
    }
    for (path, n) in [("/count", t.count), ("/distinct", t.distinct)] {
        if n.is_some_and(|n| !(2..=MOST).contains(&n)) {
            wrong.push(Mistake::new(path, format!("2 to {MOST} are allowed")));
        }
    }
    if !(1..=LONGEST).contains(&t.within_minutes) {
        wrong.push(Mistake::new("/within_minutes", format!("1 to {LONGEST} minutes are allowed")));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fingerprint, ThresholdId};

    fn threshold(count: Option<u32>, distinct: Option<u32>, distinct_by: DistinctBy) -> Threshold {
        let at = Time::from_secs(0);
        Threshold {
            id: ThresholdId(2),
            matchers: Vec::new(),
            count,
            distinct,
            distinct_by,
            within_minutes: 10,
            author: "sre-1".into(),
            reason: "noisy".into(),
            created_at: at,
            updated_at: at,
            reached: 0,
            reached_at: None,
            incident: None,
            held: 0,
            passed: 0,
            passed_since: 0,
        }
    }

    fn waiting(fingerprint: u128, host: Option<&str>, hits: &[i64]) -> Waiting {
        let hits = hits.iter().map(|s| Time::from_secs(*s)).collect();
        Waiting { fingerprint: Fingerprint(fingerprint), host: host.map(str::to_owned), hits }
    }

    #[test]
    fn repeats_count_and_hosts_are_told_apart() {
        use DistinctBy::*;
        let all = [
            waiting(1, Some("a"), &[0, 60, 120]),
            waiting(2, Some("A "), &[120]),
            waiting(3, Some("b"), &[0]),
            waiting(4, None, &[300]),
        ];
        for (count, distinct, by, now, want) in [
            (Some(6), None, Fingerprint, 599, (6, 4, true)),
            (Some(7), None, Fingerprint, 599, (6, 4, false)),
            (Some(6), None, Fingerprint, 600, (4, 3, false)),
            (None, Some(4), Fingerprint, 599, (6, 4, true)),
            (None, Some(4), Host, 599, (6, 3, false)),
            (None, Some(3), Host, 599, (6, 3, true)),
            (Some(100), Some(3), Host, 599, (6, 3, true)),
            (Some(1), Some(1), Host, 5_000, (0, 0, false)),
        ] {
            let t = threshold(count, distinct, by);
            let p = progress(&t, &all, Time::from_secs(now));
            assert_eq!((p.count, p.distinct, p.reached), want, "{count:?} {distinct:?} {by} at {now}");
        }
        let t = threshold(Some(5), Some(3), Host);
        let p = progress(&t, &all[..1], Time::from_secs(120));
        assert_eq!(words(&t, p), "3 of 5, or 1 of 3 hosts");
    }

    #[test]
    fn numbers_out_of_bounds_are_named() {
        let t = threshold(None, None, DistinctBy::Host);
        for (t, want) in [
            (t.clone(), vec!["/count"]),
            (Threshold { count: Some(1), ..t.clone() }, vec!["/count"]),
            (Threshold { distinct: Some(501), within_minutes: 0, ..t.clone() }, vec!["/distinct", "/within_minutes"]),
            (Threshold { count: Some(2), distinct: Some(500), ..t }, vec![]),
        ] {
            let wrong = check_numbers(&t);
            assert_eq!(wrong.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), want);
        }
    }
}
