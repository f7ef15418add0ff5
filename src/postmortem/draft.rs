//! The whole draft.

use std::collections::BTreeSet;

use super::{Material, badly, causes, say, sections, timeline, well};
use crate::model::*;

/// Actions that a draft begins with at most.
const ACTIONS: usize = 20;
/// How a line of a comment begins that is something to do.
const TO_DO: &[&str] = &["todo:", "to do:", "action:", "action item:", "follow-up:", "followup:", "- [ ]"];

/// A postmortem as far as it can be written from what is stored.
pub fn draft(m: &Material) -> PostmortemText {
    let sections = PostmortemSection::ALL.iter().map(|section| {
        let text = match section {
            PostmortemSection::Summary => sections::summary(m),
            PostmortemSection::Impact => sections::impact(m),
            PostmortemSection::Timeline => timeline::timeline(m),
            PostmortemSection::Causes => causes::causes(m),
            PostmortemSection::WentWell => well::well(m),
            PostmortemSection::WentBadly => badly::badly(m),
        };
        (*section, text)
    });
    let title: String = m.incident.title.trim().chars().take(300).collect();
    PostmortemText {
        title: format!("{title}, {}", say::date(m.onset())),
        sections: sections.collect(),
        actions: actions(m),
    }
}

/// What was suggested against a second time, and what people noted as still to do.
fn actions(m: &Material) -> Vec<PostmortemAction> {
    let of_suggestion = |s: &Suggestion| {
        let state = if s.state == SuggestionState::Done { ActionState::Done } else { ActionState::Open };
        (s.title.clone(), state)
    };
    let suggested = m.answer.suggestions.iter();
    let suggested = suggested
        .filter(|s| s.kind == SuggestionKind::Prevention && s.state != SuggestionState::Dismissed)
        .map(of_suggestion);
    let comments = m.timeline.iter().filter(|e| e.kind == TimelineKind::Comment);
    let noted = comments.flat_map(|e| e.text.lines()).filter_map(to_do).map(|text| (text, ActionState::Open));
    let mut seen = BTreeSet::new();
    let mut actions = Vec::new();
    for (text, state) in suggested.chain(noted) {
        if actions.len() < ACTIONS && seen.insert(text.to_lowercase()) {
            actions.push(PostmortemAction { text, owner: None, due: None, state });
        }
    }
    actions
}

/// What a line of a comment says is to be done.
fn to_do(line: &str) -> Option<String> {
    let line = line.trim();
    let rest = TO_DO.iter().find_map(|start| {
        let head = line.get(..start.len())?;
        head.eq_ignore_ascii_case(start).then(|| line.get(start.len()..)).flatten()
    })?;
    let text: String = rest.trim().chars().take(500).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_what_is_to_do() {
        for (line, want) in [
            ("TODO: rotate the key", Some("rotate the key")),
            ("  - [ ] ask the vendor ", Some("ask the vendor")),
            ("Follow-up: a dashboard", Some("a dashboard")),
            ("todo:", None),
            ("we should do it", None),
            ("tödö: x", None),
        ] {
            assert_eq!(to_do(line).as_deref(), want, "{line}");
        }
    }
}
