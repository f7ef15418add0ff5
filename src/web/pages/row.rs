//! One row of the incident list, the same on the page and in live updates.

use askama::Template;

use super::{
    platforms, text,
    ui::{self, Markup, When},
    words,
};
use crate::{model::*, store::Spark};

/// What an incident needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Open, and nobody has it.
    Someone,
    /// Open, and somebody has it.
    Handled,
    /// Open, and all that burns of it is muted, or it is snoozed: nobody is called.
    Muted,
    /// Resolved or merged.
    Closed,
}

impl Need {
    /// All, in the order of the list.
    pub const ALL: [Need; 4] = [Need::Someone, Need::Handled, Need::Muted, Need::Closed];

    /// What the incident needs.
    pub fn of(i: &Incident) -> Self {
        match (i.is_open(), &i.owner) {
            (false, _) => Self::Closed,
            (true, _) if i.is_quiet() => Self::Muted,
            (true, None) => Self::Someone,
            (true, Some(_)) => Self::Handled,
        }
    }

    /// What stands over its group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Someone => "Needs someone",
            Self::Handled => "Being handled",
            Self::Muted => "Muted or snoozed",
            Self::Closed => "Closed",
        }
    }

    /// As in `data-group`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Someone => "someone",
            Self::Handled => "handled",
            Self::Muted => "muted",
            Self::Closed => "closed",
        }
    }
}

/// Who has it.
#[derive(Clone, Debug)]
pub struct Owner {
    initials: String,
    name: String,
}

/// A row of the list.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/incident_row.html")]
pub struct Row {
    id: IncidentId,
    group: &'static str,
    done: bool,
    calm: bool,
    severity: Markup,
    title: String,
    tags: Vec<&'static str>,
    snoozed: Option<When>,
    confidence: Option<String>,
    why: String,
    status: Markup,
    service: String,
    tile: String,
    source: String,
    spark: String,
    alerts: String,
    unit: &'static str,
    age: When,
    owner: Option<Owner>,
}

impl askama::filters::HtmlSafe for Row {}

/// A hypothesis below this is no explanation yet.
pub const LEADS_FROM: f64 = 0.3;

/// Longest title in a list; the whole is on the incident's page.
const TITLE: usize = 160;

impl Row {
    /// The row of an incident at `now`.
    pub fn new(i: &Incident, spark: Option<&Spark>, now: Time) -> Self {
        let (confidence, why) = explanation(i);
        let (tile, source) = platforms::tile_and_name(&i.source);
        let mut tags = Vec::new();
        if i.test {
            tags.push("test");
        }
        if i.flapping {
            tags.push("flapping");
        }
        if i.muted {
            tags.push("muted");
        }
        Self {
            id: i.id,
            group: Need::of(i).key(),
            done: !i.is_open(),
            calm: !i.is_open() || i.is_quiet(),
            severity: ui::severity(i.severity),
            title: text::visible(&text::shorten(&i.title, TITLE)),
            tags,
            snoozed: i.snoozed.as_ref().map(|s| When::clock(s.until, now)),
            confidence,
            why: text::visible(&text::shorten(&why, TITLE)),
            status: ui::status(i.status),
            service: i.service.as_deref().map(|s| text::visible(&text::shorten(s, 80))).unwrap_or_default(),
            tile,
            source,
            spark: spark.map(bars).unwrap_or_default(),
            alerts: text::count(i.alert_count),
            unit: if i.alert_count == 1 { "alert" } else { "alerts" },
            age: When::age(i.detected_at, now),
            owner: i.owner.as_ref().map(|o| Owner { initials: text::initials(o), name: text::visible(o) }),
        }
    }
}

/// Small bars, one for each slice: drawn as text, because fifty drawings would be a hundred nodes more.
fn bars(spark: &Spark) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = spark.iter().copied().max().unwrap_or(0).max(1);
    let bar = |n: &u64| usize::try_from(n * 7 / most).ok().and_then(|n| BARS.get(n)).copied();
    spark.iter().filter_map(bar).collect()
}

/// Why it was merged, in few words: `, score 0.90, same service`.
fn merge_reason(i: &Incident) -> String {
    match i.merging.before.as_ref().and_then(|b| b.reasons.first()) {
        Some(r) if r.strategy != Strategy::Manual => {
            format!(", score {:.2}, {}", r.score, words::strategy(r.strategy).to_lowercase())
        }
        Some(_) => ", by hand".to_owned(),
        None => String::new(),
    }
}

