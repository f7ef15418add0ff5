//! What helped, as far as it is stored.

use std::time::Duration;

use super::{Material, say};
use crate::model::*;

/// Taken within this time is quick.
const QUICK: Duration = Duration::from_secs(5 * 60);
/// Suggestions told.
const TOLD: usize = 5;

/// A list of facts, or that none is known.
pub fn well(m: &Material) -> String {
    let i = &m.incident;
    let mut facts = Vec::new();
    if let Some(took) = i.acknowledged_at.map(|at| at.since(i.detected_at)).filter(|d| *d <= QUICK) {
        facts.push(format!("It was acknowledged {} after it was opened.", say::duration(took)));
    }
    if i.alert_count > 2 {
        let spread = m.alerts.last().map(|a| a.onset_at.since(m.onset()));
        let within = spread.map(|d| format!(" within {}", say::duration(d))).unwrap_or_default();
        facts.push(format!("{}{within} became one incident.", say::count(i.alert_count, "alert")));
    }
    if let (Some(true), Some(first)) = (m.answer.first_was_right(), &m.answer.first) {
        facts.push(format!(
            "The investigation had the cause first, with {}, {} after the incident was opened.",
            say::percent(first.confidence),
            say::duration(first.at.since(i.detected_at))
        ));
    }
    let ran = m.answer.suggestions.iter().filter(|s| s.state == SuggestionState::Done).take(TOLD);
    facts.extend(ran.map(|s| format!("A suggestion was used: {}", say::sentence(&say::quoted(&s.title)))));
    let gap = say::gap("what helped besides: people, tools, earlier work.");
    if facts.is_empty() {
        return format!("Nothing of it is known from what is stored.\n\n{gap}");
    }
    let facts: String = facts.iter().map(|f| format!("- {f}\n")).collect();
    format!("{facts}\n{gap}")
}
