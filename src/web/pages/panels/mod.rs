//! The panels of an incident's page, each of which is drawn again on its own when something in it changes.

mod answer;
mod facts;
mod lines;
mod opinion;
mod shares;
mod spread;

use askama::Template;
use askama::filters::HtmlSafe;

use super::{
    terms, text,
    ui::{self, Markup, When},
};
use crate::model::*;
pub use answer::{Answer, AskedCause, Hypotheses, Suggestions};
pub use facts::Facts;
pub use lines::{EvidenceList, MemberRow, ThoughtLine, TimelineLine};
#[cfg(test)]
pub use spread::tests::storm;
pub use spread::{Scene, Spread};

/// Title and signals.
#[derive(Debug, Template)]
#[template(path = "fragments/incident_head.html")]
pub struct Head {
    base: String,
    may_edit: bool,
    title: String,
    /// Its form says what was read. One with characters that act unseen is changed without that.
    told: bool,
    typed: String,
    snoozed: Option<When>,
    severity: Markup,
    status: Markup,
    service: Option<Markup>,
    service_href: String,
    tags: Vec<&'static str>,
    opened: When,
    opened_clock: String,
    source: Markup,
    source_url: Option<String>,
    owner: Markup,
}
impl HtmlSafe for Head {}

impl Head {
    /// Of an incident at `now`.
    pub fn new(i: &Incident, may_act: bool, now: Time) -> Self {
        let mut tags = Vec::new();
        tags.extend(i.test.then_some("test"));
        tags.extend(i.flapping.then_some("flapping"));
        tags.extend(i.muted.then_some("muted"));
        tags.extend(i.severity_pinned.then_some("severity set by hand"));
        let query = i.service.as_deref().map(|s| format!("service:{}", terms::quote(s))).unwrap_or_default();
        Self {
            base: format!("/incidents/{}", i.id),
            may_edit: may_act && i.status != IncidentStatus::Merged,
            title: text::visible(&i.title),
            told: text::visible(&i.title) == i.title,
            typed: String::new(),
            snoozed: i.snoozed.as_ref().map(|s| When::clock(s.until, now)),
            severity: ui::severity_box(i.severity),
            status: ui::status(i.status),
            service: i.service.as_deref().map(|s| ui::foreign(&text::shorten(s, 80))),
            service_href: terms::href("/incidents", &query, &[]),
            tags,
            opened: When::ago(i.detected_at, now),
            opened_clock: format!(
                "{} {}",
                super::time::clock_short(i.detected_at),
                super::time::zone_name(i.detected_at)
            ),
            source: ui::source(&i.source),
            source_url: text::url(&i.source_url).map(str::to_owned),
            owner: ui::foreign_or(&i.owner, "Nobody yet"),
        }
    }

    /// With a title that was typed and refused.
    pub fn typed(self, typed: String) -> Self {
        Self { typed, ..self }
    }
}

/// What can be done with it now.
#[derive(Debug, Template)]
#[template(path = "fragments/incident_actions.html")]
pub struct Actions {
    base: String,
    may_act: bool,
    open: bool,
    resolved: bool,
    owned: bool,
    mine: bool,
    running: bool,
    /// Who has it, for the form to say; none where it would not come back as it is.
    was: Option<String>,
    snoozed: bool,
    has_postmortem: bool,
    postmortem: String,
}
impl HtmlSafe for Actions {}

impl Actions {
    /// For somebody of that name and role.
    pub fn new(i: &Incident, me: &str, may_act: bool) -> Self {
        let busy = matches!(i.investigation.state, InvestigationState::Queued | InvestigationState::Running);
        Self {
            base: format!("/incidents/{}", i.id),
            may_act,
            open: i.is_open(),
            resolved: i.status == IncidentStatus::Resolved,
            owned: i.owner.is_some(),
            mine: i.owner.as_deref() == Some(me),
            running: busy && i.is_open(),
            was: Some(i.owner.clone().unwrap_or_default()).filter(|o| text::visible(o) == *o),
            snoozed: i.snoozed.is_some(),
            has_postmortem: i.postmortem.is_some(),
            postmortem: format!("/postmortems/{}", i.id),
        }
    }

    /// Whether there is anything to press.
    pub fn any(&self) -> bool {
        self.may_act && (self.open || self.resolved)
    }
}

/// `31 steps in 71 s`: what the log folds to.
pub fn steps(i: &Incident) -> String {
    let head = &i.investigation;
    let took = head.started_at.zip(head.finished_at).map(|(from, to)| ui::duration(to.since(from)));
    let steps = ui::plural(head.steps, "step");
    took.map_or(steps.clone(), |took| format!("{steps} in {took}"))
}

/// What the line of the folded log says.
pub fn log_line(i: &Incident) -> String {
    if i.investigation.steps == 0 { "Nothing written yet".to_owned() } else { steps(i) }
}

/// What the analysis is doing, beside the heading of its log.
pub fn writing(i: &Incident) -> Markup {
    #[derive(Template)]
    #[template(source = "<span class=\"st {{ class }}\">{{ mark }}{{ words }}</span>", ext = "html")]
    struct Writing {
        class: &'static str,
        mark: Markup,
        words: String,
    }
    let head = &i.investigation;
    let (class, mark, words) = match head.state {
        InvestigationState::Idle => return Markup::none(),
        InvestigationState::Queued => ("investigating", ui::pulse(), "waits".to_owned()),
        InvestigationState::Running => ("investigating", ui::pulse(), "writing".to_owned()),
        InvestigationState::Complete => ("", ui::icon("check"), steps(i)),
        InvestigationState::Error => ("failing", ui::icon("warn"), "did not finish".to_owned()),
        InvestigationState::Cancelled => ("", ui::icon("x"), "stopped".to_owned()),
    };
    Markup::of(&Writing { class, mark, words })
}
