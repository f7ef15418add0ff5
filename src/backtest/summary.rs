//! What a backtest says to people.

use std::collections::BTreeMap;

use super::{Report, report::Doubt};
use crate::model::{DeliveryOutcome, IncidentStatus};

/// The largest incidents that are named.
const LARGEST: usize = 5;
/// Services of an incident that are named.
const SERVICES: usize = 4;
/// Characters of a title.
const TITLE: usize = 80;

impl Report {
    /// Lines for a person: how much came in, how few incidents it became, and which of them to look at.
    pub fn summary(&self) -> Vec<String> {
        let count = |outcome| self.deliveries.iter().filter(|d| d.outcome == outcome).count() as u64;
        let mut lines = vec![format!("lines      {}", self.deliveries.len())];
        for (outcome, what) in [
            (DeliveryOutcome::Unparsed, "not understood"),
            (DeliveryOutcome::Refused, "of no connector that is known or switched on"),
        ] {
            if count(outcome) > 0 {
                lines.push(format!("           {} {what}", count(outcome)));
            }
        }
        if self.retries > 0 {
            lines.push(format!("           {} sent again by their senders, which changed nothing", self.retries));
        }
        lines.push(format!("alerts     {} after deduplication", self.alerts));
        let open = self.incidents.iter().filter(|i| i.status != IncidentStatus::Resolved).count();
        lines.push(format!("incidents  {} ({open} still open at the end)", self.incidents.len()));
        if !self.incidents.is_empty() {
            let n = self.incidents.len() as f64;
            let alone = self.incidents.iter().filter(|i| i.alert_count == 1).count();
            lines.push(format!(
                "           {:.1} alerts to an incident; {alone} with one alert",
                self.alerts as f64 / n
            ));
            self.largest(&mut lines);
        }
        if !self.doubtful.is_empty() {
            lines.push(String::new());
            lines.push("Doubtful: alerts that joined on the weakest grounds, one of each incident".to_owned());
            lines.extend(self.doubtful.iter().flat_map(doubt));
        }
        lines
    }

    fn largest(&self, lines: &mut Vec<String>) {
        let mut largest: Vec<_> = self.incidents.iter().filter(|i| i.alert_count > 1).collect();
        largest.sort_by_key(|i| (std::cmp::Reverse(i.alert_count), i.incident));
        if largest.is_empty() {
            return;
        }
        lines.push(String::new());
        lines.push("Largest".to_owned());
        for i in largest.into_iter().take(LARGEST) {
            let mut services: Vec<&str> = i.services.iter().take(SERVICES).map(String::as_str).collect();
            if i.services.len() > SERVICES {
                services.push("…");
            }
            let of = if services.is_empty() { String::new() } else { format!("  [{}]", services.join(", ")) };
            lines.push(format!("  {:<8} {:>5} alerts  {}{of}", i.incident.to_string(), i.alert_count, short(&i.title)));
        }
    }

    /// What was not understood, in words, and how often; the most frequent first.
    pub fn not_understood(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for problem in self.deliveries.iter().filter_map(|d| d.problem.as_ref()) {
            *counts.entry(&problem.detail).or_default() += 1;
        }
        let mut found: Vec<(String, usize)> = counts.into_iter().map(|(what, n)| (what.to_owned(), n)).collect();
        found.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        found.truncate(20);
        found
    }
}

fn doubt(d: &Doubt) -> [String; 2] {
    let of = d.service.as_ref().map(|s| format!("  [{s}]")).unwrap_or_default();
    [
        format!("  {:<8} {:.2}  {}{of}", d.incident.to_string(), d.score, short(&d.title)),
        format!("                 {}", d.reason),
    ]
}

fn short(title: &str) -> String {
    match title.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", title.split_at(end).0),
        None => title.to_owned(),
    }
}
