//! Settings of investigations: what they may ask, what they may spend, and how well they did. All of it is shown only.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::Ask,
    frame::{Frame, Section, counts_and_seq},
    settings::tabs,
    text,
    ui::{self, Markup, When},
};
use crate::{
    config::{Kind, Shown},
    model::*,
    store::{IncidentFilter, StoreError, View},
    web::{api::runbooks, error::ApiError, state::AppState},
};

const HERE: &str = "/settings/investigation";
const ALL: &str = "investigation.";
/// The newest incidents in which the last answers of tools are looked for.
const LOOKED: usize = 30;
/// Mistakes in files that are told.
const FAULTS: usize = 20;
/// Groups of options by how their keys begin, with their headings; what fits none belongs to the first.
const GROUPS: [(&str, &str, &str); 3] = [
    ("", "Options: how it runs", "in the background, for every new incident"),
    ("investigation.probes.", "Options: what may be asked", "read-only questions to your own tools"),
    ("investigation.model.", "Options: language model", "off unless they are set"),
];

/// An option.
#[derive(Debug)]
struct Row {
    key: &'static str,
    value: Option<Markup>,
    place: Markup,
    help: &'static str,
}

/// Options that belong together.
#[derive(Debug)]
struct Group {
    heading: &'static str,
    sub: &'static str,
    rows: Vec<Row>,
}

/// The last answer of a tool that some evidence is made of.
#[derive(Debug)]
struct Last {
    tool: &'static str,
    at: When,
    what: Markup,
    incident: IncidentId,
}

/// A monitoring tool, and how it did when it was last asked.
#[derive(Debug)]
struct ToolRow {
    tool: &'static str,
    at: Markup,
    whose: &'static str,
    class: &'static str,
    state: &'static str,
    when: Option<When>,
    why: Option<Markup>,
}

impl ToolRow {
    fn new(s: &ToolStatus, now: Time) -> Self {
        let failure = s.last.as_ref().and_then(|l| l.failure.as_ref());
        let (class, state) = match (&s.last, failure, s.left_alone_until) {
            (None, ..) => ("", "Not asked yet"),
            (_, None, _) => ("ok", "Answered"),
            (_, Some(_), None) => ("failing", "Did not answer well"),
            (_, Some(_), Some(_)) => ("failing", "Left alone for a minute"),
        };
        Self {
            tool: tool_name(s.tool),
            at: ui::foreign(&text::shorten(&s.at, 80)),
            whose: if s.configured { "from the settings" } else { "declared for a service" },
            class,
            state,
            when: s.last.as_ref().map(|l| When::ago(l.at, now)),
            why: failure.map(|why| ui::foreign(&text::shorten(&text::capital(why), 240))),
        }
    }
}

/// How the language model stands.
#[derive(Debug)]
struct ModelRow {
    class: &'static str,
    state: &'static str,
    facts: Vec<(&'static str, Markup)>,
}

/// What was said and what came true.
#[derive(Debug)]
struct Reliable {
    sentence: String,
    bins: Vec<Bin>,
}

/// Answers of about the same confidence.
#[derive(Debug)]
struct Bin {
    range: String,
    n: String,
    said: String,
    came_true: String,
    bar: Markup,
}

impl Reliable {
    fn new(r: &Reliability) -> Self {
        let known = ui::plural(r.known, "closed incident");
        let sentence = if r.known < r.needed {
            format!(
                "{known} with a recorded cause so far; no confidence is above 75\u{a0}% until there are {}.",
                ui::count(r.needed)
            )
        } else {
            format!("{known} with a recorded cause; confidences are fitted to them.")
        };
        let first = match r.known {
            0 => String::new(),
            known => format!(" The first answer was right in {} of {}.", ui::count(r.right), ui::count(known)),
        };
        let bin = |b: &ReliabilityBin| Bin {
            range: format!("{} to {}", ui::percent(b.from), ui::percent(b.to)),
            n: ui::count(b.n),
            said: ui::percent(b.said),
            came_true: ui::percent(b.came_true),
            bar: ui::bar(b.came_true, ""),
        };
        Self { sentence: sentence + &first, bins: r.bins.iter().map(bin).collect() }
    }
}

#[derive(Template)]
#[template(path = "pages/investigation.html")]
struct InvestigationPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    groups: Vec<Group>,
    reliable: Reliable,
    model: Option<ModelRow>,
    tools: Vec<ToolRow>,
    last: Vec<Last>,
    /// What is wrong with the files of this house, each with its place.
    faults: Vec<Markup>,
}