/// The best explanation so far, with its confidence.
fn explanation(i: &Incident) -> (Option<String>, String) {
    if let Some(into) = i.merged_into {
        return (None, format!("Merged into {into}{}", merge_reason(i)));
    }
    let lead = i.leading.as_ref().filter(|l| l.confidence >= LEADS_FROM);
    if i.status == IncidentStatus::Resolved {
        let how = i.resolution.clone().or_else(|| lead.map(|l| l.title.clone()));
        return (None, how.unwrap_or_else(|| "Resolved".to_owned()));
    }
    if let Some(l) = lead {
        return (Some(text::percent(l.confidence)), l.title.clone());
    }
    let words = match i.investigation.state {
        InvestigationState::Idle => "Not investigated".to_owned(),
        InvestigationState::Queued => "Waits for its investigation".to_owned(),
        InvestigationState::Running => {
            let begun = Progress { done: 0, of: 0 };
            i.investigation.progress.unwrap_or(begun).doing(platforms::builds(&i.source)).to_owned()
        }
        InvestigationState::Complete => "No explanation above 30\u{a0}% yet".to_owned(),
        InvestigationState::Cancelled => "Investigation stopped".to_owned(),
        InvestigationState::Error => match &i.investigation.error {
            Some(e) => format!("Investigation failed: {e}"),
            None => "Investigation failed".to_owned(),
        },
    };
    (None, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    #[test]
    fn the_explanation_follows_the_state() {
        let now = samples::now();
        let check = |change: fn(&mut Incident), want: &str| {
            let mut i = samples::incident(7);
            change(&mut i);
            let html = Row::new(&i, None, now).render().unwrap();
            assert!(html.contains(want), "{want}: {html}");
        };
        check(|i| i.leading = Some(Leading { title: "A leak".into(), confidence: 0.82 }), "<b>82\u{a0}%</b> A leak");
        check(
            |i| {
                i.leading = Some(Leading { title: "A guess".into(), confidence: 0.1 });
                i.investigation.state = InvestigationState::Complete;
            },
            "No explanation above 30",
        );
        check(|i| i.merged_into = Some(IncidentId(3)), "Merged into INC-3</span>");
        let merged = |strategy, want: &str| {
            let mut i = samples::incident(7);
            let reason = Reason { strategy, score: 0.9, text: "Both are of checkout.".into() };
            i.merged_into = Some(IncidentId(3));
            i.merging.before = Some(Box::new(samples::before_merge(&i, vec![reason])));
            let html = Row::new(&i, None, now).render().unwrap();
            assert!(html.contains(want), "{want}: {html}");
        };
        merged(Strategy::ServiceMatch, "Merged into INC-3, score 0.90, same service</span>");
        merged(Strategy::Manual, "Merged into INC-3, by hand</span>");
        let at = |done, source: &str, want: &str| {
            let mut i = samples::incident(7);
            i.leading = None;
            i.source = source.into();
            i.investigation.state = InvestigationState::Running;
            i.investigation.progress = Some(Progress { done, of: 6 });
            let html = Row::new(&i, None, now).render().unwrap();
            assert!(html.contains(want), "{want}: {html}");
        };
        at(0, "grafana", "Reading its alerts");
        at(2, "grafana", "Reading what was changed before");
        at(4, "grafana", "Asking the monitoring tools");
        at(4, "jenkins", "Reading the build log");
        at(5, "jenkins", "Weighing what was found");
        check(|i| i.owner = Some("sre-2".into()), "data-group=\"handled\"");
        check(|i| i.owner = None, "nobody yet");
        check(|i| i.muted = true, "data-group=\"muted\"");
        let snooze = || Snooze { until: samples::ago(0), by: "sre-1".into(), at: samples::now() };
        let mut i = samples::incident(7);
        i.snoozed = Some(snooze());
        let html = Row::new(&i, None, now).render().unwrap();
        assert!(html.contains("data-group=\"muted\"") && html.contains("snoozed until <time"), "{html}");
    }

    #[test]
    fn hostile_fields_stay_text() {
        let mut i = samples::incident(7);
        let evil = "<script>alert(1)</script>\u{202e}\u{0}\"><img src=x onerror=alert(1)>";
        i.title = evil.repeat(40);
        i.service = Some(evil.into());
        i.source = evil.into();
        i.owner = Some(evil.into());
        i.leading = Some(Leading { title: evil.into(), confidence: 0.9 });
        let html = Row::new(&i, None, samples::now()).render().unwrap();
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{0}'), "{html}");
        assert!(html.len() < 4_000, "a long title is cut: {}", html.len());
    }
}
