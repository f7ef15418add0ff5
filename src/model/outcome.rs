//! How incidents ended: what alerted, what it came from, and what was said before anybody knew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Alert, Cause, FirstAnswer, Investigation, Symptom, Time};

/// Places kept of an incident, and kinds of alerts of each.
const PLACES: usize = 60;
const KINDS: usize = 40;
/// Scores kept of an answer.
const SCORES: usize = 8;
/// Labels that name the rule, not the thing, in this order.
pub const RULE_LABELS: &[&str] = &["alertname", "alert", "alarm", "metric", "monitor", "check", "rulename"];
/// Words by which a figure is lower than usual.
const LOWER: &[&str] = &["below", "lower", "dropped", "drop", "decreased"];
/// Incidents whose cause people recorded from which on confidences are fitted to what came true here.
pub const ENOUGH: usize = 50;
/// Bounds of the table of what was said and came true.
const BINS: &[f64] = &[0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0];

/// An incident that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it ended.
    pub at: Time,
    /// What alerted.
    #[serde(default)]
    pub places: Vec<Shown>,
    /// What it came from, as a person recorded it; none while nobody did. What the product itself thought is no knowledge,
    /// else it would come to believe itself.
    #[serde(default)]
    pub cause: Option<KnownCause>,
    /// What the last answer before the end put first; none where there was none.
    #[serde(default)]
    pub said: Option<SaidFirst>,
    /// Whether that was so; none while the cause is not known.
    #[serde(default)]
    pub right: Option<bool>,
}

/// What alerted at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Service, else machine, as sent.
    pub place: String,
    /// What alerted, each once: see `kind_of`.
    pub kinds: Vec<u32>,
}

/// A cause that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCause {
    /// The service at fault, by its declared name where there is one.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What was wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
}

/// What an answer put first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidFirst {
    /// The service.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine.
    #[serde(default)]
    pub host: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// How sure it was.
    pub confidence: f64,
    /// The scores of the causes, best first: what confidence is made of.
    #[serde(default)]
    pub scores: Vec<f64>,
}

impl SaidFirst {
    /// Of an answer: what it put first before anybody judged.
    pub fn of(answer: &Investigation) -> Option<Self> {
        let mut causes: Vec<&Cause> = answer.causes.iter().filter(|c| !c.ruled_out).collect();
        causes.sort_by_key(|c| c.rank);
        // What people judged may stand elsewhere by now; the highest score was first.
        let mut scores: Vec<f64> = causes.iter().map(|c| c.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.truncate(SCORES);
        if let Some(FirstAnswer { service, host, symptom, confidence, .. }) = answer.first.clone() {
            return Some(Self { service, host, symptom, confidence, scores });
        }
        let Cause { service, host, symptom, confidence, .. } = (*causes.first()?).clone();
        Some(Self { service, host, symptom, confidence, scores })
    }
}

impl Outcome {
    /// What alerts show: places with kinds of alerts, in order.
    pub fn shown<'a>(alerts: impl IntoIterator<Item = &'a Alert>) -> Vec<Shown> {
        let mut places: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for alert in alerts {
            let Some(place) = alert.service.as_deref().or(alert.host.as_deref()) else { continue };
            if places.len() < PLACES || places.contains_key(place) {
                let kinds = places.entry(place).or_default();
                if kinds.len() < KINDS {
                    kinds.insert(kind_of(alert));
                }
            }
        }
        let shown = |(place, kinds): (&str, BTreeSet<u32>)| Shown {
            place: place.to_owned(),
            kinds: kinds.into_iter().collect(),
        };
        places.into_iter().map(shown).collect()
    }
}