impl ModelRow {
    fn new(s: &ModelStatus, spent: &Spending, now: Time) -> Self {
        let (class, state) = match s.state {
            ModelState::Unknown => ("", "Not tried yet"),
            ModelState::Tools => ("ok", "Ready, with tools"),
            ModelState::SinglePrompt => ("ok", "Ready, with a single prompt"),
            ModelState::Unavailable => ("failing", "Cannot be asked"),
        };
        let of = |spent: String, most: Option<String>| match most {
            Some(most) => format!("{spent} of {most}"),
            None => format!("{spent}, without a limit"),
        };
        let tokens = of(ui::count(spent.tokens()), (s.budget.tokens > 0).then(|| ui::count(s.budget.tokens)));
        let cost = of(units(spent.cost_micros), (s.budget.cost_micros > 0).then(|| units(s.budget.cost_micros)));
        let names =
            if s.names_redacted { "replaced by made-up ones before anything leaves" } else { "sent as they are" };
        let mut facts = vec![
            ("Model", ui::foreign(&text::shorten(&s.model, 120))),
            ("Endpoint", ui::foreign(&format!("{} ({})", s.host, s.kind))),
            ("Why", ui::foreign(&s.reason)),
            ("Tokens today", ui::foreign(&tokens)),
            ("Cost today", ui::foreign(&cost)),
            ("Requests today", ui::foreign(&ui::count(spent.requests))),
            ("Names", ui::foreign(names)),
            ("Secrets", ui::foreign("always taken out")),
        ];
        if let Some(at) = s.checked_at {
            facts.push(("Tried", Markup::joined(&[&When::ago(at, now)])));
        }
        Self { class, state, facts }
    }
}

const fn tool_name(t: Tool) -> &'static str {
    match t {
        Tool::Netdata => "Netdata agents",
        Tool::Prometheus => "Prometheus",
        Tool::Loki => "Loki",
        Tool::Jenkins => "Jenkins",
    }
}

/// For each tool its latest answer in the newest investigations: evidence names the tool that it came from.
fn last(view: &View, now: Time) -> Result<Vec<Last>, StoreError> {
    let mut found: BTreeMap<Tool, Last> = BTreeMap::new();
    for incident in view.incidents(&IncidentFilter::default(), None, LOOKED)?.items {
        for e in view.investigation(incident.id)?.evidence {
            let tool = e.data.get("tool").and_then(|t| t.as_str()).and_then(|t| t.parse::<Tool>().ok());
            let Some(tool) = tool else { continue };
            found.entry(tool).or_insert_with(|| Last {
                tool: tool_name(tool),
                at: When::ago(e.at, now),
                what: ui::foreign(&text::shorten(&e.title, 200)),
                incident: incident.id,
            });
        }
    }
    Ok(found.into_values().collect())
}

impl Row {
    fn of(s: &Shown<'_>) -> Self {
        Self {
            key: s.option.key,
            value: s.text.filter(|t| !t.is_empty()).map(ui::foreign),
            place: match (s.by, s.text) {
                (Some(by), _) => ui::foreign(&format!("set by {by}")),
                (None, Some(_)) => ui::foreign("the default"),
                (None, None) if s.option.kind == Kind::Secret => ui::foreign("none given"),
                (None, None) => ui::foreign("not set"),
            },
            help: s.option.help,
        }
    }
}

fn group_of(key: &str) -> usize {
    GROUPS.iter().skip(1).position(|(prefix, ..)| key.starts_with(prefix)).map_or(0, |n| n + 1)
}

fn groups<'a>(all: impl Iterator<Item = Shown<'a>>) -> Vec<Group> {
    let group = |(_, heading, sub): (_, _, _)| Group { heading, sub, rows: Vec::new() };
    let mut groups: Vec<Group> = GROUPS.into_iter().map(group).collect();
    for shown in all {
        if let Some(group) = groups.get_mut(group_of(shown.option.key)) {
            group.rows.push(Row::of(&shown));
        }
    }
    groups.retain(|g| !g.rows.is_empty());
    groups
}

