//! Mode `any`: one rule is enough. Same service 0.9; within five minutes of the incident's start 0.7; a text at least 0.7
//! alike, among the five nearest, as much as it is alike; for Netdata, same host 0.9. Where a connector is set to group as its sender does: in one of the sender's groups, and within the same five
//! minutes, 0.95.

use std::time::Duration;

use crate::model::{Fingerprint, IncidentId, Reason, Strategy, Time};

const SERVICE_SCORE: f64 = 0.9;
// Above all others: whoever has the sender's grouping taken over wants it before ours.
const GROUP_SCORE: f64 = 0.95;
const TIME_SCORE: f64 = 0.7;
const HOST_SCORE: f64 = 0.9;
/// From here on a text says about the same, and so many of the nearest are asked.
const ALIKE: f64 = 0.7;
/// How many of the nearest texts count.
pub const NEAREST: usize = 5;
/// Characters of a group's key in a sentence.
const SHOWN: usize = 160;

/// The alert that looks for its incident.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Who sent it.
    pub platform: &'a str,
    /// Its service.
    pub service: Option<&'a str>,
    /// Its host.
    pub host: Option<&'a str>,
    /// When it began, clamped.
    pub onset: Time,
    /// The sender's own group, where its connector is set to group by it.
    pub group: Option<Group<'a>>,
    /// The open incidents whose words are nearest to its own, with how alike they are, 0 to 1.
    pub nearest: &'a [(IncidentId, f64)],
}

/// A group that a sender put an alert into.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// What is compared.
    pub of: Fingerprint,
    /// As the sender names it (`groupKey` of Grafana and Alertmanager).
    pub key: &'a str,
}

impl<'a> Group<'a> {
    /// Groups of two senders are two, whatever they are called.
    pub fn new(platform: &str, key: &'a str) -> Self {
        Self { of: Fingerprint::of(&format!("{platform}\n{key}")), key }
    }

    /// Its name, cut for a sentence.
    pub fn short(&self) -> String {
        let short: String = self.key.chars().take(SHOWN).collect();
        if short.len() < self.key.len() { format!("{short}…") } else { short }
    }
}

/// An open incident that may be the one.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub incident: IncidentId,
    /// The service it began with.
    pub service: Option<&'a str>,
    /// The host it began with.
    pub host: Option<&'a str>,
    /// When it began, clamped.
    pub onset: Time,
    /// The senders' groups of its alerts.
    pub groups: &'a [Fingerprint],
}

/// The incident found, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Which.
    pub incident: IncidentId,
    /// Strongest first; never empty.
    pub reasons: Vec<Reason>,
}

/// The best of the candidates: highest score, then most rules, then nearest start, then oldest. None when no rule holds.
pub fn best<'a>(
    subject: Subject<'_>,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    window: Duration,
) -> Option<Match> {
    candidates
        .into_iter()
        .filter_map(|c| {
            let reasons = reasons(subject, c, window);
            let score = reasons.first()?.score;
            Some((c, score, reasons))
        })
        .min_by(|(a, a_score, a_reasons), (b, b_score, b_reasons)| {
            b_score
                .total_cmp(a_score)
                .then(b_reasons.len().cmp(&a_reasons.len()))
                .then(a.onset.distance(subject.onset).cmp(&b.onset.distance(subject.onset)))
                .then(a.incident.cmp(&b.incident))
        })
        .map(|(c, _, reasons)| Match { incident: c.incident, reasons })
}