/// What alerts, without where: the rule and the direction, as a number that is the same on every machine.
pub fn kind_of(alert: &Alert) -> u32 {
    let (rule, lower) = rule_of(alert);
    let sign: &[u8] = if lower { b"-" } else { b"+" };
    rule.bytes().chain(sign.iter().copied()).fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// The rule behind an alert, in lower case, and whether it says that something is lower than usual.
pub fn rule_of(alert: &Alert) -> (String, bool) {
    let text = format!("{} {}", alert.title, alert.description.as_deref().unwrap_or("")).to_lowercase();
    let lower = text.split(|c: char| !c.is_alphanumeric()).take(60).any(|w| LOWER.contains(&w));
    // Datadog sends a tag without a value, `monitor`, as one that is true.
    let named = |l: &&str| alert.labels.get(*l).filter(|v| !matches!(v.trim(), "" | "true" | "false"));
    let rule = RULE_LABELS.iter().find_map(named).map_or_else(
        || {
            let mut title = alert.title.clone();
            for name in [&alert.service, &alert.host].into_iter().flatten().filter(|n| !n.is_empty()) {
                title = title.replace(name.as_str(), " ");
            }
            without_values(&title)
        },
        |rule| rule.trim().to_owned(),
    );
    (rule.to_lowercase().chars().take(120).collect(), lower)
}

/// Measured values change from one alert to the next: `97 %`, `3.85`. Short plain numbers are parts of names.
pub fn without_values(title: &str) -> String {
    let words: Vec<&str> = title.split_whitespace().collect();
    let kept = words.iter().enumerate().filter(|(i, w)| {
        let number = w.starts_with(|c: char| c.is_ascii_digit());
        let measured =
            w.contains(['.', '%', ',']) || w.len() > 4 || words.get(i + 1).is_some_and(|n| n.starts_with('%'));
        !(number && measured) && **w != "%"
    });
    kept.map(|(_, w)| *w).collect::<Vec<_>>().join(" ")
}

/// How far what was said came true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reliability {
    /// Ended incidents with an answer and a cause that a person recorded, as far as they are looked at.
    pub known: u64,
    /// Of those, how often the first answer was right.
    pub right: u64,
    /// How many there must be before confidences are fitted to them.
    pub needed: u64,
    /// By how sure it was; without empty rows.
    pub bins: Vec<ReliabilityBin>,
}

/// One row of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReliabilityBin {
    /// Confidences from here.
    pub from: f64,
    /// To below here; the last one with it.
    pub to: f64,
    /// Answers.
    pub n: u64,
    /// Their mean confidence.
    pub said: f64,
    /// The share of them that was right.
    pub came_true: f64,
}

impl Reliability {
    /// Counts.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let judged = outcomes.into_iter().filter_map(|o| Some((o.said.as_ref()?.confidence, o.right?)));
        let judged: Vec<(f64, bool)> = judged.collect();
        let count = |of: &mut dyn Iterator<Item = bool>| of.filter(|r| *r).count() as u64;
        let mut all = Self {
            known: judged.len() as u64,
            right: count(&mut judged.iter().map(|(_, r)| *r)),
            needed: ENOUGH as u64,
            bins: Vec::new(),
        };
        for (from, to) in BINS.iter().zip(BINS.iter().skip(1)) {
            let last = *to >= 1.0;
            let within = || judged.iter().filter(|(c, _)| c >= from && (c < to || last));
            let n = within().count();
            if n > 0 {
                let said = within().map(|(c, _)| c).sum::<f64>() / n as f64;
                let came_true = count(&mut within().map(|(_, r)| *r)) as f64 / n as f64;
                all.bins.push(ReliabilityBin { from: *from, to: *to, n: n as u64, said, came_true });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_no_part_of_a_rule() {
        let check = |title: &str, want: &str| assert_eq!(without_values(title), want);
        check("Disk usage on /var is 97 %", "Disk usage on /var is");
        check("latency is 3.85 s", "latency is s");
        check("rare log template 34", "rare log template 34");
        check("1,204 messages behind", "messages behind");
    }

    #[test]
    fn what_was_said_is_held_against_what_came_true() {
        let outcome = |confidence: f64, right: Option<bool>| Outcome {
            at: Time::from_secs(0),
            places: Vec::new(),
            cause: None,
            said: Some(SaidFirst { service: None, host: None, symptom: None, confidence, scores: Vec::new() }),
            right,
        };
        let all = [
            outcome(0.7, Some(true)),
            outcome(0.75, Some(false)),
            outcome(0.6, Some(true)),
            outcome(1.0, Some(true)),
            outcome(0.1, None),
        ];
        let table = Reliability::of(&all);
        assert_eq!((table.known, table.right, table.needed), (4, 3, 50));
        let rows: Vec<_> = table.bins.iter().map(|b| (b.from, b.n, (b.came_true * 100.0).round())).collect();
        assert_eq!(rows, [(0.6, 3, 67.0), (0.9, 1, 100.0)]);
        assert_eq!(Reliability::of(&[]), Reliability { needed: 50, ..Reliability::default() });
    }
}
