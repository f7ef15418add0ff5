//! What is known for sure about an incident.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text, time,
        ui::{self, Markup, When},
    },
};

/// A fact with its name.
#[derive(Debug)]
pub struct Fact {
    name: &'static str,
    value: Markup,
    note: Option<String>,
}

/// What is known for sure.
#[derive(Debug, Template)]
#[template(path = "fragments/facts.html")]
pub struct Facts {
    rows: Vec<Fact>,
    labels: Vec<String>,
}
impl HtmlSafe for Facts {}

impl Facts {
    /// Of the incident, its first alerts, the last change before it, and what mutes so many of its open alerts.
    pub fn new(
        i: &Incident,
        members: &[(Membership, Alert)],
        change: Option<&Change>,
        muted_by: &[(Mute, u64)],
        evidence: &[Evidence],
    ) -> Self {
        let mut rows = Vec::new();
        let mut fact = |name, value: Markup, note: Option<String>| rows.push(Fact { name, value, note });
        let list = |names: &[String]| {
            let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(8);
            ui::foreign(&if more > 0 { format!("{shown} and {more} more") } else { shown })
        };
        let when = |at| Markup::of(&Moment { at: When::full(at) });
        if !i.affected_services.is_empty() {
            fact("Services", list(&i.affected_services), None);
        }
        if !i.affected_hosts.is_empty() {
            fact("Hosts", list(&i.affected_hosts), None);
        }
        if let Some(e) = &i.environment {
            fact("Environment", ui::foreign(e), None);
        }
        fact(
            "Alerts",
            ui::foreign(&ui::plural(i.alert_count, "alert")),
            Some(format!("{} firing", ui::count(i.firing_count))),
        );
        for (m, count) in muted_by {
            let value = Markup::of(&MutedBy { id: m.id, words: muted(i, *count) });
            let until = m.on_until.map(|t| format!(" until {}", time::full(t))).unwrap_or_default();
            let note = format!("{}: {}{until}", m.author, text::shorten(&m.reason, 200));
            fact("Muted", value, Some(text::visible(&note)));
        }
        fact(
            "Began",
            when(i.started_at),
            (i.started_at != i.detected_at)
                .then(|| format!("received {} later", ui::duration(i.detected_at.since(i.started_at)))),
        );
        if let Some(owner) = &i.owner {
            let note =
                i.acknowledged_at.map(|at| format!("acknowledged after {}", ui::duration(at.since(i.detected_at))));
            fact("Owner", ui::foreign(owner), note);
        }
        if let Some(c) = change {
            let ago = c.at.map(|at| {
                let d = ui::duration(i.onset_at.distance(at));
                if at <= i.onset_at { format!("{} {d} before", c.kind) } else { format!("{} {d} after", c.kind) }
            });
            let of =
                c.service.as_deref().filter(|s| !c.title.contains(s)).map(|s| format!("{s}, ")).unwrap_or_default();
            let ago = ago.map(|ago| text::visible(&format!("{of}{ago}")));
            let value = match text::url(&c.url) {
                Some(href) => Markup::of(&Link { href, text: ui::foreign(&c.title) }),
                None => ui::foreign(&c.title),
            };
            fact("Last change", value, ago);
        }
        // Sections that the investigation found say more than an address.
        for e in evidence.iter().filter(|e| e.kind == EvidenceKind::Runbook).take(2) {
            let own = e.url.clone().filter(|u| u.starts_with("/runbooks/"));
            let there = own.or_else(|| text::url(&e.url).map(str::to_owned));
            let href = there.unwrap_or_else(|| format!("#{}", e.id));
            fact("Runbook", Markup::of(&Link { href: &href, text: ui::foreign(&text::shorten(&e.title, 80)) }), None);
        }
        let said = |href: &str| evidence.iter().any(|e| e.url.as_deref() == Some(href));
        let alerts = members.iter().find_map(|(_, a)| text::url(&a.runbook_url));
        if let Some(href) = alerts.filter(|href| !said(href)) {
            fact("Runbook", Markup::of(&Link { href, text: ui::foreign(&text::shorten(href, 60)) }), None);
        }
        if let Some(at) = i.resolved_at {
            fact("Resolved", when(at), Some(format!("after {}", ui::duration(at.since(i.detected_at)))));
        }
        let labels =
            i.labels.iter().take(12).map(|(k, v)| text::visible(&text::shorten(&format!("{k}={v}"), 60))).collect();
        Self { rows, labels }
    }
}

/// `3 of 14 open alerts`.
fn muted(i: &Incident, count: u64) -> String {
    format!("{} of {}", ui::count(count), ui::plural(i.firing_count, "open alert"))
}

#[derive(Template)]
#[template(source = "{{ words }} by <a class=\"mono\" href=\"/silences/{{ id }}\">{{ id }}</a>", ext = "html")]
struct MutedBy {
    id: MuteId,
    words: String,
}

#[derive(Template)]
#[template(source = "{{ at }}", ext = "html")]
struct Moment {
    at: When,
}

#[derive(Template)]
#[template(source = "<a href=\"{{ href }}\" rel=\"noopener noreferrer\">{{ text }}</a>", ext = "html")]
struct Link<'a> {
    href: &'a str,
    text: Markup,
}
