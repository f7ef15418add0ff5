//! Who was told of an incident, what comes next, and why or why not: the fact on its page, and the page of all of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{strip::moment, words};
use crate::{
    model::*,
    notifications::policy::on_call,
    store::{StoreError, View},
    web::{
        auth::Viewer,
        error::ApiError,
        pages::{
            ask::Ask,
            frame::{Frame, Section, counts_and_seq},
            read::incident_id,
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// Places that the fact names.
const NAMED: usize = 6;
/// Messages and considerations on the page, newest first.
const SHOWN: usize = 100;

/// What is known of the telling of one incident.
#[derive(Clone, Debug, Default)]
pub struct Told {
    notices: Vec<Notice>,
    considered: Vec<Considerations>,
    channels: BTreeMap<ChannelId, String>,
    /// What comes next by a policy: when, and in words.
    next: Option<(Time, String)>,
    /// Why no step comes any more.
    ended: Option<String>,
}

impl Told {
    /// Reads it.
    pub fn of(view: &View, id: IncidentId) -> Result<Self, StoreError> {
        let (notices, considered) = (view.notices_of(id)?, view.considered(id)?);
        let Some(escalation) = view.escalation(id)? else {
            let known = if notices.is_empty() { Vec::new() } else { view.channels()? };
            let channels = known.into_iter().map(|c| (c.id, c.name)).collect();
            return Ok(Self { notices, considered, channels, ..Self::default() });
        };
        let telling = view.telling()?;
        let policy = telling.policies.get(&escalation.policy.0);
        let next = escalation.next_at.zip(policy).map(|(at, p)| {
            let step = p.steps.get(usize::try_from(escalation.step).unwrap_or(usize::MAX));
            let whom = step.map(|s| {
                let each = s.targets.iter().map(|t| match t {
                    Target::OnCall(id) => match telling.schedules.get(&id.0).map(|s| (s, on_call::who(s, at))) {
                        Some((s, Some(who))) => format!("{who}, on call in {}", s.name),
                        Some((s, None)) => format!("nobody, as nobody is on call in {} then", s.name),
                        None => id.to_string(),
                    },
                    other => words::target(&telling, other),
                });
                words::and(&each.collect::<Vec<_>>())
            });
            let what = match (escalation.acknowledged, whom) {
                (true, _) => format!("The acknowledgement ends, and “{}” begins anew", p.name),
                (false, Some(whom)) => format!("Step {} of “{}” tells {whom}", escalation.step + 1, p.name),
                (false, None) => format!("“{}” begins its next round", p.name),
            };
            (at, what)
        });
        let channels = telling.channels.values().map(|c| (c.id, c.name.clone())).collect();
        Ok(Self { notices, considered, channels, next, ended: escalation.ended })
    }

    fn place(&self, n: &Notice) -> String {
        let channel = self.channels.get(&n.channel).cloned().unwrap_or_else(|| n.channel.to_string());
        match (&n.person, &n.address) {
            (Some(person), _) => format!("{person} by {channel}"),
            (None, Some(address)) => format!("{channel}, {address}"),
            (None, None) => channel,
        }
    }

    /// When it happened, or will.
    fn at(n: &Notice) -> Time {
        if n.is_pending() { n.due_at } else { n.ended_at.unwrap_or(n.due_at) }
    }

    /// Why nobody was told, from what was considered last.
    fn nobody(&self) -> String {
        let Some(last) = self.considered.last() else { return "Nobody: no rule was asked.".to_owned() };
        match last.considered.iter().find(|c| c.outcome == Considering::Muted) {
            Some(c) => c.why.clone(),
            None if last.considered.is_empty() => "Nobody: there is no rule.".to_owned(),
            None => format!("Nobody: none of {} tells of it.", ui::plural(last.considered.len() as u64, "rule")),
        }
    }

    /// The fact: each place with the last that became of it, and what comes next.
    pub fn fact(&self, id: IncidentId) -> (Markup, Option<String>) {
        let mut last: BTreeMap<(ChannelId, Option<&str>), &Notice> = BTreeMap::new();
        for n in &self.notices {
            last.insert(n.place(), n);
        }
        let mut newest: Vec<&Notice> = last.into_values().collect();
        newest.sort_by_key(|n| std::cmp::Reverse((Self::at(n), n.id)));
        let more = newest.len().saturating_sub(NAMED);
        let line = |n: &&Notice| {
            let (class, icon, state) = words::state(n);
            let whom = ui::foreign(&text::shorten(&self.place(n), 80));
            FactLine { class, icon: ui::icon(icon), whom, state, at: moment(Self::at(n)) }
        };
        let lines: Vec<FactLine> = newest.iter().take(NAMED).map(line).collect();
        let nobody = if lines.is_empty() { ui::foreign(&text::shorten(&self.nobody(), 200)) } else { Markup::none() };
        let next = self.next.as_ref().map(|(at, what)| text::visible(&format!("{what} at {}.", moment(*at))));
        (Markup::of(&FactList { id, lines, more, nobody }), next)
    }
}

struct FactLine {
    class: &'static str,
    icon: Markup,
    whom: Markup,
    state: &'static str,
    at: String,
}

#[derive(Template)]
#[template(
    source = "{% for l in lines %}<div><span class=\"st {{ l.class }} wrap\">{{ l.icon }}<span>{{ l.whom }} {{ l.state }}, {{ l.at }}</span></span></div>{% endfor %}{{ nobody }}{% if more > 0 %}<div>and {{ more }} more</div>{% endif %}<div><a href=\"/incidents/{{ id }}/notifications\">Why, and what comes next</a></div>",
    ext = "html"
)]
struct FactList {
    id: IncidentId,
    lines: Vec<FactLine>,
    more: usize,
    nobody: Markup,
}

/// A message on the page.
#[derive(Debug)]
struct Row {
    id: NoticeId,
    whom: Markup,
    what: &'static str,
    class: &'static str,
    icon: &'static str,
    state: &'static str,
    why: Option<Markup>,
    at: String,
    reason: Markup,
    tries: Vec<Try>,
    told_in: Option<NoticeId>,
}

/// A try.
#[derive(Debug)]
struct Try {
    at: String,
    took: String,
    ok: bool,
    said: Markup,
}

/// What was considered at one time.
#[derive(Debug)]
struct Moment {
    at: String,
    event: String,
    rules: Vec<(bool, Markup, Markup)>,
}

#[derive(Template)]
#[template(path = "pages/notify/told.html")]
struct ToldPage {
    frame: Frame,
    id: IncidentId,
    title: Markup,
    next: Vec<Markup>,
    nobody: Option<Markup>,
    rows: Vec<Row>,
    moments: Vec<Moment>,
    hidden: bool,
}

/// `GET /incidents/{id}/notifications`
pub async fn show(
    State(state): State<AppState>,
    _: Viewer,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (id, now) = (incident_id(&id)?, ask.now);
    let (found, told, overview, seq) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((view.incident(id)?, Told::of(view, id)?, overview, seq))
        })
        .await?;
    let incident = found.ok_or_else(|| ApiError::not_found(id))?;
    let row = |n: &Notice| {
        let (class, icon, state) = words::state(n);
        Row {
            id: n.id,
            whom: ui::foreign(&text::shorten(&told.place(n), 120)),
            what: words::event(n.event),
            class,
            icon,
            state,
            why: n.why.as_deref().map(|w| ui::foreign(&text::shorten(w, 300))),
            at: moment(Told::at(n)),
            reason: ui::foreign(&text::shorten(&n.reason, 300)),
            tries: n.attempts.iter().rev().map(tried).collect(),
            told_in: n.told_in,
        }
    };
    let pending = told.notices.iter().filter(|n| n.is_pending());
    let waiting = pending.map(|n| (n.due_at, format!("{} is told: {}", told.place(n), words::event(n.event))));
    let mut next: Vec<(Time, String)> = waiting.chain(told.next.clone()).collect();
    next.sort();
    let next: Vec<Markup> = next
        .iter()
        .take(20)
        .map(|(at, what)| {
            let when = format!("{what}, {} ({}).", words::until(*at, now), moment(*at));
            ui::foreign(&text::shorten(&text::capital(&when), 300))
        })
        .chain(told.ended.as_deref().map(ui::foreign))
        .collect();
    let title = format!("{id}: notifications");
    let mut frame = ask.frame(&title, Section::Incidents, &overview, seq);
    frame.live = None;
    let page = ToldPage {
        frame,
        id,
        title: ui::foreign(&text::shorten(&incident.title, 160)),
        next,
        nobody: told.notices.is_empty().then(|| ui::foreign(&told.nobody())),
        hidden: told.notices.len() > SHOWN || told.considered.len() > SHOWN,
        rows: told.notices.iter().rev().take(SHOWN).map(row).collect(),
        moments: told.considered.iter().rev().take(SHOWN).map(considered).collect(),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

fn tried(a: &Attempt) -> Try {
    Try {
        at: moment(a.at),
        took: format!("{} ms", ui::count(a.took_ms)),
        ok: a.ok,
        said: ui::foreign(&text::shorten(&text::capital(&a.said), 500)),
    }
}

fn considered(c: &Considerations) -> Moment {
    let rule = |c: &Considered| {
        let name = match c.rule {
            Some(_) => format!("Rule {}", c.name),
            None => c.name.clone(),
        };
        let tells = c.outcome == Considering::Tells;
        (tells, ui::foreign(&text::shorten(&name, 120)), ui::foreign(&text::shorten(&c.why, 400)))
    };
    Moment {
        at: moment(c.at),
        event: text::capital(words::event(c.event)),
        rules: c.considered.iter().map(rule).collect(),
    }
}