fn reasons(s: Subject<'_>, c: Candidate<'_>, window: Duration) -> Vec<Reason> {
    let mut found = Vec::new();
    let apart = s.onset.distance(c.onset);
    if let Some(group) = s.group
        && apart < window
        && c.groups.contains(&group.of)
    {
        found.push(Reason {
            strategy: Strategy::TagMatch,
            score: GROUP_SCORE,
            text: format!(
                "{} put it into the same group ({}), within the window of {}\u{a0}min.",
                s.platform,
                group.short(),
                window.as_secs() / 60
            ),
        });
    }
    if let (Some(service), Some(theirs)) = (s.service, c.service)
        && same(service, theirs)
    {
        found.push(Reason {
            strategy: Strategy::ServiceMatch,
            score: SERVICE_SCORE,
            text: format!("Both concern the service {theirs}."),
        });
    }
    if s.platform == "netdata"
        && let (Some(host), Some(theirs)) = (s.host, c.host)
        && same(host, theirs)
    {
        found.push(Reason {
            strategy: Strategy::SameHost,
            score: HOST_SCORE,
            text: format!("Both concern the host {theirs}."),
        });
    }
    if let Some((_, alike)) = s.nearest.iter().take(NEAREST).find(|(id, alike)| *id == c.incident && *alike >= ALIKE) {
        found.push(Reason {
            strategy: Strategy::SemanticSimilarity,
            score: (alike * 100.0).round() / 100.0,
            text: format!(
                "Its text is {:.0}\u{a0}% like one of this incident, among the {NEAREST} nearest.",
                alike * 100.0
            ),
        });
    }
    if apart < window {
        let when = match apart.as_secs() {
            0 => "as".to_owned(),
            n if s.onset < c.onset => format!("{n}\u{a0}s before"),
            n => format!("{n}\u{a0}s after"),
        };
        found.push(Reason {
            strategy: Strategy::TimeCluster,
            score: TIME_SCORE,
            text: format!(
                "It began {when} the incident began, within the window of {}\u{a0}min.",
                window.as_secs() / 60
            ),
        });
    }
    // A text that says the very same outweighs a service; others stand between service and time.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// Names are compared without case and surrounding space: tools write the same service in several ways.
fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_772_500_000;
    const WINDOW: Duration = Duration::from_secs(300);

    fn subject<'a>(platform: &'a str, service: Option<&'a str>, host: Option<&'a str>, at: i64) -> Subject<'a> {
        Subject { platform, service, host, onset: Time::from_secs(T + at), group: None, nearest: &[] }
    }

    fn candidate<'a>(id: u64, service: Option<&'a str>, host: Option<&'a str>, at: i64) -> Candidate<'a> {
        Candidate { incident: IncidentId(id), service, host, onset: Time::from_secs(T + at), groups: &[] }
    }

    fn check(subject: Subject<'_>, candidates: &[Candidate<'_>], want: Option<(u64, Strategy, f64)>) {
        let found = best(subject, candidates.iter().copied(), WINDOW);
        let got = found.as_ref().and_then(|m| m.reasons.first().map(|r| (m.incident.0, r.strategy, r.score)));
        assert_eq!(got, want, "{subject:?} among {candidates:?}");
    }

    #[test]
    fn the_rules_of_mode_any() {
        let api_old = candidate(1, Some("api"), None, -7200);
        let db_now = candidate(2, Some("db"), None, -10);
        check(subject("grafana", Some("API "), None, 0), &[api_old, db_now], Some((1, Strategy::ServiceMatch, 0.9)));
        check(subject("grafana", Some("web"), None, 0), &[api_old, db_now], Some((2, Strategy::TimeCluster, 0.7)));
        check(subject("grafana", None, None, 0), &[api_old], None);
        check(subject("grafana", None, None, 290), &[db_now], None);
        check(subject("grafana", None, None, 289), &[db_now], Some((2, Strategy::TimeCluster, 0.7)));
        check(subject("grafana", None, None, -309), &[db_now], Some((2, Strategy::TimeCluster, 0.7)));
    }

    #[test]
    fn texts_count_from_seven_tenths_up_and_only_the_five_nearest() {
        let old = candidate(1, Some("api"), None, -7200);
        let asked =
            |nearest: &'static [(IncidentId, f64)]| Subject { nearest, ..subject("grafana", Some("web"), None, 0) };
        check(asked(&[(IncidentId(1), 0.7)]), &[old], Some((1, Strategy::SemanticSimilarity, 0.7)));
        check(asked(&[(IncidentId(1), 0.69)]), &[old], None);
        check(asked(&[(IncidentId(2), 0.9)]), &[old], None);
        const SIXTH: &[(IncidentId, f64)] = &[
            (IncidentId(2), 0.9),
            (IncidentId(3), 0.9),
            (IncidentId(4), 0.9),
            (IncidentId(5), 0.9),
            (IncidentId(6), 0.9),
            (IncidentId(1), 0.8),
        ];
        check(asked(SIXTH), &[old], None);
        let near = candidate(2, Some("db"), None, -10);
        check(asked(&[(IncidentId(1), 0.8)]), &[old, near], Some((1, Strategy::SemanticSimilarity, 0.8)));
    }

    #[test]
    fn the_host_rule_is_netdatas() {
        let host = candidate(3, None, Some("prod-01"), -7200);
        check(subject("netdata", None, Some("PROD-01"), 0), &[host], Some((3, Strategy::SameHost, 0.9)));
        check(subject("grafana", None, Some("prod-01"), 0), &[host], None);
    }

    #[test]
    fn the_senders_group_comes_first_within_the_window() {
        let key = "{}:{alertname=\"HighLatency\"}";
        let groups = [Group::new("grafana", key).of];
        let of_group = Candidate { groups: &groups, ..candidate(1, Some("db"), None, -100) };
        let of_service = candidate(2, Some("api"), None, -10);
        let plain = subject("grafana", Some("api"), None, 0);
        let grouped = Subject { group: Some(Group::new("grafana", key)), ..plain };
        check(plain, &[of_group, of_service], Some((2, Strategy::ServiceMatch, 0.9)));
        check(grouped, &[of_group, of_service], Some((1, Strategy::TagMatch, 0.95)));
        let reasons = best(grouped, [of_group], WINDOW).unwrap().reasons;
        assert_eq!(
            reasons[0].text,
            "grafana put it into the same group ({}:{alertname=\"HighLatency\"}), within the window of 5\u{a0}min."
        );
        // A group lives on at the sender; what began long ago is another trouble.
        let old = Candidate { onset: Time::from_secs(T - 300), ..of_group };
        check(grouped, &[old], None);
        let other = Subject { platform: "alertmanager", group: Some(Group::new("alertmanager", key)), ..plain };
        check(other, &[of_group], Some((1, Strategy::TimeCluster, 0.7)));
    }

    #[test]
    fn ties_go_to_more_rules_then_the_nearest_then_the_oldest() {
        let far = candidate(1, Some("api"), None, -7200);
        let near = candidate(2, Some("api"), None, -60);
        check(subject("x", Some("api"), None, 0), &[far, near], Some((2, Strategy::ServiceMatch, 0.9)));
        let other = candidate(3, Some("api"), None, -60);
        check(subject("x", Some("api"), None, 0), &[other, near], Some((2, Strategy::ServiceMatch, 0.9)));
    }
}
