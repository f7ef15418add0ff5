//! Alerts put together by what they have in common: how many of each, how many of them fire, and the worst.

use std::collections::HashMap;

use super::{
    alerts_list::Asked,
    terms::{self, href},
    text,
    ui::{self, Markup, When},
};
use crate::{model::*, query::AlertsBy, store::Looked};

/// Groups that are shown, the largest.
const MOST: usize = 100;
/// Letters of a name in a query; what is longer is asked for by its beginning.
const NAMED: usize = 120;

/// Alerts that have a value in common.
#[derive(Debug)]
pub struct Group {
    pub(super) name: Markup,
    pub(super) href: String,
    pub(super) severity: Markup,
    pub(super) firing: String,
    pub(super) alerts: String,
    pub(super) seen: When,
}

/// All groups.
#[derive(Debug)]
pub struct Groups {
    /// What the first column is.
    pub head: &'static str,
    /// The largest first.
    pub rows: Vec<Group>,
    /// How many there are, and what they were made of.
    pub foot: String,
}

#[derive(Default)]
struct Sum {
    alerts: u64,
    firing: u64,
    worst: Option<Severity>,
    seen: Option<Time>,
}

impl Groups {
    /// Of what was looked at.
    pub fn new(looked: &Looked, by: AlertsBy, asked: &Asked, now: Time) -> Self {
        let mut sums: HashMap<Option<&str>, Sum> = HashMap::new();
        for alert in &looked.alerts {
            let sum = sums.entry(alert.key.as_deref()).or_default();
            sum.alerts += 1;
            sum.firing += u64::from(alert.status == AlertStatus::Firing);
            // The worst is the least.
            sum.worst = Some(sum.worst.map_or(alert.severity, |s| s.min(alert.severity)));
            sum.seen = sum.seen.max(Some(alert.seen));
        }
        let mut all: Vec<(Option<&str>, Sum)> = sums.into_iter().collect();
        all.sort_unstable_by(|(a, x), (b, y)| (y.alerts, y.seen).cmp(&(x.alerts, x.seen)).then(a.cmp(b)));
        let (head, field, none) = match by {
            AlertsBy::Service => ("Service", "service", "no service"),
            AlertsBy::Name => ("Alert", "name", "no name"),
            AlertsBy::Host => ("Host or target", "host", "no host"),
            AlertsBy::Incident => ("Incident", "incident", "on their own"),
        };
        let many = all.len();
        let row = |(key, sum): (Option<&str>, Sum)| {
            let term = match key {
                Some(key) => format!("{field}:{}", value(key)),
                None if by == AlertsBy::Incident => "incident:none".to_owned(),
                None => format!("-{field}:*"),
            };
            Group {
                name: key.map_or_else(|| ui::own(none), |key| ui::foreign(&text::shorten(key, 160))),
                href: href("/alerts", &format!("{} {term}", asked.shown()), &[]),
                severity: ui::severity(sum.worst.unwrap_or(Severity::Info)),
                firing: ui::count(sum.firing),
                alerts: ui::count(sum.alerts),
                seen: When::age(sum.seen.unwrap_or(now), now),
            }
        };
        let groups = ui::plural(many as u64, "group");
        let groups = if many > MOST { format!("The {MOST} largest of {groups}") } else { groups };
        let of = match looked.older {
            None => String::new(),
            Some(_) => format!(", counted among the newest {} alerts", ui::count(looked.rows)),
        };
        Self { head, rows: all.into_iter().take(MOST).map(row).collect(), foot: format!("{groups}{of}") }
    }
}

/// A value of a query that finds it.
fn value(key: &str) -> String {
    let short: String = key.chars().take(NAMED).collect();
    // A quotation mark cannot be written in a query: what stands before it can.
    match short.split_once('"') {
        Some((before, _)) => terms::quote(&format!("{before}*")),
        None if short.len() < key.len() => terms::quote(&format!("{short}*")),
        None => terms::quote(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::LookedAlert, web::pages::samples};

    #[test]
    fn the_largest_come_first_and_each_leads_to_its_alerts() {
        let one = |n, key: Option<&str>, severity, status| LookedAlert {
            number: n,
            seen: samples::now(),
            severity,
            status,
            key: key.map(str::to_owned),
        };
        use AlertStatus::{Firing, Resolved};
        let alerts = vec![
            one(1, Some("check out"), Severity::Low, Firing),
            one(2, None, Severity::High, Firing),
            one(3, Some("check out"), Severity::Critical, Resolved),
        ];
        let looked = Looked { alerts, rows: 3, older: None };
        let groups = Groups::new(&looked, AlertsBy::Service, &Asked::default(), samples::now());
        let told: Vec<_> =
            groups.rows.iter().map(|g| (g.alerts.as_str(), g.firing.as_str(), g.href.as_str())).collect();
        assert_eq!(
            told,
            [
                ("2", "1", "/alerts?q=since%3A24h+service%3A%22check+out%22"),
                ("1", "1", "/alerts?q=since%3A24h+-service%3A*")
            ]
        );
        assert!(groups.rows[0].severity.to_string().contains("critical"));
        assert_eq!(groups.foot, "2\u{a0}groups");
        let cut = Looked { rows: 10_000, older: Some(7), ..looked };
        let foot = Groups::new(&cut, AlertsBy::Incident, &Asked::default(), samples::now()).foot;
        assert_eq!(foot, "2\u{a0}groups, counted among the newest 10,000 alerts");
    }

    #[test]
    fn any_name_can_be_asked_for() {
        for (key, want) in
            [("a", "a"), ("two words", "\"two words\""), ("say \"no\" now", "\"say *\""), ("a:b", "\"a:b\"")]
        {
            assert_eq!(value(key), want);
        }
        assert!(value(&"x".repeat(400)).ends_with("x*"));
    }
}