/// `GET /settings/investigation`
pub async fn investigation(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = move |view: &View| {
        let (overview, seq) = counts_and_seq(view, now)?;
        Ok((overview, seq, view.spending(now)?, last(view, now)?, view.reliability()?))
    };
    let (overview, seq, spent, last, reliability) = state.store.read(read).await?;
    let shelf = runbooks::shelf(&state).await?;
    let status = state.model.as_ref().map(|m| m.borrow().clone());
    let page = InvestigationPage {
        frame: ask.frame("Investigation", Section::Settings, &overview, seq),
        tabs: tabs(HERE),
        groups: groups(state.config.given.shown(ALL)),
        reliable: Reliable::new(&reliability),
        model: status.map(|s| ModelRow::new(&s, &spent, now)),
        tools: state.probes.status().iter().map(|s| ToolRow::new(s, now)).collect(),
        last,
        faults: shelf.faults.iter().take(FAULTS).map(|f| ui::foreign(&text::shorten(&f.to_string(), 400))).collect(),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Given,
        web::pages::{frame::Section, samples},
    };

    fn reliability(known: u64) -> Reliability {
        let bin = ReliabilityBin { from: 0.6, to: 0.75, n: known, said: 0.7, came_true: 2.0 / 3.0 };
        Reliability { known, right: known * 2 / 3, needed: 50, bins: vec![bin] }
    }

    #[test]
    fn the_cap_is_told_until_enough_is_known() {
        let none = Reliable::new(&Reliability { needed: 50, ..Reliability::default() });
        assert!(none.sentence.starts_with("0\u{a0}closed incidents") && none.sentence.ends_with("there are 50."));
        assert!(none.bins.is_empty());
        assert_eq!(
            Reliable::new(&reliability(60)).sentence,
            "60\u{a0}closed incidents with a recorded cause; confidences are fitted to them. The first answer was right in 40 \
             of 60."
        );
    }

    #[test]
    fn options_stand_in_their_groups_and_text_of_others_stays_text() {
        let evil = "<script>alert(1)</script>\u{202e}";
        let given = Given::default();
        let status = ModelStatus {
            kind: ModelKind::Openai,
            model: evil.into(),
            host: evil.into(),
            state: ModelState::Unavailable,
            reason: evil.into(),
            checked_at: Some(samples::ago(3)),
            next_check_at: None,
            names_redacted: true,
            budget: Budget { tokens: 2_000_000, cost_micros: 0 },
        };
        let spent = Spending { requests: 12, tokens_in: 40_000, tokens_out: 2_000, cost_micros: 1_500_000 };
        let page = InvestigationPage {
            frame: samples::frame("Investigation", Section::Settings),
            tabs: tabs(HERE),
            groups: groups(given.shown(ALL)),
            reliable: Reliable::new(&reliability(12)),
            model: Some(ModelRow::new(&status, &spent, samples::now())),
            tools: vec![
                ToolRow::new(&ToolStatus::new(Tool::Prometheus, "prometheus:9090".into(), true), samples::now()),
                ToolRow::new(
                    &ToolStatus {
                        failed: 3,
                        last: Some(LastAnswer { at: samples::ago(4), failure: Some(evil.into()) }),
                        left_alone_until: Some(samples::now()),
                        ..ToolStatus::new(Tool::Netdata, evil.into(), false)
                    },
                    samples::now(),
                ),
            ],
            faults: vec![ui::foreign(evil)],
            last: vec![Last {
                tool: tool_name(Tool::Loki),
                at: When::ago(samples::ago(9), samples::now()),
                what: ui::foreign(evil),
                incident: IncidentId(7),
            }],
        };
        let html = page.render().unwrap();
        for part in [
            "<code>investigation.delay</code>",
            "<b><bdi>2s</bdi></b><div class=\"xs faint\"><bdi>the default</bdi>",
            "12\u{a0}closed incidents with a recorded cause so far; no confidence is above 75\u{a0}% until there are 50. The \
             first answer was right in 8 of 12.",
            "<tr><td>60\u{a0}% to 75\u{a0}%</td><td class=\"num\">12</td><td class=\"num\">70\u{a0}%</td><td class=\"num\">67\u{a0}%",
            "Cannot be asked",
            "<bdi>42,000 of 2,000,000</bdi>",
            "<bdi>1.50, without a limit</bdi>",
            "<a href=\"/incidents/INC-7#ev\">",
            "3\u{a0}min ago",
            "Not asked yet",
            "Left alone for a minute",
            "declared for a service",
            "Mistakes in your own files",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script>alert") && !html.contains('\u{202e}'));
        for shown in given.shown(ALL) {
            let (prefix, ..) = GROUPS[group_of(shown.option.key)];
            assert!(shown.option.key.starts_with(prefix), "{}", shown.option.key);
        }
    }
}
