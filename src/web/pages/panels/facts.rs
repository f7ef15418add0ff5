//! What is known for sure about an incident.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        incident::Read,
        terms, text, time,
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
    /// Of the incident.
    pub fn new(read: &Read) -> Self {
        let (i, members, evidence) = (&read.incident, &read.members, &read.answer.evidence);
        let mut rows = Vec::new();
        let mut fact = |name, value: Markup, note: Option<String>| rows.push(Fact { name, value, note });
        let list = |names: &[String]| {
            let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(8);
            ui::foreign(&if more > 0 { format!("{shown} and {more} more") } else { shown })
        };
        let when = |at| Markup::of(&Moment { at: When::full(at) });
        if let Some(words) = impact(members) {
            fact("Impact", ui::foreign(&text::shorten(&words, 240)), None);
        }
        if let Some(name) = &i.service {
            let known = read.scene.services.service(name);
            let tier = known.and_then(|s| s.tier.as_deref()).map(|t| format!(" · tier {}", text::shorten(t, 40)));
            let href = terms::href("/incidents", &format!("service:{}", terms::quote(name)), &[]);
            let link = Markup::of(&Link { href: &href, text: ui::foreign(&text::shorten(name, 80)) });
            let tier = tier.map_or_else(Markup::none, |t| ui::foreign(&t));
            let owner = known.and_then(|s| s.owner.as_deref()).map(|o| text::visible(&format!("owned by {o}")));
            fact("Service", Markup::joined(&[&link, &tier]), owner);
        }
        let others: Vec<String> =
            i.affected_services.iter().filter(|s| Some(*s) != i.service.as_ref()).cloned().collect();
        if !others.is_empty() {
            fact(if i.service.is_some() { "Also hit" } else { "Services" }, list(&others), None);
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
        if let Some(s) = &i.snoozed {
            fact(
                "Snoozed",
                when(s.until),
                Some(text::visible(&format!("by {}: quiet until then, or until it gets worse", s.by))),
            );
        }
        for (m, count) in &read.muted_by {
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
        let (told, next) = read.told.fact(i.id);
        fact("Who was told", told, next);
        if let Some(c) = &read.change {
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

/// What the trouble does to others, as the first alert says: in a field of its own, else in its description.
fn impact(members: &[(Membership, Alert)]) -> Option<String> {
    let first = members.iter().find(|(m, _)| m.strategy == Strategy::Primary).or(members.first())?;
    let told = |a: &Alert| a.annotations.get("impact").or(a.labels.get("impact")).cloned();
    let own = told(&first.1).or_else(|| members.iter().find_map(|(_, a)| told(a)));
    own.or_else(|| first.1.description.clone()).filter(|t| !t.trim().is_empty() && *t != first.1.title)
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
